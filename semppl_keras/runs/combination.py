"""Several networks of a run as one classifier: side by side, over one graph."""

import dataclasses
import functools
from collections.abc import Callable

import keras
import numpy as np

from semppl_keras.backbones.directions import fit_directions
from semppl_keras.backbones.joined import joined_backbone
from semppl_keras.backbones.patch_network import fit_patch_network, usual_patches
from semppl_keras.data import FewLabels
from semppl_keras.data.few_labels import rows_of
from semppl_keras.evaluation.kernel_ridge import FLOOR, KernelProbe, KernelRidge
from semppl_keras.evaluation.neighbour_graph import NeighbourGraph
from semppl_keras.evaluation.propagation import spread_labels
from semppl_keras.networks import ImageClassifier, ImageEmbedder, copy_model
from semppl_keras.networks.kernel_head import kernel_head
from semppl_keras.recipes.ending import Combination
from semppl_keras.runs.candidates import Candidate, fitted_candidate
from semppl_keras.runs.embedded import Embedded
from semppl_keras.runs.prediction_progress import PredictionProgress
from semppl_keras.runs.progress import Progress
from semppl_keras.views import MultiCrop

# Images that the patches are taken from: more tell nothing new of them.
_MOST_FITTED = 10_000


@dataclasses.dataclass(frozen=True, eq=False)
class Part:
    """A network of a combination, and what it makes of the images of a run.

    Args:
        network: From views to features.
        directions: A layer that these pass, or None.
        weight: How much they count.
        of: Features behind the layer, of length 1, times the weight.
    """

    network: keras.Model
    directions: keras.layers.Layer | None
    weight: float
    of: Embedded


def patch_part(
    how: Combination, data: FewLabels, views: MultiCrop, like: Embedded, seed: int
) -> Part:
    """A network of the patches that the images have, which no label is needed for.

    Args:
        how: `Combination`.
        data: What the run is trained on.
        views: Of which images see the central one.
        like: Features of the images by another network.
        seed: Of the dictionaries.
    """
    assert like.rows is not None
    low, high = views.output_range
    generator = np.random.default_rng(seed)
    chosen = np.sort(generator.permutation(like.rows)[:_MOST_FITTED])
    viewed = [
        keras.ops.convert_to_numpy(
            views.center_view(rows_of(data.x_train, chosen[start : start + 1000]))
        )
        for start in range(0, len(chosen), 1000)
    ]
    images = (np.concatenate(viewed) - low) / (high - low)
    sizes, grids = usual_patches(min(images.shape[1:3]))
    network = fit_patch_network(
        np.clip(images, 0, 1),
        sizes=sizes,
        grids=grids,
        entries=how.entries,
        seed=seed,
        progress=Progress("Fitting,"),
    )
    return _part(network, None, 1.0, data, views, like)


def network_part(
    network: keras.Model,
    name: str,
    weight: float,
    how: Combination,
    data: FewLabels,
    views: MultiCrop,
    like: Embedded,
) -> Part:
    """A trained network, its features evened out.

    Args:
        network: From views to features `(B, F)` or feature maps; a copy is taken.
        name: Of the copy: no two parts have the same.
        weight: How much it counts.
        how: `Combination`.
        data, views, like: As for `patch_part`.
    """
    network = copy_model(network, views.large_size)
    network.name = name
    features = _embed(network, data, views, like)
    directions = fit_directions(
        features.learned, how.directions, how.whitening, f"directions_{name}"
    )
    return _part(network, directions, weight, data, views, features)


class Combined:
    """A classifier of the features of several networks, for labels of several kinds.

    Args:
        parts: At least one.
        how: `Combination`.
        views: Those of the run.
        seed: Of the rows that are kept, and of the folds.
    """

    def __init__(
        self, parts: list[Part], how: Combination, views: MultiCrop, seed: int
    ) -> None:
        self._parts, self._how, self._views, self._seed = parts, how, views, seed
        first = parts[0].of

        def joined(choose: Callable[[Embedded], np.ndarray | None]) -> np.ndarray:
            values = [choose(part.of) for part in parts]
            return np.concatenate([one for one in values if one is not None], axis=1)

        self.of = dataclasses.replace(
            first,
            learned=joined(lambda of: of.learned),
            test=None if first.test is None else joined(lambda of: of.test),
            saw_labels=any(part.directions is not None for part in parts),
        )

    @functools.cached_property
    def _graph(self) -> NeighbourGraph:
        count = len(self.of.learned)
        return NeighbourGraph(
            self.of.learned,
            np.arange(count) < len(self.of.labels),
            neighbours=self._how.neighbours,
            power=self._how.power,
            max_exact=max(2, count),
            progress=Progress("Measuring,"),
        )

    @functools.cached_property
    def _kept(self) -> np.ndarray:
        """Which images the regression keeps: the labelled ones, and some others."""
        count, labelled = len(self.of.learned), len(self.of.labels)
        order = np.arange(count)
        generator = np.random.default_rng(self._seed)
        order[:labelled] = generator.permutation(labelled)
        order[labelled:] = labelled + generator.permutation(count - labelled)
        return np.sort(order[: self._how.rows])

    @functools.cached_property
    def _ridge(self) -> KernelRidge:
        rows = self.of.learned[self._kept]
        return KernelRidge(rows, self._how.width, self._how.penalty)

    def fit(self, labels: np.ndarray) -> KernelProbe:
        """A classifier of some labels.

        Args:
            labels: `(n,)` of the labelled images, -1 for those that are held out.
        """
        known = labels[labels >= 0]
        counts = np.bincount(known, minlength=self.of.num_classes)
        shares = spread_labels(
            self._graph,
            self.of.of_learned(labels),
            self.of.num_classes,
            class_prior=counts / counts.sum(),
        )
        return self._ridge.fit(shares[self._kept])

    def soft_labels(self) -> np.ndarray:
        """What all images to learn from are taken for, `(n + m, C)` float32; labelled
        ones for what they are."""
        shares = self.fit(self.of.labels).predict_proba(self.of.learned)
        shares[: len(self.of.labels)] = np.eye(self.of.num_classes)[self.of.labels]
        return shares.astype("float32")

    def candidate(self) -> tuple[Candidate, keras.Model]:
        """The classifier of all labels, measured, and its head."""
        probe = self.fit(self.of.labels)
        measured = fitted_candidate(self.of, self.fit, probe, self._seed)
        return measured, kernel_head(probe, FLOOR)

    def classifier(self, head: keras.Model, data: FewLabels) -> ImageClassifier:
        """The same as one network of images."""
        size, channels = self._views.large_size, data.x_train.shape[-1]
        backbone = joined_backbone(
            [(part.network, part.directions, part.weight) for part in self._parts],
            (size, size, channels),
        )
        backbone.trainable = False
        return ImageClassifier(
            backbone,
            head,
            self._views,
            class_names=data.class_names,
            name="classifier",
        )


def _part(
    network: keras.Model,
    directions: keras.layers.Layer | None,
    weight: float,
    data: FewLabels,
    views: MultiCrop,
    like: Embedded,
) -> Part:
    """A part, of which `like` has the features already where there are directions."""
    features = like
    if directions is None:
        features = _embed(network, data, views, like)

    def weighted(values: np.ndarray | None) -> np.ndarray | None:
        if values is None:
            return None
        if directions is not None:
            kernel, bias = directions.get_weights()
            values = values @ kernel + bias
        lengths = np.linalg.norm(values, axis=1, keepdims=True)
        return (weight * values / np.maximum(lengths, 1e-12)).astype("float32")

    learned = weighted(features.learned)
    assert learned is not None
    of = dataclasses.replace(
        features, learned=learned, test=weighted(features.test), saw_labels=False
    )
    return Part(network, directions, weight, of)


def _embed(
    network: keras.Model, data: FewLabels, views: MultiCrop, like: Embedded
) -> Embedded:
    """What a network makes of the images that another one has seen."""
    assert like.rows is not None
    embedder = ImageEmbedder(network, views, name="embedder")

    def embed(images: np.ndarray, what: str) -> np.ndarray:
        told = PredictionProgress(Progress("Measuring,"), what, len(images))
        return embedder.predict(images, verbose=0, callbacks=[told])

    count = len(like.labels)
    learned = [embed(rows_of(data.x_train, like.rows[:count]), "labelled images")]
    if len(like.rows) > count:
        others = rows_of(data.x_train, like.rows[count:])
        learned.append(embed(others, "unlabelled images"))
    test = None
    if like.test is not None and data.x_test is not None:
        test = embed(data.x_test, "images to test on")
    return dataclasses.replace(like, learned=np.concatenate(learned), test=test)
