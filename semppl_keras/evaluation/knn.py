"""Nearest neighbours by cosine similarity."""

import numpy as np

from semppl_keras.evaluation.inputs import as_features, as_labels


def knn_predict(train_features, train_labels, test_features, k=1, *, chunk_size=1024):
    """Labels each row by the majority of its nearest neighbours.

    Nearest is by cosine similarity. A tie goes to the class whose neighbours have
    the larger summed similarity, then to the smaller label.

    Args:
        train_features: `(N, F)`, finite.
        train_labels: `(N,)` integers, any values.
        test_features: `(M, F)`, finite.
        k: Number of neighbours, in [1, N].
        chunk_size: Test rows compared at once: memory is `chunk_size * N` floats.

    Returns:
        `(M,)` labels, in the dtype of `train_labels`.

    Raises:
        ValueError: Shapes that do not fit each other, or `k` out of range.

    Example:
        >>> train = np.array([[1.0, 0.0], [0.0, 1.0]])
        >>> knn_predict(train, np.array([3, 7]), np.array([[0.2, 5.0]]))
        array([7])
    """
    train_features = as_features(train_features, "train_features")
    train_labels = as_labels(train_labels, "train_labels", len(train_features))
    test_features = as_features(test_features, "test_features")
    if train_features.shape[1] != test_features.shape[1]:
        raise ValueError(
            "`train_features` and `test_features` must have the same width. "
            f"Received: {train_features.shape} and {test_features.shape}."
        )
    if not 1 <= k <= len(train_features):
        raise ValueError(
            f"`k` must lie in [1, {len(train_features)}], the number of training "
            f"rows. Received: k={k}."
        )
    classes, train_classes = np.unique(train_labels, return_inverse=True)
    one_hot = np.eye(len(classes), dtype="float32")
    train = _unit_rows(train_features)
    predicted = np.empty(len(test_features), train_classes.dtype)
    for start in range(0, len(test_features), chunk_size):
        chunk = slice(start, start + chunk_size)
        similarity = _unit_rows(test_features[chunk]) @ train.T
        # A stable sort, so that of equal neighbours the first row counts.
        nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
        votes = one_hot[train_classes[nearest]]
        counts = votes.sum(axis=1)
        weights = np.take_along_axis(similarity, nearest, axis=1)
        sums = np.einsum("mk,mkc->mc", weights, votes)
        leading = counts == counts.max(axis=1, keepdims=True)
        predicted[chunk] = np.argmax(np.where(leading, sums, -np.inf), axis=1)
    return classes[predicted]


def knn_accuracy(
    train_features, train_labels, test_features, test_labels, k=1, *, chunk_size=1024
):
    """Share of the test rows that their nearest neighbours label correctly.

    Args:
        train_features: `(N, F)`, finite.
        train_labels: `(N,)` integers.
        test_features: `(M, F)`, finite.
        test_labels: `(M,)` integers.
        k: Number of neighbours, in [1, N].
        chunk_size: Test rows compared at once: memory is `chunk_size * N` floats.

    Returns:
        A float in [0, 1].

    Raises:
        ValueError: Shapes that do not fit each other, or `k` out of range.

    Example:
        >>> features, labels = np.eye(3), np.arange(3)
        >>> knn_accuracy(features, labels, 2 * features, labels)
        1.0
    """
    test_features = as_features(test_features, "test_features")
    test_labels = as_labels(test_labels, "test_labels", len(test_features))
    predicted = knn_predict(
        train_features, train_labels, test_features, k, chunk_size=chunk_size
    )
    return float(np.mean(predicted == test_labels))


def _unit_rows(features):
    norms = np.linalg.norm(features, axis=1, keepdims=True)
    # A row of zeros has no direction: its similarity to everything is 0.
    return features / np.where(norms > 0, norms, 1)
