"""Results as tables: of a training, of an evaluation, of the mean over several."""

import functools
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from semppl_keras.data import dataset, dataset_name
from semppl_keras.evaluation import confidence_interval
from semppl_keras.evaluation.classifier_titles import CONTAINED, TRAINED, title
from semppl_keras.reports.shown import shown

# Without test images: by classifier what its row is called.
_ROWS = {
    "pixels": "supervised only, regression",
    "patches": "patches and gradients, untrained",
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


# With test images: what a row is called, its accuracy in `metrics.json`, and the
# classifier of which that is.
_TESTED = (
    ("patches and gradients, untrained", "patches_accuracy", "patches"),
    ("frozen, nearest neighbours", "frozen_knn_accuracy", ""),
    ("frozen, logistic regression", "frozen_linear_accuracy", "frozen_linear"),
    ("frozen, propagation", "frozen_propagation_accuracy", "frozen_propagation"),
    ("fine-tuned, linear probe", "tuned_linear_accuracy", "tuned_linear"),
    ("fine-tuned, propagation", "tuned_propagation_accuracy", "tuned_propagation"),
    ("SemPPL, nearest in its memory", "knn_accuracy", "memory"),
    ("SemPPL, linear probe", "linear_accuracy", "linear"),
    ("SemPPL, propagation", "propagation_accuracy", "propagation"),
    ("SemPPL, all networks together", "combined_accuracy", "combined"),
    ("SemPPL, student of propagation", "student_accuracy", "student"),
    ("SemPPL, consistency training", "consistency_accuracy", "consistency"),
)


def _called(row: str, metrics: Mapping[str, Any]) -> str:
    """A row's name; what has no training at all is not called frozen."""
    return row.replace("frozen,", "untrained,") if metrics.get("untrained") else row


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
            _run_row("SemPPL", metrics["pseudo_label_accuracy"], ""),
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
            "supervised_accuracy",
            balanced.get("pixels") if alone else None,
            "logistic regression on pixels" if network is None else note,
        ),
        (
            "a graph over all images",
            "hog_propagation_accuracy",
            None,
            "no training: labels propagated over oriented gradients",
        ),
        *((what, accuracy, balanced.get(name), "") for what, accuracy, name in _TESTED),
    ]
    head = f"  accuracy on {metrics['num_test']:,} test images"
    return [f"{head:<47}{'balanced':>10}" if balanced else head] + [
        _run_row(_called(what, metrics), metrics[accuracy], note, of_classes)
        for what, accuracy, of_classes, note in rows
        if metrics.get(accuracy) is not None
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
            _run_row(
                "supervised only, regression",
                measured["supervised_logistic_regression_accuracy"],
                "logistic regression on the pixels",
            ),
            _run_row(
                "SemPPL, linear probe",
                measured["linear_accuracy"],
                "optimistic: the backbone knows these labels",
            ),
        ]
    for name in _ROWS:
        if name in known:
            note = f"standard error {known[name]['std_error']:.1%}"
            if name in TRAINED:
                note += ", without what knowing these labels flatters it by"
            row = _called(_ROWS[name], metrics)
            lines.append(_run_row(row, known[name]["mean"], note))
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


def _run_row(
    what: str, accuracy: float | None, note: str, balanced: float | None = None
) -> str:
    value = "not known" if accuracy is None else f"{accuracy:.1%}"
    line = f"    {what:<34}{value:>9}"
    if balanced is not None:
        line += f"{balanced:>10.1%}"
    return line + (f"   ({note})" if note else "")


# What is told of each classifier; balanced is the accuracy with every class alike.
_NUMBERS = ("top-1", "balanced", "top-5", "ECE")


def mean_over_runs(evaluations: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Mean and 95% interval of each number over runs with different seeds.

    Args:
        evaluations: At least two dicts as `evaluation.json` holds them, of the same
            data and options.

    Returns:
        A dict: `rows`, by classifier its `title` and, for `top1`, `top5` and `ece`,
        a dict of `mean` and `interval` (half the width), or None, and so for
        `balanced_accuracy`; and the same for
        `mean_corruption_error`, by classifier.
    """
    means: dict[str, Any] = {"rows": {}, "mean_corruption_error": {}}
    for name, row in evaluations[0]["rows"].items():
        if any(name not in evaluation["rows"] for evaluation in evaluations):
            # A run of an earlier version has no classifier of its own choice.
            continue
        others = [evaluation["rows"][name] for evaluation in evaluations]
        means["rows"][name] = {
            "title": row["title"],
            **{
                # Those of an earlier version have no balanced accuracy.
                number: _mean([other.get(number) for other in others])
                for number in ("top1", "balanced_accuracy", "top5", "ece")
            },
        }
    for name in (evaluations[0]["robustness"] or {}).get("errors", {}):
        means["mean_corruption_error"][name] = _mean(
            [
                evaluation["robustness"]["mean_corruption_error"][name]
                for evaluation in evaluations
            ]
        )
    return means


def format_evaluation(evaluation: Mapping[str, Any]) -> str:
    """Lays out what `evaluation.json` holds.

    Args:
        evaluation: That dict.

    Returns:
        Several lines of text.
    """
    settings = evaluation["run_settings"]
    lines = [
        f"{evaluation_headline(evaluation)}, run of seed {settings['seed']}",
        "",
        _row(f"{evaluation['num_test']:,} test images", *_NUMBERS),
    ]
    for row in evaluation["rows"].values():
        lines.append(
            _row(
                "  " + row["title"],
                f"{row['top1']:.1%}",
                _percent(row.get("balanced_accuracy")),
                _percent(row["top5"]),
                f"{row['ece']:.3f}",
            )
        )
    if evaluation["robustness"]:
        lines += ["", *_robustness_lines(evaluation)]
    return "\n".join(lines)


def format_means(
    means: Mapping[str, Any], evaluations: Sequence[Mapping[str, Any]]
) -> str:
    """Lays out what `mean_over_runs` returns.

    Args:
        means: That dict.
        evaluations: The dicts that it was made of.

    Returns:
        Several lines of text.
    """
    seeds = ", ".join(str(one["run_settings"]["seed"]) for one in evaluations)
    lines = [
        f"{evaluation_headline(evaluations[0])}: mean of {len(evaluations)} runs, "
        f"seeds {seeds}, and its 95% interval",
        "",
        _row("", *_NUMBERS, width=15),
    ]
    for row in means["rows"].values():
        lines.append(
            _row(
                "  " + row["title"],
                _plus_minus(row["top1"], 100, 1),
                _plus_minus(row["balanced_accuracy"], 100, 1),
                _plus_minus(row["top5"], 100, 1),
                _plus_minus(row["ece"], 1, 3),
                width=15,
            )
        )
    for name, value in means["mean_corruption_error"].items():
        if name != "logistic_regression":
            title = f"  {means['rows'][name]['title']}, mCE"
            lines.append(_row(title, _plus_minus(value, 1, 1), "", "", "", width=15))
    return "\n".join(lines)


def counted(number: int, one: str, many: str) -> str:
    """A number with what is counted.

    Args:
        number: At least 0.
        one: Words for a single one, such as "image is".
        many: Words for another number.

    Example:
        >>> counted(1200, "image is", "images are")
        '1,200 images are'
    """
    return f"{number:,} {one if number == 1 else many}"


def _mean(values):
    if None in values:
        return None
    mean, interval = confidence_interval(values)
    return {"mean": mean, "interval": interval}


def evaluation_headline(evaluation: Mapping[str, Any]) -> str:
    """What was tested, and with which labels."""
    name = dataset_name(evaluation["data"])
    count = evaluation["labels_per_class"]
    labels = "1 label" if count == 1 else f"{count} labels"
    trained_on = dataset(evaluation["run_settings"]["dataset"]).name
    return {
        "own": f"{name}, {labels} per class",
        "transfer": f"{name}, {labels} per class, features learned on {trained_on}",
        "same_classes": f"{name}, with {labels} per class of {trained_on}",
        "test": f"{name}, with {labels} per class of {trained_on}",
    }[evaluation["kind"]]


def _row(title, *values, width=9):
    return f"  {title:<42}" + "".join(f"{value:>{width}}" for value in values).rstrip()


def _percent(value):
    return "-" if value is None else f"{value:.1%}"


def _plus_minus(value, factor, digits):
    if value is None:
        return "-"
    mean, interval = factor * value["mean"], factor * value["interval"]
    return f"{mean:.{digits}f} ± {interval:.{digits}f}"


def _robustness_lines(evaluation):
    robustness, rows = evaluation["robustness"], evaluation["rows"]
    errors = robustness["errors"]
    names = {
        "logistic_regression": "regression",
        "linear_probe": "probe",
        "fine_tuned": "fine-tuned",
    }
    severities = ", ".join(map(str, robustness["severities"]))
    table = [
        (f"mean error, severity {severities}", *(names[name] for name in errors)),
        ("  not corrupted", *(f"{1 - rows[name]['top1']:.1%}" for name in errors)),
    ]
    for corruption in next(iter(errors.values())):
        means = (np.mean(errors[name][corruption]) for name in errors)
        table.append(("  " + corruption, *(f"{mean:.1%}" for mean in means)))
    scores = (robustness["mean_corruption_error"][name] for name in errors)
    table.append(
        (
            "mean corruption error, regression = 100",
            *("-" if score is None else f"{score:.1f}" for score in scores),
        )
    )
    return [_row(*cells, width=12) for cells in table]
