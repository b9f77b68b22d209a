"""Several networks of a run as one classifier: side by side, over one graph."""

import dataclasses
import functools

import keras
import numpy as np

from semppl_keras.backbones.directions import fit_directions
from semppl_keras.backbones.joined import joined_backbone
from semppl_keras.backbones.patch_network import fit_patch_network, usual_patches
from semppl_keras.data import FewLabels
from semppl_keras.evaluation.kernel_ridge import FLOOR, KernelProbe, KernelRidge
from semppl_keras.evaluation.neighbour_graph import NeighbourGraph
from semppl_keras.evaluation.propagation import spread_labels_alike
from semppl_keras.networks import ImageClassifier, ImageEmbedder, copy_model
from semppl_keras.networks.kernel_head import kernel_head
from semppl_keras.recipes.ending import Combination
from semppl_keras.runs.candidates import Candidate, fitted_candidate
from semppl_keras.runs.embedded import Embedded, embedded_by
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


def patch_part(how: Combination, data: FewLabels, views: MultiCrop, seed: int) -> Part:
    """A network of the patches that the images have, which no label is needed for.

    Args:
        how: `Combination`.
        data: What the run is trained on.
        views: Of which images see the central one.
        seed: Of the dictionaries.
    """
    low, high = views.output_range
    generator = np.random.default_rng(seed)
    chosen = np.sort(generator.permutation(len(data.x_train))[:_MOST_FITTED])
    viewed = [
        keras.ops.convert_to_numpy(
            views.center_view(data.x_train[chosen[start : start + 1000]])
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
    embedder = ImageEmbedder(network, views, name="embedder")
    return Part(
        network, None, 1.0, embedded_by(embedder, data, most=how.images, seed=seed)
    )


def network_part(
    network: keras.Model,
    name: str,
    weight: float,
    how: Combination,
    of: Embedded,
    image_size: int,
) -> Part:
    """A trained network, its features evened out.

    Args:
        network: From views to features `(B, F)` or feature maps; a copy is taken.
        name: Of the copy: no two parts have the same.
        weight: How much it counts.
        how: `Combination`.
        of: What it makes of the images of the run.
        image_size: Of the views, pixels of a side.
    """
    network = copy_model(network, image_size)
    network.name = name
    directions = fit_directions(
        of.learned, how.directions, how.whitening, f"directions_{name}"
    )
    kernel, bias = directions.get_weights()

    def evened(values: np.ndarray) -> np.ndarray:
        values = values @ kernel + bias
        lengths = np.linalg.norm(values, axis=1, keepdims=True)
        return (weight * values / np.maximum(lengths, 1e-12)).astype("float32")

    of = dataclasses.replace(
        of,
        learned=evened(of.learned),
        test=None if of.test is None else evened(of.test),
    )
    return Part(network, directions, weight, of)


class Combined:
    """A classifier of the features of several networks, for labels of several kinds.

    Args:
        parts: At least one, of the same images.
        how: `Combination`.
        views: Those of the run.
        seed: Of the rows that are kept, and of the folds.
        honest: As for `Embedded`.
    """

    def __init__(
        self,
        parts: list[Part],
        how: Combination,
        views: MultiCrop,
        seed: int,
        honest: float | None = None,
    ) -> None:
        self._parts, self._how = tuple(parts), how
        self._views, self._seed = views, seed
        of_parts = [part.of for part in parts]
        tests = [of.test for of in of_parts if of.test is not None]
        self.of = dataclasses.replace(
            of_parts[0],
            learned=np.concatenate([of.learned for of in of_parts], axis=1),
            test=np.concatenate(tests, axis=1) if tests else None,
            saw_labels=any(of.saw_labels for of in of_parts),
            honest=honest,
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
        labels_per_class = np.count_nonzero(labels >= 0) / self.of.num_classes
        shares = spread_labels_alike(
            self._graph,
            self.of.of_learned(labels),
            self.of.num_classes,
            alpha=self._how.alpha(labels_per_class),
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
