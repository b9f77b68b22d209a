"""Tables of image files and their labels, as spreadsheets and scripts write them."""

import codecs
import csv
import io
import pathlib
import re
import unicodedata
from typing import NamedTuple

from semppl_keras.data.image_files import ENDINGS

TABLE_ENDINGS = (".csv", ".tsv", ".txt")

_PATH_NAMES = ("path", "file", "filename", "filepath", "image", "img", "imagepath")
_LABEL_NAMES = (
    "label",
    "class",
    "species",
    "category",
    "target",
    "labels",
    "classname",
)


class TableRow(NamedTuple):
    """An image of a table.

    Args:
        line: int, where it stands, from 1.
        path: `pathlib.Path`; whether there is such a file is not asked.
        label: str, or None where it is empty, or labels were not asked for.
    """

    line: int
    path: pathlib.Path
    label: str | None


def read_label_table(path, *, labelled=True):
    """Reads a table with a row for each image: its path and its label.

    Fields are divided by tabs in a `.tsv`, otherwise by commas, semicolons or tabs,
    whichever the first line has. A first line that names the columns may be there:
    then others may stand between and after the two. Fields may be quoted; spaces
    around them do not count, unless a file is called so, nor do empty lines and
    repeated rows.

    Args:
        path: path of the table, UTF-8 or, with a byte order mark, UTF-16. Image paths
            in it are relative to its folder.
        labelled: bool, whether labels are asked for; where not, one column will do.

    Returns:
        Non-empty list of `TableRow`, in the order of the table, those without a label
        among them.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if a row, named by its line, has too few or too many fields or no
            path, or gives an image another label than a row before it; if the table
            has no row, none with a label where they are asked for, or is no text.

    Example:
        >>> read_label_table("labels.csv")[0]
        TableRow(line=2, path=PosixPath('photos/1.jpg'), label='cat')
    """
    path = pathlib.Path(path)
    rows = list(_rows(path))
    if not rows:
        raise ValueError(
            f"The table {str(path)!r} must have a row for each image. Received: none."
        )
    (path_column, label_column, width), rows = _columns(path, rows, labelled)
    found = {}
    for line, raw in rows:
        fields = _stripped(raw)
        if width is not None and len(fields) != width:
            shape = "path,label" if labelled else "path"
            raise ValueError(
                f"{_place(path, line)} must have {width} field(s), such as {shape}. "
                f"Received: {len(fields)}, {_shown(fields)}. Quote fields that hold "
                "the character between the fields, or name the columns in the first "
                "line."
            )
        label = None
        if label_column is not None:
            label = plain_label(_field(fields, label_column)) or None
        text = _field(fields, path_column)
        if not text:
            raise ValueError(
                f"{_place(path, line)} must have an image path. Received: "
                f"{_shown(fields)}. Complete the line, or remove it."
            )
        row = TableRow(
            line, _located(path.parent, text, _field(raw, path_column)), label
        )
        before = found.setdefault(row.path, row)
        if before.label is None:
            found[row.path] = before if label is None else row
        elif label is not None and before.label != label:
            raise ValueError(
                f"{_place(path, line)} must give {text!r} the label of line "
                f"{before.line}, {before.label!r}. Received: {label!r}. Remove one of "
                "the lines."
            )
    if not found:
        raise ValueError(
            f"The table {str(path)!r} must have a row for each image. Received: the "
            "names of the columns alone."
        )
    if labelled and all(row.label is None for row in found.values()):
        line = next(iter(found.values())).line
        raise ValueError(
            f"The table {str(path)!r} must have labels. Received: {len(found):,} "
            f"row(s) from line {line} on, none with one. Fill in some of them."
        )
    return list(found.values())


def plain_label(text):
    """The label that a field or a folder's name is: what looks the same is the same."""
    return unicodedata.normalize("NFC", text.strip())


def _rows(path):
    """(line, fields with their spaces) of every line that is not empty."""
    text = _text(path)
    delimiter = _delimiter(path, text)
    # Spaces before a quote have to go for it to be one; others may be of a file's name.
    before_quotes = re.search(f'(^|{delimiter}) +"', text, re.MULTILINE) is not None
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
                f"{_place(path, line)} must be fields, quoted or not. Received one "
                f"that cannot be divided: {error}."
            ) from error
        if fields is None:
            return
        if any(_stripped(fields)):
            yield line, fields
        line = reader.line_num + 1


def _text(path):
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
            f"{_place(path, line)} must be text in UTF-8. Received: the byte "
            f"{content[error.start]:#04x}, which is none there. Save the table as "
            "UTF-8."
        ) from error
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise ValueError(
            f"{_place(path, line)} must be text. Received: a zero byte, as other files "
            "than tables have."
        )
    return text


def _delimiter(path, text):
    if path.suffix.lower() == ".tsv":
        return "\t"
    first = next((line for line in text.splitlines() if line.strip()), "")
    counts = {}
    for delimiter in (",", ";", "\t"):
        # Those within quotes divide nothing.
        row = next(csv.reader([first], delimiter=delimiter, skipinitialspace=True), [])
        counts[delimiter] = len(row)
    return max(counts, key=counts.get)


def _columns(path, rows, labelled):
    """(column of the path, of the label or None, number of columns or None) and the
    rows without the names of the columns."""
    line, first = rows[0]
    first = _stripped(first)
    names = [_plain(field) for field in first]
    path_columns = [index for index, name in enumerate(names) if name in _PATH_NAMES]
    if not path_columns and len(rows) > 1 and not _image_columns(first):
        # Names that are not known, above a column that cannot be mistaken.
        path_columns = _image_columns(_stripped(rows[1][1]))
    if not path_columns or _image_columns(first):
        if labelled:
            return (0, 1, 2), rows
        return (0, None, None), rows
    path_column = path_columns[0]
    if not labelled:
        return (path_column, None, None), rows[1:]
    label_columns = [index for index, name in enumerate(names) if name in _LABEL_NAMES]
    if not label_columns and len(names) == 2:
        label_columns = [1 - path_column]
    if not label_columns:
        raise ValueError(
            f"{_place(path, line)}, which names the columns, must name one 'path' and "
            f"one 'label' (or {', '.join(_LABEL_NAMES[1:4])}). Received: "
            f"{_shown(first)}."
        )
    return (path_column, label_columns[0], len(names)), rows[1:]


def _image_columns(fields):
    return [
        index for index, field in enumerate(fields) if field.lower().endswith(ENDINGS)
    ]


def _plain(name):
    return name.casefold().replace("_", "").replace(" ", "").replace("-", "")


def _stripped(fields):
    return [field.strip() for field in fields]


def _field(fields, column):
    return fields[column] if column < len(fields) else ""


def _located(folder, text, raw):
    """Where the file is that a field names, without the spaces around it or with."""
    # From other systems: other separators, and letters composed in the other way.
    spellings = (text, text.replace("\\", "/"), raw, raw.replace("\\", "/"))
    for spelling in dict.fromkeys(spellings):
        for form in ("NFC", "NFD"):
            for candidate in (spelling, unicodedata.normalize(form, spelling)):
                try:
                    if (folder / candidate).exists():
                        return folder / candidate
                except (OSError, ValueError):
                    # No name that a file could have: the reader will say so.
                    return folder / text
    return folder / text


def _place(path, line):
    return f"Line {line} of {str(path)!r}"


def _shown(fields):
    shown = ", ".join(repr(field[:60]) for field in fields[:4])
    return shown + (", ..." if len(fields) > 4 else "")
