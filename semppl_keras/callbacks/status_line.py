"""A line that says how far something is, where a person looks on."""

import shutil
import sys
from typing import Any


class StatusLine:
    """The last line of a terminal, written over as things go on.

    It is as long as the terminal is wide at most. What is to stay is said above it.

    Args:
        stream: To which it is written, None for `sys.stdout`.

    Example:
        >>> line = StatusLine()
        >>> line.show("1 of 3")
        >>> line.show("2 of 3")
        >>> line.say("The second one was empty.")
        >>> line.end()
    """

    def __init__(self, stream: Any = None) -> None:
        self._stream = sys.stdout if stream is None else stream
        self._shown = 0

    @property
    def on_terminal(self) -> bool:
        """Whether there is one to show it on."""
        return bool(getattr(self._stream, "isatty", bool)())

    @property
    def width(self) -> int:
        """How many characters it may have."""
        # In the last column some terminals begin a new line.
        return max(1, shutil.get_terminal_size().columns - 1)

    def show(self, text: str) -> None:
        """Writes a text over the one before."""
        text = text[: self.width]
        self._write("\r" + text.ljust(self._shown))
        self._shown = len(text)

    def say(self, text: str) -> None:
        """Writes a line that stays, in the place of what is shown."""
        if self._shown:
            self._write("\r" + text.ljust(self._shown) + "\n")
            self._shown = 0
        else:
            self._write(text + "\n")

    def end(self) -> None:
        """Lets what is shown stay."""
        if self._shown:
            self._write("\n")
            self._shown = 0

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
