"""What reaches a terminal: names from anywhere, without what would steer it."""

import contextlib
import re
import sys

# Control characters of C0 and C1, and those that change the direction of writing or
# begin a line; halves of characters that no text has.
_STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
    "\ud800-\udfff]"
)
# What begins a progress bar, and what moves and colours it.
_BAR_STARTS = ("\r", "\b")
_BAR = re.compile("([\r\b]|\x1b\\[[0-9;]*m)")


def shown(name):
    """A name as one line shows it: what steers a terminal is written, not sent.

    Args:
        name: str, or what has one.

    Returns:
        str.

    Example:
        >>> shown("a\\nb\\x1b[2J")
        'a\\\\nb\\\\x1b[2J'
    """
    return _written(str(name)).replace("\n", "\\n").replace("\t", "\\t")


@contextlib.contextmanager
def plain_output():
    """What is written to stdout and stderr sends no control characters to a terminal.

    Progress bars, which begin with a carriage return, may go back and have colours.
    What the encoding of the stream has no character for is written as its code.
    """
    with (
        contextlib.redirect_stdout(_PlainStream(sys.stdout)),
        contextlib.redirect_stderr(_PlainStream(sys.stderr)),
    ):
        yield


class _PlainStream:
    """A text stream before another one, of which it has all but `write`."""

    def __init__(self, stream):
        self._stream = stream

    def __getattr__(self, name):
        return getattr(self._stream, name)

    def write(self, text):
        if text.startswith(_BAR_STARTS):
            parts = _BAR.split(text)
            parts[::2] = map(_written, parts[::2])
            plain = "".join(parts)
        else:
            plain = _written(text)
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        self._stream.write(plain.encode(encoding, "backslashreplace").decode(encoding))
        return len(text)

    def writelines(self, lines):
        for line in lines:
            self.write(line)


def _written(text):
    return _STEERING.sub(lambda match: repr(match[0])[1:-1], text)
