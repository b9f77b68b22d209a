"""A pretrained network that is fine-tuned on what a few labels become over a graph."""

import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from semppl_keras.data import FewLabels
from semppl_keras.evaluation.propagated_probe import propagated_probe
from semppl_keras.evaluation.propagation import spread_labels
from semppl_keras.networks import ImageClassifier, ImageEmbedder, linear_head
from semppl_keras.runs.candidate_notes import read_note, write_note
from semppl_keras.runs.candidates import (
    Candidate,
    linear_candidate,
    propagated_candidate,
    trained_probe,
    with_one_optimism,
)
from semppl_keras.runs.classifier_training import self_train
from semppl_keras.runs.embedded import Embedded, embedded
from semppl_keras.runs.kept_features import KeptFeatures, Start
from semppl_keras.runs.prediction_progress import PredictionProgress
from semppl_keras.runs.progress import Progress
from semppl_keras.runs.run_models import TUNED, save_heads
from semppl_keras.runs.telling import tell
from semppl_keras.runs.whole_files import save_model
from semppl_keras.views import CachedViews
from semppl_keras.views.multi_crop import single_view

# How much a given label counts, where a propagated one counts as much as its share,
# of those of all images.
_GIVEN = 3.0
# Its checkpoints, and what is written last: what a run that goes on need not do again.
CHECKPOINTS = "tuning"
_NOTE = "tuned.json"


def tune(
    folder: pathlib.Path,
    settings: Mapping[str, Any],
    data: FewLabels,
    start: Start,
    frozen: Embedded,
    kept: KeptFeatures | None,
    *,
    trust: bool = False,
) -> ImageClassifier:
    """Fine-tunes the upper part of a backbone on propagated labels of all images.

    Self-training (Iscen et al., CVPR 2019, arXiv 1904.04717, section 3), from the
    classifier of the frozen features that was fitted to the same labels.

    Args:
        folder: Of the run, where it may have been begun.
        settings: What `run.json` holds.
        data: What the run is trained on.
        start: What is fine-tuned.
        frozen: Features of the frozen backbone.
        kept: What is trained on in the place of images, or None.
        trust: As for `load_model`, of the checkpoints.

    Returns:
        The classifier of images, or of what is kept of them.
    """
    labels, weights = propagated_labels(frozen)
    probe = propagated_probe(
        frozen.graph,
        frozen.learned,
        frozen.of_learned(frozen.labels),
        data.num_classes,
    )
    images = data.x_train if kept is None else kept.all
    if len(frozen.indices) < len(images):
        images = images[frozen.indices]
    else:
        # In the order of the images: they are not copied.
        order = np.argsort(frozen.indices)
        labels, weights = labels[order], weights[order]
    classifier = ImageClassifier(
        start.part,
        linear_head(probe, data.num_classes),
        single_view(start.views) if kept is None else CachedViews(1, cutout=0.5),
        class_names=data.class_names,
        name="classifier",
    )
    return self_train(
        classifier,
        images,
        labels,
        weights,
        data.num_classes,
        seed=settings["seed"],
        checkpoints=folder / CHECKPOINTS,
        depends_on={"labels": settings["labels"]},
        trust=trust,
    ).classifier


def tuned_before(
    folder: pathlib.Path, settings: Mapping[str, Any]
) -> dict[str, Candidate] | None:
    """What was measured of a network that is fine-tuned already, or None.

    Raises:
        RunError: The note is damaged.
    """
    noted = read_note(folder / _NOTE, settings["labels"])
    return None if noted is None else noted[0]


def propagated_labels(of: Embedded) -> tuple[np.ndarray, np.ndarray]:
    """What is trained on: labels of all images, and how much each counts.

    Args:
        of: Features of a network, `Embedded`.

    Returns:
        `(n + m,)` integers and float32, the labelled images first, with their own
        labels.
    """
    given = len(of.labels)
    shares = spread_labels(of.graph, of.of_learned(of.labels), of.num_classes)
    labels, weights = shares.argmax(axis=1), shares.max(axis=1)
    weights /= weights.mean()
    # As much of every class: no label has come so far.
    weights[np.ptp(shares, axis=1) == 0] = 0.0
    labels[:given], weights[:given] = of.labels, _GIVEN
    return labels, weights.astype("float32")


def tuned_candidates(
    folder: pathlib.Path,
    settings: Mapping[str, Any],
    data: FewLabels,
    classifier: ImageClassifier,
    start: Start,
) -> dict[str, Candidate]:
    """Measures a fine-tuned network with classifiers of its features, and keeps these.

    Args:
        folder, settings, data: As for `tune`.
        classifier: What that has given.
        start: As for `tune`.

    Returns:
        By name.
    """
    tell("Measuring the fine-tuned backbone ...")
    seed = settings["seed"]
    classifier = start.whole(classifier)
    embedder = ImageEmbedder(classifier.backbone, classifier.views, name="embedder")

    def embed(images: np.ndarray, what: str) -> np.ndarray:
        told = PredictionProgress(Progress("Measuring,"), what, len(images))
        return embedder.predict(images, verbose=0, callbacks=[told])

    of = embedded(embed, data, saw_labels=True, seed=seed)
    candidates = with_one_optimism(
        {
            "tuned_linear": linear_candidate(
                of, trained_probe(of, seed), seed, keep_head=True
            ),
            "tuned_propagation": propagated_candidate(of, seed),
        },
        "tuned_linear",
    )
    save_heads(folder, {name: one.head for name, one in candidates.items()})
    save_model(embedder, folder / TUNED)
    write_note(folder / _NOTE, settings["labels"], candidates)
    return candidates
