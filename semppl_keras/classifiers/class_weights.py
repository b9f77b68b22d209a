"""Weights of classes, for data in which some are rare."""

import collections.abc
from typing import Any

import numpy as np

from semppl_keras.data.checks import ImageSpec
from semppl_keras.data.feed.sources import make_source


def balanced_weights(counts: Any) -> np.ndarray:
    """Weights with which all classes count alike, and the mean over images is 1.

    Args:
        counts: `(num_classes,)` images of each class, or sums of their shares in it.

    Returns:
        `(num_classes,)` float32: `N / (K n_c)` with K classes that have images, 1 for
        one that has none.
    """
    counts = np.asarray(counts)
    present = counts > 0
    weights = counts.sum() / (present.sum() * np.where(present, counts, 1))
    return np.where(present, weights, 1.0).astype("float32")


def class_weights(class_weight: Any, data: Any, spec: ImageSpec) -> np.ndarray | None:
    """What `fit` was given as `class_weight`, as an array.

    Args:
        class_weight: dict of class to weight, "balanced" or None.
        data: images and labels, as `make_source` takes them.
        spec: `ImageSpec`.

    Returns:
        `(num_classes,)` float32, or None.

    Raises:
        ValueError: if a class or a weight does not fit, or the labels of endless data
            are to be counted.
    """
    if class_weight is None:
        return None
    count = _num_classes(spec)
    if isinstance(class_weight, str) and class_weight == "balanced":
        return balanced_weights(_label_counts(data, spec))
    if not isinstance(class_weight, collections.abc.Mapping):
        raise ValueError(
            '`class_weight` must be a dict of class to weight, or "balanced". '
            f"Received: class_weight={class_weight!r}."
        )
    weights = np.ones(count, "float32")
    for label, weight in class_weight.items():
        is_class = isinstance(label, (int, np.integer)) and 0 <= label < count
        is_weight = isinstance(weight, (int, float, np.number))
        if not is_class or not is_weight or not 0 <= weight < np.inf:
            raise ValueError(
                f"`class_weight` must give classes from 0 to {count - 1} finite "
                f"weights that are at least 0. Received: {label!r}: {weight!r}."
            )
        weights[label] = weight
    if not weights.any():
        raise ValueError(
            "`class_weight` must be above 0 for some class. Received: 0 for all "
            f"{count} of them: nothing would be learned."
        )
    return weights


def _label_counts(data: Any, spec: ImageSpec) -> np.ndarray:
    source = make_source("x", data, spec, labelled=True, seed=0)
    if source.endless:
        raise ValueError(
            '`class_weight="balanced"` needs the labels of all images to be counted. '
            "Received: data without an end. Give a dict of class to weight."
        )
    labels = source.all_labels()
    if labels.ndim == 2:
        return labels.sum(axis=0, dtype="float64")
    return np.bincount(labels, minlength=_num_classes(spec))


def _num_classes(spec: ImageSpec) -> int:
    assert spec.num_classes is not None, "a classifier has classes"
    return spec.num_classes
