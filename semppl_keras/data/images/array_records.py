"""The records of ArrayRecord files, each of which can be read alone."""

import bisect
import collections.abc
import itertools

from array_record.python.array_record_module import ArrayRecordReader


class ArrayRecords:
    """As `tf_records.Records`.

    Args:
        files: Paths.

    Raises:
        ValueError: A file is no ArrayRecord.
    """

    def __init__(self, files: tuple[str, ...]) -> None:
        self._readers = {}
        for path in files:
            self._readers[path] = _opened(path)
        self.counts = [self._readers[path].num_records() for path in files]
        self._files = files
        self._ends = list(itertools.accumulate(self.counts))

    def at(self, number: int) -> bytes:
        """One of them, of all files; empty, which no example is, where it is
        damaged."""
        file = bisect.bisect_right(self._ends, number)
        before = self._ends[file - 1] if file else 0
        return _read(self._readers[self._files[file]], number - before)

    def of(self, path: str) -> collections.abc.Iterator[bytes]:
        """Those of a file."""
        reader = self._readers[path]
        return (_read(reader, index) for index in range(reader.num_records()))


def _read(reader: ArrayRecordReader, index: int) -> bytes:
    try:
        (record,) = reader.read([index])
    except RuntimeError:
        # What its own checksums tell: the others can be read.
        return b""
    return record


def _opened(path: str) -> ArrayRecordReader:
    try:
        reader = ArrayRecordReader(path)
        # Of what is no ArrayRecord its reader finds none.
        if reader.num_records():
            return reader
        reason = "it has no records"
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
    raise ValueError(
        f"{path!r} must be an ArrayRecord. Received a file that cannot be read: "
        f"{reason}."
    )
