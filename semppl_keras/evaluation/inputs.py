"""Checks that the evaluators share."""

import numpy as np


def as_features(features, name):
    """Finite float features `(N, F)` as a NumPy array, or an error that says why."""
    # Keras tensors of every backend; a torch tensor on a GPU would refuse asarray.
    if hasattr(features, "detach"):
        features = features.detach().cpu()
    features = np.asarray(features)
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
    if hasattr(labels, "detach"):
        labels = labels.detach().cpu()
    labels = np.asarray(labels)
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"`{name}` must be integers of shape (N,). Received: shape "
            f"{labels.shape}, dtype {labels.dtype}."
        )
    if len(labels) != length:
        raise ValueError(
            f"`{name}` must have one entry per row of the features. Received: "
            f"{len(labels)} labels for {length} rows."
        )
    return labels
