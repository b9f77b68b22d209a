"""The pictures of an evaluation, drawn from what `evaluation.json` holds."""

import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from semppl_keras.reports.drawing import drawable, new_figure, save_figure
from semppl_keras.reports.run_picture import draw_confusion

# Each classifier keeps its colour from plot to plot, whichever others are there.
_COLORS = {
    "logistic_regression": "tab:gray",
    "memory_knn": "tab:blue",
    "weighted_knn": "tab:green",
    "linear_probe": "tab:orange",
    "fine_tuned": "tab:red",
    "classifier": "tab:purple",
}
# Above this the names of the classes cannot be read.
_MAX_NAMED = 40

# What was measured of each classifier, by its name.
_Rows = Mapping[str, Mapping[str, Any]]


def write_plots(folder: pathlib.Path, evaluation: Mapping[str, Any]) -> None:
    """Draws `confusion.png`, `per_class.png`, `reliability.png`, `robustness.png`.

    Args:
        folder: `pathlib.Path` of the folder to write to.
        evaluation: The dict that `evaluation.json` holds. Without `robustness` in it
            there is no picture of it.

    Example:
        >>> evaluation = json.loads((folder / "evaluation.json").read_text())
        >>> write_plots(folder, evaluation)
    """
    rows, class_names = evaluation["rows"], evaluation["class_names"]
    _write_confusion(folder / "confusion.png", rows, class_names)
    _write_per_class(folder / "per_class.png", rows, class_names)
    _write_reliability(folder / "reliability.png", rows)
    if evaluation["robustness"]:
        _write_robustness(folder / "robustness.png", rows, evaluation["robustness"])


def _panels(count: int, side: float) -> tuple[Any, np.ndarray]:
    """A figure of square panels, at most three in a row."""
    columns = min(count, 3)
    lines = math.ceil(count / columns)
    figure = new_figure(side * columns, side * lines)
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for empty in panels[count:]:
        empty.remove()
    return figure, panels[:count]


def _write_confusion(
    path: pathlib.Path, rows: _Rows, class_names: Sequence[str]
) -> None:
    figure, panels = _panels(len(rows), side=5)
    for axes, row in zip(panels, rows.values(), strict=True):
        draw_confusion(axes, row["confusion"], class_names, row["title"])
        # It has to fit over a panel of its own width.
        axes.title.set_fontsize(9)
    save_figure(figure, path)


def _write_per_class(
    path: pathlib.Path, rows: _Rows, class_names: Sequence[str]
) -> None:
    class_names = drawable(class_names)
    classes = len(class_names)
    named = classes <= _MAX_NAMED
    figure = new_figure(max(6, 0.45 * classes + 2) if named else 9, 4.5)
    axes = figure.subplots()
    for place, (name, row) in enumerate(rows.items()):
        # None, a class without test images, becomes NaN, which is not drawn.
        accuracies = np.array(row["per_class"], "float64")
        if named:
            # Side by side, since many classifiers are right about all of a class.
            shift = 0.6 * ((place + 0.5) / len(rows) - 0.5)
            axes.plot(
                np.arange(classes) + shift,
                accuracies,
                linestyle="none",
                marker="o",
                markersize=5,
                color=_COLORS[name],
                label=row["title"],
            )
        else:
            axes.plot(
                np.sort(accuracies[np.isfinite(accuracies)]),
                color=_COLORS[name],
                label=row["title"],
            )
    if named:
        long = max(len(name) for name in class_names) > 3
        axes.set_xticks(range(classes), class_names, rotation=90 if long else 0)
        axes.set(xlabel="class", xlim=(-0.5, classes - 0.5))
        for edge in np.arange(0.5, classes - 1):
            axes.axvline(edge, color="0.9", linewidth=0.8, zorder=0)
    else:
        axes.set(xlabel="classes, for each classifier in the order of its accuracy")
    axes.set(title="Accuracy by class, test images", ylabel="share correct")
    axes.grid(axis="y", alpha=0.3)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    save_figure(figure, path)


def _write_reliability(path: pathlib.Path, rows: _Rows) -> None:
    figure, panels = _panels(len(rows), side=4)
    for axes, (name, row) in zip(panels, rows.items(), strict=True):
        curve = row["calibration"]
        count = np.array(curve["count"])
        confidence = np.array(curve["confidence"], "float64")
        accuracy = np.array(curve["accuracy"], "float64")
        axes.plot([0, 1], [0, 1], color="black", linewidth=0.8, linestyle="--")
        # How many images a bin holds: a few say little about calibration.
        edges = np.linspace(0, 1, len(count) + 1)
        axes.bar(
            edges[:-1],
            count / count.sum(),
            width=np.diff(edges),
            align="edge",
            color="0.88",
            label="share of the images",
        )
        filled = count > 0
        axes.scatter(
            confidence[filled],
            accuracy[filled],
            s=10 + 150 * count[filled] / count.max(),
            color=_COLORS[name],
            # Above the frame: confidences of 1 are frequent.
            clip_on=False,
            zorder=3,
            label="accuracy, area by images",
        )
        axes.set(
            xlabel="confidence",
            ylabel="share correct",
            xlim=(0, 1),
            ylim=(0, 1.02),
        )
        axes.set_title(f"{row['title']}\nECE {row['ece']:.3f}", fontsize=9)
        axes.legend(loc="upper left", frameon=False, fontsize=8)
    save_figure(figure, path)


def _write_robustness(
    path: pathlib.Path, rows: _Rows, robustness: Mapping[str, Any]
) -> None:
    errors = robustness["errors"]
    corruptions = list(next(iter(errors.values())))
    figure = new_figure(9, 0.45 * len(corruptions) + 2.2)
    axes = figure.subplots()
    height = 0.8 / len(errors)
    for place, (name, of_classifier) in enumerate(errors.items()):
        score = robustness["mean_corruption_error"][name]
        axes.barh(
            np.arange(len(corruptions)) + (place + 0.5) * height - 0.4,
            [np.mean(of_classifier[corruption]) for corruption in corruptions],
            height=height,
            color=_COLORS[name],
            label=rows[name]["title"] + ("" if score is None else f", mCE {score:.0f}"),
        )
        # What is there without any corruption.
        axes.axvline(
            1 - rows[name]["top1"], color=_COLORS[name], linewidth=1, linestyle="--"
        )
    axes.set_yticks(
        range(len(corruptions)), [name.replace("_", " ") for name in corruptions]
    )
    # The first corruption on top.
    axes.invert_yaxis()
    severities = ", ".join(map(str, robustness["severities"]))
    axes.set(
        title=f"Corrupted test images, severities {severities} (dashed: not corrupted)",
        xlabel="share wrong",
    )
    axes.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    save_figure(figure, path)
