"""Numbers that sum up predictions."""

from typing import Any

import numpy as np

from semppl_keras.checks import check_integers
from semppl_keras.evaluation.inputs import (
    as_array,
    as_class_indices,
    as_features,
    known_rows,
)

CALIBRATION_BINS = 15


def top_k_accuracy(probabilities: Any, labels: Any, k: int = 1) -> float:
    """Share of the rows whose true class is among the `k` with the largest score.

    Of classes with equal scores the true one comes last: it counts where fewer than k
    others score as high. So no class is found by its number, nor one without any vote
    among others without.

    Args:
        probabilities: `(N, C)`, finite: probabilities, or any scores.
        labels: `(N,)` integers in [0, C), or -1: such rows are left out, and told.
        k: In [1, C].

    Returns:
        A float in [0, 1].

    Raises:
        ValueError: Shapes that do not fit, or labels or `k` out of range.

    Example:
        >>> top_k_accuracy([[0.5, 0.3, 0.2], [0.2, 0.3, 0.5]], [1, 0], k=2)
        0.5
    """
    scores = as_features(probabilities, "probabilities")
    num_classes = scores.shape[1]
    labels, scores = known_rows(labels, "labels", scores, num_classes=num_classes)
    check_integers(1, k=k)
    if k > num_classes:
        raise ValueError(
            f"`k` must lie in [1, {num_classes}], the number of classes. Received: "
            f"k={k}."
        )
    true = np.take_along_axis(scores, labels[:, None], axis=1)
    # The class itself is among those that score as high.
    return float(np.mean((scores >= true).sum(axis=1) <= k))


def predicted_classes(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The class with the largest score of each row; of equals never the true one.

    Args:
        scores: `(N, C)`, finite.
        labels: `(N,)` integers in [0, C).

    Returns:
        `(N,)` integers: equal to `labels` in as many rows as `top_k_accuracy` counts.

    Example:
        >>> predicted_classes(np.array([[0.5, 0.5], [0.6, 0.4]]), np.array([0, 0]))
        array([1, 0])
    """
    rows = np.arange(len(scores))
    others = scores.astype("float64")
    others[rows, labels] = -np.inf
    rival = np.argmax(others, axis=1)
    return np.where(others[rows, rival] >= scores[rows, labels], rival, labels)


def per_class_accuracy(predicted: Any, labels: Any, num_classes: int) -> np.ndarray:
    """Share of each class' rows that are labelled correctly (its recall).

    Args:
        predicted: `(N,)` integers in [0, num_classes).
        labels: `(N,)` integers in [0, num_classes), or -1: such rows are left out, and
            told.
        num_classes: At least 1.

    Returns:
        `(num_classes,)` float64 in [0, 1]; NaN for a class without rows.

    Raises:
        ValueError: Shapes that do not fit, or labels out of range.

    Example:
        >>> per_class_accuracy([0, 1, 1], [0, 0, 1], num_classes=3)
        array([0.5, 1. , nan])
    """
    counts = confusion_matrix(predicted, labels, num_classes)
    rows = counts.sum(axis=1)
    return np.where(rows > 0, np.diag(counts) / np.maximum(rows, 1), np.nan)


def balanced_accuracy(predicted: Any, labels: Any, num_classes: int) -> float:
    """Mean over the classes of the share of their rows that are labelled correctly.

    Where some classes have many more rows than others the accuracy tells of these
    alone; here every class that has rows counts alike.

    Args:
        predicted: `(N,)` integers in [0, num_classes).
        labels: `(N,)` integers in [0, num_classes), or -1: such rows are left out, and
            told.
        num_classes: At least 1.

    Returns:
        A float in [0, 1]: the mean of `per_class_accuracy`.

    Raises:
        ValueError: Shapes that do not fit, or labels out of range.

    Example:
        >>> balanced_accuracy([0, 0, 0, 0], [0, 0, 0, 1], num_classes=2)
        0.5
    """
    return float(np.nanmean(per_class_accuracy(predicted, labels, num_classes)))


def confusion_matrix(predicted: Any, labels: Any, num_classes: int) -> np.ndarray:
    """Counts how often each class was labelled as each.

    Args:
        predicted: `(N,)` integers in [0, num_classes).
        labels: `(N,)` integers in [0, num_classes), or -1: such rows are left out, and
            told.
        num_classes: At least 1.

    Returns:
        `(num_classes, num_classes)` integers: a row for each true class, a column
        for each predicted one.

    Raises:
        ValueError: Shapes that do not fit, or labels out of range.

    Example:
        >>> confusion_matrix([0, 1, 1], [0, 0, 1], num_classes=2)
        array([[1, 1],
               [0, 1]])
    """
    check_integers(1, num_classes=num_classes)
    labels = as_array(labels)
    length = labels.shape[0] if labels.ndim else 0
    predicted = as_class_indices(predicted, "predicted", length, num_classes)
    labels, predicted = known_rows(labels, "labels", predicted, num_classes=num_classes)
    # int64: small label types would overflow.
    cells = labels.astype("int64") * num_classes + predicted
    counts = np.bincount(cells, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes)


def expected_calibration_error(
    probabilities: Any, labels: Any, num_bins: int = CALIBRATION_BINS
) -> float:
    """How far confidence and accuracy are apart (ECE, Guo et al. 2017).

    Rows are put in `num_bins` bins of equal width, ((m - 1) / num_bins, m / num_bins],
    by their largest probability, the confidence:

        ECE = sum over bins of |rows in bin| / N * |accuracy - mean confidence|

    Args:
        probabilities: `(N, C)` in [0, 1], rows that sum to 1.
        labels: `(N,)` integers in [0, C), or -1: such rows are left out, and told.
        num_bins: At least 1.

    Returns:
        A float in [0, 1].

    Raises:
        ValueError: Shapes that do not fit, rows that are no distribution, or labels or
            `num_bins` out of range.

    Example:
        >>> expected_calibration_error([[0.9, 0.1], [0.9, 0.1]], [0, 1])
        0.4
    """
    curve = calibration_curve(probabilities, labels, num_bins)
    count = np.array(curve["count"])
    gaps = [
        0 if confidence is None else abs(accuracy - confidence)
        for confidence, accuracy in zip(
            curve["confidence"], curve["accuracy"], strict=True
        )
    ]
    return float(np.sum(count * gaps) / count.sum())


def calibration_curve(
    probabilities: Any, labels: Any, num_bins: int = CALIBRATION_BINS
) -> dict[str, list[Any]]:
    """Confidence and accuracy in bins of equal width: what a reliability plot shows.

    Args:
        probabilities: `(N, C)` in [0, 1], rows that sum to 1.
        labels: `(N,)` integers in [0, C), or -1: such rows are left out, and told.
        num_bins: At least 1. The bins are those of `expected_calibration_error`.

    Returns:
        A dict of lists of `num_bins` numbers: `count`, and `confidence` and `accuracy`,
        the means of the rows in the bin, None for an empty one.

    Raises:
        ValueError: As for `expected_calibration_error`.

    Example:
        >>> calibration_curve(np.array([[0.9, 0.1], [0.9, 0.1]]), [0, 1], num_bins=2)
        {'count': [0, 2], 'confidence': [None, 0.9], 'accuracy': [None, 0.5]}
    """
    probabilities = _as_probabilities(probabilities)
    labels, probabilities = known_rows(
        labels, "labels", probabilities, num_classes=probabilities.shape[1]
    )
    check_integers(1, num_bins=num_bins)
    confidence = probabilities.max(axis=1).astype("float64")
    correct = predicted_classes(probabilities, labels) == labels
    # The inner edges are enough: rounding may take a confidence above 1.
    edges = np.linspace(0, 1, num_bins + 1)[1:-1]
    bins = np.digitize(confidence, edges, right=True)
    count = np.bincount(bins, minlength=num_bins)

    def means(values: np.ndarray) -> list[float | None]:
        sums = np.bincount(bins, values, minlength=num_bins)
        return [
            float(total / number) if number else None
            for total, number in zip(sums, count, strict=True)
        ]

    return {
        "count": count.tolist(),
        "confidence": means(confidence),
        "accuracy": means(correct),
    }


def confidence_interval(values: Any, level: float = 0.95) -> tuple[float, float]:
    """Mean of a few measurements, such as seeds, and how far to trust it.

    By Student's t distribution: the measurements are taken as independent and normal.

    Args:
        values: `(n,)` numbers, at least two.
        level: Share of such intervals that hold the true mean, in (0, 1).

    Returns:
        A tuple of floats: the mean, and half the width of the interval around it.

    Raises:
        ValueError: Fewer than two values, values that are not finite, or `level` out
            of range.

    Example:
        >>> mean, half_width = confidence_interval([0.90, 0.92, 0.94])
        >>> f"{mean:.2f} ± {half_width:.2f}"
        '0.92 ± 0.05'
    """
    from scipy import stats

    values = np.asarray(values, "float64")
    if values.ndim != 1 or len(values) < 2 or not np.all(np.isfinite(values)):
        raise ValueError(
            "`values` must be at least two finite numbers. Received: "
            f"{values.tolist()}."
        )
    if not 0 < level < 1:
        raise ValueError(f"`level` must lie in (0, 1). Received: level={level}.")
    quantile = stats.t.ppf((1 + level) / 2, df=len(values) - 1)
    error = values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean()), float(quantile * error)


def summarize(probabilities: Any, labels: Any) -> dict[str, Any]:
    """All of these numbers in one dict that `json` can write.

    Args:
        probabilities: `(N, C)` in [0, 1], rows that sum to 1.
        labels: `(N,)` integers in [0, C), or -1: such rows are left out, and told.

    Returns:
        A dict: `top1`; `balanced_accuracy`; `top5`, None with fewer than six classes,
        where it is always 1; `per_class`, a list of accuracies, None for a class
        without rows; `confusion`, a list of rows; `ece`, with 15 bins. Where classes
        tie for a place, the true one comes last in all of them, see `top_k_accuracy`.

    Raises:
        ValueError: Shapes that do not fit, rows that are no distribution, or labels
            out of range.

    Example:
        >>> json.dumps(summarize(model.predict(x_test), y_test))
    """
    probabilities = _as_probabilities(probabilities)
    num_classes = probabilities.shape[1]
    labels, probabilities = known_rows(
        labels, "labels", probabilities, num_classes=num_classes
    )
    predicted = predicted_classes(probabilities, labels)
    per_class = per_class_accuracy(predicted, labels, num_classes).tolist()
    balanced = balanced_accuracy(predicted, labels, num_classes)
    return {
        "top1": top_k_accuracy(probabilities, labels, 1),
        "balanced_accuracy": balanced,
        "top5": top_k_accuracy(probabilities, labels, 5) if num_classes > 5 else None,
        "per_class": [None if np.isnan(share) else share for share in per_class],
        "confusion": confusion_matrix(predicted, labels, num_classes).tolist(),
        "ece": expected_calibration_error(probabilities, labels),
    }


def _as_probabilities(probabilities: Any) -> np.ndarray:
    probabilities = as_features(probabilities, "probabilities")
    sums = probabilities.sum(axis=1, dtype="float64")
    # Wide enough for half precision.
    if probabilities.min() < 0 or np.abs(sums - 1).max() > 0.01:
        raise ValueError(
            "`probabilities` must not be negative, and each row must sum to 1. "
            f"Received: values from {probabilities.min()}, sums from {sums.min()} to "
            f"{sums.max()}. Apply a softmax to logits."
        )
    return probabilities
