"""Cells of tables that a spreadsheet shows, and does not evaluate."""

import collections.abc
import csv
import io
import os
import pathlib
from typing import Any

# What a formula begins with, of full width, too, or what some programs pass over before
# it. With the apostrophe among them, what is written can be told from what was there.
EVALUATED = "=+-@\uff1d\uff0b\uff0d\uff20\t\r\n'"


def table_text(
    rows: collections.abc.Iterable[collections.abc.Iterable[Any]], delimiter: str = ","
) -> str:
    """The text of a table, each row in a line that ends as on Unix.

    Args:
        rows: iterable of sequences of cells.
        delimiter: str, what stands between cells.

    Returns:
        str; cells with the delimiter, quotes or any end of a line in them are quoted.
    """
    lines = []
    for row in rows:
        line = io.StringIO()
        # Of the ends of lines the writer quotes only what it ends its own with, and a
        # reader takes each for one.
        writer = csv.writer(line, delimiter=delimiter, lineterminator="\r\n")
        writer.writerow(row)
        lines.append(line.getvalue().removesuffix("\r\n") + "\n")
    return "".join(lines)


def delimiter_of(path: str | os.PathLike[str]) -> str:
    """What stands between the cells of a table that is written, by its ending.

    Args:
        path: Of the table.

    Returns:
        str: a tab for one that ends in .tsv, otherwise a comma.
    """
    return "\t" if pathlib.Path(path).suffix.lower() == ".tsv" else ","


def inert(text: str) -> str:
    """A cell that is shown as it is: with an apostrophe before what is evaluated.

    Args:
        text: str.

    Returns:
        str, of which `content_of` makes the text again.

    Example:
        >>> inert("=1+1")
        "'=1+1"
    """
    return f"'{text}" if text.startswith(tuple(EVALUATED)) else text


def content_of(cell: str) -> str:
    """The text of which `inert` has made a cell; other texts as they are."""
    quoted = cell.startswith("'") and cell[1:].startswith(tuple(EVALUATED))
    return cell[1:] if quoted else cell


def inert_path(path: str) -> str:
    """A relative path that is shown as it is, and leads to the same file for every
    program: with "./" before what is evaluated, or a space that could be left out."""
    told = path.startswith(tuple(EVALUATED)) or path != path.lstrip()
    return f"./{path}" if told else path
