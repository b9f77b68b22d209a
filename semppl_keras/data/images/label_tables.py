"""Tables of image files and their labels, as spreadsheets, scripts and other programs
write them."""

import os
import pathlib
from typing import NamedTuple

from semppl_keras.data.images.spreadsheets import content_of
from semppl_keras.data.images.table_columns import columns_of
from semppl_keras.data.images.table_options import TableOptions, known_labels
from semppl_keras.data.images.table_paths import Places
from semppl_keras.data.images.table_rows import field, place, rows_of, shown, stripped
from semppl_keras.data.images.table_splits import plain_name, rows_of_role
from semppl_keras.data.tables.label_studio_places import served_place
from semppl_keras.data.tables.named_image import NamedImage
from semppl_keras.data.tables.reading import read_json_labels


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
    path: str | os.PathLike[str],
    *,
    labelled: bool = True,
    options: TableOptions | None = None,
    role: str = "labelled",
    images_folder: str | os.PathLike[str] | None = None,
    remarks: list[str] | None = None,
) -> list[TableRow]:
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
            `images_folder` or one above it; a name without an ending is the one image
            file of this name, and one without a folder may be anywhere below
            `images_folder`, if it is there once.
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
    rows = list(rows_of(path))
    if not rows:
        raise ValueError(f"{where} must have a row for each image. Received: none.")
    (path_column, label_column, names), rows = columns_of(
        path, rows, labelled, options, role, remarks
    )
    width = len(names) if names else (2 if labelled else None)
    for line, raw in rows:
        if width is not None and labelled and len(raw) != width:
            fields = stripped(raw)
            raise ValueError(
                f"{place(path, line)} must have {width} field(s), such as path,label. "
                f"Received: {len(fields)}, {shown(fields)}. Quote fields that hold "
                "the character between the fields, or name the columns in the first "
                "line."
            )
    if labelled and names and rows:
        chosen, told = rows_of_role(
            [plain_name(name) for name in names],
            [stripped(raw) for _, raw in rows],
            role,
            options,
            repr(str(path)),
            used=(path_column, label_column),
        )
        rows = [row for row, one in zip(rows, chosen, strict=True) if one]
        remarks += told
    labels: list[str | None] = [None] * len(rows)
    if label_column is not None:
        texts = [content_of(field(raw, label_column).strip()) for _, raw in rows]
        labels, told = known_labels(texts, options)
        remarks += [f"{where}: {text}" for text in told]
    named = [
        _named(line, place(path, line), field(raw, path_column), label)
        for (line, raw), label in zip(rows, labels, strict=True)
    ]
    for image, (_, raw) in zip(named, rows, strict=True):
        if not image.path:
            raise ValueError(
                f"{image.where} must have an image path. Received: "
                f"{shown(stripped(raw))}. Complete the line, or remove it."
            )
    if not named:
        raise ValueError(
            f"{where} must have a row for each image. Received: the names of the "
            "columns alone."
        )
    return _found(path, where, named, labelled, images_folder, remarks, "line")


def _named(line: int, where: str, raw: str, label: str | None) -> NamedImage:
    """An image as a field names it, or as an address of Label Studio's does there."""
    served = served_place(raw.strip())
    if served is not None:
        if label is not None and label.startswith('{"choices"'):
            raise ValueError(
                f"{where} must have one choice. Received: {label}. Export from Label "
                "Studio as JSON: what has several there is taken for an image without "
                "a label."
            )
        readings = (raw.strip(), served[0])
        return NamedImage(line, where, served[0], label, readings=readings)
    return NamedImage(line, where, raw.strip(), label, raw)


def read_json_table(
    path: str | os.PathLike[str],
    *,
    labelled: bool = True,
    options: TableOptions | None = None,
    role: str = "labelled",
    images_folder: str | os.PathLike[str] | None = None,
    remarks: list[str] | None = None,
) -> list[TableRow]:
    """Reads what another program has written of images: `data.tables.reading`.

    Args:
        path: path of a JSON file. Image paths in it are found as those of a table.
        labelled, options, role, images_folder, remarks: as `read_label_table` takes
            them.

    Returns:
        Non-empty list of `TableRow`, as that of `read_label_table`; `line` counts the
        images.

    Raises:
        FileNotFoundError, ValueError: as `read_label_table` and `read_json_labels`.
    """
    path, where = pathlib.Path(path), f"The file {str(path)!r}"
    options = options or TableOptions()
    remarks = [] if remarks is None else remarks
    named = read_json_labels(path, options, role, remarks)
    if not named:
        raise ValueError(f"{where} must name images. Received: none.")
    if labelled:
        labels, told = known_labels([image.label for image in named], options)
        remarks += [f"{where}: {text}" for text in told]
        named = [
            image._replace(label=label)
            for image, label in zip(named, labels, strict=True)
        ]
    return _found(path, where, named, labelled, images_folder, remarks, "image")


def _found(
    path: pathlib.Path,
    where: str,
    named: list[NamedImage],
    labelled: bool,
    images_folder: str | os.PathLike[str] | None,
    remarks: list[str],
    counted_in: str,
) -> list[TableRow]:
    """The files that are named, each once."""
    found: dict[pathlib.Path, TableRow] = {}
    places = Places(path, images_folder)
    for image in named:
        file = places.find(image)
        row = TableRow(image.line, file, image.label if labelled else None)
        before = found.setdefault(file, row)
        if before.label is None:
            found[file] = before if row.label is None else row
        elif row.label is not None and before.label != row.label:
            raise ValueError(
                f"{image.where} must give {image.path!r} the label of {counted_in} "
                f"{before.line}, {before.label!r}. Received: {row.label!r}. Remove one "
                f"of the {counted_in}s."
            )
    if labelled and all(row.label is None for row in found.values()):
        line = next(iter(found.values())).line
        raise ValueError(
            f"{where} must have labels. Received: {len(found):,} row(s) from "
            f"{counted_in} {line} on, none with one. Fill in some of them."
            + "".join(f" {remark}" for remark in remarks)
        )
    remarks += places.remarks(where)
    return list(found.values())
