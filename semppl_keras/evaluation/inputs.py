"""Checks that the evaluators share."""

import numpy as np


def as_array(values):
    """A NumPy array of a tensor of any backend, or of anything NumPy takes."""
    # A torch tensor on a GPU, or one that wants gradients, would refuse asarray.
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        # NumPy has no type for it.
        if str(values.dtype) == "torch.bfloat16":
            values = values.float()
    return np.asarray(values)


def as_features(features, name):
    """Finite float features `(N, F)` as a NumPy array, or an error that says why."""
    features = as_array(features)
    if features.ndim != 2 or 0 in features.shape:
        raise ValueError(
            f"`{name}` must have the shape (N, F), at least one row. Received: shape "
            f"{features.shape}."
        )
    if not np.issubdtype(features.dtype, np.floating):
        features = features.astype("float32")
    if not np.all(np.isfinite(features)):
        raise ValueError(
            f"`{name}` must be finite. Received: NaN or infinity in "
            f"{int(np.sum(~np.isfinite(features).all(axis=1)))} of {len(features)} "
            "rows. Look whether training diverged."
        )
    return features


def as_labels(labels, name, length):
    """Integer labels `(length,)` as a NumPy array, or an error that says why not."""
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


def as_class_indices(labels, name, length, num_classes):
    """Labels `(length,)` in [0, num_classes), or an error that says why not."""
    labels = as_labels(labels, name, length)
    if len(labels) and (labels.min() < 0 or labels.max() >= num_classes):
        raise ValueError(
            f"`{name}` must lie in [0, {num_classes}), the number of classes. "
            f"Received: {labels.min()} to {labels.max()}."
        )
    return labels
