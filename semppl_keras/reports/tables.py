"""Evaluations as tables: of one run, and of the mean over several."""

import numpy as np

from semppl_keras.data.names import dataset_name
from semppl_keras.evaluation import confidence_interval


def mean_over_runs(evaluations):
    """Mean and 95% interval of each number over runs with different seeds.

    Args:
        evaluations: At least two dicts as `evaluation.json` holds them, of the same
            data and options.

    Returns:
        A dict: `rows`, by classifier its `title` and, for `top1`, `top5` and `ece`,
        a dict of `mean` and `interval` (half the width), or None; and the same for
        `mean_corruption_error`, by classifier.
    """
    means = {"rows": {}, "mean_corruption_error": {}}
    for name, row in evaluations[0]["rows"].items():
        others = [evaluation["rows"][name] for evaluation in evaluations]
        means["rows"][name] = {
            "title": row["title"],
            **{
                number: _mean([other[number] for other in others])
                for number in ("top1", "top5", "ece")
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


def format_table(evaluation):
    """Lays out what `evaluation.json` holds.

    Args:
        evaluation: One of the dicts that `run` returns.

    Returns:
        Several lines of text.
    """
    settings = evaluation["run_settings"]
    lines = [
        f"{_headline(evaluation)}, run of seed {settings['seed']}",
        "",
        _row(f"{evaluation['num_test']:,} test images", "top-1", "top-5", "ECE"),
    ]
    for row in evaluation["rows"].values():
        lines.append(
            _row(
                "  " + row["title"],
                f"{row['top1']:.1%}",
                "-" if row["top5"] is None else f"{row['top5']:.1%}",
                f"{row['ece']:.3f}",
            )
        )
    if evaluation["robustness"]:
        lines += ["", *_robustness_lines(evaluation)]
    return "\n".join(lines)


def format_means(means, evaluations):
    """Lays out what `mean_over_runs` returns.

    Args:
        means: That dict.
        evaluations: The dicts that it was made of.

    Returns:
        Several lines of text.
    """
    seeds = ", ".join(str(one["run_settings"]["seed"]) for one in evaluations)
    lines = [
        f"{_headline(evaluations[0])}: mean of {len(evaluations)} runs, seeds {seeds}, "
        "and its 95% interval",
        "",
        _row("", "top-1", "top-5", "ECE", width=15),
    ]
    for row in means["rows"].values():
        lines.append(
            _row(
                "  " + row["title"],
                _plus_minus(row["top1"], 100, 1),
                _plus_minus(row["top5"], 100, 1),
                _plus_minus(row["ece"], 1, 3),
                width=15,
            )
        )
    for name, value in means["mean_corruption_error"].items():
        if name != "logistic_regression":
            title = f"  {means['rows'][name]['title']}, mCE"
            lines.append(_row(title, _plus_minus(value, 1, 1), "", "", width=15))
    return "\n".join(lines)


def _mean(values):
    if None in values:
        return None
    mean, interval = confidence_interval(values)
    return {"mean": mean, "interval": interval}


def _headline(evaluation):
    name = dataset_name(evaluation["data"])
    count = evaluation["labels_per_class"]
    labels = "1 label" if count == 1 else f"{count} labels"
    trained_on = dataset_name(evaluation["run_settings"]["dataset"])
    return {
        "own": f"{name}, {labels} per class",
        "transfer": f"{name}, {labels} per class, features learned on {trained_on}",
        "same_classes": f"{name}, with {labels} per class of {trained_on}",
        "test": f"{name}, with {labels} per class of {trained_on}",
    }[evaluation["kind"]]


def _row(title, *values, width=9):
    return f"  {title:<42}" + "".join(f"{value:>{width}}" for value in values).rstrip()


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
