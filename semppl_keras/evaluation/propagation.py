"""Labels spread over a graph of nearest neighbours."""

from typing import Any

import numpy as np

from semppl_keras.checks import check_integers
from semppl_keras.evaluation.class_frequencies import (
    balanced_label_weights,
    believed_frequencies,
)
from semppl_keras.evaluation.counting import Progress
from semppl_keras.evaluation.inputs import (
    UNKNOWN,
    as_array,
    as_class_indices,
    as_features,
    as_labels,
)
from semppl_keras.evaluation.neighbour_graph import MOST_EXACT, NeighbourGraph

# Classes that are spread at a time.
CLASSES_AT_ONCE = 64
# Rows and columns in turn: what is left by then is below what float32 tells apart.
_BALANCING_ROUNDS = 200


def propagate_labels(
    features: Any,
    labels: Any,
    num_classes: int | None = None,
    *,
    neighbours: int = 10,
    power: float = 3.0,
    alpha: float = 0.95,
    steps: int = 60,
    class_prior: Any = None,
    balance: bool = False,
    max_exact: int = MOST_EXACT,
    approximate: bool | None = None,
    whitening: float = 0.0,
    seed: int = 0,
    progress: Progress | None = None,
) -> np.ndarray:
    """Labels all rows by what the labelled ones tell their neighbours.

    Label spreading (Zhou et al. 2004) over a graph like that of Iscen et al. (2019):
    two rows are joined where one is among the nearest of the other by cosine
    similarity, an edge weighs similarity^`power`, divided by the square roots of the
    sums at its ends; `steps` times every row takes `alpha` of what its neighbours have
    and 1 - `alpha` of its own label.

    Rows beyond `max_exact` are not joined: the graph is that of all labelled rows and
    of others drawn by the seed, and the rest take the mean of their nearest rows of
    the graph, weighted as edges are. With approximate neighbours all are joined.

    Args:
        features: `(N, F)`, finite; their length is of no effect.
        labels: `(N,)` integers in [0, num_classes), or -1 where no class is known; at
            least one is. A class without labels is given to no row that a label has
            reached.
        num_classes: int, C. None: the largest label and one.
        neighbours: At least 1; no more than N - 1 are taken.
        power: Positive.
        alpha: In (0, 1).
        steps: At least 1, and with it how many edges away from a label something of it
            arrives.
        class_prior: `(C,)`, how many rows of all N are expected of each class, as
            shares or counts, or None. The result is balanced to it as far as that
            goes: classes that got more are scaled down, and those that got less up.
        balance: Whether to do the same by the shares of the labels given, without a
            `class_prior`.
        max_exact: At least 2; memory goes with it, and time with its square.
        approximate: Whether all rows are joined, however many, with neighbours that
            faiss finds (`pip install "semppl_keras[neighbours]"`), nearly all of which
            are the nearest. None: where there are more than `max_exact` and than
            20,000, and faiss is installed; told by a warning.
        whitening: In [0, 1]; above 0 the features' 256 directions of largest variance
            are compared in their place (of half as many as there are rows at the most),
            each divided by its deviation to this power. 0.3 is what a run takes of 500
            images or more (docs/results/pretrained.md).
        seed: Of the choice of rows that are joined, and of approximate neighbours.
        progress: Function of (what is done: str, how many, of how many).

    Returns:
        `(N, C)` float32, rows that sum to 1. A labelled row has all of its own label;
        one that no label has reached `class_prior`, or the same of every class.

    Raises:
        ValueError: Shapes that do not fit each other, labels out of range or all
            unknown, or an argument out of range.

    Example:
        >>> labels = np.full(len(images), -1)
        >>> labels[:80] = first_labels
        >>> shares = propagate_labels(model.embed(images), labels)
        >>> shares.argmax(axis=1), shares.max(axis=1)
    """
    features = as_features(features, "features")
    labels, num_classes = checked_labels(labels, len(features), num_classes)
    prior = _checked_prior(class_prior, num_classes)
    graph = NeighbourGraph(
        features,
        labels != UNKNOWN,
        neighbours=neighbours,
        power=power,
        max_exact=max_exact,
        approximate=approximate,
        whitening=whitening,
        seed=seed,
        progress=progress,
    )
    if prior is None and balance:
        prior = np.bincount(labels[labels != UNKNOWN], minlength=num_classes)
        prior = prior / prior.sum()
    return spread_labels(
        graph, labels, num_classes, alpha=alpha, steps=steps, class_prior=prior
    )


def spread_labels(
    graph: NeighbourGraph,
    labels: np.ndarray,
    num_classes: int,
    *,
    alpha: float = 0.95,
    steps: int = 60,
    class_prior: np.ndarray | None = None,
    label_weight: np.ndarray | None = None,
) -> np.ndarray:
    """The same over a graph that is there already, for labels of several kinds.

    Args:
        graph: `NeighbourGraph` of N rows.
        labels: `(N,)` integers, -1 where no class is known; known ones are rows that
            the graph has joined.
        num_classes, alpha, steps: As for `propagate_labels`.
        class_prior: `(C,)` shares, to which the result is balanced, or None.
        label_weight: `(N,)` positive, how much of each label is spread; `(N, C)`, how
            much of which class, where a label may be wrong; None for all alike.

    Returns:
        `(N, C)` float32, as `propagate_labels`; a labelled row has of each class what
        is spread of it.

    Raises:
        ValueError: An argument out of range.
    """
    _check_walk(alpha, steps)
    of_labelled = _of_labelled(labels, num_classes, label_weight)
    shares = _shares_over(graph, labels, of_labelled, alpha, steps)
    return _brought_to(class_prior, shares, labels, of_labelled)


def spread_labels_alike(
    graph: NeighbourGraph,
    labels: np.ndarray,
    num_classes: int,
    *,
    alpha: float = 0.95,
    steps: int = 60,
) -> np.ndarray:
    """The same where nobody knows how frequent the classes are.

    However many labels a class has, together they spread as much as those of any other,
    and the result is balanced to the `believed_frequencies` of what comes of them: to
    equal ones, where there is no more to it than chance.

    Args, Returns, Raises: As for `spread_labels`.
    """
    _check_walk(alpha, steps)
    of_labelled = _of_labelled(labels, num_classes, balanced_label_weights(labels))
    shares = _shares_over(graph, labels, of_labelled, alpha, steps)
    as_they_are = _brought_to(None, shares.copy(), labels, of_labelled)
    prior = believed_frequencies(as_they_are, labels)
    return _brought_to(prior, shares, labels, of_labelled)


def _check_walk(alpha: float, steps: int) -> None:
    if not 0 < alpha < 1:
        raise ValueError(f"`alpha` must lie in (0, 1). Received: alpha={alpha}.")
    check_integers(1, steps=steps)


def _of_labelled(
    labels: np.ndarray, num_classes: int, label_weight: np.ndarray | None
) -> np.ndarray:
    """`(n, C)`, what is spread of each row of a known class."""
    labelled = np.flatnonzero(labels != UNKNOWN)
    of_labelled = np.eye(num_classes)[labels[labelled]]
    if label_weight is None:
        return of_labelled
    weights = label_weight[labelled]
    return weights if weights.ndim == 2 else weights[:, None] * of_labelled


def _shares_over(
    graph: NeighbourGraph,
    labels: np.ndarray,
    of_labelled: np.ndarray,
    alpha: float,
    steps: int,
) -> np.ndarray:
    """`(N, C)`, what the labels become over a graph; zeros where none arrives."""
    labelled, num_classes = np.flatnonzero(labels != UNKNOWN), of_labelled.shape[1]
    given = np.zeros((len(graph.rows), num_classes))
    given[np.searchsorted(graph.rows, labelled)] = of_labelled
    for start in range(0, num_classes, CLASSES_AT_ONCE):
        some = slice(start, start + CLASSES_AT_ONCE)
        given[:, some] = _spread(graph.weights, given[:, some].copy(), alpha, steps)
    return graph.attached(_row_shares(given))


def _brought_to(
    class_prior: np.ndarray | None,
    shares: np.ndarray,
    labels: np.ndarray,
    of_labelled: np.ndarray,
) -> np.ndarray:
    """The same as it is returned: balanced, and labelled rows as they are known."""
    known, num_classes = labels != UNKNOWN, shares.shape[1]
    if class_prior is None:
        unreached = np.full(num_classes, 1 / num_classes)
    else:
        unreached = class_prior
    shares[shares.sum(axis=1) == 0] = unreached
    if class_prior is not None:
        expected = len(labels) * class_prior
        expected = expected - np.bincount(labels[known], minlength=num_classes)
        shares[~known] = _balanced(shares[~known], np.maximum(expected, 0))
    shares[known] = _row_shares(of_labelled)
    return shares.astype("float32")


def _spread(weights: Any, given: np.ndarray, alpha: float, steps: int) -> np.ndarray:
    spread = given
    for _ in range(steps):
        spread = alpha * (weights @ spread) + (1 - alpha) * given
    return spread


def checked_labels(
    labels: Any, length: int, num_classes: int | None
) -> tuple[np.ndarray, int]:
    """Labels `(length,)`, -1 where unknown, of which some is known; and the classes.

    Raises:
        ValueError: They are not.
    """
    labels = as_labels(labels, "labels", length).astype("int64")
    unknown = labels == UNKNOWN
    if num_classes is None:
        num_classes = max(int(labels.max()) + 1, 1)
    check_integers(1, num_classes=num_classes)
    as_class_indices(np.where(unknown, 0, labels), "labels", length, num_classes)
    if unknown.all():
        raise ValueError(
            f"`labels` must hold some known classes. Received: {length} labels, all "
            "-1, which stands for an unknown one."
        )
    return labels, num_classes


def _checked_prior(class_prior: Any, num_classes: int) -> np.ndarray | None:
    if class_prior is None:
        return None
    prior = as_array(class_prior).astype("float64")
    fits = prior.shape == (num_classes,)
    if not fits or not np.all(np.isfinite(prior)) or prior.min() < 0 or not prior.any():
        raise ValueError(
            f"`class_prior` must hold {num_classes} numbers, one for each class, none "
            f"negative and not all 0. Received: {class_prior!r}."
        )
    return prior / prior.sum()


def _row_shares(spread: np.ndarray) -> np.ndarray:
    """Rows that sum to 1; those of zeros stay."""
    sums = spread.sum(axis=1, keepdims=True)
    return spread / np.where(sums > 0, sums, 1)


def _balanced(shares: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Rows scaled so that their columns come to what is expected of each.

    By scaling columns and rows in turn (Sinkhorn); in the end rows sum to 1.

    Args:
        shares: `(N, C)`, rows that sum to 1.
        expected: `(C,)`, not negative.

    Returns:
        `(N, C)`, the same as `shares` where nothing is expected of any class that is
        there.
    """
    # What no row has any share of cannot be scaled up.
    expected = np.where(shares.sum(axis=0) > 0, expected, 0)
    if not expected.sum() > 0:
        return shares
    expected = expected * (len(shares) / expected.sum())
    scaled = shares
    for _ in range(_BALANCING_ROUNDS):
        columns = scaled.sum(axis=0)
        if np.allclose(columns, expected, rtol=1e-6, atol=1e-6):
            break
        scaled = scaled * (expected / np.where(columns > 0, columns, 1))
        sums = scaled.sum(axis=1, keepdims=True)
        # A row of classes of which nothing is expected keeps its own shares.
        scaled = np.where(sums > 0, scaled / np.where(sums > 0, sums, 1), shares)
    return scaled
