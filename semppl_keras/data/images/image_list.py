"""Images that can be read, in an order; none is decoded before it is asked for."""

import collections.abc
import dataclasses
import hashlib
import itertools
import os
import stat
from typing import Any

import numpy as np

from semppl_keras.data.images.files import (
    ReadImage,
    UnreadableImage,
    image_header,
    read_whole,
    resize_image,
    value_extent,
)
from semppl_keras.data.images.value_ranges import ValueRanges

# Headers that are read to tell the size of images.
_HEADERS = 50


@dataclasses.dataclass(frozen=True, eq=False)
class ImageList:
    """Images that can be read, in an order.

    Args:
        names: tuple of str, what each is called in logs: its path, or its place.
        labels: tuple of str, or None where there are none; until it is known which
            stand for none, some of them may be None.
        contents: function without arguments that returns an iterator over what each
            is: a path, the `bytes` of a file, or an array.
        states: function without arguments that returns a tuple, for each what would
            differ if it were another: what can be written as JSON.
        remarks: tuple of str, what is worth knowing about where they come from.
        class_names: tuple of str, names that the source itself gives its classes.
        max_pixels: int, of each how many may be decoded at once, as `read_image` takes
            it; None for as many as Pillow takes for safe.
        at: function of an index that returns what this one is, without reading those
            before it; None where they can only be read one after the other.
    """

    names: tuple[str, ...]
    labels: tuple[Any, ...] | None
    contents: collections.abc.Callable[[], collections.abc.Iterator[Any]]
    states: collections.abc.Callable[[], tuple[Any, ...]]
    remarks: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()
    max_pixels: int | None = None
    at: collections.abc.Callable[[int], Any] | None = None

    def __len__(self) -> int:
        return len(self.names)

    def __add__(self, other: "ImageList") -> "ImageList":
        """Those of both, without labels."""
        return ImageList(
            self.names + other.names,
            None,
            lambda: itertools.chain(self.contents(), other.contents()),
            lambda: self.states() + other.states(),
            tuple(dict.fromkeys(self.remarks + other.remarks)),
            max_pixels=self.max_pixels,
            at=self._either(other),
        )

    def _either(
        self, other: "ImageList"
    ) -> collections.abc.Callable[[int], Any] | None:
        first, second, count = self.at, other.at, len(self)
        if first is None or second is None:
            return None
        return lambda n: first(n) if n < count else second(n - count)

    def some(self, count: int) -> "ImageList":
        """At most so many of them, as far from each other as can be; of a list whose
        images can be read alone."""
        if len(self) <= count or self.at is None:
            return self
        return self.chosen(np.linspace(0, len(self) - 1, count).astype(int).tolist())

    def chosen(self, indices: collections.abc.Sequence[int]) -> "ImageList":
        """Those at some sorted indices."""
        at, wanted = self.at, set(indices)

        def passed() -> collections.abc.Iterator[Any]:
            pairs = enumerate(self.contents())
            return (content for index, content in pairs if index in wanted)

        return dataclasses.replace(
            self,
            names=tuple(self.names[index] for index in indices),
            labels=None if self.labels is None else tuple(self.labels_of(indices)),
            contents=passed if at is None else lambda: map(at, indices),
            states=lambda: tuple(map(self.states().__getitem__, indices)),
            at=None if at is None else lambda n: at(indices[n]),
        )

    def labels_of(self, indices: collections.abc.Iterable[int]) -> list[Any]:
        """The labels of some of them, in the order of their indices.

        Raises:
            ValueError: if they have none.
        """
        if self.labels is None:
            raise ValueError("The images must have labels. Received: images alone.")
        return [self.labels[index] for index in indices]

    def numbers_of(
        self,
        indices: collections.abc.Iterable[int],
        class_names: collections.abc.Iterable[str],
    ) -> np.ndarray:
        """The same as `(n,)` int32 numbers of classes, -1 where one is none of them."""
        numbers = {name: number for number, name in enumerate(class_names)}
        texts = self.labels_of(indices)
        return np.array([numbers.get(text, -1) for text in texts], "int32")

    def coloured(self) -> bool:
        """Whether one of the images that can be read has colours."""
        return any(coloured for _, _, coloured in self._headers())

    def usual_side(self, fit: str) -> int | None:
        """The side of the square that the first images have, None of none.

        Args:
            fit: of `defaults.FITS`. The central square is as large as the shorter
                side, of which the median is taken; one that shows all of the image,
                as the longer one.
        """
        side = min if fit == "crop" else max
        headers = itertools.islice(self._headers(), _HEADERS)
        sides = [side(width, height) for width, height, _ in headers]
        return int(np.median(sides)) if sides else None

    def _headers(self) -> collections.abc.Iterator[tuple[int, int, bool]]:
        for content in self.contents():
            try:
                yield _header(content)
            except UnreadableImage:
                # It is told, and counted, where it is to be decoded.
                continue


def decode(
    content: Any,
    size: int,
    channels: int,
    ranges: ValueRanges | None,
    fit: str,
    max_pixels: int | None = None,
) -> ReadImage:
    """An image of an `ImageList` as an array.

    Args:
        content: what its `contents` give.
        size: int, pixels of a side.
        channels: 1 or 3.
        ranges, fit, max_pixels: as `read_image` takes them.

    Returns:
        `ReadImage`, its pixels `(size, size, channels)` uint8.

    Raises:
        UnreadableImage: as `read_image`.
    """
    if isinstance(content, np.ndarray):
        return ReadImage(resize_image(content, size, channels, fit=fit))
    return read_whole(content, size, channels, ranges, fit=fit, max_pixels=max_pixels)


def extent(
    content: Any, max_pixels: int | None = None
) -> tuple[str, float, float] | None:
    """What `value_extent` tells of an image of an `ImageList`."""
    if isinstance(content, np.ndarray):
        return None
    return value_extent(content, max_pixels)


def image_list(
    paths: collections.abc.Iterable[str | os.PathLike[str]],
    labels: tuple[str | None, ...] | None = None,
    remarks: collections.abc.Iterable[str] = (),
) -> ImageList:
    """Files as an `ImageList`.

    Args:
        paths: iterable of paths.
        labels: tuple of str, or None.
        remarks: iterable of str.
    """
    # As texts: of a million files a path each would take as much memory again.
    names = tuple(map(str, paths))
    return ImageList(
        names,
        labels,
        lambda: iter(names),
        lambda: tuple((name, *file_state(name)) for name in names),
        tuple(remarks),
        at=names.__getitem__,
    )


def file_state(
    path: str | os.PathLike[str], tells_change: bool = os.name != "nt"
) -> tuple[Any, ...]:
    """What differs where a file is another than before, its size and time or not.

    Copying and unpacking set the time to what it was elsewhere. What nobody can set is
    when a file was last changed in any way; Windows, where `st_ctime` is when it was
    made, leaves the content to go by.

    Args:
        path: path.
        tells_change: bool, whether the system tells when a file was changed.

    Returns:
        Tuple that can be written as JSON, empty where there is no file.
    """
    try:
        status = os.stat(path)
        changed = status.st_ctime_ns if tells_change else _digest_of(path, status)
    except (OSError, ValueError):
        return ()
    return status.st_size, status.st_mtime_ns, status.st_ino, changed


def _digest_of(path: str | os.PathLike[str], status: os.stat_result) -> str:
    # Reading a pipe might never end.
    if not stat.S_ISREG(status.st_mode):
        return ""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()[:32]


def _header(content: Any) -> tuple[int, int, bool]:
    if isinstance(content, np.ndarray):
        coloured = content.ndim == 3 and content.shape[-1] == 3
        return content.shape[1], content.shape[0], coloured
    return image_header(content)
