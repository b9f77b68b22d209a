"""Many images as one array: decoded by several threads, the broken ones left out."""

import collections
import collections.abc
import concurrent.futures
import contextlib
import hashlib
import os
import warnings
from typing import Any, NamedTuple

import numpy as np

from semppl_keras.data.defaults import FIT, MAX_SKIPPED
from semppl_keras.data.images.files import image_header, read_image
from semppl_keras.data.images.image_list import ImageList, decode, extent
from semppl_keras.data.images.opening import UnreadableImage, is_too_large
from semppl_keras.data.images.progress import Counts
from semppl_keras.data.images.value_ranges import ValueRanges, as_ranges, range_of

# What is decoded ahead of what has been taken, by thread: enough that a large image
# keeps no other thread waiting.
_AHEAD = 8
_NAMED = 3

# Where it is for a person to say.
_ADVICE = " --value-range (value_range) says another range."

_MORE = " --max-megapixels (max_megapixels) reads larger ones, in as much memory."

# Of `ValueRanges` what the kinds are called to people.
_DEEP = {"integers": "integers of more than 8 bits", "floats": "floats"}


class Skipped(NamedTuple):
    """An image that could not be read.

    Args:
        name: str, its path, or its place.
        reason: str.
    """

    name: str
    reason: str


class TooManyUnreadable(ValueError):
    """More images cannot be read than may be.

    Args:
        message: str.
        skipped: list of `Skipped`, all of them.
    """

    def __init__(self, message: str, skipped: list[Skipped]) -> None:
        super().__init__(message)
        self.skipped = skipped


class DecodedRows(NamedTuple):
    """What rows of an array hold after `decode_into`.

    Args:
        kept: list of int, for each row the index of its image in the list.
        digests: list of str, for each row what tells its pixels from others.
        skipped: list of `Skipped`.
        repeated: list of int, the images that were left out as copies of the first.
        duplicates: list of int, those that were as copies of others.
        beyond: list of int, those of the kept with values beyond the range of the set.
        several: list of int, those of the kept that are the first of several.
    """

    kept: list[int]
    digests: list[str]
    skipped: list[Skipped]
    repeated: list[int]
    duplicates: list[int]
    beyond: list[int]
    several: list[int]


def decode_into(
    rows: np.ndarray,
    images: ImageList,
    *,
    fit: str,
    ranges: ValueRanges | None = None,
    num_first: int | None = None,
    max_skipped: float = MAX_SKIPPED,
    workers: int | None = None,
    progress: Counts | None = None,
) -> DecodedRows:
    """Decodes a list of images, in its order, into the rows of an array.

    Those that cannot be read are left out, and so are copies where `num_first` is
    given: the rows that follow move up.

    Args:
        rows: `(N, size, size, channels)` uint8, to be written to.
        images: `ImageList` of N images.
        fit: as `read_image` takes it.
        ranges: `ValueRanges` of the set that they are of; None where each deep image
            is by itself.
        num_first: int, how many images come first and are kept, copies of each other or
            not. A later one with the very pixels of one before it is left out. None to
            keep all.
        max_skipped: float in [0, 1], the share of images that may be unreadable.
        workers: int, threads; None for one per core that the process may use.
        progress: function of (images done, images in all), called after each.

    Returns:
        `DecodedRows`; the rows beyond `len(kept)` are as they were.

    Raises:
        TooManyUnreadable: if more images are unreadable than may be; not before all
            have been tried, so that all are named at once.
    """
    size, channels = rows.shape[1], rows.shape[3]
    decoded = DecodedRows(*([] for _ in DecodedRows._fields))
    first: set[str] = set()
    others: set[str] = set()
    results = _in_order(
        images.contents(),
        lambda content: decode(content, size, channels, ranges, fit, images.max_pixels),
        workers,
    )
    with contextlib.closing(results):
        for index, result in enumerate(results):
            if isinstance(result, UnreadableImage):
                decoded.skipped.append(Skipped(images.names[index], result.reason))
            else:
                digest = hashlib.blake2b(result.pixels.data, digest_size=16).hexdigest()
                comes_first = num_first is None or index < num_first
                if not comes_first and digest in first:
                    decoded.repeated.append(index)
                elif not comes_first and digest in others:
                    decoded.duplicates.append(index)
                else:
                    (first if comes_first else others).add(digest)
                    rows[len(decoded.kept)] = result.pixels
                    decoded.kept.append(index)
                    decoded.digests.append(digest)
                    if result.beyond:
                        decoded.beyond.append(index)
                    if result.several:
                        decoded.several.append(index)
            if progress is not None:
                progress(index + 1, len(images))
    check_share(decoded.skipped, len(images), max_skipped)
    return decoded


def find_ranges(
    images: ImageList, value_range: Any = None, progress: Counts | None = None
) -> tuple[ValueRanges | None, list[str]]:
    """The ranges of the values of a set's deep images.

    Of all files the header is read, of deep images all values.

    Args:
        images: `ImageList`, all of the set.
        value_range: (low, high) for all of them; `ValueRanges`, or a dict of them, of
            a set that these are to be read like: what that has none of is found; None
            to find all; "each" where each image is by itself.
        progress: function of (images done, images in all), called after each that is
            deep.

    Returns:
        `ValueRanges`, or None for "each"; and a list of str: what is worth knowing
        about what was found.

    Raises:
        ValueError: if `value_range` is none of these.
    """
    if value_range == "each":
        return None, []
    known = ValueRanges() if value_range is None else as_ranges(value_range)
    advice = _ADVICE if value_range is None else ""
    extents: dict[str, tuple[int, float, float]] = {}
    if None in known:
        results = _in_order(
            images.contents(), lambda content: extent(content, images.max_pixels)
        )
        with contextlib.closing(results):
            for index, result in enumerate(results):
                # What cannot be read is told where it is to be decoded.
                if result is None or isinstance(result, UnreadableImage):
                    continue
                kind, low, high = result
                if getattr(known, kind) is not None:
                    continue
                count, least, most = extents.get(kind, (0, low, high))
                extents[kind] = (count + 1, min(least, low), max(most, high))
                if progress is not None:
                    progress(index + 1, len(images))
    remarks = []
    for kind, (count, low, high) in extents.items():
        found = range_of(kind, low, high)
        known = known._replace(**{kind: found})
        remarks.append(
            f"{count:,} of {len(images):,} images hold {_DEEP[kind]}, from {low:,.6g} "
            f"to {high:,.6g}: of all of them {found[0]:,.6g} becomes black and "
            f"{found[1]:,.6g} white.{advice}"
        )
    # In the form that it has where it was kept: caches are told by it.
    return as_ranges(known), remarks


def remarks_on_files(
    decoded: DecodedRows, total: int, what: str, of_run: bool = False
) -> list[str]:
    """What is worth knowing about images that were read, as a list of str.

    Args:
        decoded: `DecodedRows`.
        total: int, how many there are in all.
        what: str, what they are called, such as "test images".
        of_run: bool, whether their range is that of a run, and not to be chosen.
    """
    remarks = []
    if decoded.beyond:
        whose = "of the run" if of_run else "that is taken for theirs"
        remarks.append(
            f"{len(decoded.beyond):,} of {total:,} {what} hold values beyond the range "
            f"{whose}: these become black or white.{'' if of_run else _ADVICE}"
        )
    if decoded.several:
        remarks.append(
            f"{len(decoded.several):,} of {total:,} {what} are files of several frames "
            "or pages, of which the first alone is read."
        )
    large = sum(is_too_large(entry.reason) for entry in decoded.skipped)
    if large:
        remarks.append(
            f"{large:,} of {total:,} {what} have too many pixels to be decoded, and "
            f"are left out.{'' if of_run else _MORE}"
        )
    return remarks


def read_images(
    paths: collections.abc.Sequence[str | os.PathLike[str]],
    size: int | None = None,
    channels: int | None = None,
    ranges: ValueRanges | None = None,
    *,
    fit: str = FIT,
) -> np.ndarray:
    """Reads image files into one array, all of them or none.

    Args:
        paths: list of paths, at least one.
        size: int, pixels of a side of the squares that they become; None for images
            that have one size already.
        channels: 1 or 3; None for 1 where all are grey, else 3.
        ranges, fit: as `read_image` takes them.

    Returns:
        `(N, h, w, channels)` uint8.

    Raises:
        UnreadableImage: if a file is no image.
        ValueError: if the sizes differ without `size`.
    """
    if channels is None:
        channels = 3 if any(image_header(path)[2] for path in paths) else 1
    images: np.ndarray = np.empty(0, "uint8")
    results = _in_order(
        iter(paths), lambda path: read_image(path, size, channels, ranges, fit=fit)
    )
    with contextlib.closing(results):
        for index, array in enumerate(results):
            if isinstance(array, UnreadableImage):
                raise array
            if not index:
                images = np.empty((len(paths), *array.shape), "uint8")
            if array.shape != images.shape[1:]:
                raise ValueError(
                    "Without `image_size` images must have one size. Received: "
                    f"{images.shape[2]} x {images.shape[1]} pixels in "
                    f"{str(paths[0])!r} and {array.shape[1]} x {array.shape[0]} in "
                    f"{str(paths[index])!r}."
                )
            images[index] = array
    return images


def _in_order(
    contents: collections.abc.Iterable[Any],
    function: collections.abc.Callable[[Any], Any],
    workers: int | None = None,
) -> collections.abc.Generator[Any]:
    """What the function makes of each content, or the `UnreadableImage` it raises.

    To be closed: what collects it as garbage may be one of its own threads.
    """

    def attempt(content: Any) -> Any:
        try:
            return function(content)
        except UnreadableImage as error:
            return error

    workers = workers or cores()
    pool = concurrent.futures.ThreadPoolExecutor(workers, "semppl_decode")
    waiting: collections.deque[concurrent.futures.Future[Any]] = collections.deque()
    try:
        with warnings.catch_warnings():
            # Of broken notes in a file whose image is whole; once for all threads,
            # since filters are not theirs.
            warnings.filterwarnings("ignore", module=r"PIL\.")
            for content in contents:
                waiting.append(pool.submit(attempt, content))
                if len(waiting) >= _AHEAD * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
    finally:
        # After an error or Ctrl-C nothing is left running.
        pool.shutdown(cancel_futures=True)


def cores() -> int:
    # Not all that the machine has may be there for the process.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def check_any_read(decoded: DecodedRows, total: int) -> None:
    """Raises a `TooManyUnreadable` where none out of `total` images can be read."""
    if decoded.kept:
        return
    name, reason = decoded.skipped[0]
    raise TooManyUnreadable(
        "There must be images that can be read. Received: "
        f"{total:,}, none of them, such as {name!r}: {reason}.",
        decoded.skipped,
    )


def check_share(skipped: list[Skipped], total: int, max_skipped: float) -> None:
    """Raises a `TooManyUnreadable` for more `Skipped` than may be out of `total`."""
    if len(skipped) <= max_skipped * total:
        return
    by_reason: dict[str, list[str]] = {}
    for name, reason in skipped[:_NAMED]:
        by_reason.setdefault(reason, []).append(repr(name))
    examples = "; ".join(
        f"{', '.join(names)}: {reason}" for reason, names in by_reason.items()
    )
    raise TooManyUnreadable(
        f"At most {100 * max_skipped:.3g}% of {total:,} images may be unreadable "
        f"(`max_skipped`). Received: {len(skipped):,}, such as {examples}. "
        "Remove or replace them, or allow for more.",
        skipped,
    )
