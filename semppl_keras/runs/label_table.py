"""The table of labels that `label` writes."""

import os
import pathlib
from collections.abc import Sequence

import numpy as np

from semppl_keras.data.images.spreadsheets import (
    delimiter_of,
    inert,
    inert_path,
    table_text,
)
from semppl_keras.runs.results.labels import Labels
from semppl_keras.runs.whole_files import write_whole


def write_table(
    path: pathlib.Path, labels: Labels, labelled_names: Sequence[str]
) -> None:
    """Writes the table of labels.

    Args:
        path: The table.
        labels: `Labels`, of which `rows` are written.
        labelled_names: A text for each labelled image.
    """
    class_names = labels.class_names
    order = np.argsort(-labels.probabilities, axis=1, kind="stable")
    nearest = [f"nearest_{rank + 1}" for rank in range(labels.nearest.shape[1])]
    about = ["confidence", "second", "second_share"]
    strange = labels.none_of_these
    rows = [["path", "label", *about, *nearest, "given_label"]]
    if strange is not None:
        rows[0].append("none_of_these")
    for index in labels.rows:
        best, second = order[index, :2]
        shares = labels.probabilities[index]
        rows.append(
            [
                path_from(labels.names[index], path),
                inert(class_names[best]),
                f"{shares[best]:.4f}",
                inert(class_names[second]),
                f"{shares[second]:.4f}",
                *(
                    "" if row < 0 else path_from(labelled_names[row], path)
                    for row in labels.nearest[index]
                ),
                inert(labels.given[index]),
            ]
        )
        if strange is not None:
            rows[-1].append(f"{strange[index]:.4f}")
    # File names need not be text; they are written as they are.
    text = table_text(rows, delimiter_of(path))
    write_whole(path, text, errors="surrogateescape")


def skipped_path(out: pathlib.Path) -> pathlib.Path:
    """Where the table of what could not be read is, beside that of labels."""
    return out.with_suffix(".skipped.tsv")


def path_from(name: str, table: pathlib.Path) -> str:
    """A path as a table names it, relative to its folder; another name as it is.

    Args:
        name: Of an image.
        table: The table.
    """
    if not os.path.exists(name):
        return inert_path(name)
    path = os.path.abspath(name)
    try:
        return inert_path(os.path.relpath(path, os.path.abspath(table.parent)))
    except ValueError:
        # On another drive, to which no relative path leads.
        return path


def is_text(name: str) -> bool:
    """Whether a name of a file is UTF-8: not every one is."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
