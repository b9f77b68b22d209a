"""Which images a person should label next: those whose labels would teach most.

Each strategy takes what is known of the images without a label, and gives the indices
of some of them, the most worthwhile first.
"""

from typing import Any

import numpy as np

# Rows of similarities that are held at once.
_ROWS_AT_ONCE = 1024
# As the authors of TypiClust take them: Hacohen, Dekel and Weinshall, "Active learning
# on a budget" (2022), neighbours whose distances tell how typical an image is, and no
# more clusters than these.
_TYPICAL_NEIGHBOURS = 20
_MOST_CLUSTERS = 500
# As `propagate_labels`: neighbours of each, and the power of their similarity.
_NEIGHBOURS, _POWER = 10, 3.0


def least_margin(probabilities: Any, count: int) -> np.ndarray:
    """Those whose two most probable classes are nearest to each other.

    Args:
        probabilities: `(N, C)`, C at least 2.
        count: How many.

    Returns:
        `(min(count, N),)` indices.
    """
    top = np.sort(np.asarray(probabilities, "float64"), axis=1)[:, -2:]
    return np.argsort(top[:, 1] - top[:, 0], kind="stable")[:count]


def most_entropy(probabilities: Any, count: int) -> np.ndarray:
    """Those whose probabilities are spread most evenly over the classes.

    Args:
        probabilities, count: As for `least_margin`.

    Returns:
        `(min(count, N),)` indices.
    """
    return np.argsort(-entropies(probabilities), kind="stable")[:count]


def entropies(probabilities: Any) -> np.ndarray:
    """`(N,)`, the entropy of each row, in nats."""
    shares = np.asarray(probabilities, "float64")
    return -np.sum(shares * np.log(np.maximum(shares, 1e-300)), axis=1)


def core_set(features: Any, labelled: Any, count: int) -> np.ndarray:
    """Those that are farthest from what is labelled and chosen (k-centre greedy).

    Sener and Savarese, "Active learning for convolutional neural networks: a core-set
    approach" (2018), algorithm 1, on the directions of features.

    Args:
        features: `(N, F)`.
        labelled: `(M, F)` of the labelled images, M at least 1.
        count: How many.

    Returns:
        `(min(count, N),)` indices.
    """
    rows, centres = _unit(features), _unit(labelled)
    # The nearer the larger: cosine similarity.
    nearest = _by_rows(rows, lambda part: (part @ centres.T).max(axis=1))
    chosen: list[int] = []
    for _ in range(min(count, len(rows))):
        index = int(np.argmin(nearest))
        chosen.append(index)
        nearest = np.maximum(nearest, rows @ rows[index])
        nearest[chosen] = np.inf
    return np.array(chosen, "int64")


def typical(features: Any, labelled: Any, count: int, seed: int = 0) -> np.ndarray:
    """The most typical image of each of the largest clusters without a label.

    TypiClust of Hacohen, Dekel and Weinshall (2022): all images are clustered by
    k-means, labelled ones too; typical is what has a small mean distance to its
    neighbours in the cluster.

    Args:
        features, labelled, count: As for `core_set`.
        seed: Of k-means.

    Returns:
        `(min(count, N),)` indices.
    """
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    rows, known = _unit(features), _unit(labelled)
    both = np.concatenate([rows, known])
    count = min(count, len(rows))
    clusters = min(len(known) + count, _MOST_CLUSTERS, len(np.unique(both, axis=0)))
    with threadpool_limits(1):
        of = KMeans(clusters, n_init=1, random_state=seed).fit_predict(both)
    sizes = np.bincount(of[: len(rows)], minlength=clusters)
    labels = np.bincount(of[len(rows) :], minlength=clusters)
    free = np.ones(len(rows), bool)
    chosen: list[int] = []
    while len(chosen) < count:
        # Of those with the fewest labels the largest.
        open_clusters = np.flatnonzero(
            np.bincount(of[: len(rows)][free], minlength=clusters)
        )
        order = np.lexsort((-sizes[open_clusters], labels[open_clusters]))
        cluster = open_clusters[order[0]]
        members = np.flatnonzero((of[: len(rows)] == cluster) & free)
        index = members[np.argmax(_typicality(rows[members]))]
        chosen.append(int(index))
        free[index] = False
        labels[cluster] += 1
    return np.array(chosen, "int64")


def _typicality(rows: np.ndarray) -> np.ndarray:
    count = min(_TYPICAL_NEIGHBOURS, len(rows) - 1)
    if count == 0:
        return np.zeros(len(rows))

    def distances(part: np.ndarray) -> np.ndarray:
        squares = np.maximum(2 - 2 * part @ rows.T, 0)
        # The first is the image itself.
        nearest = np.partition(squares, count, axis=1)[:, : count + 1]
        return np.sqrt(nearest).sum(axis=1) / count

    return -_by_rows(rows, distances)


def graph_mass(features: Any, probabilities: Any, count: int) -> np.ndarray:
    """Those in whose neighbourhood most is uncertain, each time less what is told.

    Every image weighs as much as the entropy of its probabilities. The image is taken
    whose own weight and that of those to which it is a neighbour, each by the power of
    their similarity, is largest; its label would tell these as much of theirs.

    Args:
        features: `(N, F)`.
        probabilities: `(N, C)`.
        count: How many.

    Returns:
        `(min(count, N),)` indices.
    """
    from scipy.sparse import csr_array, eye_array

    rows, weights = _unit(features), entropies(probabilities)
    size, neighbours = len(rows), min(_NEIGHBOURS, len(rows) - 1)
    ends, shares = [], []
    for start in range(0, size, _ROWS_AT_ONCE):
        near = rows[start : start + _ROWS_AT_ONCE] @ rows.T
        near[np.arange(len(near)), start + np.arange(len(near))] = -np.inf
        best = np.argpartition(-near, neighbours - 1, axis=1)[:, :neighbours]
        ends.append(best)
        shares.append(np.maximum(np.take_along_axis(near, best, axis=1), 0) ** _POWER)
    begins = np.repeat(np.arange(size), neighbours)
    edges = (np.concatenate(shares).ravel(), (begins, np.concatenate(ends).ravel()))
    graph = csr_array(edges, shape=(size, size))
    # What is near in one way is so in the other.
    told = csr_array(graph.maximum(graph.T) + eye_array(size))
    chosen: list[int] = []
    for _ in range(min(count, size)):
        masses = told @ weights
        masses[chosen] = -np.inf
        index = int(np.argmax(masses))
        chosen.append(index)
        begin, end = told.indptr[index : index + 2]
        weights[told.indices[begin:end]] *= 1 - np.minimum(told.data[begin:end], 1)
    return np.array(chosen, "int64")


def _unit(features: Any) -> np.ndarray:
    rows = np.asarray(features, "float64")
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def _by_rows(rows: np.ndarray, function: Any) -> np.ndarray:
    parts = range(0, len(rows), _ROWS_AT_ONCE)
    return np.concatenate([function(rows[at : at + _ROWS_AT_ONCE]) for at in parts])
