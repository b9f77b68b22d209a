"""Which files a run was trained with: tables in its folder, as they were then."""

import collections
import dataclasses
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from semppl_keras.data import Dataset, FewLabels, OwnDataset, OwnImages, TableOptions
from semppl_keras.data.images.source_names import kind_and_rest
from semppl_keras.data.images.sources import open_images
from semppl_keras.data.images.spreadsheets import inert, inert_path, table_text
from semppl_keras.runs.folder import dataset_of
from semppl_keras.runs.picture_places import root_of, short_name
from semppl_keras.runs.whole_files import write_whole

# Paths with the class of each, paths alone, and those to test on.
LABELLED, UNLABELLED, TESTED = "labelled.csv", "unlabelled.csv", "test.csv"
# By role.
TABLES = {"labelled": LABELLED, "unlabelled": UNLABELLED, "test": TESTED}


def are_files(source: str) -> bool:
    """Whether a source names image files, in a folder or in a table."""
    return kind_and_rest(source)[0] is None


def note_files(
    folder: pathlib.Path, settings: Mapping[str, Any], data: FewLabels
) -> None:
    """Notes which image files a run is trained with, and their labels.

    What stands there stays: a run that is gone on with was begun with it.

    Args:
        folder: Of the run.
        settings: What its `run.json` holds.
        data: What it is trained on; of others than a person's own there are no files.
    """
    dataset = dataset_of(settings)
    if not isinstance(dataset, OwnDataset) or not isinstance(data, OwnImages):
        return
    given: dict[str, Sequence[tuple[str, str | None]]] = {
        "labelled": data.given_labels,
        "unlabelled": [(name, None) for name in data.given_names],
        "test": data.given_test,
    }
    for role, source in dataset.sources.items():
        table = folder / TABLES[role]
        if are_files(source) and not table.exists():
            write_files(table, given[role], dataset.tables)


def with_own_tables(dataset: Dataset, folder: pathlib.Path) -> Dataset:
    """The same; a table that lay in the folder of a run is looked for there.

    Args:
        dataset: Of a run, which may have been moved.
        folder: Of the run.
    """
    if not isinstance(dataset, OwnDataset):
        return dataset
    moved: dict[str, Any] = {
        role: str((folder / TABLES[role]).absolute())
        for role, source in dataset.sources.items()
        if os.path.basename(source) == TABLES[role]
        and not os.path.exists(source)
        and (folder / TABLES[role]).is_file()
    }
    return dataclasses.replace(dataset, **moved) if moved else dataset


def write_files(
    path: pathlib.Path, labels: Sequence[tuple[str, str | None]], tables: TableOptions
) -> None:
    """Writes a table of image files.

    Args:
        path: Of the table.
        labels: Paths, and the class of each or None, which all are.
        tables: How the run's tables are read, and so how columns have to be called.
    """
    labelled = any(label is not None for _, label in labels)
    header = [tables.path_column or "path"]
    if labelled:
        header.append(tables.label_column or "label")
    column, _, values = (tables.split_column or "").partition("=")
    split = [values.split(",")[0]] if labelled and values else []
    rows = [[*header, *([column] if split else [])]]
    for name, label in labels:
        of_label = [] if label is None else [inert(label)]
        rows.append([inert_path(os.path.abspath(name)), *of_label, *split])
    # File names need not be text; they are written as they are.
    write_whole(path, table_text(rows), errors="surrogateescape")


def noted_labels(
    folder: pathlib.Path, dataset: OwnDataset
) -> list[tuple[str, str]] | None:
    """The labels that a run was trained with, or None where it has not noted any.

    Args:
        folder: Of the run.
        dataset: Its own, which knows its classes.

    Raises:
        ValueError: The table is none.
    """
    path = folder / LABELLED
    if not path.is_file():
        return None
    images = open_images(str(path.absolute()), "labelled", dataset.table_options)
    return list(zip(images.names, images.labels or (), strict=True))


def noted_names(folder: pathlib.Path, dataset: OwnDataset) -> list[str] | None:
    """The unlabelled images that it was trained with; the same."""
    path = folder / UNLABELLED
    if not path.is_file():
        return None
    return list(
        open_images(str(path.absolute()), "unlabelled", dataset.table_options).names
    )


def noted_paths(folder: pathlib.Path, settings: Mapping[str, Any]) -> dict[str, str]:
    """The labelled images that a run was trained with, by what it keeps them as.

    Args:
        folder: Of the run.
        settings: What its `run.json` holds.

    Returns:
        By short name the path that was noted, without what is called alike: nothing is
        guessed.

    Raises:
        ValueError: The table is none.
    """
    dataset = dataset_of(settings)
    noted = noted_labels(folder, dataset) if isinstance(dataset, OwnDataset) else None
    root = root_of(dataset)
    called = [(short_name(name, root), name) for name, _ in noted or ()]
    counts = collections.Counter(short for short, _ in called)
    return {short: name for short, name in called if counts[short] == 1}
