"""The records of ArrayRecord files, each of which can be read alone."""

import bisect
import collections.abc
import itertools

from array_record.python.array_record_module import ArrayRecordReader

# Read together where all of a file are.
_AT_ONCE = 64


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
        """One of them, of all files."""
        file = bisect.bisect_right(self._ends, number)
        before = self._ends[file - 1] if file else 0
        (record,) = self._readers[self._files[file]].read([number - before])
        return record

    def of(self, path: str) -> collections.abc.Iterator[bytes]:
        """Those of a file."""
        reader = self._readers[path]
        count = reader.num_records()
        for start in range(0, count, _AT_ONCE):
            yield from reader.read(start, min(start + _AT_ONCE, count))


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
