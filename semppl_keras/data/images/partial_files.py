"""Files that take their place when they are whole, though several processes write them.

Each writer has a file of its own beside that place, and holds a lock on it: whoever
comes later can tell what is being written from what a process that was killed has left.
"""

import contextlib
import os
import pathlib
import sys
import uuid
from collections.abc import Iterator
from typing import BinaryIO

# What the name of a file ends with that is not whole.
PARTIAL = ".partial"


@contextlib.contextmanager
def written_whole(path: pathlib.Path) -> Iterator[BinaryIO]:
    """Within it a file is written, which then takes the place of that of a path.

    Args:
        path: Of the file, in a folder that is there.

    Yields:
        Binary file, to be written and read, under a name that no other writer has. What
        is mapped of it has to be let go of within.

    Raises:
        OSError: It cannot be written; nothing is left of it.
    """
    partial, file = _begun(path)
    try:
        yield file
        file.flush()
        if os.name == "nt":
            # What is open cannot be renamed there.
            file.close()
        os.replace(partial, path)
    except BaseException:
        file.close()
        partial.unlink(missing_ok=True)
        raise
    finally:
        file.close()


def remove_left_behind(folder: pathlib.Path, pattern: str) -> None:
    """Removes what processes that were killed have left of files in a folder.

    What another one is writing stays, and so does what nobody can tell from it.

    Args:
        folder: Where they are.
        pattern: Of the names of the files that are whole, as `glob` takes it.
    """
    for path in folder.glob(pattern + PARTIAL):
        # It may be whole, or gone, by now; Windows removes nothing that is open.
        with contextlib.suppress(OSError), path.open("r+b") as file:
            _lock(file)
            path.unlink()


def _begun(path: pathlib.Path) -> tuple[pathlib.Path, BinaryIO]:
    """The path of a new file, and the file, locked where the system has locks."""
    while True:
        partial = path.with_name(f"{path.name}.{uuid.uuid4().hex[:12]}{PARTIAL}")
        file = partial.open("x+b")
        with contextlib.suppress(OSError):
            _lock(file)
        # Before it was locked, somebody may have taken it for left behind.
        if partial.exists():
            return partial, file
        file.close()


if sys.platform == "win32":

    def _lock(file: BinaryIO) -> None:
        """Nothing: what is open cannot be removed."""
else:
    import fcntl

    def _lock(file: BinaryIO) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
