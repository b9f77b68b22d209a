"""Checks of the arguments that several models take."""

import keras
import numpy as np


def check_integers(least, **values):
    """Raises a ValueError for a value that is no integer of at least `least`."""
    for name, value in values.items():
        if not _is_integer(value) or value < least:
            raise ValueError(
                f"`{name}` must be an integer of at least {least}. Received: "
                f"{name}={value!r}."
            )


def check_not_negative(**values):
    """Raises a ValueError for a value that is no finite number, or a negative one."""
    for name, value in values.items():
        if not _is_number(value) or not value >= 0:
            raise ValueError(
                f"`{name}` must be a finite number that is not negative. Received: "
                f"{name}={value!r}."
            )


def check_positive(**values):
    """Raises a ValueError for a value that is no finite number above 0."""
    for name, value in values.items():
        if not _is_number(value) or not value > 0:
            raise ValueError(
                f"`{name}` must be positive and finite. Received: {name}={value!r}."
            )


def check_share(**values):
    """Raises a ValueError for a value that is no number in [0, 1]."""
    for name, value in values.items():
        if not _is_number(value) or not 0 <= value <= 1:
            raise ValueError(
                f"`{name}` must lie in [0, 1]. Received: {name}={value!r}."
            )


def check_seed(seed):
    """Raises a ValueError for what is neither None nor an integer of at least 0."""
    if seed is not None and not (_is_integer(seed) and seed >= 0):
        raise ValueError(
            f"`seed` must be None or an integer of at least 0. Received: seed={seed!r}."
        )


def check_batch_has_negatives(batch_size, labelled_batch_size, num_negatives):
    """Raises a ValueError for a batch without `num_negatives` other images."""
    total = batch_size + labelled_batch_size
    if total < num_negatives + 1:
        raise ValueError(
            f"`batch_size` is too small: with num_negatives={num_negatives} a step "
            f"needs at least {num_negatives + 1} images. Received: batch_size="
            f"{batch_size} and labelled_batch_size={labelled_batch_size}, together "
            f"{total}."
        )


def check_two_views(views):
    """Raises a ValueError for a `MultiCrop` of a single view."""
    count = views.num_large + views.num_small
    if count < 2:
        raise ValueError(
            "`views` must make at least two views of an image, to be compared with "
            f"each other. Received: num_large={views.num_large}, num_small="
            f"{views.num_small}."
        )


def check_metrics(metrics):
    """Raises a ValueError for a metric of Keras that does not take integer labels."""
    for metric in keras.tree.flatten(metrics):
        if isinstance(metric, str) and metric.lower() in ("accuracy", "acc"):
            continue  # Keras chooses the one that fits.
        kind = keras.metrics.get(metric)
        kind = kind if hasattr(kind, "__name__") else type(kind)
        name = kind.__name__
        # Only of those that Keras brings is it known what they take.
        if (
            not kind.__module__.startswith("keras.")
            or name in ("MeanMetricWrapper", "SumOverBatchSizeWrapper")
            or name.lower().startswith("sparse")
            or _takes_indices_and_shares(metric)
        ):
            continue
        sparse = [f"{start}{name}" for start in ("Sparse", "sparse_")]
        sparse = [name for name in sparse if hasattr(keras.metrics, name)]
        remedy = "Compute it from what `predict` gives"
        if sparse:
            remedy = f"Use {sparse[0]}"
        raise ValueError(
            "`metrics` must hold metrics of integer labels `(B,)` and predictions "
            f"`(B, num_classes)`. Received: {name}, which takes others. {remedy}, or "
            "give a metric of your own."
        )


def _takes_indices_and_shares(metric):
    """Whether it is one of Keras' IoU metrics, made for these."""
    return getattr(metric, "sparse_y_true", False) and not metric.sparse_y_pred


def _is_integer(value):
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _is_number(value):
    number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    return number and np.isfinite(value)
