"""A pretrained network that is fine-tuned on what a few labels become over a graph."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from semppl_keras.data.few_labels import rows_of
from semppl_keras.evaluation.propagated_probe import propagated_probe
from semppl_keras.networks import ImageClassifier, ImageEmbedder, linear_head
from semppl_keras.runs.balance import repeated_rows, wanted_shares
from semppl_keras.runs.budget import Budget
from semppl_keras.runs.candidate_notes import read_note, write_note
from semppl_keras.runs.candidates import (
    Candidate,
    honest_accuracy,
    linear_candidate,
    propagated_candidate,
    trained_probe,
    with_one_optimism,
)
from semppl_keras.runs.classifier_training import self_train
from semppl_keras.runs.embedded import Embedded, embedded_by
from semppl_keras.runs.frozen import frozen_before
from semppl_keras.runs.job import Job
from semppl_keras.runs.kept_features import KeptFeatures, Start, start_of
from semppl_keras.runs.members import strange_rows
from semppl_keras.runs.options.checks import AS_LABELLED
from semppl_keras.runs.run_models import TUNED, save_heads
from semppl_keras.runs.safety.loading import load_model
from semppl_keras.runs.telling import tell
from semppl_keras.runs.whole_files import save_model
from semppl_keras.views import CachedViews
from semppl_keras.views.variants import single_view

# Its checkpoints, and what is written last: what a run that goes on need not do again.
CHECKPOINTS = "tuning"
_NOTE = "tuned.json"


def tune(
    job: Job,
    start: Start,
    frozen: Embedded,
    kept: KeptFeatures | None,
    *,
    budget: Budget | None = None,
) -> ImageClassifier:
    """Fine-tunes the upper part of a backbone on propagated labels of all images.

    Self-training: the teacher, and what it starts from, is the classifier of the frozen
    features that was fitted to what the labels become over a graph. Images that are
    probably strangers, where that is known of the features, are not learned from. The
    labelled ones are as many of each class as the run's `balance` says.

    Args:
        job: The run, where it may have been begun.
        start: What is fine-tuned.
        frozen: Features of the frozen backbone.
        kept: What is trained on in the place of images, or None.
        budget: Of the run, which it is to fit; or None.

    Returns:
        The classifier of images, or of what is kept of them.

    Raises:
        TooShort: Too few steps of it fit.
    """
    data, settings = job.data, job.settings
    probe = propagated_probe(
        frozen.graph,
        frozen.learned,
        frozen.of_learned(frozen.labels),
        data.num_classes,
        members=frozen.members,
    )
    unlabelled, labelled = data.x_unlabelled, data.x_labelled
    if kept is not None:
        unlabelled, labelled = kept.unlabelled, kept.labelled
    labels = data.y_labelled
    wanted = wanted_shares(settings, frozen, data.class_names)
    if wanted is not None:
        rows = repeated_rows(wanted, labels)
        labelled, labels = rows_of(labelled, rows), labels[rows]
    if (strangers := strange_rows(frozen, data)) is not None:
        unlabelled = rows_of(unlabelled, np.flatnonzero(~strangers))
    classifier = ImageClassifier(
        start.part,
        linear_head(probe, data.num_classes),
        single_view(start.views) if kept is None else CachedViews(1, cutout=0.5),
        class_names=data.class_names,
        name="classifier",
    )
    return self_train(
        classifier,
        unlabelled,
        labelled,
        labels,
        seed=job.seed,
        budget=budget,
        checkpoints=job.folder / CHECKPOINTS,
        depends_on={"labels": settings["labels"], **_balance(settings)},
        trust=job.trust,
    ).classifier


def _balance(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What differs where classes are balanced: otherwise it is what it always was."""
    balance = settings.get("balance") or AS_LABELLED
    return {} if balance == AS_LABELLED else {"balance": balance}


def tuned_before(job: Job) -> dict[str, Candidate] | None:
    """What was measured of a network that is fine-tuned already, or None.

    Raises:
        RunError: The note is damaged.
    """
    noted = read_note(job.folder / _NOTE, job.settings["labels"])
    return None if noted is None else noted[0]


def tuned_candidates(
    job: Job, classifier: ImageClassifier, start: Start
) -> dict[str, Candidate]:
    """Measures a fine-tuned network with classifiers of its features, and keeps these.

    Args:
        job: The run.
        classifier: What `tune` has given.
        start: As for `tune`.

    Returns:
        By name.
    """
    classifier = start.whole(classifier)
    embedder = ImageEmbedder(classifier.backbone, classifier.views, name="embedder")
    save_model(embedder, job.folder / TUNED)
    return _measured(job, embedder)


def tuned_part(job: Job) -> keras.Model:
    """What the training of a run that goes on starts from: what it has fine-tuned.

    Args:
        job: The run, in whose folder `tuned_candidates` has kept it.

    Returns:
        The backbone, or its upper part.

    Raises:
        RunError: It is not there any more, or may be somebody else's.
    """
    embedder = load_model(job.folder / TUNED, ImageEmbedder, trust=job.trust)
    part = start_of(job.recipe, embedder.backbone).part
    assert part is not None
    return part


def tuned_again(job: Job) -> dict[str, Candidate]:
    """The same of a network that an earlier run has fine-tuned, with the labels of now.

    Args:
        job: The run, which has a copy of it; without one there is nothing.

    Returns:
        By name.
    """
    if not (job.folder / TUNED).is_file():
        return {}
    embedder = load_model(job.folder / TUNED, ImageEmbedder, trust=job.trust)
    return _measured(job, embedder)


def _measured(job: Job, embedder: ImageEmbedder) -> dict[str, Candidate]:
    """Classifiers of the features of a fine-tuned network, measured and kept."""
    tell("Measuring the fine-tuned backbone ...")
    seed = job.seed
    of = embedded_by(embedder, job.data, saw_labels=True, seed=seed)
    frozen = frozen_before(job)
    if frozen is not None:
        of = dataclasses.replace(of, honest=honest_accuracy(frozen.candidates))
    candidates = with_one_optimism(
        {
            "tuned_linear": linear_candidate(
                of, trained_probe(of, seed), seed, keep_head=True
            ),
            "tuned_propagation": propagated_candidate(of, seed),
        },
        "tuned_linear",
    )
    save_heads(job.folder, {name: one.head for name, one in candidates.items()})
    write_note(job.folder / _NOTE, job.settings["labels"], candidates)
    return candidates
