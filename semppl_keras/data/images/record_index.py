"""Where the records of TFRecord files begin, so that each can be read alone.

The files say nothing of it: it is found by going from one record's length to the next,
which reads a few bytes of each.
"""

import dataclasses
import os
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

# Before a record stand its length and a checksum of this, after it one of its own.
_BEFORE, _AFTER = 12, 4
_LENGTH = struct.Struct("<Q")


class NotRecords(ValueError):
    """A file that is no TFRecord, or a part of one.

    Args:
        message: Where it is not.
    """


@dataclasses.dataclass(frozen=True, eq=False)
class RecordPlaces:
    """Records of some files, one after the other.

    Args:
        files: Paths.
        ends: `(files,)`, how many records there are up to the end of each.
        places: `(N, 2)`, where in its file each record begins, and its bytes.
    """

    files: tuple[str, ...]
    ends: np.ndarray
    places: np.ndarray

    def __len__(self) -> int:
        return len(self.places)

    def read(self, number: int) -> bytes:
        """One of them, of all files."""
        file = self.files[int(np.searchsorted(self.ends, number, side="right"))]
        start, length = self.places[number].tolist()
        with open(file, "rb") as opened:
            opened.seek(start)
            return opened.read(length)


def find_records(
    files: tuple[str, ...], parts: Sequence[tuple[int, int | None]] | None = None
) -> RecordPlaces:
    """Finds the records of some files.

    Args:
        files: Paths of TFRecords, not compressed.
        parts: For each file how many records are passed over, and how many of those
            after them count; None for all of all files.

    Raises:
        NotRecords: A file is none.
        OSError: A file cannot be read.
    """
    places = []
    for file, (skip, take) in zip(
        files, parts or [(0, None)] * len(files), strict=True
    ):
        found = _places_in(file)
        places.append(found[skip:] if take is None else found[skip : skip + take])
    ends = np.cumsum([len(one) for one in places], dtype="int64")
    empty: list[Any] = [np.empty((0, 2), "int64")]
    return RecordPlaces(files, ends, np.concatenate([*empty, *places]))


def _places_in(file: str) -> np.ndarray:
    size, start = os.path.getsize(file), 0
    places: list[tuple[int, int]] = []
    with open(file, "rb") as opened:
        while start < size:
            opened.seek(start)
            before = opened.read(_BEFORE)
            length = _LENGTH.unpack(before[:8])[0] if len(before) == _BEFORE else size
            if start + _BEFORE + length + _AFTER > size:
                raise NotRecords(
                    f"record {len(places)} goes beyond the end of the file"
                )
            places.append((start + _BEFORE, length))
            start += _BEFORE + length + _AFTER
    return np.array(places, "int64").reshape(-1, 2)
