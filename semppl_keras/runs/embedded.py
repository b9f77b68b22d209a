"""What one network makes of the images of a run."""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np

from semppl_keras.data import FewLabels
from semppl_keras.data.few_labels import rows_of
from semppl_keras.evaluation import balanced_accuracy
from semppl_keras.evaluation.inputs import UNKNOWN
from semppl_keras.evaluation.neighbour_graph import NeighbourGraph
from semppl_keras.evaluation.propagated_probe import usual_whitening
from semppl_keras.networks import ImageEmbedder
from semppl_keras.runs.prediction_progress import PredictionProgress
from semppl_keras.runs.progress import Progress

# Of the images to learn from, labelled ones among them: the graph over more would take
# minutes, and so would the features of a large network.
MOST_IMAGES = 20_000

# Images, and what they are, to features `(N, F)`.
Embed = Callable[[np.ndarray, str], np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False)
class Embedded:
    """Features of labelled images, of others to learn from, and of those to test on.

    Args:
        learned: `(n + m, F)`, the labelled ones first.
        labels: `(n,)` integers.
        test: `(t, F)`, or None.
        test_labels: `(t,)` integers, or None.
        num_classes: Integer.
        saw_labels: Whether the network was trained with these labels.
        rows: `(n + m,)` indices of what is learned from among the training images, or
            None.
        honest: How often a classifier that saw no labels is right, for `cross_validate`
            of one that did.
        members: `(n + m,)`, how probable it is that what is learned from shows one of
            the classes, or None for all.
    """

    learned: np.ndarray
    labels: np.ndarray
    test: np.ndarray | None
    test_labels: np.ndarray | None
    num_classes: int
    saw_labels: bool = False
    rows: np.ndarray | None = None
    honest: float | None = None
    members: np.ndarray | None = None

    @property
    def labelled(self) -> np.ndarray:
        """`(n, F)`."""
        return self.learned[: len(self.labels)]

    @property
    def others(self) -> np.ndarray:
        """`(m, F)`."""
        return self.learned[len(self.labels) :]

    @functools.cached_property
    def graph(self) -> NeighbourGraph:
        """Over what there is to learn from, of which `MOST_IMAGES` are joined."""
        return NeighbourGraph(
            self.learned,
            np.arange(len(self.learned)) < len(self.labels),
            max_exact=MOST_IMAGES,
            whitening=usual_whitening(len(self.learned)),
            progress=Progress("Measuring,"),
        )

    def shown(self) -> tuple[np.ndarray, np.ndarray]:
        """Features and labels of the images to test on, or else of the labelled."""
        if self.test is None or self.test_labels is None:
            return self.labelled, self.labels
        return self.test, self.test_labels

    def accuracy(self, predictions: np.ndarray | None) -> float | None:
        """Share of the images to test on, `(t,)`, of which the class is right."""
        if predictions is None or self.test_labels is None:
            return None
        return float(np.mean(predictions == self.test_labels))

    def balanced_accuracy(self, predictions: np.ndarray | None) -> float | None:
        """Mean over the classes of the share of their images that are right."""
        if predictions is None or self.test_labels is None:
            return None
        return balanced_accuracy(predictions, self.test_labels, self.num_classes)

    def of_learned(self, labels: np.ndarray) -> np.ndarray:
        """Labels of the labelled ones, `(n,)`, and -1 for the others, `(n + m,)`."""
        unknown = np.full(len(self.learned) - len(labels), UNKNOWN)
        return np.concatenate([labels, unknown])


def embedded(
    embed: Embed,
    data: FewLabels,
    *,
    saw_labels: bool = False,
    most: int = MOST_IMAGES,
    test: bool = True,
    seed: int = 0,
) -> Embedded:
    """Features of the images of a run.

    Args:
        embed: The network; it is called with images and with what they are.
        data: `FewLabels`.
        saw_labels: As for `Embedded`.
        most: Of more images to learn from so many are drawn, all labelled ones among
            them.
        test: Whether there are to be features of the images to test on.
        seed: Draws them.

    Returns:
        `Embedded`.
    """
    others = data.unlabelled_indices
    room = max(0, most - len(data.labelled_indices))
    if len(others) > room:
        generator = np.random.default_rng(seed)
        others = np.sort(generator.choice(others, room, replace=False))
    learned = [embed(data.x_labelled, "labelled images")]
    if len(others):
        learned.append(embed(rows_of(data.x_train, others), "unlabelled images"))
    tested = None
    if test and data.x_test is not None:
        tested = embed(data.x_test, "images to test on")
    return Embedded(
        np.concatenate(learned),
        data.y_labelled,
        tested,
        data.y_test,
        data.num_classes,
        saw_labels,
        np.concatenate([data.labelled_indices, others]),
    )


def embedded_by(
    embedder: ImageEmbedder,
    data: FewLabels,
    *,
    saw_labels: bool = False,
    most: int = MOST_IMAGES,
    seed: int = 0,
) -> Embedded:
    """What a network behind its views makes of the images of a run.

    Args:
        embedder: `ImageEmbedder`.
        data, saw_labels, most, seed: As for `embedded`.
    """

    def embed(images: np.ndarray, what: str) -> np.ndarray:
        told = PredictionProgress(Progress("Measuring,"), what, len(images))
        return embedder.predict(images, verbose=0, callbacks=[told])

    return embedded(embed, data, saw_labels=saw_labels, most=most, seed=seed)
