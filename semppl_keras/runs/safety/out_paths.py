"""Where results go: a place that cannot be is told before anything takes long."""

import os
import pathlib

from semppl_keras.runs.errors import RunError

# What the longest name of a file beside it ends in, while it is written.
_LONGEST_ENDING = ".review.html.partial"


def check_can_write(
    path: str | os.PathLike[str] | None, option: str = "--out", *, folder: bool = False
) -> None:
    """Fails where a file or a folder cannot be made.

    Args:
        path: Text or path, or None for nothing to check.
        option: What it was given with.
        folder: Whether it is to be a folder, which may be there.

    Raises:
        RunError: It is no path, too long, in a file, or where nothing may be
            written.
    """
    if path is None:
        return
    path = pathlib.Path(path)
    try:
        os.lstat(f"{path}{_LONGEST_ENDING}")
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (OSError, ValueError) as error:
        raise RunError(
            f"{option} must be a path that something can be written to. Received: "
            f"{_short(path)} ({getattr(error, 'strerror', None) or error}). Choose "
            "another."
        ) from error
    there = path if folder else path.parent
    while not os.path.lexists(there) and there != there.parent:
        there = there.parent
    if not there.is_dir():
        where = "which" if there == path else f"where {_short(there)}"
        raise RunError(
            f"{option} must be {'a folder' if folder else 'in a folder'}. Received: "
            f"{_short(path)}, {where} is a file. Choose another."
        )
    if not os.access(there, os.W_OK | os.X_OK):
        raise RunError(
            f"{option} must be where you may write. Received: {_short(path)}, where "
            f"nothing may be written to {_short(there)}. Choose another."
        )


def _short(path: pathlib.Path) -> str:
    text = repr(str(path))
    return text if len(text) <= 200 else f"{text[:90]}...{text[-90:]}"
