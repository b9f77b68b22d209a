"""One training at a time writes to a folder."""

import contextlib
import errno
import os
import pathlib
import socket
import sys
from collections.abc import Iterator

from semppl_keras.runs.errors import RunError
from semppl_keras.runs.telling import tell

_NAME = "training.lock"
# Windows' locks keep others from reading what is locked, but not from what is before.
_FAR = 2**30
# A link would have another file overwritten; Windows knows no such flag.
_OPENED = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
_TAKEN = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)


@contextlib.contextmanager
def locked(folder: pathlib.Path) -> Iterator[None]:
    """A context in which no other process trains in a folder.

    The system ends the lock with the process, however that ends.

    Args:
        folder: `pathlib.Path`, made where it is missing, and removed in the end where
            it was made and nothing was written to it.

    Raises:
        RunError: Another process trains there, or nothing can be written there.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    path = folder / _NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = _take(path)
    except (OSError, ValueError) as error:
        raise RunError(
            f"A training must be able to write to its folder. Received: {str(folder)!r}"
            f" ({getattr(error, 'strerror', None) or error}). Choose another."
        ) from error
    try:
        yield
    finally:
        _give_back(path, descriptor)
        for parent in made:
            try:
                parent.rmdir()
            except OSError:
                # There is something in it.
                break


def _take(path: pathlib.Path) -> int:
    while True:
        descriptor = os.open(path, _OPENED, 0o666)
        try:
            _lock(descriptor)
            # Its owner may have removed it in between.
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                break
        except FileNotFoundError:
            pass
        except OSError as error:
            if error.errno not in _TAKEN:
                _tell_unlocked(path, error)
                break
            owner = os.read(descriptor, 1000).decode(errors="replace")
            os.close(descriptor)
            raise RunError(
                f"One training at a time writes to a folder. Received: "
                f"{str(path.parent)!r}, to which {_named(owner)} is writing. Wait for "
                "its end, or choose another folder."
            ) from error
        os.close(descriptor)
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode())
    return descriptor


def _named(owner: str) -> str:
    owner = "".join(letter for letter in owner if letter.isprintable())
    return owner[:200] or "another process"


def _tell_unlocked(path: pathlib.Path, error: OSError) -> None:
    tell(
        f"Note: the file system of {path.parent} has no locks "
        f"({error.strerror or error}): see to it that nothing else trains there.",
        error=True,
    )


def _give_back(path: pathlib.Path, descriptor: int) -> None:
    if os.name == "nt":
        # What is open cannot be removed there, by others either.
        os.close(descriptor)
        with contextlib.suppress(OSError):
            path.unlink()
        return
    # While nobody else can have it; an owner may have removed the whole folder.
    path.unlink(missing_ok=True)
    os.close(descriptor)


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        os.lseek(descriptor, _FAR, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
