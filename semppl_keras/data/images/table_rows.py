"""Rows of a table as they stand in its file, and how they are named to people."""

import codecs
import collections.abc
import csv
import io
import pathlib
import re

# What spreadsheets write, and read, before the first row: what divides fields.
_TOLD = re.compile(r'"?sep=([,;|\t])"?(?=[\r\n])')


def rows_of(path: pathlib.Path) -> collections.abc.Iterator[tuple[int, list[str]]]:
    """(line, fields with their spaces) of every line that is not empty."""
    text = _text(path)
    told = _TOLD.match(text)
    # The lines that follow keep their numbers.
    text = text if told is None else text[told.end() :]
    delimiter = _delimiter(path, text) if told is None else told[1]
    # Spaces before a quote have to go for it to be one; others may be of a file's name.
    before_quotes = re.search(rf'(^|{re.escape(delimiter)}) +"', text, re.M) is not None
    # A row may go over several lines: each is named by the one where it begins.
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=delimiter,
        skipinitialspace=before_quotes,
        strict=True,
    )
    line = 1
    while True:
        try:
            fields = next(reader, None)
        except csv.Error as error:
            raise ValueError(
                f"{place(path, line)} must be fields, quoted or not. Received one "
                f"that cannot be divided: {error}."
            ) from error
        if fields is None:
            return
        if any(stripped(fields)):
            yield line, fields
        line = reader.line_num + 1


def _text(path: pathlib.Path) -> str:
    if not path.is_file():
        raise FileNotFoundError(
            f"There must be a table at {str(path)!r}. Received: "
            + ("a folder." if path.is_dir() else "a path where nothing is.")
        )
    content = path.read_bytes()
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ValueError(
            f"{place(path, line)} must be text in UTF-8. Received: the byte "
            f"{content[error.start]:#04x}, which is none there. Save the table as "
            "UTF-8."
        ) from error
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise ValueError(
            f"{place(path, line)} must be text. Received: a zero byte, as other files "
            "than tables have."
        )
    return text


def _delimiter(path: pathlib.Path, text: str) -> str:
    if path.suffix.lower() == ".tsv":
        return "\t"
    first = next((line for line in text.splitlines() if line.strip()), "")
    counts = {}
    for delimiter in (",", ";", "\t"):
        # Those within quotes divide nothing.
        reader = csv.reader([first], delimiter=delimiter, skipinitialspace=True)
        try:
            counts[delimiter] = len(next(reader, []))
        except csv.Error:
            # It will be told where the rows are read.
            counts[delimiter] = 0
    return max(counts, key=lambda delimiter: counts[delimiter])


def stripped(fields: list[str]) -> list[str]:
    return [field.strip() for field in fields]


def field(fields: list[str], column: int) -> str:
    return fields[column] if column < len(fields) else ""


def place(path: pathlib.Path, line: int) -> str:
    return f"Line {line} of {str(path)!r}"


def shown(fields: list[str]) -> str:
    shown = ", ".join(repr(field[:60]) for field in fields[:4])
    return shown + (", ..." if len(fields) > 4 else "")
