"""`skipped.tsv` of a run: the images that could not be read, and why."""

import pathlib
from collections.abc import Sequence

from semppl_keras.data.images.decoding import Skipped
from semppl_keras.data.images.spreadsheets import inert, table_text

# What it begins with.
_COLUMNS = ("path", "reason")


def write_skipped(path: pathlib.Path, skipped: Sequence[Skipped]) -> None:
    """Writes it.

    Args:
        path: Of the file.
        skipped: What it names.
    """
    # Names need not be text in any encoding.
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        rows = [[inert(name), inert(reason)] for name, reason in skipped]
        file.write(table_text([_COLUMNS, *rows], "\t"))


def names_skipped(path: pathlib.Path) -> bool:
    """Whether a file is one that `write_skipped` has written."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.readline() == "\t".join(_COLUMNS).encode() + b"\n"
