"""The table that a run ends with."""

import functools
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from semppl_keras.data import dataset
from semppl_keras.evaluation.classifier_titles import CONTAINED, TRAINED, title
from semppl_keras.reports.shown import shown

# What a row is called: of each classifier, and of what is measured by tests alone.
_ROWS = {
    "pixels": "supervised only, regression",
    "patches": "patches and gradients, untrained",
    "frozen_knn": "frozen, nearest neighbours",
    "frozen_linear": "frozen, logistic regression",
    "frozen_propagation": "frozen, propagation",
    "tuned_linear": "fine-tuned, linear probe",
    "tuned_propagation": "fine-tuned, propagation",
    "memory": "SemPPL, nearest in its memory",
    "linear": "SemPPL, linear probe",
    "propagation": "SemPPL, propagation",
    "combined": "SemPPL, all networks together",
    "student": "SemPPL, student of propagation",
    "consistency": "SemPPL, consistency training",
}


def format_run(metrics: Mapping[str, Any], folder: str | os.PathLike[str]) -> str:
    """Lays out what `metrics.json` holds as the table that a run ends with.

    Args:
        metrics: That dict.
        folder: Where the run is.

    Returns:
        Several lines of text.
    """
    lines = [run_headline(metrics), ""]
    lines += _test_lines(metrics) if metrics["num_test"] else _label_lines(metrics)
    if metrics["pseudo_label_accuracy"] is not None or metrics.get("pseudo_labels"):
        lines += [
            f"  pseudo-labels of {metrics['num_unlabelled']:,} unlabelled images",
            _row("SemPPL", metrics["pseudo_label_accuracy"], ""),
        ]
    lines += _pseudo_label_lines(metrics.get("pseudo_labels"))
    lines += _choice_lines(metrics)
    if metrics.get("num_skipped"):
        lines += [
            "",
            f"Images that could not be read: {metrics['num_skipped']:,}, named in "
            f"{pathlib.Path(folder) / 'skipped.tsv'}",
        ]
    lines += [
        "",
        f"Images read in {metrics['read_seconds']:.0f} s, trained in "
        f"{metrics['train_seconds']:.0f} s. The table, the model, curves and pictures "
        f"are in {folder}",
    ]
    return "\n".join(lines)


def run_headline(metrics: Mapping[str, Any]) -> str:
    """What a run is called at the head of a table or a picture.

    Args:
        metrics: What `metrics.json` holds.

    Returns:
        A line of text.
    """
    count = metrics["labels_per_class"]
    trained_on = dataset(metrics["dataset"])
    if count == "all" and trained_on.in_parts:
        labels = f"{metrics['num_labelled']:,} labels"
    else:
        labels = f"{count} label{'' if count == 1 else 's'} per class"
    name = shown(trained_on.name)
    return f"{name}, {labels}, seed {metrics['seed']}, {metrics['backend']}"


def _test_lines(metrics: Mapping[str, Any]) -> list[str]:
    """Accuracies on test images: of the labels alone, frozen, trained."""
    regression = metrics["supervised_logistic_regression_accuracy"]
    network = metrics["supervised_network_accuracy"]
    note = f"logistic regression {regression:.1%}, network {network or 0:.1%}"
    balanced = metrics.get("balanced_accuracies") or {}
    # The better of the two may be the network, of which no more is known.
    alone = metrics["supervised_accuracy"] == regression
    rows = [
        (
            "supervised only, the same labels",
            metrics["supervised_accuracy"],
            "logistic regression on pixels" if network is None else note,
            balanced.get("pixels") if alone else None,
        ),
        (
            "a graph over all images",
            metrics.get("hog_propagation_accuracy"),
            "no training: labels propagated over oriented gradients",
            None,
        ),
        *(
            (_called(name, metrics), _accuracy(name, metrics), "", balanced.get(name))
            for name in _ROWS
            if name != "pixels"  # Of the labels alone: the first row.
        ),
    ]
    head = f"  accuracy on {metrics['num_test']:,} test images"
    return [f"{head:<47}{'balanced':>10}" if balanced else head] + [
        _row(*row) for row in rows if row[1] is not None
    ]


def _label_lines(metrics: Mapping[str, Any]) -> list[str]:
    """What the labels alone tell, where there are no test images."""
    measured = metrics["cross_validated"]
    by_name = metrics.get("classifier_cv_accuracies") or {}
    known = {name: one for name, one in by_name.items() if one is not None}
    if measured is None and not known:
        return [
            "  accuracy not measured: there are no test images, and too few labels to "
            "hold any out"
        ]
    count = metrics["num_labelled"] if measured is None else measured["num_labelled"]
    lines = [
        f"  cross-validation on {count:,} labelled images, without test images",
    ]
    if not known and measured is not None:
        # Of an earlier version.
        return [
            *lines,
            _row(
                _ROWS["pixels"],
                measured["supervised_logistic_regression_accuracy"],
                "logistic regression on the pixels",
            ),
            _row(
                _ROWS["linear"],
                measured["linear_accuracy"],
                "optimistic: the backbone knows these labels",
            ),
        ]
    for name in _ROWS:
        if name in known:
            note = f"standard error {known[name]['std_error']:.1%}"
            if name in TRAINED:
                note += ", without what knowing these labels flatters it by"
            lines.append(_row(_called(name, metrics), known[name]["mean"], note))
    return lines


def _choice_lines(metrics: Mapping[str, Any]) -> list[str]:
    """Which classifier is used, and what training was good for."""
    name = metrics.get("classifier")
    if name is None:
        return []
    by_name = metrics["classifier_cv_accuracies"]
    lines = ["", f"Classifier: {chosen_by(metrics)}"]
    trained = [other for other in by_name if other in TRAINED]
    if trained and name not in trained:
        lost_to = {"pixels": "the labels alone", "patches": "what needs no training"}
        lines.append(
            f"Training lost to {lost_to.get(name, 'the frozen features')}, as far as "
            "these labels can tell: what it has made is not used."
        )
    accuracy, alone = metrics["classifier_accuracy"], metrics["supervised_accuracy"]
    if accuracy is not None and alone is not None and accuracy < alone:
        lines.append(
            f"On the test images it is worse ({accuracy:.1%}) than what the labels "
            f"alone give ({alone:.1%})."
        )
    return lines


def chosen_by(metrics: Mapping[str, Any]) -> str:
    """Which classifier a run uses, and by how much it is the best.

    Args:
        metrics: What `metrics.json` holds, with a `classifier`.

    Returns:
        Such as "propagation on trained features, 71.2% by cross-validation on the
        labels (propagation on frozen features: 66.9%)".
    """
    name = metrics["classifier"]
    by_name = metrics["classifier_cv_accuracies"]
    called = functools.partial(title, untrained=metrics.get("untrained", False))
    own = by_name.get(name)
    if own is None:
        return (
            f"{called(name)}, which is expected to be the best: too few labels to "
            "measure it by"
        )
    part = CONTAINED.get(name, "")
    if (of_part := by_name.get(part)) is not None:
        # By this one it was compared: its own is flattered.
        return (
            f"{called(name)}, {of_part['mean']:.1%} by cross-validation on the labels "
            f"for a part of them, {called(part)}"
        )
    kind = name in TRAINED
    others = {
        other: one["mean"]
        for other, one in by_name.items()
        if one is not None and other != name and (other in TRAINED) != kind
    } or {
        other: one["mean"]
        for other, one in by_name.items()
        if one is not None and other != name
    }
    told = f"{called(name)}, {own['mean']:.1%} by cross-validation on the labels"
    if not others:
        return told
    best = max(others, key=lambda other: others[other])
    return f"{told} ({called(best)}: {others[best]:.1%})"


def _pseudo_label_lines(pseudo_labels: Mapping[str, Any] | None) -> list[str]:
    if pseudo_labels is None:
        return []
    shares = pseudo_labels["share_by_class"]
    lines = [
        f"    of {pseudo_labels['num_images']:,} of them: mean confidence "
        f"{pseudo_labels['mean_confidence']:.1%}"
    ]
    never = [name for name, share in shares.items() if share == 0]
    if never:
        more = f" and {len(never) - 3} more" if len(never) > 3 else ""
        names = ", ".join(map(repr, never[:3]))
        lines.append(
            f"    none of them is taken for {names}{more}: there may be no such image"
        )
    return lines


def _called(name: str, metrics: Mapping[str, Any]) -> str:
    """A row's name; what has no training at all is not called frozen."""
    row = _ROWS[name]
    return row.replace("frozen,", "untrained,") if metrics.get("untrained") else row


def _accuracy(name: str, metrics: Mapping[str, Any]) -> float | None:
    """That on the test images, of one of `_ROWS`."""
    return metrics.get("knn_accuracy" if name == "memory" else f"{name}_accuracy")


def _row(
    what: str, accuracy: float | None, note: str, balanced: float | None = None
) -> str:
    value = "not known" if accuracy is None else f"{accuracy:.1%}"
    line = f"    {what:<34}{value:>9}"
    if balanced is not None:
        line += f"{balanced:>10.1%}"
    return line + (f"   ({note})" if note else "")
