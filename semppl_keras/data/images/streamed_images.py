"""Images that are decoded when they are asked for, and kept nowhere."""

import collections.abc
import dataclasses
import threading
from typing import Any, Self

import numpy as np

from semppl_keras.data.defaults import MAX_SKIPPED
from semppl_keras.data.images.decoding import Skipped, TooManyUnreadable, check_share
from semppl_keras.data.images.image_list import ImageList, image_list
from semppl_keras.data.images.memory import MEMORY_SHARE, free_memory
from semppl_keras.data.images.opening import UnreadableImage
from semppl_keras.data.images.reading_threads import in_pieces, read_ahead

# So many images are decoded at once where many are asked for.
_PIECE = 256


# What an `ImageList` gives of an image to `(size, size, channels)` uint8.
Decode = collections.abc.Callable[[Any], np.ndarray]

# The same, of a part of it that a generator draws.
Crop = collections.abc.Callable[[Any, np.random.Generator], np.ndarray]

# What the crop of an image is a function of, and of nothing else, so that a training
# that goes on sees what an uninterrupted one would: seed of the training, passes over
# the images before, number of the image among all.
_Draw = tuple[int, int, int]


@dataclasses.dataclass(eq=False)
class _Found:
    """What has been found out while images were read.

    Args:
        skipped: Those that cannot be read, by their number.
        waited: Seconds that a training has waited for images.
        lock: For whoever writes to them.
    """

    skipped: dict[int, Skipped] = dataclasses.field(default_factory=dict)
    waited: float = 0.0
    lock: Any = dataclasses.field(default_factory=threading.Lock)


class StreamedImages:
    """Images that are decoded when they are asked for, and kept nowhere.

    To what reads it in pieces it is an array `(N, size, size, channels)` of uint8:
    `images[rows]` decodes these rows, by several threads. `fit` decodes the next
    batches while the step runs.

    One that cannot be read is noted, and the next one with the same label that can
    stands in its place: the same one each time.

    Args:
        images: `ImageList` whose images can be read alone.
        size: Pixels of a side.
        channels: 1 or 3.
        decode: Decodes one of them. Where it raises an `UnreadableImage`, another
            stands in its place.
        labels: `(N,)` integers, of images that may stand in for each other; None for
            all.
        max_skipped: The share of the images that may be unreadable, told when there
            are more.

    Raises:
        ValueError: They can only be read one after the other.

    Example:
        >>> images = load_own_images("photos", "labels.csv", cache="none").x_train
        >>> images[:2].shape
        (2, 96, 96, 3)
    """

    # What measures with arrays is not to make one of all of them.
    read_in_pieces = True
    ndim = 4
    dtype = np.dtype("uint8")

    def __init__(
        self,
        images: ImageList,
        size: int,
        channels: int,
        decode: Decode,
        *,
        labels: np.ndarray | None = None,
        max_skipped: float = MAX_SKIPPED,
    ) -> None:
        if images.at is None:
            raise ValueError(
                "Images that are not decoded before training must be files, or records "
                f"that can be read alone. Received: {images.names[0]!r} and others "
                "that are read one after the other. Write them as files, or decode "
                'them before (cache="disk").'
            )
        self._images, self._decode = images, decode
        self._crop: Crop | None = None
        self._labels, self._max_skipped = labels, max_skipped
        self._rows = np.arange(len(images))
        self._found = _Found()
        self._image_shape = (size, size, channels)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """As of an array."""
        return (len(self._rows), *self._image_shape)

    @property
    def nbytes(self) -> int:
        """Bytes that they would take decoded."""
        return int(np.prod(self.shape, dtype="int64"))

    @property
    def skipped(self) -> list[Skipped]:
        """Those that turned out unreadable so far, of all of which these are a part."""
        with self._found.lock:
            return [self._found.skipped[one] for one in sorted(self._found.skipped)]

    @property
    def seconds_waited(self) -> float:
        """How long trainings have waited for images that were not decoded in time."""
        return self._found.waited

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, key: Any) -> np.ndarray:
        """Decodes an image, or those of a slice, of a mask or of indices."""
        rows = np.arange(len(self))[key]
        if rows.ndim == 0:
            return self._read(int(rows), None)
        images = np.empty((len(rows), *self._image_shape), "uint8")
        numbers = ((row, None) for row in rows.tolist())
        for place, pixels in enumerate(in_pieces(self._read, numbers, _PIECE)):
            images[place] = pixels
        return images

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        free = free_memory()
        if self.nbytes > MEMORY_SHARE * free:
            raise ValueError(
                f"Decoded, all {len(self):,} images take {self.nbytes / 1e9:.2f} GB. "
                f"Received: {free / 1e9:.2f} GB of free memory, for what needs them as "
                "one array. Read them in pieces, images[start:stop], or some of them: "
                "images.rows(indices)."
            )
        del copy
        return self[:] if dtype is None else self[:].astype(dtype)

    def rows(self, indices: Any) -> Self:
        """Some of them, which are decoded as little.

        Args:
            indices: Slice, mask or indices.
        """
        part = object.__new__(type(self))
        part.__dict__.update(self.__dict__, _rows=self._rows[indices])
        if self._labels is not None:
            part._labels = self._labels[indices]
        return part

    def labelled(self, labels: np.ndarray) -> Self:
        """The same, of which those with one label may stand in for each other."""
        part = self.rows(slice(None))
        part._labels = labels
        return part

    def moved(self, places: collections.abc.Sequence[str]) -> Self:
        """The same, of files that are elsewhere now.

        Args:
            places: Of each the path of its file.
        """
        names = list(self._images.names)
        for number, place in zip(self._rows.tolist(), places, strict=True):
            names[number] = place
        part = self.rows(slice(None))
        part._images = dataclasses.replace(
            image_list(names, None), max_pixels=self._images.max_pixels
        )
        return part

    def cropped(self, crop: Crop) -> Self:
        """The same, of which a training sees a random part of each image in each pass,
        decoded from the whole; to all else they are as before.

        Args:
            crop: Of a path or the `bytes` of a file, and a generator that is a function
                of the seed of `fit`, the pass and the image, to `(size, size,
                channels)` uint8. In several threads at once.
        """
        part = self.rows(slice(None))
        part._crop = crop
        return part

    def batches(
        self,
        picks: collections.abc.Iterable[tuple[np.ndarray, np.ndarray]],
        seed: int | None,
    ) -> collections.abc.Iterator[tuple[np.ndarray, np.ndarray]]:
        """Batches for a training, of which the next ones are decoded meanwhile.

        Args:
            picks: Of each batch the rows, and for each in which pass it is met.
            seed: Of the training; None for whole images.

        Yields:
            The rows and the images of each.
        """
        numbers = self._rows

        def draw(row: int, epoch: int) -> _Draw | None:
            return None if seed is None else (seed, epoch, int(numbers[row]))

        def wanted(pick: tuple[np.ndarray, np.ndarray]) -> list[tuple[Any, ...]]:
            pairs = zip(pick[0].tolist(), pick[1].tolist(), strict=True)
            return [(row, draw(row, epoch)) for row, epoch in pairs]

        for pick, pixels, waited in read_ahead(self._read, picks, wanted):
            if seed is not None:
                self._found.waited += waited
            yield pick[0], np.stack(pixels)

    def _read(self, row: int, draw: _Draw | None) -> np.ndarray:
        """An image, or what stands in for it."""
        for candidate in self._candidates(row):
            number = int(self._rows[candidate])
            if number in self._found.skipped:
                continue
            try:
                assert self._images.at is not None
                content = self._images.at(number)
                if self._crop is None or draw is None:
                    return self._decode(content)
                return self._crop(content, np.random.default_rng(draw))
            except UnreadableImage as error:
                self._skip(number, error.reason)
        name = self._images.names[int(self._rows[row])]
        raise TooManyUnreadable(
            "Of every class, and of the unlabelled, there must be an image that can be "
            f"read. Received: {name!r} and others like it, none of which can.",
            self.skipped,
        )

    def _candidates(self, row: int) -> collections.abc.Iterator[int]:
        """It, and those that may stand in for it, the next ones first."""
        yield row
        count, labels = len(self._rows), self._labels
        for step in range(1, count):
            other = (row + step) % count
            if labels is None or labels[other] == labels[row]:
                yield other

    def _skip(self, number: int, reason: str) -> None:
        with self._found.lock:
            skipped = Skipped(self._images.names[number], reason)
            self._found.skipped[number] = skipped
        if len(self._found.skipped) > self._max_skipped * len(self._images):
            check_share(self.skipped, len(self._images), self._max_skipped)
