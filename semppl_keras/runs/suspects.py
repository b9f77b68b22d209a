"""The labels of a run, each held against what the others say of its image."""

import dataclasses
from typing import Any

import numpy as np

from semppl_keras.evaluation.class_frequencies import balanced_label_weights
from semppl_keras.evaluation.classifier_titles import TITLES, TRAINED, UNTRAINED
from semppl_keras.evaluation.folds import REPEATS
from semppl_keras.evaluation.label_errors import (
    USUAL_NOISE,
    LabelErrors,
    find_label_errors,
    held_out_probabilities,
    label_shares,
    label_weights,
)
from semppl_keras.evaluation.propagated_probe import (
    averaged_shares,
    propagated_probe,
)
from semppl_keras.networks import ImageClassifier, ImageEmbedder
from semppl_keras.runs.embedded import Embedded, embedded
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.finished import FinishedRun
from semppl_keras.runs.kept_images import PREFIX
from semppl_keras.runs.noted_files import noted_paths
from semppl_keras.runs.prediction_progress import PredictionProgress
from semppl_keras.runs.progress import Progress

# Of more labels a single draw of folds says enough, and takes long enough.
_FEW_LABELS = 2000


@dataclasses.dataclass(frozen=True, eq=False)
class Suspects:
    """The labelled images of a run, and what the others say of each.

    Args:
        names: A text for each, its path where it is known.
        images: `(n, s, s, channels)` in [0, 255].
        found: `LabelErrors` of their labels.
        features: `Embedded`, which they were found by.
        noise: Share of the labels that is taken to be wrong.
    """

    names: list[str]
    images: np.ndarray
    found: LabelErrors
    features: Embedded
    noise: float

    @property
    def weights(self) -> np.ndarray:
        """`(n,)`, how much each label is to count, as probable as it is right."""
        return label_weights(self.found, noise=self.noise)

    def doubting_probe(self) -> Any:
        """A classifier of the features, of labels as probable as they are right."""
        of = self.features
        shares = np.zeros((len(of.learned), of.num_classes))
        shares[: len(of.labels)] = label_shares(self.found, noise=self.noise)
        return propagated_probe(
            of.graph,
            of.learned,
            of.of_learned(of.labels),
            of.num_classes,
            label_shares=shares,
        )


def suspects_of(
    finished: FinishedRun, classifier: ImageClassifier, noise: float | None = None
) -> Suspects:
    """Finds them.

    Args:
        finished: `FinishedRun`.
        classifier: One of its classifiers, of whose features it is asked what the
            images have in common.
        noise: Share of the labels that is taken to be wrong; None for `USUAL_NOISE`.

    Raises:
        RunError: There are too few labels to hide any.
    """
    data = finished.data
    if np.sum(np.bincount(data.y_labelled) >= 2) < 2:
        raise RunError(
            f"The run in {str(finished.named)!r} must have two classes with two "
            "labels each, so that one can be hidden and held against the others. "
            f"Received: {len(data.y_labelled)} labels of {data.num_classes} classes. "
            "Label more images, and train again."
        )
    seed = finished.settings["seed"]
    embedder = ImageEmbedder(classifier.backbone, classifier.views, name="embedder")

    def embed(images: np.ndarray, what: str) -> np.ndarray:
        told = PredictionProgress(Progress("Checking,"), what, len(images))
        return embedder.predict(images, verbose=0, callbacks=[told])

    of = embedded(embed, data, test=False, seed=seed)

    def without_hidden(labels: np.ndarray) -> np.ndarray:
        of_all = of.of_learned(labels)
        weights = balanced_label_weights(of_all)
        shares = averaged_shares(of.graph, of.learned, of_all, of.num_classes, weights)
        return shares[: len(labels)]

    shares, judged = held_out_probabilities(
        without_hidden,
        of.labels,
        of.num_classes,
        repeats=REPEATS if len(of.labels) <= _FEW_LABELS else 1,
        seed=seed,
        progress=Progress("Checking,"),
    )
    found = find_label_errors(shares, of.labels, judged)
    names = labelled_names(finished)
    return Suspects(names, data.x_labelled, found, of, noise or USUAL_NOISE)


def saw_labels(how: str) -> bool:
    """Whether the features of a classifier were trained with the labels.

    Args:
        how: What it is called, as `FinishedRun.classifier` has it.
    """
    unaware = {TITLES[name] for name in TITLES if name not in TRAINED}
    return how not in unaware.union(UNTRAINED.values())


def labelled_names(finished: FinishedRun) -> list[str]:
    """A text for each labelled image of a run: its path, also of one that is gone, as
    the run has noted it, and its place where there is none.

    Args:
        finished: `FinishedRun`.
    """
    data = finished.data
    names = getattr(data, "train_names", ())
    if not names:
        return [f"labelled image {place}" for place in range(len(data.y_labelled))]
    named = [names[index] for index in data.labelled_indices]
    if not any(name.startswith(PREFIX) for name in named):
        return named
    noted = noted_paths(finished.folder, finished.settings)
    return [noted.get(name.removeprefix(PREFIX), name) for name in named]
