"""The picture of a run."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from semppl_keras.evaluation import confusion_matrix
from semppl_keras.evaluation.plane import embed_in_plane
from semppl_keras.reports.drawing import drawable, new_figure, save_figure

# t-SNE's time grows with their square; more points only cover each other.
_MAX_POINTS = 500
# Above these a legend and the numbers in the confusion matrix cannot be read.
_MAX_LEGEND = 20
_MAX_NUMBERED = 12

_LOSS_PARTS = ("augmentation", "semantic", "invariance", "semantic_invariance")
_PSEUDO_LABELS = ("pseudo_label_accuracy", "pseudo_label_confidence", "memory_fill")


def write_report(
    path: str | os.PathLike[str],
    *,
    history: Mapping[str, Sequence[float]],
    embeddings: Any,
    labels: Any,
    predictions: Any,
    class_names: Sequence[str],
    title: str,
    images: str = "test",
    classifier: str = "linear probe",
    seed: int = 0,
) -> None:
    """Draws training curves, pseudo-labels, embeddings and confusion matrix.

    Args:
        path: The `.png` file to write.
        history: Dict of lists, one value per epoch, as in `History.history`. Curves
            that it lacks are left out.
        embeddings: `(N, F)` features of images.
        labels: `(N,)` their true classes, integers from 0.
        predictions: `(N,)` the classes that a classifier gives them, or None.
        class_names: One string per class.
        title: Headline.
        images: Which images they are, in a word.
        classifier: What the classifier is called.
        seed: Of the embedding plot.

    Raises:
        ValueError: `embeddings`, `labels` and `predictions` differ in length.

    Example:
        >>> write_report("report.png", history=history.history, embeddings=features,
        ...     labels=y_test, predictions=probe.predict(features),
        ...     class_names=data.class_names, title="digits")
    """
    embeddings, labels = np.asarray(embeddings), np.asarray(labels)
    lengths = [len(embeddings), len(labels)]
    lengths.append(lengths[0] if predictions is None else len(predictions))
    if len(set(lengths)) > 1:
        raise ValueError(
            "`embeddings`, `labels` and `predictions` must have the same length. "
            f"Received: {lengths[0]}, {lengths[1]} and {lengths[2]}."
        )
    figure = new_figure(12, 9.5)
    figure.suptitle(title.replace("$", r"\$"))
    (losses, pseudo_labels), (points, confusion) = figure.subplots(2, 2)
    _draw_curves(losses, history, ("loss", *_LOSS_PARTS), "Loss and its parts")
    what = "Pseudo-labels during training"
    _draw_curves(pseudo_labels, history, _PSEUDO_LABELS, what, "lower right")
    pseudo_labels.set(ylim=(0, 1.02))
    _draw_embeddings(points, embeddings, labels, class_names, images, seed)
    if predictions is None:
        confusion.set(title="Too few labels to hold any out", xticks=[], yticks=[])
    else:
        draw_confusion(
            confusion,
            confusion_matrix(np.asarray(predictions), labels, len(class_names)),
            class_names,
            f"{classifier[0].upper()}{classifier[1:]}, {images} images",
        )
    save_figure(figure, path)


def draw_confusion(
    axes: Any, counts: Any, class_names: Sequence[str], title: str
) -> None:
    """Draws a confusion matrix, coloured by the shares of each true class.

    Args:
        axes: Of matplotlib.
        counts: `(C, C)` integers, a row for each true class.
        class_names: C strings.
        title: Headline; the accuracy is added to it.
    """
    counts = np.asarray(counts)
    class_names = drawable(class_names)
    classes = len(class_names)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.figure.colorbar(image, ax=axes, label="share of the true class")
    accuracy = np.trace(counts) / counts.sum()
    axes.set(
        title=f"{title}: {accuracy:.1%} correct",
        xlabel="predicted class",
        ylabel="true class",
    )
    if classes <= _MAX_LEGEND:
        long = max(len(name) for name in class_names) > 3
        axes.set_xticks(range(classes), class_names, rotation=90 if long else 0)
        axes.set_yticks(range(classes), class_names)
    if classes <= _MAX_NUMBERED:
        for row, column in np.argwhere(counts):
            axes.text(
                column,
                row,
                counts[row, column],
                ha="center",
                va="center",
                color="white" if shares[row, column] > 0.5 else "black",
            )


def _draw_curves(
    axes: Any,
    history: Mapping[str, Sequence[float]],
    names: Sequence[str],
    title: str,
    legend: str = "best",
) -> None:
    for name in names:
        if name in history:
            style = {"color": "black", "linewidth": 2} if name == "loss" else {}
            axes.plot(
                np.arange(1, len(history[name]) + 1),
                history[name],
                # One epoch is a single point, which a line does not show.
                marker="." if len(history[name]) < 10 else None,
                label=name.replace("_", " "),
                **style,
            )
    axes.set(title=title, xlabel="epoch")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.3)
    if axes.lines:
        axes.legend(loc=legend)


def _draw_embeddings(
    axes: Any,
    embeddings: np.ndarray,
    labels: np.ndarray,
    class_names: Sequence[str],
    images: str,
    seed: int,
) -> None:
    from matplotlib import colormaps

    if len(embeddings) > _MAX_POINTS:
        chosen = np.random.default_rng(seed).choice(
            len(embeddings), _MAX_POINTS, replace=False
        )
        embeddings, labels = embeddings[chosen], labels[chosen]
    points, method = embed_in_plane(embeddings, seed)
    palette = colormaps["tab10" if len(class_names) <= 10 else "tab20"]
    colors = palette(range(palette.N))
    for label, name in enumerate(drawable(class_names)):
        of_class = points[labels == label]
        if len(of_class):
            axes.scatter(
                *of_class.T, s=14, color=colors[label % len(colors)], label=name
            )
    axes.set(
        title=f"Backbone features of {len(points)} {images} images ({method})",
        xticks=[],
        yticks=[],
    )
    if len(class_names) <= _MAX_LEGEND:
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
