"""Which labels of a finished run are probably wrong."""

import os
import pathlib
import time

import numpy as np

from semppl_keras.networks import ImageClassifier, linear_classifier
from semppl_keras.reports import run_page
from semppl_keras.reports.counted import counted
from semppl_keras.reports.shown import shown
from semppl_keras.runs.classifier_files import keep_classifier
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.finished import FinishedRun
from semppl_keras.runs.options.check import CheckOptions
from semppl_keras.runs.results.label_check import LabelCheck
from semppl_keras.runs.results.trained_classifier import TrainedClassifier
from semppl_keras.runs.run_models import CLASSIFIER, doubted_features
from semppl_keras.runs.safety.lock import locked
from semppl_keras.runs.safety.out_paths import check_can_write
from semppl_keras.runs.suspects import (
    Suspects,
    labelled_names,
    saw_labels,
    suspects_of,
)
from semppl_keras.runs.suspects_table import (
    TABLE,
    check_not_mended,
    what_next,
    write_suspects,
)
from semppl_keras.runs.telling import tell, told
from semppl_keras.runs.whole_files import write_whole

# What the classifier of --doubt is called in its note.
_HOW = "doubting"


@told
def check(
    run: str | os.PathLike[str],
    *,
    classifier: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    show: int = CheckOptions.show,
    doubt: float | None = None,
    photos: str | os.PathLike[str] | None = None,
    trust: bool = False,
    verbose: int = 1,
) -> LabelCheck:
    """Ranks the labels of a finished run by how much they look like wrong ones.

    Each label is hidden in turn, and what logistic regression on the others and a graph
    of all images say of the image is held against it (confident learning, Northcutt et
    al. 2021).

    Args:
        run: Run folder.
        classifier: Whose features are looked at: its name, such as "frozen_linear", or
            a `classifier.keras`; None for the run's.
        out: The table to write, beside which the page is written; None for
            `suspects.csv` in the run folder, which is replaced if it is there, unless
            labels in it were changed.
        show: How many suspects are printed and pictured.
        doubt: Share in (0, 1) of the labels that may be wrong: a classifier is fitted
            anew to these features for which the most suspect labels count less, and
            kept as the run's. None for no such classifier.
        photos: Folder in which the images of the run are now; None for where they were.
        trust: Whether the run may be somebody else's.
        verbose: 0 to say nothing, 1 for what the command says, 2 for more.

    Returns:
        `LabelCheck`: `found.order`, indices of the labels, the most suspect first;
        `names`, `weights`, `table`, `page`, `classifier`.

    Raises:
        RunError: A value is wrong, or what was asked for cannot be done.
        TypeError: A value is of the wrong kind.

    Example:
        >>> checked = check("runs/photos")
        >>> [checked.names[index] for index in checked.found.order[:10]]
    """
    return check_with(
        CheckOptions.of(
            run=run,
            classifier=classifier,
            out=out,
            show=show,
            doubt=doubt,
            photos=photos,
            trust=trust,
        )
    )


def check_with(options: CheckOptions) -> LabelCheck:
    """The same, of options that are filled already."""
    finished = FinishedRun(options.run, trust=options.trust, photos=options.photos)
    finished.check_can_be_written(options.out)
    if options.doubt is not None and finished.packed:
        raise RunError(
            "--doubt keeps a classifier in the run. Received: "
            f"{str(finished.named)!r}, which is packed. Unpack it, or leave --doubt "
            "out."
        )
    table, page = _table_and_page(options, finished)
    if options.out is None:
        check_not_mended(table, *_named_labels(finished))
    begun = time.monotonic()
    network, how = finished.classifier(options.classifier)
    tell(f"Checking the labels of {shown(finished.named)} ({shown(how)}) ...")
    finished.tell_classifier(options.classifier)
    features = _features_of(finished, options.classifier, how)
    if saw_labels(features):
        tell(
            "Note: these features were trained with the labels, and a wrong one may "
            "have drawn its image to its class" + _other_features(finished) + "."
        )
    suspects = suspects_of(finished, network, options.doubt)
    checked = LabelCheck(
        suspects.names,
        finished.class_names,
        suspects.found,
        suspects.weights,
        table,
        page,
    )
    write_suspects(checked)
    to_mend = what_next(finished, table)
    _write_page(
        checked,
        suspects,
        options.show,
        f"Suspect labels: {finished.named}",
        to_mend,
    )
    _tell(checked, options.show, to_mend)
    if options.doubt is None:
        return checked
    kept = _doubting(finished, network, suspects, features, begun)
    return LabelCheck(
        suspects.names,
        finished.class_names,
        suspects.found,
        suspects.weights,
        table,
        page,
        kept,
    )


def _table_and_page(
    options: CheckOptions, finished: FinishedRun
) -> tuple[pathlib.Path, pathlib.Path]:
    """Where they go, if they may."""
    if options.out is None:
        table = finished.folder / TABLE
        return table, table.with_suffix(".html")
    table = pathlib.Path(options.out)
    check_can_write(table)
    page = table.with_suffix(".html")
    if page == table:
        raise RunError(
            "--out must be a table, beside which a page ends in .html. Received: "
            f"{table}. Let it end in .csv."
        )
    for file in (table, page):
        if file.exists():
            raise RunError(f"{file} exists already. Choose another --out.")
    return table, page


def _named_labels(finished: FinishedRun) -> tuple[list[str], list[str]]:
    """Of each labelled image what it is called, and its class."""
    data = finished.data
    labels = [finished.class_names[label] for label in data.y_labelled]
    return labelled_names(finished), labels


def _features_of(
    finished: FinishedRun, chosen: str | os.PathLike[str] | None, how: str
) -> str:
    """What the features of a classifier are called: one that doubts has another's."""
    if how != _HOW:
        return how
    path = finished.folder / CLASSIFIER if chosen is None else pathlib.Path(chosen)
    return doubted_features(path) or how


def _other_features(finished: FinishedRun) -> str:
    names = [name for name in finished.classifier_names if name.startswith("frozen_")]
    if not names:
        return ""
    return f"; --classifier {names[0]} looks at features that have not seen them"


def _write_page(
    checked: LabelCheck,
    suspects: Suspects,
    count: int,
    title: str,
    to_mend: tuple[str, str],
) -> None:
    section = run_page.suspects(
        suspects.images, suspects.names, suspects.found, checked.class_names, count
    )
    section += run_page.mending(checked.table.name, *to_mend)
    text = run_page.run_page(title, [("", section)], "")
    write_whole(checked.page, text, errors="backslashreplace")


def _tell(checked: LabelCheck, count: int, to_mend: tuple[str, str]) -> None:
    tell(f"{checked.summary()}. The most suspect first:")
    for place, index in enumerate(checked.found.order[:count], start=1):
        tell(f"  {place:>4}  {shown(checked.line(index))}")
    alone = int(np.sum(~checked.found.judged))
    if alone:
        tell(
            f"{counted(alone, 'label', 'labels')} not checked: the only one of its "
            "class cannot be hidden."
        )
    tell(f"All of them: {shown(checked.table)}. With pictures: {shown(checked.page)}")
    tell(" ".join(shown(text) for text in to_mend if text))


def _doubting(
    finished: FinishedRun,
    network: ImageClassifier,
    suspects: Suspects,
    features: str,
    begun: float,
) -> TrainedClassifier:
    """Fits a classifier that counts labels as they are doubted, and keeps it.

    Args:
        finished, suspects: The run, and what was found of its labels.
        network: Of whose features it is.
        features: What these are called.
        begun: When, by `time.monotonic`, that began.
    """
    weights = suspects.weights
    tell(
        "Fitting a classifier for which the labels count as "
        f"{weights.sum():.1f} of {len(weights)} ..."
    )
    classifier = linear_classifier(
        network.backbone,
        network.views,
        suspects.doubting_probe(),
        len(finished.class_names),
        finished.class_names,
    )
    settings = {
        "features": features,
        "noise": suspects.noise,
        "labels_counted": round(float(weights.sum()), 2),
    }
    with locked(finished.folder):
        return keep_classifier(None, classifier, finished, _HOW, settings, begun)
