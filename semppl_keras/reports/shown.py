"""Names from anywhere, without what would steer a terminal."""

import re

# Control characters of C0 and C1, and those that change the direction of writing or
# begin a line; halves of characters that no text has.
_STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
    "\ud800-\udfff]"
)


def shown(name: object) -> str:
    """A name as one line shows it: what steers a terminal is written, not sent.

    Args:
        name: str, or what has one.

    Returns:
        str.

    Example:
        >>> shown("a\\nb\\x1b[2J")
        'a\\\\nb\\\\x1b[2J'
    """
    return written(str(name)).replace("\n", "\\n").replace("\t", "\\t")


def written(text: str) -> str:
    """Text in which what steers a terminal is written, lines and tabs apart."""
    return _STEERING.sub(lambda match: repr(match[0])[1:-1], text)
