"""Decoded images, kept so that each is decoded once.

They are decoded before training begins, and not beside its first epoch: which images
are broken, and so how many there are, has to be known before the order of the first
batch is drawn, or a run that goes on after a crash could not repeat it.
"""

import hashlib
import json
import os
import pathlib
import shutil
import tempfile
from typing import Any

import numpy as np
import PIL

from semppl_keras.data.defaults import CACHE, CACHES, MAX_SKIPPED, UNTOLD_FIT
from semppl_keras.data.images.decoding import (
    DecodedRows,
    Skipped,
    check_any_read,
    check_share,
    decode_into,
)
from semppl_keras.data.images.formats import readable_formats
from semppl_keras.data.images.image_list import ImageList
from semppl_keras.data.images.memory import MEMORY_SHARE, free_memory
from semppl_keras.data.images.partial_files import remove_left_behind, written_whole
from semppl_keras.data.images.progress import Counts
from semppl_keras.data.images.streaming import streamed
from semppl_keras.data.images.value_ranges import ValueRanges

# Another one makes all earlier caches unknown: to be changed with what decoding does.
_VERSION = 4
_PREFIX = "images_"


def decode_cached(
    images: ImageList,
    size: int,
    channels: int,
    *,
    fit: str,
    folder: str | os.PathLike[str] | None = None,
    place: str = CACHE,
    ranges: ValueRanges | None = None,
    num_first: int | None = None,
    max_skipped: float = MAX_SKIPPED,
    progress: Counts | None = None,
) -> tuple[Any, DecodedRows]:
    """Decodes a list of images, or finds it decoded.

    Args:
        images: `ImageList`, not empty.
        size: int, pixels of a side.
        channels: 1 or 3.
        fit: how they become squares, as `read_image` takes it.
        folder: path of the folder of caches on disk, made where there is none; None
            for a file without a name, which is gone with the process.
        place: "memory", "disk", or "auto" for memory where the images take at most
            half of what is free, else disk; what is on disk already is used. "none" to
            decode none before it is asked for.
        ranges, num_first, max_skipped, progress: as `decode_into` takes them.

    Returns:
        `(K, size, size, channels)` uint8, from disk a read-only `np.memmap`, with
        "none" `StreamedImages`, and the `DecodedRows` of its rows.

    Raises:
        TooManyUnreadable: if too many images are unreadable, or all.
        ValueError: if the disk has no room for them.
    """
    if place not in CACHES:
        raise ValueError(f"`place` must be one of {CACHES}. Received: {place!r}.")
    shape = (len(images), size, size, channels)
    options: dict[str, Any] = {
        "fit": fit,
        "ranges": ranges,
        "num_first": num_first,
        "max_skipped": max_skipped,
        "progress": progress,
    }
    if place == "none":
        del options["progress"]
        return streamed(images, size, channels, **options)
    paths = None
    if folder is not None:
        paths = _Paths(
            pathlib.Path(folder),
            _fingerprint(images, shape, fit, num_first, ranges),
            shape,
        )
        found = paths.read()
        if found is not None:
            check_share(found[1].skipped, len(images), max_skipped)
            return found
    if place == "auto":
        fits = np.prod(shape, dtype="int64") <= MEMORY_SHARE * free_memory()
        place = "memory" if fits else "disk"
    if place == "memory":
        rows = _in_memory(shape)
        decoded = decode_into(rows, images, **options)
    elif paths is None:
        with tempfile.TemporaryFile() as file:
            # The mapping keeps it for as long as it is used.
            rows = _mapped(file, shape, tempfile.gettempdir())
        decoded = decode_into(rows, images, **options)
    else:
        rows, decoded = paths.write(shape, images, options)
    check_any_read(decoded, len(images))
    return rows[: len(decoded.kept)], decoded


def read_cached(
    images: ImageList,
    size: int,
    channels: int,
    *,
    fit: str,
    folder: str | os.PathLike[str],
    ranges: ValueRanges | None = None,
    num_first: int | None = None,
) -> tuple[np.ndarray, DecodedRows] | None:
    """A list of images as `decode_cached` has decoded it to disk.

    Args:
        images, size, channels, fit, folder, ranges, num_first: as that takes them.

    Returns:
        As that; None where none of the same images, read in the same way, is there.
    """
    shape = (len(images), size, size, channels)
    described = _fingerprint(images, shape, fit, num_first, ranges)
    return _Paths(pathlib.Path(folder), described, shape).read()


def holds_any(folder: str | os.PathLike[str]) -> bool:
    """Whether there are decoded images in a folder of caches at all."""
    return any(pathlib.Path(folder).glob(f"{_PREFIX}*.npy"))


class _Paths:
    """The files of a cache: the rows, and what they hold.

    Each is written under a name of its own first, the rows last: where they are, all
    is.
    """

    def __init__(
        self, folder: pathlib.Path, fingerprint: str, shape: tuple[int, ...]
    ) -> None:
        self._folder, self._shape = folder, shape
        self._rows = folder / f"{_PREFIX}{fingerprint}.npy"
        self._notes = folder / f"{_PREFIX}{fingerprint}.json"

    def read(self) -> tuple[np.ndarray, DecodedRows] | None:
        if not self._rows.exists():
            return None
        try:
            notes = json.loads(self._notes.read_text(encoding="utf-8"))
            skipped = [Skipped(*entry) for entry in notes["skipped"]]
            decoded = DecodedRows(**{**notes, "skipped": skipped})
            rows = np.load(self._rows, mmap_mode="r", allow_pickle=False)
            fits = self._fits(rows, decoded)
        # Deep nesting is the last.
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            fits = False
        # Damaged: it is made anew.
        return (rows[: len(decoded.kept)], decoded) if fits else None

    def _fits(self, rows: np.ndarray, decoded: DecodedRows) -> bool:
        """Whether they are of these images, as the caller will take them to be."""
        count, *sides = self._shape
        indices = decoded.kept + decoded.repeated + decoded.duplicates
        indices += decoded.beyond + decoded.several
        return (
            rows.dtype == "uint8"
            and list(rows.shape[1:]) == sides
            and len(decoded.digests) == len(decoded.kept) <= len(rows)
            and all(isinstance(digest, str) for digest in decoded.digests)
            and all(type(index) is int and 0 <= index < count for index in indices)
        )

    def write(
        self, shape: tuple[int, ...], images: ImageList, options: dict[str, Any]
    ) -> tuple[np.ndarray, DecodedRows]:
        self._folder.mkdir(parents=True, exist_ok=True)
        remove_left_behind(self._folder, f"{_PREFIX}*")
        # Another process may be decoding the same images to the same place.
        with written_whole(self._rows) as file:
            rows = _mapped(file, shape, self._folder, header=True)
            decoded = decode_into(rows, images, **options)
            rows.flush()
            # Some systems rename no file that is mapped.
            del rows
            with written_whole(self._notes) as notes:
                notes.write(json.dumps(decoded._asdict()).encode())
        rows = np.load(self._rows, mmap_mode="r", allow_pickle=False)
        return rows[: len(decoded.kept)], decoded


def _fingerprint(
    images: ImageList,
    shape: tuple[int, ...],
    fit: str,
    num_first: int | None,
    ranges: ValueRanges | None,
) -> str:
    # Another format that can be read makes more images of the same files.
    decoder = [_VERSION, PIL.__version__, readable_formats()]
    # A cache that does not say how they became squares holds what it says of none.
    fits = [] if fit == UNTOLD_FIT else [fit]
    limits = [] if images.max_pixels is None else [images.max_pixels]
    described = json.dumps(
        [*decoder, shape, *fits, *limits, num_first, ranges, images.states()]
    )
    return hashlib.blake2b(described.encode(), digest_size=12).hexdigest()


def _in_memory(shape: tuple[int, ...]) -> np.ndarray:
    try:
        return np.empty(shape, "uint8")
    except MemoryError as error:
        size = np.prod(shape, dtype="int64")
        raise ValueError(
            f"The decoded images take {size / 1e9:.2f} GB. Received: less memory. "
            "Choose a smaller image size, or keep them on disk or nowhere (cache)."
        ) from error


def _mapped(
    file: Any,
    shape: tuple[int, ...],
    folder: str | os.PathLike[str],
    header: bool = False,
) -> np.memmap:
    """A file of zeros as an array, with the room that it takes taken at once.

    Where the disk fills up later, writing to a mapping ends the process.
    """
    if header:
        described = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, described)
    offset = file.tell()
    size = int(np.prod(shape, dtype="int64"))
    file.flush()
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, offset + size)
        else:
            file.truncate(offset + size)
    except OSError as error:
        free = shutil.disk_usage(folder).free
        raise ValueError(
            f"The decoded images take {size / 1e9:.2f} GB in {str(folder)!r}. "
            f"Received: {free / 1e9:.2f} GB free ({error.strerror}). Make room, choose "
            "a smaller image size, or keep them in memory or nowhere (cache)."
        ) from error
    return np.memmap(file, "uint8", "r+", offset, shape)
