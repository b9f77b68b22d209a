"""Labels that another program has written as JSON, whichever it was."""

import pathlib
from collections.abc import Sequence

from semppl_keras.data.images.table_options import TableOptions
from semppl_keras.data.tables.formats import FORMATS
from semppl_keras.data.tables.json_content import json_content, kind
from semppl_keras.data.tables.named_image import NamedImage

# Label Studio's tasks alone have columns, by names of their own.
_WITH_COLUMNS = "label-studio"


def read_json_labels(
    path: pathlib.Path, options: TableOptions, role: str, remarks: list[str]
) -> list[NamedImage]:
    """The images that a JSON file names, in its order.

    Args:
        path: path of the file: tasks of Label Studio, COCO's form, or the `labels.json`
            of a FiftyOneImageClassificationDataset; which of them its content tells.
        options: `TableOptions`.
        role: as `open_images` takes it.
        remarks: list, to which texts are appended: what was left out.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it holds something else, or a column is asked for that it cannot
            have.
    """
    content = json_content(path)
    for name, form in FORMATS.items():
        if form.knows is not None and form.read is not None and form.knows(content):
            if role != "test":
                _check_columns(path, name, options)
            return form.read(content, path, options, role, remarks)
    entries: Sequence[str] = list(content) if isinstance(content, dict) else []
    received = f" with {', '.join(sorted(entries)[:8])!r}" if entries else ""
    raise ValueError(
        f"{str(path)!r} must hold labels of images as JSON: tasks of Label Studio (its "
        'exports called JSON, a list of objects with "data", and JSON-MIN), COCO\'s '
        '"images", "annotations" and "categories", or the "labels" of a '
        f"FiftyOneImageClassificationDataset. Received: {kind(content)}{received}."
    )


def _check_columns(path: pathlib.Path, name: str, options: TableOptions) -> None:
    asked = {"--split-column": options.split_column not in (None, "none")}
    if name != _WITH_COLUMNS:
        asked["--label-column"] = options.label_column is not None
        asked["--path-column"] = options.path_column is not None
    for option, is_asked in asked.items():
        if is_asked:
            raise ValueError(
                f"{option} is for tables (.csv, .tsv)"
                + (" and tasks of Label Studio" if option != "--split-column" else "")
                + f". Received: {option} with {str(path)!r}. Leave it out."
            )
