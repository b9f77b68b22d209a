"""The table of suspect labels, which a person mends, and how a run goes on with it."""

import pathlib
from collections.abc import Sequence

import numpy as np

from semppl_keras.data import OwnDataset
from semppl_keras.data.images.spreadsheets import (
    content_of,
    delimiter_of,
    inert,
    table_text,
)
from semppl_keras.data.images.table_rows import rows_of
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.finished import FinishedRun
from semppl_keras.runs.label_table import path_from
from semppl_keras.runs.noted_files import are_files
from semppl_keras.runs.results.label_check import LabelCheck
from semppl_keras.runs.reviewing import command_to_go_on
from semppl_keras.runs.whole_files import write_whole

# In the run folder.
TABLE = "suspects.csv"

_PATH, _LABEL = "path", "label"
_COLUMNS = (
    _PATH,
    _LABEL,
    "suggested",
    "confidence",
    "label_confidence",
    "score",
    "weight",
)


def write_suspects(checked: LabelCheck) -> None:
    """Writes the table.

    Args:
        checked: What was found, and where the table goes.
    """
    found, names = checked.found, checked.class_names
    unjudged = np.flatnonzero(~found.judged)
    lines = [
        [
            path_from(checked.names[index], checked.table),
            inert(names[found.labels[index]]),
            inert(names[found.suggested[index]]),
            f"{found.probabilities[index, found.suggested[index]]:.4f}",
            f"{found.probabilities[index, found.labels[index]]:.4f}",
            f"{found.scores[index]:.4f}",
            f"{checked.weights[index]:.4f}",
        ]
        for index in found.order
    ]
    # Nothing is known of the only label of a class.
    lines += [
        [
            path_from(checked.names[index], checked.table),
            inert(names[found.labels[index]]),
            *[""] * (len(_COLUMNS) - 3),
            "1.0000",
        ]
        for index in unjudged
    ]
    # File names need not be text; they are written as they are.
    text = table_text([_COLUMNS, *lines], delimiter_of(checked.table))
    write_whole(checked.table, text, errors="surrogateescape")


def check_not_mended(
    table: pathlib.Path, names: Sequence[str], labels: Sequence[str]
) -> None:
    """Refuses to replace an earlier table in which a person has changed labels.

    Args:
        table: Of an earlier check; one that is not there is none.
        names: Of each labelled image, as the table names them.
        labels: The class of each in the run.

    Raises:
        RunError: The table has other labels, or is another one.
    """
    if not table.exists():
        return
    pairs = _labels_in(table)
    of_run = {
        path_from(name, table).strip(): label
        for name, label in zip(names, labels, strict=True)
    }
    mended = [
        f"{path!r}: {of_run[path]!r} in the run, {content_of(label)!r} there"
        for path, label in pairs
        if path in of_run and of_run[path] != content_of(label)
    ]
    if mended:
        raise RunError(
            f"{table} must have the labels of the run, to be replaced. Received: "
            f"{len(mended):,} others, as if they were mended by hand: {mended[0]}. Go "
            "on with them first (semppl train --from), choose another --out, or remove "
            "it."
        )


def _labels_in(table: pathlib.Path) -> list[tuple[str, str]]:
    """The path and the label of each row.

    Raises:
        RunError: It is another table.
    """
    try:
        rows = [[cell.strip() for cell in fields] for _, fields in rows_of(table)]
        received = ", ".join(rows[0][:8]) if rows else "nothing"
        if not rows or not {_PATH, _LABEL} <= set(rows[0]):
            raise ValueError(received)
        path, label = (rows[0].index(name) for name in (_PATH, _LABEL))
        return [
            (row[path], row[label]) for row in rows[1:] if len(row) > max(path, label)
        ]
    except (OSError, ValueError) as error:
        raise RunError(
            f"{table} must be the table of an earlier check, to be replaced. Received: "
            f"another one ({error}). Choose another --out, or remove it."
        ) from error


def what_next(finished: FinishedRun, table: pathlib.Path) -> tuple[str, str]:
    """How wrong labels are mended, for a person who has found some.

    Args:
        finished: The run.
        table: That of its labels.

    Returns:
        A sentence, and the command that follows it; none where labels are of no files,
        and no table can name them.
    """
    dataset = finished.dataset
    if not isinstance(dataset, OwnDataset) or not all(
        are_files(source) for source in dataset.sources.values()
    ):
        source = dataset.sources.get("labelled", dataset.name)
        return (
            f"The labels of this run come from {source}, and not from a table of "
            "files: where one is wrong, change it there, and train again.",
            "",
        )
    return (
        "Where the column label is wrong, change it, and make the classifiers anew:",
        command_to_go_on(finished.named, table, train=False),
    )
