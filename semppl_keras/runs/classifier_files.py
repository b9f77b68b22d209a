"""Where a run's classifiers are kept, and how good they are."""

import hashlib
import os
import pathlib
import shutil
import time
from typing import Any

import keras
import numpy as np

from semppl_keras.evaluation import summarize
from semppl_keras.networks import ImageClassifier
from semppl_keras.runs.finished import FinishedRun
from semppl_keras.runs.folder import versions
from semppl_keras.runs.results.trained_classifier import TrainedClassifier
from semppl_keras.runs.run_models import CLASSIFIER
from semppl_keras.runs.telling import tell
from semppl_keras.runs.whole_files import whole_file, write_json


def checkpoint_folder(
    out: str | os.PathLike[str] | None, finished: FinishedRun
) -> pathlib.Path:
    """Where a training that is not at its end is kept, until `keep_classifier`.

    Args:
        out, finished: As for `keep_classifier`.

    Returns:
        `pathlib.Path`.
    """
    return pathlib.Path(out or finished.folder) / "classifier_checkpoints"


def file_digest(path: pathlib.Path) -> str:
    """What tells a file from what was under its name before, of one size and time too.

    Args:
        path: `pathlib.Path`.

    Returns:
        str.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()[:32]


def keep_classifier(
    out: str | os.PathLike[str] | None,
    classifier: ImageClassifier,
    finished: FinishedRun,
    how: str,
    settings: dict[str, Any],
    begun: float,
) -> TrainedClassifier:
    """Writes a classifier and a note about it, and tells how good it is.

    An earlier one there is kept under another name.

    Args:
        out: Folder, or None for the run's.
        classifier: `ImageClassifier`; it gets the names of the run's classes.
        finished: `FinishedRun`, on whose test images, if there are any, it is measured.
        how: What it is called, such as "fine-tuned".
        settings: Dict of what it was trained with.
        begun: When, by `time.monotonic`, that began.

    Returns:
        `TrainedClassifier`, the dict that `classifier.json` holds: `how`, `settings`,
        `test` (what `summarize` gives, or None) and others.
    """
    seconds = time.monotonic() - begun
    folder = pathlib.Path(out or finished.folder)
    classifier.class_names = finished.class_names
    tested = finished.test
    measured = None
    if tested is not None:
        shares = classifier.predict(tested.images, verbose=0)
        measured = summarize(shares, tested.labels)
    note = {
        "how": how,
        "settings": settings,
        "test": measured,
        "num_test": 0 if tested is None else len(tested.images),
        "class_names": list(finished.class_names),
        "seconds": round(seconds, 2),
        "backend": keras.backend.backend(),
        "versions": versions(),
    }
    path = folder / CLASSIFIER
    with whole_file(path) as partial:
        classifier.save(partial)
        earlier = set_aside(path) if path.exists() else None
        write_json(path.with_suffix(".json"), note)
    shutil.rmtree(checkpoint_folder(out, finished), ignore_errors=True)
    trained = TrainedClassifier(folder, note, _probe_accuracy(finished))
    _tell_measured(trained, finished, path, earlier)
    return trained


def _probe_accuracy(finished: FinishedRun) -> float | None:
    """Share of the test images that the linear probe is right about, if any are."""
    tested = finished.test
    if tested is None:
        return None
    probe = finished.linear_classifier().predict(tested.images, verbose=0)
    return float(np.mean(probe.argmax(axis=1) == tested.labels))


def _tell_measured(
    trained: TrainedClassifier,
    finished: FinishedRun,
    path: pathlib.Path,
    earlier: pathlib.Path | None,
) -> None:
    """Prints how good a classifier is, beside the run's linear probe.

    Args:
        trained: As `keep_classifier` returns it.
        finished: `FinishedRun`.
        path: `pathlib.Path` of the classifier.
        earlier: The same of the one that was there before, or None.
    """
    how, worse = trained["how"], False
    of_run = path.parent.resolve() == finished.folder.resolve()
    if trained.probe_accuracy is None:
        tell("Not measured: the run has no labelled test images.")
    else:
        accuracy = trained.probe_accuracy
        tell(f"accuracy on {trained['num_test']:,} test images")
        tell(f"  {how:<16}{trained['test']['top1']:>8.1%}")
        tell(f"  {'linear probe':<16}{accuracy:>8.1%}")
        worse = trained["test"]["top1"] < accuracy
    if of_run:
        tell(f"{path}: semppl export, semppl label and semppl report use it from now.")
    else:
        tell(
            f"{path}: semppl export, semppl label and semppl report use it with "
            "--classifier."
        )
    if worse and of_run:
        tell(
            f"Warning: the {how} classifier is less accurate than the linear probe, "
            "and semppl label, semppl export and semppl report use it in its place. "
            f"To go back to the linear probe: remove or rename {path}."
        )
        if earlier is not None:
            tell(f"To go back to the classifier before: rename {earlier} to {path}.")
    elif worse:
        tell(
            f"Warning: the {how} classifier is less accurate than the linear probe, "
            "which semppl label, semppl export and semppl report use without "
            "--classifier where the run has no other."
        )


def set_aside(path: pathlib.Path) -> pathlib.Path:
    """Gives a classifier and its note another name: the path of the former."""
    number = 1
    while path.with_name(f"{path.stem}_{number}{path.suffix}").exists():
        number += 1
    for old in (path.with_suffix(".json"), path):
        if old.exists():
            os.replace(old, old.with_name(f"{old.stem}_{number}{old.suffix}"))
    return path.with_name(f"{path.stem}_{number}{path.suffix}")
