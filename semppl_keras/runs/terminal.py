"""What reaches a terminal: names from anywhere, without what would steer it."""

import contextlib
import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

from semppl_keras.reports.shown import written

# What begins a progress bar, and what moves and colours it.
_BAR_STARTS = ("\r", "\b")
_BAR = re.compile("([\r\b]|\x1b\\[[0-9;]*m)")


@contextlib.contextmanager
def plain_output() -> Iterator[None]:
    """What is written to stdout and stderr sends no control characters to a terminal.

    Progress bars, which begin with a carriage return, may go back and have colours.
    What the encoding of the stream has no character for is written as its code. A bar
    that was not brought to its end is ended.
    """
    out, err = _PlainStream(sys.stdout), _PlainStream(sys.stderr)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            yield
    finally:
        # What comes next begins a line, also where an error broke off a progress bar.
        out.end_bar()
        err.end_bar()


class _PlainStream:
    """A text stream before another one, of which it has all but `write`."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._in_bar = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        if text.startswith(_BAR_STARTS):
            parts = _BAR.split(text)
            parts[::2] = map(written, parts[::2])
            plain = "".join(parts)
        else:
            plain = written(text)
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        self._stream.write(plain.encode(encoding, "backslashreplace").decode(encoding))
        if text:
            self._in_bar = not text.endswith("\n") and (
                self._in_bar or text.startswith(_BAR_STARTS)
            )
        return len(text)

    def end_bar(self) -> None:
        if self._in_bar:
            self.write("\n")
            self._stream.flush()

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)
