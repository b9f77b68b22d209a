"""Tables of image files and their labels, as spreadsheets and scripts write them."""

import codecs
import csv
import io
import os
import pathlib
import re
import unicodedata
from typing import NamedTuple

from semppl_keras.data.checks import listed
from semppl_keras.data.images.files import ENDINGS
from semppl_keras.data.images.spreadsheets import content_of
from semppl_keras.data.images.table_options import TableOptions, known_labels
from semppl_keras.data.images.table_splits import plain_name, rows_of_role

TABLE_ENDINGS = (".csv", ".tsv", ".txt")

_PATH_NAMES = ("path", "file", "filename", "filepath", "image", "img", "imagepath")
# Paths, or their names without an ending, where no column is called one of the above.
_ID_NAMES = ("imagename", "imageid", "imagefile", "id", "name", "photo", "picture")
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
        label: str, or None where it is unknown, or labels were not asked for.
    """

    line: int
    path: pathlib.Path
    label: str | None


def read_label_table(
    path,
    *,
    labelled=True,
    options=None,
    role="labelled",
    images_folder=None,
    remarks=None,
):
    """Reads a table with a row for each image: its path and its label.

    Fields are divided by tabs in a `.tsv`, otherwise by commas, semicolons or tabs,
    whichever the first line has. A first line that names the columns may be there:
    then others may stand between and after the two, and one that is called split,
    is_valid or the like sets apart what is to test on. Fields may be quoted; spaces
    around them do not count, unless a file is called so, nor do empty lines and
    repeated rows.

    Args:
        path: path of the table, UTF-8 or, with a byte order mark, UTF-16. Image paths
            in it are relative to its folder, or, where there is no such file, to
            `images_folder`; a name without an ending is the one image file of this
            name.
        labelled: bool, whether labels are asked for; where not, one column will do.
        options: `TableOptions`, or None for what the table says by itself.
        role: "labelled" or "test": which rows are taken where a column tells.
        images_folder: path of the folder with the other images, or None.
        remarks: list, to which texts are appended: what was left out, and guessed.

    Returns:
        Non-empty list of `TableRow`, in the order of the table, those without a label
        among them.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if a row, named by its line, has too few or too many fields or no
            path, or gives an image another label than a row before it; if the table
            has no row, none with a label where they are asked for, or is no text; if
            several columns may be that of the labels, or of the paths.

    Example:
        >>> read_label_table("labels.csv")[0]
        TableRow(line=2, path=PosixPath('photos/1.jpg'), label='cat')
    """
    path, where = pathlib.Path(path), f"The table {str(path)!r}"
    options = options or TableOptions()
    remarks = [] if remarks is None else remarks
    rows = list(_rows(path))
    if not rows:
        raise ValueError(f"{where} must have a row for each image. Received: none.")
    (path_column, label_column, names), rows = _columns(
        path, rows, labelled, options, role, remarks
    )
    width = len(names) if names else (2 if labelled else None)
    for line, raw in rows:
        if width is not None and labelled and len(raw) != width:
            fields = _stripped(raw)
            raise ValueError(
                f"{_place(path, line)} must have {width} field(s), such as path,label. "
                f"Received: {len(fields)}, {_shown(fields)}. Quote fields that hold "
                "the character between the fields, or name the columns in the first "
                "line."
            )
    if labelled and names and rows:
        chosen, told = rows_of_role(
            [plain_name(name) for name in names],
            [_stripped(raw) for _, raw in rows],
            role,
            options,
            repr(str(path)),
            used=(path_column, label_column),
        )
        rows = [row for row, one in zip(rows, chosen, strict=True) if one]
        remarks += told
    labels = [None] * len(rows)
    if label_column is not None:
        texts = [content_of(_field(raw, label_column).strip()) for _, raw in rows]
        labels, told = known_labels(texts, options)
        remarks += [f"{where}: {text}" for text in told]
    found, places = {}, _Places(path, images_folder)
    for (line, raw), label in zip(rows, labels, strict=True):
        text = _field(raw, path_column).strip()
        if not text:
            raise ValueError(
                f"{_place(path, line)} must have an image path. Received: "
                f"{_shown(_stripped(raw))}. Complete the line, or remove it."
            )
        row = TableRow(line, places.find(text, _field(raw, path_column), line), label)
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
            f"{where} must have a row for each image. Received: the names of the "
            "columns alone."
        )
    if labelled and all(row.label is None for row in found.values()):
        line = next(iter(found.values())).line
        raise ValueError(
            f"{where} must have labels. Received: {len(found):,} row(s) from line "
            f"{line} on, none with one. Fill in some of them."
        )
    remarks += places.remarks(where)
    return list(found.values())


class _Places:
    """Where the files are that the fields of a table name."""

    def __init__(self, table, images_folder):
        self._table = table
        self._folder, self._other = table.parent, images_folder
        if images_folder is not None and os.path.realpath(
            images_folder
        ) == os.path.realpath(table.parent):
            self._other = None
        self._elsewhere, self._twice, self._by_stem = [], [], []
        self._stems = {}

    def find(self, text, raw, line):
        """The path of a field, `raw` with the spaces around it."""
        found = _located(self._folder, text, raw)
        other = None
        if self._other is not None:
            other = _located(pathlib.Path(self._other), text, raw)
        if found is not None:
            if other is not None and not _is_same(found, other):
                self._twice.append(text)
            return found
        if other is not None:
            self._elsewhere.append(text)
            return other
        if not text.lower().endswith(ENDINGS):
            for folder in (self._folder, self._other):
                named = [] if folder is None else self._called(folder, text)
                if len(named) > 1:
                    raise ValueError(
                        f"{_place(self._table, line)} must name one image. Received: "
                        f"{text!r}, where there are "
                        f"{listed([path.name for path in named])}. Add the ending."
                    )
                if named:
                    self._by_stem.append(text)
                    return named[0]
        return self._folder / text

    def _called(self, folder, text):
        """The image files that are called so, without their endings."""
        path = pathlib.Path(folder, text.replace("\\", "/"))
        if path.parent not in self._stems:
            self._stems[path.parent] = _stems(path.parent)
        return self._stems[path.parent].get(unicodedata.normalize("NFC", path.name), [])

    def remarks(self, where):
        """What is worth telling about them."""
        remarks = []
        if self._elsewhere:
            remarks.append(
                f"{where}: {len(self._elsewhere):,} paths, such as "
                f"{self._elsewhere[0]!r}, are not relative to it but to "
                f"{str(self._other)!r}, and are found there."
            )
        if self._twice:
            remarks.append(
                f"{where}: {len(self._twice):,} paths, such as {self._twice[0]!r}, "
                f"name one file beside the table and another in {str(self._other)!r}: "
                "that beside the table is taken."
            )
        if self._by_stem:
            remarks.append(
                f"{where}: {len(self._by_stem):,} names, such as {self._by_stem[0]!r}, "
                "have no ending: each is the one image file that is called so."
            )
        return remarks


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


def _columns(path, rows, labelled, options, role, remarks):
    """(column of the path, of the label or None, names of the columns or None) and the
    rows without these names."""
    line, first = rows[0]
    first = _stripped(first)
    names = [plain_name(field) for field in first]
    second = _stripped(rows[1][1]) if len(rows) > 1 else []
    path_columns = _called(names, _PATH_NAMES)
    label_columns = _called(names, _LABEL_NAMES)
    asked = options.path_column, options.label_column
    if not path_columns and second and not _image_columns(first):
        # Names that are not known, above a column that cannot be mistaken.
        path_columns = _image_columns(second)
        if not path_columns and (label_columns or not labelled):
            path_columns = _called(names, _ID_NAMES)
    if _image_columns(first) or not (
        path_columns or any(map(names.count, _plain(asked)))
    ):
        if any(asked) and role != "test":
            raise ValueError(
                f"{_place(path, line)} must name the columns, since options do. "
                f"Received: {_shown(first)}."
            )
        return (0, 1 if labelled else None, None), rows
    if len(path_columns) > 1:
        # A file's name rather than that of its folder, or of what it is.
        images = [column for column in path_columns if column in _image_columns(second)]
        path_columns = images if len(images) == 1 else path_columns
    path_column = _the_one(
        path, line, first, path_columns, options.path_column, "path", options, role
    )
    if path_column is None:
        raise ValueError(
            f"{_place(path, line)}, which names the columns, must name one 'path'. "
            f"Received: {_shown(first)}. Say which it is with --path-column NAME."
        )
    if not labelled:
        return (path_column, None, first), rows[1:]
    label_columns = [column for column in label_columns if column != path_column]
    if not label_columns and len(names) == 2:
        label_columns = [1 - path_column]
    label_column = _the_one(
        path, line, first, label_columns, options.label_column, "label", options, role
    )
    if label_column is None:
        raise ValueError(
            f"{_place(path, line)}, which names the columns, must name one 'path' and "
            f"one 'label' (or {', '.join(_LABEL_NAMES[1:4])}). Received: "
            f"{_shown(first)}. Say which it is with --label-column NAME."
        )
    if label_column == path_column:
        raise ValueError(
            f"{_place(path, line)} must name a column of paths and another of labels. "
            f"Received: {first[path_column]!r} for both. Say which they are with "
            "--path-column NAME and --label-column NAME."
        )
    if options.label_column and plain_name(options.label_column) != names[label_column]:
        remarks.append(
            f"The table {str(path)!r} has no column {options.label_column!r}: "
            f"{first[label_column]!r} is taken for the labels."
        )
    return (path_column, label_column, first), rows[1:]


def _called(names, known):
    return [index for index, name in enumerate(names) if name in known]


def _plain(names):
    return [plain_name(name) for name in names if name]


def _the_one(path, line, first, columns, asked, what, options, role):
    """The column that an option names, or the only one that there is; None for none."""
    if asked is not None:
        exact = [index for index, name in enumerate(first) if name == asked]
        alike = _called([plain_name(name) for name in first], _plain([asked]))
        if exact or alike:
            if len(exact or alike) > 1:
                raise ValueError(
                    f"{_place(path, line)} must have one column that is called "
                    f"{asked!r}. Received: {len(exact or alike)}. Rename the others."
                )
            return (exact or alike)[0]
        if role != "test":
            raise ValueError(
                f"{_place(path, line)} must name the column {asked!r}, as "
                f"--{what}-column says. Received: {_shown(first)}."
            )
    if len(columns) > 1 and not options.lenient:
        candidates = " and ".join(repr(first[index]) for index in columns)
        raise ValueError(
            f"{_place(path, line)} must name one column of {what}s. Received: "
            f"{candidates}. Say which it is with --{what}-column NAME."
        )
    return columns[0] if columns else None


def _image_columns(fields):
    return [
        index for index, field in enumerate(fields) if field.lower().endswith(ENDINGS)
    ]


def _stripped(fields):
    return [field.strip() for field in fields]


def _field(fields, column):
    return fields[column] if column < len(fields) else ""


def _located(folder, text, raw):
    """Where the file is that a field names, without the spaces around it or with; None
    where there is none."""
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
                    return None
    return None


def _is_same(path, other):
    try:
        return os.path.samefile(path, other)
    except OSError:
        # Gone since: the reader will say so.
        return True


def _stems(folder):
    """By name without its ending the image files of a folder."""
    found = {}
    try:
        entries = sorted(entry.name for entry in os.scandir(folder))
    except (OSError, ValueError):
        return found
    for entry in entries:
        stem, ending = os.path.splitext(entry)
        if ending.lower() in ENDINGS:
            stem = unicodedata.normalize("NFC", stem)
            found.setdefault(stem, []).append(folder / entry)
    return found


def _place(path, line):
    return f"Line {line} of {str(path)!r}"


def _shown(fields):
    shown = ", ".join(repr(field[:60]) for field in fields[:4])
    return shown + (", ..." if len(fields) > 4 else "")
