"""Nearest neighbours by cosine similarity."""

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from semppl_keras.checks import check_integers, check_positive
from semppl_keras.evaluation.inputs import as_features, known_rows


def knn_predict(
    train_features: Any,
    train_labels: Any,
    test_features: Any,
    k: int = 1,
    *,
    temperature: float | None = None,
    chunk_size: int = 256,
    verbose: int = 0,
) -> np.ndarray:
    """Labels each row by the vote of its nearest neighbours.

    Nearest is by cosine similarity; of equally near rows the earlier one counts. A
    vote weighs 1, or with a temperature exp(similarity / temperature), the protocol
    of Wu et al. (2018), who take `k=200, temperature=0.07`. A tie goes
    to the class whose neighbours have the larger summed similarity, then to the
    smaller label.

    Args:
        train_features: `(N, F)`, finite.
        train_labels: `(N,)` integers, classes from 0 on, or -1: such rows are left out,
            and told.
        test_features: `(M, F)`, finite.
        k: Number of neighbours, in [1, N].
        temperature: Positive, or None for equal votes.
        chunk_size: Test rows compared at once: memory is about `chunk_size * N * 16`
            bytes, beside float32 copies of the training features and of the chunk.
        verbose: 1 shows a progress bar.

    Returns:
        `(M,)` labels, in the dtype of `train_labels`.

    Raises:
        ValueError: Shapes that do not fit each other, or `k`, `temperature` or
            `chunk_size` out of range.

    Example:
        >>> train = np.array([[1.0, 0.0], [0.0, 1.0]])
        >>> knn_predict(train, np.array([3, 7]), np.array([[0.2, 5.0]]))
        array([7])
    """
    train_features = as_features(train_features, "train_features")
    train_labels, train_features = known_rows(
        train_labels, "train_labels", train_features
    )
    classes, train_classes = np.unique(train_labels, return_inverse=True)
    chunks = _votes(
        train_features,
        train_classes,
        test_features,
        len(classes),
        k,
        temperature,
        chunk_size,
        verbose,
    )
    predicted = [np.argmax(_ranked(*chunk), axis=1) for chunk in chunks]
    return classes[np.concatenate(predicted)]


def knn_probabilities(
    train_features: Any,
    train_labels: Any,
    test_features: Any,
    k: int = 1,
    *,
    num_classes: int | None = None,
    temperature: float | None = None,
    chunk_size: int = 256,
    verbose: int = 0,
) -> np.ndarray:
    """The share of each class in the vote of the nearest neighbours.

    Args:
        train_features: `(N, F)`, finite.
        train_labels: `(N,)` integers in [0, num_classes), or -1: such rows are left
            out, and told.
        test_features: `(M, F)`, finite.
        k: Number of neighbours, in [1, N].
        num_classes: Columns of the result. None: the largest label and one.
        temperature: As for `knn_predict`.
        chunk_size, verbose: As for `knn_predict`.

    Returns:
        `(M, num_classes)` float32, rows that sum to 1. A millionth of the mass goes to
        the class that `knn_predict` names, so that its share is the largest where
        classes tie; to all of them alike where their similarities tie, too.

    Raises:
        ValueError: Shapes that do not fit each other, labels, `k`, `temperature` or
            `chunk_size` out of range.

    Example:
        >>> train = np.array([[1.0, 0.0], [0.0, 1.0], [0.1, 1.0]])
        >>> knn_probabilities(train, np.array([0, 1, 2]), np.array([[0.1, 5.0]]), k=2)
        array([[0.       , 0.5000005, 0.4999995]], dtype=float32)
    """
    train_features = as_features(train_features, "train_features")
    train_labels, train_features = known_rows(
        train_labels, "train_labels", train_features, num_classes=num_classes
    )
    if num_classes is None:
        num_classes = int(train_labels.max()) + 1
    chunks = _votes(
        train_features,
        train_labels,
        test_features,
        num_classes,
        k,
        temperature,
        chunk_size,
        verbose,
    )
    shares = []
    for votes, similarities in chunks:
        share = votes / votes.sum(axis=1, keepdims=True)
        ranked = _ranked(votes, similarities)
        winners = ranked == ranked.max(axis=1, keepdims=True)
        winners = winners / winners.sum(axis=1, keepdims=True)
        shares.append(((1 - 1e-6) * share + 1e-6 * winners).astype("float32"))
    return np.concatenate(shares)


def knn_accuracy(
    train_features: Any,
    train_labels: Any,
    test_features: Any,
    test_labels: Any,
    k: int = 1,
    *,
    temperature: float | None = None,
    chunk_size: int = 256,
    verbose: int = 0,
) -> float:
    """Share of the test rows that their nearest neighbours label correctly.

    Args:
        train_features: `(N, F)`, finite.
        train_labels: `(N,)` integers, classes from 0 on.
        test_features: `(M, F)`, finite.
        test_labels: `(M,)` integers. Rows of -1, here and in `train_labels`, are left
            out, and told.
        k: Number of neighbours, in [1, N].
        temperature: As for `knn_predict`.
        chunk_size, verbose: As for `knn_predict`.

    Returns:
        A float in [0, 1].

    Raises:
        ValueError: Shapes that do not fit each other, or `k`, `temperature` or
            `chunk_size` out of range.

    Example:
        >>> features, labels = np.eye(3), np.arange(3)
        >>> knn_accuracy(features, labels, 2 * features, labels)
        1.0
    """
    test_features = as_features(test_features, "test_features")
    test_labels, test_features = known_rows(test_labels, "test_labels", test_features)
    predicted = knn_predict(
        train_features,
        train_labels,
        test_features,
        k,
        temperature=temperature,
        chunk_size=chunk_size,
        verbose=verbose,
    )
    return float(np.mean(predicted == test_labels))


def nearest_rows(rows: np.ndarray, queries: np.ndarray, k: int) -> np.ndarray:
    """The nearest rows of each query, by cosine similarity.

    Args:
        rows: `(N, F)`.
        queries: `(M, F)`.
        k: At most N.

    Returns:
        `(M, k)` indices, the nearest first.
    """
    from sklearn.neighbors import NearestNeighbors

    search = NearestNeighbors(n_neighbors=k, metric="cosine", algorithm="brute")
    return search.fit(rows).kneighbors(queries, return_distance=False)


def nearest_others(
    rows: np.ndarray, queries: np.ndarray, k: int, own: Sequence[Sequence[int]]
) -> np.ndarray:
    """The nearest rows of each query, without those that are the query itself.

    Args:
        rows: `(N, F)`.
        queries: `(M, F)`.
        k: At most N.
        own: M lists of indices of rows, those left out.

    Returns:
        `(M, k)` indices, the nearest first, -1 where no row is left.
    """
    most = min(k + max(map(len, own), default=0), len(rows))
    nearest = np.full((len(queries), k), -1)
    for index, found in enumerate(nearest_rows(rows, queries, most)):
        others = found[~np.isin(found, own[index])][:k]
        nearest[index, : len(others)] = others
    return nearest


def _ranked(votes: np.ndarray, similarities: np.ndarray) -> np.ndarray:
    """Summed similarities of the classes with the most votes, -inf elsewhere."""
    leading = votes == votes.max(axis=1, keepdims=True)
    return np.where(leading, similarities, -np.inf)


def _votes(
    train: np.ndarray,
    train_classes: np.ndarray,
    test: Any,
    num_classes: int,
    k: int,
    temperature: float | None,
    chunk_size: int,
    verbose: int,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields for each chunk of test rows, by class: votes and summed similarities."""
    test = as_features(test, "test_features")
    if train.shape[1] != test.shape[1]:
        raise ValueError(
            "`train_features` and `test_features` must have the same width. "
            f"Received: {train.shape} and {test.shape}."
        )
    check_integers(1, k=k)
    if k > len(train):
        raise ValueError(
            f"`k` must lie in [1, {len(train)}], the number of training rows. "
            f"Received: k={k}."
        )
    if temperature is not None:
        check_positive(temperature=temperature)
    check_integers(1, chunk_size=chunk_size)
    # Negative, so that the nearest sort first; in place: it may be the largest array.
    opposite = unit_rows(train)
    np.negative(opposite, out=opposite)
    starts = range(0, len(test), chunk_size)
    progress = keras.utils.Progbar(len(starts), verbose=verbose, unit_name="chunk")
    for start in starts:
        distances = unit_rows(test[start : start + chunk_size]) @ opposite.T
        nearest = smallest(distances, k)
        # In float64 sums of float32 do not depend on their order: ties stay ties.
        similarities = -np.take_along_axis(distances, nearest, axis=1).astype("float64")
        if temperature is None:
            weights = np.ones_like(similarities)
        else:
            # Relative to the nearest, so that no temperature overflows.
            excess = similarities - similarities.max(axis=1, keepdims=True)
            weights = np.exp(excess / temperature)
        rows = np.arange(len(nearest))[:, None]
        cells = (rows * num_classes + train_classes[nearest]).ravel()
        shape = (len(nearest), num_classes)
        votes, sums = (
            np.bincount(
                cells, values.ravel(), minlength=len(nearest) * num_classes
            ).reshape(shape)
            for values in (weights, similarities)
        )
        yield votes, sums
        progress.add(1)


def smallest(distances: np.ndarray, k: int) -> np.ndarray:
    """Columns of the k smallest entries in each row; of equal ones, the first."""
    nearest = np.argpartition(distances, k - 1, axis=1)[:, :k]
    # The partition picks any of the entries that equal the k-th smallest. Only rows
    # with more of them than fit have to be sorted.
    bound = np.take_along_axis(distances, nearest, axis=1).max(axis=1, keepdims=True)
    ambiguous = np.count_nonzero(distances <= bound, axis=1) > k
    order = np.argsort(distances[ambiguous], axis=1, kind="stable")
    nearest[ambiguous] = order[:, :k]
    return nearest


def unit_rows(features: np.ndarray) -> np.ndarray:
    norms = np.sqrt(np.einsum("nf,nf->n", features, features, dtype="float64"))
    # A row of zeros has no direction: its similarity to everything is 0.
    norms = np.where(norms > 0, norms, 1)[:, None]
    return np.divide(features, norms, dtype="float32", casting="same_kind")
