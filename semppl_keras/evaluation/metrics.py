"""Numbers that sum up predictions."""

import numpy as np

from semppl_keras.evaluation.inputs import as_array, as_class_indices, as_features


def top_k_accuracy(probabilities, labels, k=1):
    """Share of the rows whose true class is among the `k` with the largest score.

    Of classes with equal scores the smaller label comes first, as in `argmax`.

    Args:
        probabilities: `(N, C)`, finite: probabilities, or any scores.
        labels: `(N,)` integers in [0, C).
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
    labels = as_class_indices(labels, "labels", len(scores), num_classes)
    if not 1 <= k <= num_classes:
        raise ValueError(
            f"`k` must lie in [1, {num_classes}], the number of classes. Received: "
            f"k={k}."
        )
    true = np.take_along_axis(scores, labels[:, None], axis=1)
    earlier = np.arange(num_classes) < labels[:, None]
    before = (scores > true) | ((scores == true) & earlier)
    return float(np.mean(before.sum(axis=1) < k))


def per_class_accuracy(predicted, labels, num_classes):
    """Share of each class' rows that are labelled correctly (its recall).

    Args:
        predicted: `(N,)` integers in [0, num_classes).
        labels: `(N,)` integers in [0, num_classes).
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


def confusion_matrix(predicted, labels, num_classes):
    """Counts how often each class was labelled as each.

    Args:
        predicted: `(N,)` integers in [0, num_classes).
        labels: `(N,)` integers in [0, num_classes).
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
    if num_classes < 1:
        raise ValueError(
            f"`num_classes` must be at least 1. Received: num_classes={num_classes}."
        )
    labels = as_array(labels)
    length = labels.shape[0] if labels.ndim else 0
    labels = as_class_indices(labels, "labels", length, num_classes)
    predicted = as_class_indices(predicted, "predicted", length, num_classes)
    # int64: small label types would overflow.
    cells = labels.astype("int64") * num_classes + predicted
    counts = np.bincount(cells, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes)


def expected_calibration_error(probabilities, labels, num_bins=15):
    """How far confidence and accuracy are apart (ECE, Guo et al. 2017).

    Rows are put in `num_bins` bins of equal width, ((m - 1) / num_bins, m / num_bins],
    by their largest probability, the confidence:

        ECE = sum over bins of |rows in bin| / N * |accuracy - mean confidence|

    Args:
        probabilities: `(N, C)` in [0, 1], rows that sum to 1.
        labels: `(N,)` integers in [0, C).
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
    probabilities = _as_probabilities(probabilities)
    labels = as_class_indices(
        labels, "labels", len(probabilities), probabilities.shape[1]
    )
    if num_bins < 1:
        raise ValueError(
            f"`num_bins` must be at least 1. Received: num_bins={num_bins}."
        )
    confidence = probabilities.max(axis=1).astype("float64")
    correct = np.argmax(probabilities, axis=1) == labels
    # The inner edges are enough: rounding may take a confidence above 1.
    edges = np.linspace(0, 1, num_bins + 1)[1:-1]
    bins = np.digitize(confidence, edges, right=True)
    gaps = np.bincount(bins, correct - confidence, minlength=num_bins)
    return float(np.abs(gaps).sum() / len(labels))


def confidence_interval(values, level=0.95):
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


def summarize(probabilities, labels):
    """All of these numbers in one dict that `json` can write.

    Args:
        probabilities: `(N, C)` in [0, 1], rows that sum to 1.
        labels: `(N,)` integers in [0, C).

    Returns:
        A dict: `top1`; `top5`, None with fewer than six classes, where it is always 1;
        `per_class`, a list of accuracies, None for a class without rows; `confusion`,
        a list of rows; `ece`, with 15 bins.

    Raises:
        ValueError: Shapes that do not fit, rows that are no distribution, or labels
            out of range.

    Example:
        >>> json.dumps(summarize(model.predict(x_test), y_test))
    """
    probabilities = _as_probabilities(probabilities)
    num_classes = probabilities.shape[1]
    labels = as_class_indices(labels, "labels", len(probabilities), num_classes)
    predicted = np.argmax(probabilities, axis=1)
    per_class = per_class_accuracy(predicted, labels, num_classes).tolist()
    return {
        "top1": top_k_accuracy(probabilities, labels, 1),
        "top5": top_k_accuracy(probabilities, labels, 5) if num_classes > 5 else None,
        "per_class": [None if np.isnan(share) else share for share in per_class],
        "confusion": confusion_matrix(predicted, labels, num_classes).tolist(),
        "ece": expected_calibration_error(probabilities, labels),
    }


def _as_probabilities(probabilities):
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
