"""An image and its label as a file of another program names them."""

from typing import NamedTuple


class NamedImage(NamedTuple):
    """An image that a file names.

    Args:
        line: int, where it stands, from 1: of a table its line.
        where: str, the same for a message, such as "Line 3 of 'labels.csv'".
        path: str, what names its file.
        label: str, or None where it has none.
        raw: str, `path` with the spaces around it, which may be a name's own.
        readings: tuple of str, what `path` may mean, of which the first is taken that
            names a file, and `path` where none does; none of them for `path` alone.
    """

    line: int
    where: str
    path: str
    label: str | None
    raw: str | None = None
    readings: tuple[str, ...] = ()


def listed_in_part(names: list[str]) -> str:
    """Some of several names, for a remark: the first."""
    return f"{len(names):,} images, such as {names[0]!r}"
