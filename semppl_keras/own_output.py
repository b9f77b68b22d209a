"""By what is known again what this package has written, among a person's images."""

import os
import pathlib

# What pictures say of themselves, as PNG text that stands before the pixels.
PICTURE = {"Software": "semppl_keras"}
_PICTURE_BEGINS = b"Software\0semppl_keras"
_PNG_BEGINS = 128

# What is beside the `run.json` of a run of `semppl train`, from its first step on.
_RUN = "run.json"
_RUN_PARTS = ("checkpoints", "logs", "metrics.json", "model.keras")


def is_own_folder(folder: str | os.PathLike[str]) -> bool:
    """Whether a folder is that of a run, for all that can be seen of it."""
    return _has(folder, _RUN) and any(_has(folder, part) for part in _RUN_PARTS)


def is_own_picture(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a picture that says `PICTURE` of itself.

    Raises:
        OSError: if it cannot be read.
    """
    if pathlib.Path(path).suffix.lower() != ".png":
        return False
    with open(path, "rb") as file:
        return _PICTURE_BEGINS in file.read(_PNG_BEGINS)


def _has(folder: str | os.PathLike[str], name: str) -> bool:
    return os.path.exists(os.path.join(folder, name))
