"""Checks that the evaluators share."""

import warnings
from typing import Any

import numpy as np

# What stands for an unknown label everywhere in the package.
UNKNOWN = -1


def as_array(values: Any) -> np.ndarray:
    """A NumPy array of a tensor of any backend, or of anything NumPy takes."""
    # A torch tensor on a GPU, or one that wants gradients, would refuse asarray.
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        # NumPy has no type for it.
        if str(values.dtype) == "torch.bfloat16":
            values = values.float()
    return np.asarray(values)


def as_features(features: Any, name: str) -> np.ndarray:
    """Finite float features `(N, F)` as a NumPy array, or an error that says why."""
    features = as_array(features)
    if features.ndim != 2 or 0 in features.shape:
        raise ValueError(
            f"`{name}` must have the shape (N, F), at least one row. Received: shape "
            f"{features.shape}."
        )
    if not np.issubdtype(features.dtype, np.floating):
        features = features.astype("float32")
    # Most evaluators compute in float32, of which these are to be finite as well.
    with np.errstate(over="ignore"):
        finite = np.isfinite(features.astype("float32", copy=False))
    if not np.all(finite):
        raise ValueError(
            f"`{name}` must be finite, in float32. Received: NaN, infinity or more "
            f"than 3.4e38 in {int(np.sum(~finite.all(axis=1)))} of {len(features)} "
            "rows. Look whether training diverged."
        )
    return features


def as_labels(labels: Any, name: str, length: int) -> np.ndarray:
    """Labels `(length,)` as a NumPy array, or an error that says why not.

    They are integers: classes, from 0 on, or -1 where no class is known.
    """
    labels = _as_integers(labels, name, length)
    if len(labels) and labels.min() < UNKNOWN:
        raise ValueError(
            f"`{name}` must be classes, from 0 on, or -1 where the class is not known. "
            f"Received: {labels.min()}."
        )
    return labels


def _as_integers(labels: Any, name: str, length: int) -> np.ndarray:
    labels = as_array(labels)
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"`{name}` must be integers of shape (N,). Received: shape "
            f"{labels.shape}, dtype {labels.dtype}."
        )
    if len(labels) != length:
        raise ValueError(
            f"`{name}` must have one entry per row. Received: {len(labels)} labels "
            f"for {length} rows."
        )
    return labels


def check_two_classes(labels: np.ndarray, name: str) -> None:
    """Raises a ValueError for known labels of which all are of one class."""
    if len(np.unique(labels)) < 2:
        of_one = f", all {labels[0]}" if len(labels) else ""
        raise ValueError(
            f"`{name}` must hold at least two classes. Received: {len(labels)} labels"
            f"{of_one}."
        )


def as_images(images: Any) -> Any:
    """Images as a NumPy array; `data.StreamedImages`, which are one to whom reads them
    in pieces, as they are."""
    in_pieces = getattr(images, "read_in_pieces", False)
    return images if in_pieces else np.asarray(images)


def known_rows(
    labels: Any, name: str, *rows: Any, num_classes: int | None = None
) -> tuple[np.ndarray, ...]:
    """Labels and what belongs to them, without the rows of unknown label, -1.

    How many rows are left out is told by a warning.

    Args:
        labels: `(N,)` integers, of which all others lie in [0, num_classes).
        name: What they are called in a message.
        *rows: Arrays of N rows, at least one.
        num_classes: None for any.

    Returns:
        A tuple of the labels and `rows`, as NumPy arrays, at least one row of each.

    Raises:
        ValueError: Labels that do not fit, or none that is known.
    """
    labels = as_labels(labels, name, len(rows[0]))
    if num_classes is not None and len(labels) and labels.max() >= num_classes:
        raise ValueError(
            f"`{name}` must lie in [0, {num_classes}), the number of classes. "
            f"Received: {labels.min()} to {labels.max()}."
        )
    known = labels != UNKNOWN
    if known.all():
        return labels, *rows
    if not known.any():
        raise ValueError(
            f"`{name}` must hold some known classes. Received: {len(labels)} labels, "
            "all -1, which stands for an unknown one."
        )
    warnings.warn(
        f"{np.sum(~known):,} of {len(labels):,} rows are left out: their label in "
        f"`{name}` is -1, which stands for an unknown one.",
        stacklevel=3,
    )
    return labels[known], *(row[known] for row in rows)


def all_known(labels: Any, name: str, length: int) -> np.ndarray:
    """Labels `(length,)` of which none is -1, or an error that says why not."""
    labels = as_labels(labels, name, length)
    unknown = int(np.sum(labels == UNKNOWN))
    if unknown:
        raise ValueError(
            f"`{name}` must all be known here. Received: {unknown} of {len(labels)} "
            "that are -1, which stands for an unknown one. Leave these rows out."
        )
    return labels


def as_class_indices(
    labels: Any, name: str, length: int, num_classes: int
) -> np.ndarray:
    """Labels `(length,)` in [0, num_classes), or an error that says why not."""
    labels = _as_integers(labels, name, length)
    if len(labels) and (labels.min() < 0 or labels.max() >= num_classes):
        raise ValueError(
            f"`{name}` must lie in [0, {num_classes}), the number of classes. "
            f"Received: {labels.min()} to {labels.max()}."
        )
    return labels
