"""Which images a person should look through, and the page to do so."""

import itertools
import os
import pathlib
import re
import shlex

import numpy as np

from semppl_keras.data import OwnDataset
from semppl_keras.data.images.files import read_image
from semppl_keras.data.images.opening import UnreadableImage
from semppl_keras.evaluation.active import typical
from semppl_keras.reports.contact_sheet import saved_table, write_contact_sheet
from semppl_keras.reports.counted import counted
from semppl_keras.runs.finished import FinishedRun
from semppl_keras.runs.found_files import are_noted
from semppl_keras.runs.label_table import is_text, path_from
from semppl_keras.runs.results.labels import Labels
from semppl_keras.runs.run_images import LabelledImages
from semppl_keras.runs.safety.packed_runs import is_packed
from semppl_keras.runs.telling import tell

# Of more images so many, drawn at random, are looked at: there are typical ones among
# them, and clustering all takes longer than labelling.
_MOST_IMAGES = 20_000


def choose_for_review(
    confidences: np.ndarray,
    features: np.ndarray,
    labelled: np.ndarray,
    count: int,
    seed: int = 0,
) -> np.ndarray:
    """The images whose labels would teach most, as `evaluation.active.typical` has it.

    Args:
        confidences: `(N,)`.
        features: `(N, F)`.
        labelled: `(M, F)` of the labelled images.
        count: How many.
        seed: Of k-means.

    Returns:
        At most `count` indices, the least certain first.
    """
    pool = np.arange(len(features))
    if len(pool) > _MOST_IMAGES:
        generator = np.random.default_rng(seed)
        pool = np.sort(generator.choice(pool, _MOST_IMAGES, replace=False))
    chosen = pool[typical(features[pool], labelled, count, seed)]
    return chosen[np.argsort(confidences[chosen], kind="stable")]


def write_review(
    sheet: pathlib.Path,
    out: pathlib.Path,
    labels: Labels,
    finished: FinishedRun,
    count: int,
) -> np.ndarray:
    """Writes the page of those images whose labels would teach most.

    Args:
        sheet: The page.
        out: The table of labels, relative to which images are named.
        labels: What is known of the images; those with a label are left out.
        finished: The run that has guessed them, whose own labels stand in the table
            that the page saves.
        count: How many to show.

    Returns:
        `(n,)` indices of those on the page.
    """
    labelled = finished.labelled
    nameable: list[int] = []
    unnameable: list[int] = []
    for index, name in enumerate(labels.names):
        if not labels.given[index]:
            named = is_text(path_from(name, out))
            (nameable if named else unnameable).append(index)
    if unnameable:
        tell(
            f"{counted(len(unnameable), 'image is', 'images are')} not on the page to "
            "review, which can save no file name that is not UTF-8, such as "
            f"{labels.names[unnameable[0]]!r}; rename what is to be labelled there"
        )
    rows = np.array(nameable, dtype="int64")
    chosen = rows[
        choose_for_review(
            labels.confidences[rows],
            labels.features[rows],
            labels.labelled_features,
            count,
        )
    ]
    names = labels.class_names
    order = np.argsort(-labels.probabilities, axis=1, kind="stable")
    entries = [
        {
            "image": _large(labels, index),
            "path": path_from(labels.names[index], out),
            "label": names[order[index, 0]],
            "second": names[order[index, 1]],
            "confidence": float(labels.probabilities[index].max()),
            "second_share": float(labels.probabilities[index, order[index, 1]]),
            "nearest": [
                path_from(labelled.names[row], out)
                for row in labels.nearest[index]
                if row >= 0
            ],
            "like": _kept_one(labelled, labels.nearest[index]),
        }
        for index in chosen
    ]
    title = f"{len(entries)} images to label"
    sheet.parent.mkdir(parents=True, exist_ok=True)
    given = _given(finished, out)
    command = None
    if given or _knows_its_labels(finished):
        command = command_to_go_on(
            finished.named,
            out.parent / saved_table(sheet),
            # With the images that a run keeps nothing is trained.
            train=bool(given) and finished.is_trained,
        )
    write_contact_sheet(sheet, entries, names, out.name, title, given, command)
    return chosen


def command_to_go_on(
    run: pathlib.Path, table: pathlib.Path, *, train: bool = True
) -> str:
    """How a run goes on with the labels of a table, as the command line has it.

    Args:
        run: Its folder.
        table: Which has all labels.
        train: Whether its network is trained on, and not its classifiers alone.

    Returns:
        A command whose `--out` is a folder that is not there yet.
    """
    named = run if run.name not in ("", "..") else run.resolve()
    packed = is_packed(named)
    if packed:
        named = named.with_suffix("")
    # A number behind the name counts the rounds; that of a seed is another.
    numbered = re.fullmatch(r"(.+)(?<!_seed)_(\d{1,6})", named.name, re.DOTALL)
    name, number = (named.name, "1") if numbered is None else numbered.groups()
    later = (named.with_name(f"{name}_{n}") for n in itertools.count(int(number) + 1))
    out = next(folder for folder in later if not folder.exists())
    return shlex.join(
        [
            "semppl",
            "train",
            "--from",
            str(run),
            "--labelled",
            str(table),
            *([] if train else ["--epochs", "0"]),
            "--out",
            str(out),
            *(["--trust"] if packed else []),
        ]
    )


def _given(finished: FinishedRun, out: pathlib.Path) -> list[tuple[str, str]]:
    """The labels of a run that are of files, as a table names them."""
    _, labels, names = finished.labelled
    files = [
        (path_from(name, out), finished.class_names[label])
        for name, label in zip(names, labels.tolist(), strict=True)
        if os.path.isfile(name)
    ]
    given = [one for one in files if all(map(is_text, one))]
    if len(given) < len(files):
        tell(
            f"{counted(len(files) - len(given), 'label', 'labels')} of the run cannot "
            "stand in the table that the page saves, since a name is not UTF-8; "
            "semppl train --from has them all the same"
        )
    return given


def _knows_its_labels(finished: FinishedRun) -> bool:
    """Whether a run whose images are gone goes on with those that it keeps."""
    own = finished.dataset
    return (
        isinstance(own, OwnDataset)
        and are_noted(own, finished.folder)
        and finished.images.kept is not None
    )


def _kept_one(labelled: LabelledImages, rows: np.ndarray) -> np.ndarray | None:
    """The labelled image that is most alike, where nobody can open a file of it."""
    row = rows[0] if len(rows) else -1
    if row < 0 or os.path.isfile(labelled.names[row]):
        return None
    return labelled.images[row]


def _large(labels: Labels, index: int) -> np.ndarray:
    """The whole image where it is a file, and not the square that the network saw."""
    name = labels.names[index]
    if os.path.isfile(name):
        try:
            return read_image(name, ranges=labels.ranges)
        except UnreadableImage:
            # It has gone since.
            return labels.images[index]
    return labels.images[index]
