"""The tables of an evaluation, and of the mean over several."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from semppl_keras.data import dataset, dataset_name
from semppl_keras.evaluation import confidence_interval

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


def _mean(values: Sequence[float | None]) -> dict[str, float] | None:
    """Mean and half the width of its interval; None where one is not known."""
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


def _row(title: str, *values: str, width: int = 9) -> str:
    return f"  {title:<42}" + "".join(f"{value:>{width}}" for value in values).rstrip()


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _plus_minus(value: Mapping[str, float] | None, factor: float, digits: int) -> str:
    if value is None:
        return "-"
    mean, interval = factor * value["mean"], factor * value["interval"]
    return f"{mean:.{digits}f} ± {interval:.{digits}f}"


def _robustness_lines(evaluation: Mapping[str, Any]) -> list[str]:
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
