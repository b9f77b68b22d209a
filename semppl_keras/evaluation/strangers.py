"""Images that show none of the classes, found without an example of any."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from semppl_keras.evaluation.inputs import all_known, as_features
from semppl_keras.evaluation.knn import unit_rows

# The kernel is similarity^_POWER: a broad one, since the labelled images are few.
_POWER = 3.0
# Labelled images that count as the nearest, and how much their distance counts.
_NEAREST, _DISTANCE_WEIGHT = 3, 0.6
# By how many standard deviations strangers are less like the labelled images, on the
# mean: what explains the images better.
_APART = (1.2, 1.6)
# How all of these were found: docs/results/confidence.md and docs/results/labels.md.
# Images that the density of all is estimated by, and compared at a time.
_MOST_COMPARED, _ROWS_AT_ONCE = 5000, 512
# Members that count as seen before: of a few images chance makes no strangers.
_MEMBERS_BEFORE = 10
_ROUNDS = 100
_LEAST = 1e-12


def stranger_shares(
    labelled: Any,
    labels: Any,
    features: Any,
    probabilities: Any,
    *,
    own: Sequence[Sequence[int]] | None = None,
    seed: int = 0,
) -> np.ndarray:
    """How probable it is that an image shows none of the labelled classes.

    An image is a stranger where there are many images like it and few labelled ones
    among them: by the ratio of two densities, of the labelled images and of all, both
    by the kernel similarity^3, and by the distance of the nearest labelled images. The
    density of a class counts as often as the images are taken for it. What both are for
    members is seen of the labelled images, each left out of what it is compared with.
    Of strangers their sum is taken to lie 1.2 or 1.6 standard deviations below; how far
    and how many there are is what is most probable.

    So it takes images of all kinds, as they are to be labelled: of those of one class
    alone many seem to be strangers.

    Args:
        labelled: `(n, F)` features of labelled images.
        labels: `(n,)` their classes, integers in [0, C).
        features: `(N, F)` those of others.
        probabilities: `(N, C)` of the classes, if they are no strangers.
        own: N lists of indices, labelled images that an image is a copy of: such ones
            are no strangers; None for no copies.
        seed: Draws 5,000 images to compare with where there are more.

    Returns:
        `(N,)` float64 in [0, 1]; 0 for all where fewer than two others are to be
        compared, or there are fewer than three labelled images.

    Raises:
        ValueError: Shapes that do not fit each other.

    Example:
        >>> shares = stranger_shares(embed(x_labelled), y_labelled, embed(x), p)
        >>> x[shares > 0.5]
    """
    rows = unit_rows(as_features(labelled, "labelled"))
    labels = all_known(labels, "labels", len(rows))
    queries = unit_rows(as_features(features, "features"))
    probabilities = as_features(probabilities, "probabilities")
    if rows.shape[1] != queries.shape[1] or len(probabilities) != len(queries):
        raise ValueError(
            "`features` must be as wide as `labelled`, and as many as `probabilities`. "
            f"Received: shapes {queries.shape}, {rows.shape}, {probabilities.shape}."
        )
    others = np.ones(len(queries), bool)
    if own is not None:
        others = np.array([len(indices) == 0 for indices in own])
    shares = np.zeros(len(queries))
    if others.sum() < 2 or len(rows) < 3:
        return shares
    expected = probabilities[others].astype("float64").mean(axis=0)
    # As often as its class comes among the others.
    weights = expected[labels] / np.bincount(labels)[labels]
    of_members, of_others = _likeness(rows, labels, expected, queries[others], seed)
    shares[others] = _posterior(of_members, np.maximum(weights, _LEAST), of_others)
    return shares


def _likeness(
    rows: np.ndarray,
    labels: np.ndarray,
    expected: np.ndarray,
    queries: np.ndarray,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """How like the labelled images these are, `(n,)`, and the others, `(N,)`."""
    compared = np.arange(len(queries))
    if len(queries) > _MOST_COMPARED:
        generator = np.random.default_rng(seed)
        compared = np.sort(generator.choice(compared, _MOST_COMPARED, replace=False))
    place = np.full(len(queries), -1)
    place[compared] = np.arange(len(compared))
    count, itself = len(rows), np.arange(len(rows))
    counts = np.bincount(labels, minlength=len(expected))
    weights = expected[labels] / counts[labels]
    # A class that a row is left out of has one image less.
    same = labels[:, None] == labels
    of_rows = expected[labels] / np.maximum(counts[labels] - same, 1)
    nowhere, among = np.full(count, -1), queries[compared]
    evenly = np.full(len(compared), 1 / max(len(compared), 1))
    of_members = (
        kernel_sums(rows, rows, of_rows, itself)
        / kernel_sums(rows, among, evenly, nowhere),
        _distances(rows, rows, itself, count),
    )
    nowhere = np.full(len(queries), -1)
    of_others = (
        kernel_sums(queries, rows, weights, nowhere)
        / kernel_sums(queries, among, evenly, place),
        # As if one image of the class were left out, as it is of the labelled ones.
        _distances(queries, rows, nowhere, count / np.count_nonzero(counts)),
    )
    scales = [max(float(np.std(np.log(values))), 1e-6) for values in of_members]
    members, others = (
        np.log(ratios) / scales[0] - _DISTANCE_WEIGHT * np.log(distances) / scales[1]
        for ratios, distances in (of_members, of_others)
    )
    return members, others


def kernel_sums(
    queries: np.ndarray, rows: np.ndarray, weights: np.ndarray, own: np.ndarray
) -> np.ndarray:
    """`(M,)`, of each query the weighted sum of its kernel with the rows.

    Args:
        queries, rows: `(M, F)` and `(N, F)` of length 1.
        weights: `(N,)`, or `(M, N)`.
        own: `(M,)` which row a query is and is not compared with, -1 for none.
    """
    sums = np.empty(len(queries))
    for part, similarities in _similarities(queries, rows, own):
        kernel = np.maximum(similarities, 0).astype("float64") ** _POWER
        if weights.ndim == 2:
            sums[part] = (kernel * weights[part]).sum(axis=1)
        else:
            sums[part] = kernel @ weights
    return np.maximum(sums, _LEAST)


def _distances(
    queries: np.ndarray, rows: np.ndarray, own: np.ndarray, of_class: float
) -> np.ndarray:
    """`(M,)`, one minus the mean similarity of the nearest rows.

    Args:
        queries, rows, own: As for `kernel_sums`.
        of_class: How many rows a class has: of queries that are no rows so often one of
            the nearest is left out.
    """
    number = min(_NEAREST, len(rows) - 1)
    distances = np.empty(len(queries))
    for part, similarities in _similarities(queries, rows, own):
        first = -np.partition(-similarities, (number - 1, number), axis=1)
        nearest = first[:, :number].mean(axis=1, dtype="float64")
        missed = np.where(own[part] < 0, 1 / of_class, 0)
        distances[part] = 1 - nearest - missed * (first[:, number] - nearest)
    # Of copies next to nothing would be far less than of any other.
    return np.maximum(distances, 0) + 1e-4


def _similarities(queries: np.ndarray, rows: np.ndarray, own: np.ndarray) -> Any:
    """Yields some queries at a time, and theirs; -1 with the row that one is."""
    for start in range(0, len(queries), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        similarities = queries[part] @ rows.T
        itself = np.flatnonzero(own[part] >= 0)
        similarities[itself, own[part][itself]] = -1
        yield part, similarities


def _posterior(
    of_members: np.ndarray, weights: np.ndarray, of_others: np.ndarray
) -> np.ndarray:
    """`(N,)`, how probable it is that others are strangers.

    Args:
        of_members, weights: `(n,)` how like the labelled images some members are, and
            how much each counts.
        of_others: `(N,)` the same of members and strangers.
    """
    mean = np.average(of_members, weights=weights)
    variance = np.average((of_members - mean) ** 2, weights=weights)
    away = (of_others - mean) / max(float(np.sqrt(variance)), 1e-6)
    fits = [(*share_of(odds_of(away, at)), at) for at in _APART]
    _, strangers, apart = max(fits)
    odds = odds_of(away, apart)
    return np.asarray(strangers * odds / (strangers * odds + 1 - strangers), "float64")


def odds_of(away: np.ndarray, apart: float) -> np.ndarray:
    """How much more often strangers are so much like the labelled images than members.

    Args:
        away: `(N,)`, standard deviations from the labelled images.
        apart: How many more strangers are, on the mean.
    """
    # Of two normal distributions of one deviation, the ratio.
    return np.exp(np.clip(-apart * away - apart**2 / 2, -50, 50))


def share_of(odds: np.ndarray) -> tuple[float, float]:
    """How well a share of strangers explains so many odds, and the share, by EM."""
    strangers = 0.5
    for _ in range(_ROUNDS):
        shares = strangers * odds / (strangers * odds + 1 - strangers)
        strangers = float(shares.sum()) / (len(shares) + _MEMBERS_BEFORE)
    return float(np.log(strangers * odds + 1 - strangers).mean()), strangers
