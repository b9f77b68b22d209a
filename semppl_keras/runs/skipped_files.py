"""Tables of the images that could not be read, and why: `skipped.tsv` of a run."""

import pathlib
from collections.abc import Sequence

from semppl_keras.data.images.decoding import Skipped
from semppl_keras.data.images.spreadsheets import inert, table_text
from semppl_keras.runs.whole_files import write_whole

# What it begins with.
_COLUMNS = ("path", "reason")


def write_skipped(path: pathlib.Path, skipped: Sequence[Skipped]) -> None:
    """Writes the table, where there is anything to tell.

    Args:
        path: Of the file.
        skipped: What it names.
    """
    if not skipped:
        # One from before, of files that are repaired, would be taken for this one.
        path.unlink(missing_ok=True)
        return
    rows = [[inert(name), inert(reason)] for name, reason in skipped]
    # Names need not be text in any encoding; they are written as they are.
    write_whole(path, table_text([_COLUMNS, *rows], "\t"), errors="surrogateescape")


def names_skipped(path: pathlib.Path) -> bool:
    """Whether a file is one that `write_skipped` has written."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.readline() == "\t".join(_COLUMNS).encode() + b"\n"
