"""Classifiers of a run that it may label with, each measured by its labels."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from semppl_keras.data import FewLabels
from semppl_keras.data.few_labels import rows_of
from semppl_keras.evaluation import (
    fit_probe,
    knn_probabilities,
)
from semppl_keras.evaluation.calibration import match_confidence
from semppl_keras.evaluation.choosing import (
    CrossValidation,
    cross_validate,
    expected_accuracy,
)
from semppl_keras.evaluation.folds import REPEATS
from semppl_keras.evaluation.probe import refitted
from semppl_keras.evaluation.propagated_probe import propagated_probe
from semppl_keras.evaluation.unit_probe import unit_probe
from semppl_keras.networks import linear_head
from semppl_keras.pretraining import SemPPL
from semppl_keras.pretraining.memory_classifier import (
    memory_classifier,
    memory_embeddings,
)
from semppl_keras.runs.embedded import Embedded, embedded
from semppl_keras.runs.pixel_classifier import fit_pixel_probe, pixel_embedder
from semppl_keras.runs.prediction_progress import PredictionProgress
from semppl_keras.runs.progress import Progress

# Others whose certainty is compared with that of held-out labelled images.
_MOST_WATCHED = 2000
# Of more labels, or more images that are looked at with them, a single draw of folds
# says enough, and takes long enough.
_FEW_LABELS, _FEW_IMAGES = 2000, 5000
_KNN_TEMPERATURE = 0.07
# Images of which the memory is asked how sure it is.
_MOST_VOTES = 500


@dataclasses.dataclass(frozen=True, eq=False)
class Candidate:
    """A classifier, and how good it is.

    Args:
        cross_validation: By its labels; None where there are too few.
        accuracy: On the images to test on, or None without any.
        predictions: `(t,)` classes of these, or None.
        head: From features to logits, to be kept; None for what is made again out of
            the labelled images when it is asked for.
        balanced_accuracy: As `accuracy`, every class counting alike.
    """

    cross_validation: CrossValidation | None
    accuracy: float | None
    predictions: np.ndarray | None = None
    head: keras.Model | None = None
    balanced_accuracy: float | None = None

    def with_optimism(self, optimism: float) -> "Candidate":
        """The same with another estimate of how much its features are flattered."""
        if self.cross_validation is None:
            return self
        measured = dataclasses.replace(self.cross_validation, optimism=optimism)
        return dataclasses.replace(self, cross_validation=measured)

    def as_certain_as_right(
        self, shares: np.ndarray, honest: float | None
    ) -> "Candidate":
        """The same with the temperature by which it is as certain as it is right.

        Args:
            shares: `(N, C)`, what it says of images that nobody has labelled.
            honest: As for `Embedded`.
        """
        assert self.cross_validation is not None
        right = expected_accuracy(self.cross_validation.mean, honest)
        measured = dataclasses.replace(
            self.cross_validation, temperature=match_confidence(shares, right)
        )
        return dataclasses.replace(self, cross_validation=measured)


def with_one_optimism(
    candidates: Mapping[str, Candidate], name: str
) -> dict[str, Candidate]:
    """The same classifiers with the optimism of one of them.

    What features are flattered by is the same for all that see them.
    """
    measured = candidates[name].cross_validation
    if measured is None:
        return {**candidates}
    return {
        other: one.with_optimism(measured.optimism) for other, one in candidates.items()
    }


def honest_accuracy(candidates: Mapping[str, Candidate]) -> float | None:
    """How often the best of some classifiers is right, whose features saw no labels.

    Args:
        candidates: By name.

    Returns:
        A share, by the labels alone; None where nothing was measured.
    """
    means = [
        one.cross_validation.mean
        for one in candidates.values()
        if one.cross_validation is not None
    ]
    return max(means, default=None)


def linear_candidate(
    of: Embedded, probe: Any, seed: int, *, keep_head: bool = False
) -> Candidate:
    """A linear probe of the labelled images.

    Args:
        of: `Embedded`.
        probe: What `fit_probe` or `unit_probe` made of them.
        seed: Of the folds.
        keep_head: Whether the candidate has a head.
    """

    def fit(labels: np.ndarray) -> Any:
        known = labels >= 0
        return refitted(probe, of.labelled[known], labels[known])

    return fitted_candidate(of, fit, probe, seed, keep_head=keep_head)


def propagated_candidate(of: Embedded, seed: int) -> Candidate:
    """A classifier fitted to what the labels become over a graph of all images."""

    def fit(labels: np.ndarray) -> Any:
        labels = of.of_learned(labels)
        return propagated_probe(
            of.graph, of.learned, labels, of.num_classes, members=of.members
        )

    return fitted_candidate(of, fit, fit(of.labels), seed, keep_head=True)


def memory_candidate(
    model: SemPPL,
    data: FewLabels,
    accuracy: float | None,
    seed: int,
    honest: float | None = None,
) -> Candidate:
    """The votes of a trained model's memory.

    What is in the memory has no image's name on it. So it is measured as the votes of
    the labelled images that are not held out, as many as the neighbours in the memory
    are images, each as its centre is embedded now.

    How sure it is of images that nobody has labelled is seen of the memory itself.

    Args:
        model: Trained.
        data: What it was trained on.
        accuracy: On the images to test on, or None.
        seed: Of the folds.
        honest: As for `Embedded`.
    """
    told = PredictionProgress(
        Progress("Measuring,"), "labelled images", len(data.labelled_indices)
    )
    labelled = memory_embeddings(model, data.x_labelled, callbacks=[told])
    remembered = int(np.sum(model.memory.stored_labels() >= 0))
    of_images = model.neighbours * len(labelled) / max(1, remembered)

    def shares(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        known = labels >= 0
        k = int(np.clip(round(of_images), 1, known.sum()))
        votes = knn_probabilities(
            labelled[known],
            labels[known],
            labelled,
            k,
            num_classes=data.num_classes,
            temperature=_KNN_TEMPERATURE,
        )
        return votes, votes[:0]

    measured = _cross_validated(shares, data.y_labelled, len(data.x_train), seed)
    others = data.unlabelled_indices[:_MOST_VOTES]
    candidate = Candidate(measured, accuracy)
    if measured is not None and len(others):
        votes = memory_classifier(model).predict(
            rows_of(data.x_train, others), verbose=0
        )
        candidate = candidate.as_certain_as_right(votes, honest)
    return candidate


def pixel_candidate(model: SemPPL, data: FewLabels, seed: int) -> Candidate:
    """What the labels give without any network."""
    embedder = pixel_embedder(model.views, data.x_train.shape[1:])
    of = embedded(
        lambda images, what: embedder.predict(images, verbose=0),
        data,
        # Of others it makes no use.
        most=0,
    )
    return linear_candidate(of, fit_pixel_probe(of.labelled, of.labels, seed), seed)


def trained_probe(of: Embedded, seed: int) -> Any:
    """The linear probe that a trained network is measured by."""
    progress = Progress("Measuring,")
    return fit_probe(of.labelled, of.labels, seed=seed, progress=progress)


def frozen_probe(of: Embedded, seed: int) -> Any:
    """That of a network which has never seen these images."""
    return unit_probe(of.labelled, of.labels, seed=seed)


def fitted_candidate(
    of: Embedded,
    fit: Callable[[np.ndarray], Any],
    probe: Any,
    seed: int,
    *,
    keep_head: bool = False,
) -> Candidate:
    """A classifier of features that can be fitted to some of the labels.

    Args:
        of: `Embedded`.
        fit: Function of labels `(n,)`, -1 for those that are held out, that gives a
            fitted classifier with scikit-learn's methods.
        probe: What it gives of all labels.
        seed: Of the folds.
        keep_head: Whether the candidate has a head, which is linear.
    """
    others = of.others[_watched(len(of.others), seed)] if of.saw_labels else None

    def shares(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        fitted = fit(labels)
        unlabelled = np.empty((0, of.num_classes))
        if others is not None:
            unlabelled = shares_of(fitted, others, of.num_classes)
        return shares_of(fitted, of.labelled, of.num_classes), unlabelled

    predictions = None if of.test is None else probe.predict(of.test)
    return Candidate(
        _cross_validated(
            shares,
            of.labels,
            len(of.learned),
            seed,
            saw_labels=of.saw_labels,
            honest=of.honest,
        ),
        of.accuracy(predictions),
        predictions,
        linear_head(probe, of.num_classes) if keep_head else None,
        of.balanced_accuracy(predictions),
    )


def shares_of(probe: Any, features: np.ndarray, num_classes: int) -> np.ndarray:
    """Probabilities `(N, C)` of all classes, those among them that no label is of."""
    shares = np.zeros((len(features), num_classes))
    # Where every image has a label there are no others.
    if len(features):
        shares[:, probe.classes_] = probe.predict_proba(features)
    return shares


def _cross_validated(
    shares: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    labels: np.ndarray,
    num_images: int,
    seed: int,
    *,
    saw_labels: bool = False,
    honest: float | None = None,
) -> CrossValidation | None:
    few = len(labels) <= _FEW_LABELS and num_images <= _FEW_IMAGES
    return cross_validate(
        shares,
        labels,
        saw_labels=saw_labels,
        honest=honest,
        repeats=REPEATS if few else 1,
        seed=seed,
        progress=Progress("Measuring,"),
    )


def _watched(count: int, seed: int) -> np.ndarray:
    if count <= _MOST_WATCHED:
        return np.arange(count)
    generator = np.random.default_rng(seed)
    return np.sort(generator.choice(count, _MOST_WATCHED, replace=False))
