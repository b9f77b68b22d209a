"""What is raised where weights are not here and cannot be fetched."""

import contextlib
import socket
from collections.abc import Iterator

# Seconds that a connection may stand still.
_PATIENCE = 30


class MissingWeights(OSError):
    """Pretrained weights are not here and cannot be fetched.

    Args:
        message: what to fetch, and where to put it.
        file: name of the file, or names.
        address: where it can be had.
        folder: where it is looked for.
    """

    def __init__(self, message: str, *, file: str, address: str, folder: str) -> None:
        super().__init__(message)
        self.file, self.address, self.folder = file, address, folder


@contextlib.contextmanager
def short_connections() -> Iterator[None]:
    """Within it no connection waits for minutes for an answer that does not come."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_PATIENCE)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
