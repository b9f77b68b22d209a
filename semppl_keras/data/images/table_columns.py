"""Which columns of a table have the paths and the labels."""

import collections.abc
import pathlib

from semppl_keras.data.images.finding import ENDINGS
from semppl_keras.data.images.table_options import TableOptions
from semppl_keras.data.images.table_rows import place, shown, stripped
from semppl_keras.data.images.table_splits import plain_name

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


def columns_of(
    path: pathlib.Path,
    rows: list[tuple[int, list[str]]],
    labelled: bool,
    options: TableOptions,
    role: str,
    remarks: list[str],
) -> tuple[tuple[int, int | None, list[str] | None], list[tuple[int, list[str]]]]:
    """(column of the path, of the label or None, names of the columns or None) and the
    rows without these names."""
    line, first = rows[0]
    first = stripped(first)
    names = [plain_name(field) for field in first]
    second = stripped(rows[1][1]) if len(rows) > 1 else []
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
                f"{place(path, line)} must name the columns, since options do. "
                f"Received: {shown(first)}."
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
            f"{place(path, line)}, which names the columns, must name one 'path'. "
            f"Received: {shown(first)}. Say which it is with --path-column NAME."
        )
    if not labelled:
        return (path_column, None, first), rows[1:]
    # As Label Studio's template for classifying images calls its choices.
    label_columns = label_columns or _called(names, ("choice",))
    label_columns = [column for column in label_columns if column != path_column]
    if not label_columns and len(names) == 2:
        label_columns = [1 - path_column]
    label_column = _the_one(
        path, line, first, label_columns, options.label_column, "label", options, role
    )
    if label_column is None:
        raise ValueError(
            f"{place(path, line)}, which names the columns, must name one 'path' and "
            f"one 'label' (or {', '.join(_LABEL_NAMES[1:4])}). Received: "
            f"{shown(first)}. Say which it is with --label-column NAME."
        )
    if label_column == path_column:
        raise ValueError(
            f"{place(path, line)} must name a column of paths and another of labels. "
            f"Received: {first[path_column]!r} for both. Say which they are with "
            "--path-column NAME and --label-column NAME."
        )
    if options.label_column and plain_name(options.label_column) != names[label_column]:
        remarks.append(
            f"The table {str(path)!r} has no column {options.label_column!r}: "
            f"{first[label_column]!r} is taken for the labels."
        )
    return (path_column, label_column, first), rows[1:]


def _called(names: list[str], known: collections.abc.Container[str]) -> list[int]:
    return [index for index, name in enumerate(names) if name in known]


def _plain(names: collections.abc.Iterable[str | None]) -> list[str]:
    return [plain_name(name) for name in names if name]


def _the_one(
    path: pathlib.Path,
    line: int,
    first: list[str],
    columns: list[int],
    asked: str | None,
    what: str,
    options: TableOptions,
    role: str,
) -> int | None:
    """The column that an option names, or the only one that there is; None for none."""
    if asked is not None:
        exact = [index for index, name in enumerate(first) if name == asked]
        alike = _called([plain_name(name) for name in first], _plain([asked]))
        if exact or alike:
            if len(exact or alike) > 1:
                raise ValueError(
                    f"{place(path, line)} must have one column that is called "
                    f"{asked!r}. Received: {len(exact or alike)}. Rename the others."
                )
            return (exact or alike)[0]
        if role != "test":
            raise ValueError(
                f"{place(path, line)} must name the column {asked!r}, as "
                f"--{what}-column says. Received: {shown(first)}."
            )
    if len(columns) > 1 and not options.lenient:
        candidates = " and ".join(repr(first[index]) for index in columns)
        raise ValueError(
            f"{place(path, line)} must name one column of {what}s. Received: "
            f"{candidates}. Say which it is with --{what}-column NAME."
        )
    return columns[0] if columns else None


def _image_columns(fields: list[str]) -> list[int]:
    return [
        index for index, field in enumerate(fields) if field.lower().endswith(ENDINGS)
    ]
