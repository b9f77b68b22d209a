"""What a graph over images gives, without any training."""

from collections.abc import Callable
from typing import Any

import numpy as np

from semppl_keras.checks import check_integers
from semppl_keras.evaluation.counting import Progress
from semppl_keras.evaluation.hog import hog_features
from semppl_keras.evaluation.inputs import UNKNOWN, as_images, known_rows
from semppl_keras.evaluation.neighbour_graph import NeighbourGraph
from semppl_keras.evaluation.propagation import spread_labels_alike

# Rows from which the axes are found: more would not turn the first ones.
_MOST_ROWS_FOR_AXES = 4000


def image_graph_accuracy(
    x_labelled: Any,
    y_labelled: Any,
    x_unlabelled: Any,
    x_test: Any,
    y_test: Any,
    *,
    features: Callable[[Any], np.ndarray] = hog_features,
    dimensions: int | None = 64,
    power: float = 6.0,
    max_images: int = 20_000,
    seed: int = 0,
    progress: Progress | None = None,
) -> float:
    """Test accuracy of labels that are propagated over hand-made features.

    The rival of every training, and seconds of work: `propagate_labels` over the
    labelled and unlabelled images, in which classes are equally frequent unless it
    tells otherwise (`class_frequencies.believed_frequencies`); a test image, which is
    not in the graph, takes what its nearest ones in it have.

    Args:
        x_labelled: `(n, h, w, c)` in [0, 255].
        y_labelled: `(n,)` integers, classes from 0 on.
        x_unlabelled: `(m, h, w, c)`.
        x_test: `(t, h, w, c)`.
        y_test: `(t,)` integers. Images of label -1, here and above, are left out, and
            told.
        features: Function of images to `(N, F)`: `hog_features`, `as_pixels`.
        dimensions: How many principal components of the features are kept; None for
            the features as they are.
        power: Of the similarity, as for `propagate_labels`.
        max_images: How many the graph joins, at least 2: all labelled ones, and
            unlabelled ones drawn by the seed. Time goes with its square.
        seed: Draws them.
        progress: Function of (what is done: str, how many, of how many).

    Returns:
        A float in [0, 1].

    Raises:
        ValueError: Shapes that do not fit each other, or an argument out of range.

    Example:
        >>> image_graph_accuracy(
        ...     data.x_labelled, data.y_labelled, data.x_unlabelled,
        ...     data.x_test, data.y_test,
        ... )
    """
    check_integers(2, max_images=max_images)
    if dimensions is not None:
        check_integers(1, dimensions=dimensions)
    x_labelled, x_unlabelled, x_test = (
        as_images(images) for images in (x_labelled, x_unlabelled, x_test)
    )
    if not x_labelled.shape[1:] == x_unlabelled.shape[1:] == x_test.shape[1:]:
        raise ValueError(
            "`x_labelled`, `x_unlabelled` and `x_test` must be images of one shape, "
            f"(N, h, w, c). Received: {x_labelled.shape}, {x_unlabelled.shape} and "
            f"{x_test.shape}."
        )
    y_labelled, x_labelled = known_rows(y_labelled, "y_labelled", x_labelled)
    y_test, x_test = known_rows(y_test, "y_test", x_test)
    room = max(0, max_images - len(x_labelled))
    if len(x_unlabelled) > room:
        generator = np.random.default_rng(seed)
        chosen = generator.choice(len(x_unlabelled), room, replace=False)
        x_unlabelled = x_unlabelled[np.sort(chosen)]
    joined = np.concatenate(
        [features(some) for some in (x_labelled, x_unlabelled) if len(some)]
    )
    tested = features(x_test)
    if dimensions is not None:
        joined, tested = _principal(joined, tested, dimensions, seed)
    labels = np.full(len(joined), UNKNOWN)
    labels[: len(y_labelled)] = y_labelled
    graph = NeighbourGraph(
        joined,
        labels != UNKNOWN,
        power=power,
        max_exact=max(2, len(joined)),
        progress=progress,
    )
    shares = spread_labels_alike(graph, labels, int(y_labelled.max()) + 1)
    predicted = graph.near(tested, shares).argmax(axis=1)
    return float(np.mean(predicted == y_test))


def _principal(
    rows: np.ndarray, others: np.ndarray, dimensions: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Both along the principal axes of the rows, whose mean is taken from both."""
    from sklearn.decomposition import PCA
    from threadpoolctl import threadpool_limits

    generator = np.random.default_rng(seed)
    sample = rows[generator.permutation(len(rows))[:_MOST_ROWS_FOR_AXES]]
    pca = PCA(
        min(dimensions, *sample.shape), svd_solver="randomized", random_state=seed
    )
    with threadpool_limits(1):
        pca.fit(sample)
        return pca.transform(rows), pca.transform(others)
