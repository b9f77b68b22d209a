"""A finished run on one page that needs nothing but itself."""

import math
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from semppl_keras.evaluation import cross_validated_predictions
from semppl_keras.networks import ImageClassifier, ImageEmbedder
from semppl_keras.networks.image_classifier import as_probabilities
from semppl_keras.reports import run_page
from semppl_keras.reports.image_group import LABELLED, TEST, UNLABELLED, ImageGroup
from semppl_keras.reports.run_table import format_run
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.finished import FinishedRun
from semppl_keras.runs.folder import read_metrics
from semppl_keras.runs.options.report import ReportOptions
from semppl_keras.runs.prediction_progress import PredictionProgress
from semppl_keras.runs.progress import Progress
from semppl_keras.runs.safety.json_files import Entry, check_entries, read_json
from semppl_keras.runs.safety.out_paths import check_can_write
from semppl_keras.runs.suspects import suspects_of
from semppl_keras.runs.telling import tell, told
from semppl_keras.runs.whole_files import write_whole


@told
def report(
    run: str | os.PathLike[str],
    *,
    classifier: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    photos: str | os.PathLike[str] | None = None,
    trust: bool = False,
    verbose: int = 1,
) -> pathlib.Path:
    """Writes one HTML page about a finished run.

    Args:
        run: Run folder, or a file that `pack` has written.
        classifier: Another one: its name, such as "linear", or a `classifier.keras`;
            None for the run's.
        out: The page to write; None for `report.html` in the run folder, which is
            replaced if it is there.
        photos: Folder in which the images of the run are now; None for where they were.
        trust: Whether the run may be somebody else's.
        verbose: 0 to say nothing, 1 for what the command says, 2 for more.

    Returns:
        `pathlib.Path` of the page.

    Raises:
        RunError: A value is wrong, or what was asked for cannot be done.
        TypeError: A value is of the wrong kind.

    Example:
        >>> report("runs/photos")
    """
    return report_with(
        ReportOptions.of(
            run=run, classifier=classifier, out=out, photos=photos, trust=trust
        )
    )


def report_with(options: ReportOptions) -> pathlib.Path:
    """The same, of options that are filled already."""
    finished = FinishedRun(options.run, trust=options.trust, photos=options.photos)
    finished.check_can_be_written(options.out)
    target = finished.folder / "report.html"
    if options.out is not None:
        target = pathlib.Path(options.out)
        check_can_write(target)
        if target.exists():
            raise RunError(f"{target} exists already. Choose another --out.")
    # Before anything takes long.
    read_metrics(finished.folder)
    _history(finished.folder / "history.json")
    network, how = finished.classifier(options.classifier)
    tell(f"Reporting {finished.named} ({how}) ...")
    finished.tell_classifier(options.classifier)
    text = report_page(finished, network, how)
    write_whole(target, text, errors="backslashreplace")
    tell(f"To be opened with a browser: {target}")
    return target


def report_page(finished: FinishedRun, classifier: ImageClassifier, how: str) -> str:
    """The page of a run.

    Args:
        finished: `FinishedRun`.
        classifier: `ImageClassifier` of its classes.
        how: What it is called.

    Returns:
        HTML.
    """
    folder, data, names = finished.folder, finished.data, finished.class_names
    metrics = read_metrics(folder)
    history = _history(folder / "history.json")
    groups = _groups(finished, classifier)
    seed = finished.settings["seed"]
    map_html, script = run_page.plane_map(groups, names, seed)
    summary = run_page.summary(
        format_run(metrics, finished.named),
        getattr(data, "remarks", ()),
        getattr(data, "skipped", ()),
    )
    sections = [
        ("", summary),
        ("Training", run_page.curves(history)),
        ("Images in the learned representation", map_html),
        ("Confusion", _confusion(finished, groups, how)),
        ("Suspect labels", _suspects(finished, classifier)),
        (
            "The most and the least certain images of each class",
            run_page.certain(groups[UNLABELLED], names) if UNLABELLED in groups else "",
        ),
        (
            "Augmented views, as in training",
            run_page.views(
                finished.model.views,
                data.x_unlabelled if UNLABELLED in groups else data.x_labelled,
                seed,
            ),
        ),
        ("Settings and versions", run_page.settings(finished.settings, metrics)),
    ]
    return run_page.run_page(f"{data.name}: {folder.name}", sections, script)


def _suspects(finished: FinishedRun, classifier: ImageClassifier) -> str:
    """Those of its labels that look most like wrong ones, where any can be checked."""
    if np.sum(np.bincount(finished.data.y_labelled) >= 2) < 2:
        return ""
    of = suspects_of(finished, classifier)
    return run_page.suspects(of.images, of.names, of.found, finished.class_names)


def _groups(
    finished: FinishedRun, classifier: ImageClassifier
) -> dict[int, ImageGroup]:
    """By kind the images that there are."""
    data = finished.data
    names = getattr(data, "train_names", ())
    unlabelled = data.unlabelled_indices
    labelled = [
        names[index] if names else f"labelled image {place}"
        for place, index in enumerate(data.labelled_indices)
    ]
    groups = {LABELLED: _group(classifier, data.x_labelled, labelled, data.y_labelled)}
    if len(unlabelled):
        groups[UNLABELLED] = _group(
            classifier,
            data.x_unlabelled,
            [names[i] if names else f"training image {i}" for i in unlabelled],
            data.y_hidden,
        )
    if data.x_test is not None and len(data.x_test):
        count = len(data.x_test)
        groups[TEST] = _group(
            classifier,
            data.x_test,
            list(getattr(data, "test_names", ()))
            or [f"test image {index}" for index in range(count)],
            np.full(count, -1) if data.y_test is None else data.y_test,
        )
    return groups


def _group(
    classifier: ImageClassifier,
    images: np.ndarray,
    names: Sequence[str],
    labels: np.ndarray,
) -> ImageGroup:
    embedder = ImageEmbedder(classifier.backbone, classifier.views)
    progress = PredictionProgress(Progress("Reporting,"), "images", len(images))
    features = embedder.predict(images, verbose=0, callbacks=[progress])
    return ImageGroup(
        images, names, labels, features, as_probabilities(classifier, features)
    )


def _history(path: pathlib.Path) -> dict[str, Any]:
    """By name the values of every epoch."""
    history = read_json(path)
    check_entries(path, history, dict.fromkeys(history, _VALUES))
    return history


def _are_numbers(values: Sequence[Any]) -> bool:
    """Whether all can be drawn, or are left out of charts since they are not finite."""
    return all(
        value is None
        or (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and not 1e300 < abs(value) < math.inf
            and not 0 < abs(value) < 1e-300
        )
        for value in values
    )


# In `history.json`: of every epoch.
_VALUES = Entry(list, _are_numbers, "that is a list of numbers")


def _confusion(
    finished: FinishedRun, groups: Mapping[int, ImageGroup], how: str
) -> str:
    data, names = finished.data, finished.class_names
    if TEST in groups and data.y_test is not None:
        tested = groups[TEST]
        where = f"On the test images, {how}"
        return run_page.confusion(tested.predicted, tested.labels, where, names)
    if np.bincount(data.y_labelled, minlength=len(names)).min() < 2:
        return (
            '<p class="soft">There are no labelled test images, and too few labels to '
            "hold any out: semppl train --test names some.</p>"
        )
    predicted = cross_validated_predictions(
        finished.model.embed(data.x_labelled),
        data.y_labelled,
        seed=finished.settings["seed"],
    )
    where = (
        "There are no labelled test images. By cross-validation of the linear probe on "
        "the labelled ones, optimistic, since the network has trained with them"
    )
    return run_page.confusion(predicted, data.y_labelled, where, names)
