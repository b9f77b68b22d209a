"""The table of labels that `label` writes, and that of what could not be read."""

import os
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from semppl_keras.data.images.spreadsheets import inert, inert_path, table_text
from semppl_keras.runs.results.labels import Labels


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
    rows = [["path", "label", *about, *nearest, "given_label"]]
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
    _write_text(path, table_text(rows))


def skipped_path(out: pathlib.Path) -> pathlib.Path:
    """Where the table of what could not be read is, beside that of labels."""
    return out.with_suffix(".skipped.tsv")


def write_skipped(out: pathlib.Path, skipped: Sequence[Any]) -> None:
    """Writes the table of what could not be read, where there is any.

    Args:
        out: The table of labels.
        skipped: `Skipped` of each.
    """
    if not skipped:
        # One from before would be taken for this one's.
        skipped_path(out).unlink(missing_ok=True)
        return
    rows = [["path", "reason"]]
    rows += [[inert(name), inert(reason)] for name, reason in skipped]
    _write_text(skipped_path(out), table_text(rows, "\t"))


def _write_text(path: pathlib.Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    # File names need not be text; they are written as they are.
    partial.write_bytes(text.encode("utf-8", "surrogateescape"))
    os.replace(partial, path)


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
