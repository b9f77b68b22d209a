"""What a run ends with after SemPPL: classifiers with a network of their own."""

import dataclasses
from typing import Any, NamedTuple

from semppl_keras.data import FewLabels
from semppl_keras.networks import ImageClassifier, ImageEmbedder, linear_head
from semppl_keras.networks.image_classifier import as_probabilities
from semppl_keras.pretraining import SemPPL
from semppl_keras.recipes.ending import (
    ConsistencyEnding,
    Ending,
    StudentEnding,
    ending_of,
)
from semppl_keras.runs.balance import prior_to_adjust_by, wanted_shares
from semppl_keras.runs.budget import Budget, TooShort
from semppl_keras.runs.candidate_notes import read_note, write_note
from semppl_keras.runs.candidates import (
    Candidate,
    honest_accuracy,
    linear_candidate,
    trained_probe,
)
from semppl_keras.runs.combination import Combined, Part, network_part, patch_part
from semppl_keras.runs.consistency_training import train_consistently
from semppl_keras.runs.embedded import Embedded, embedded_by
from semppl_keras.runs.ending_student import train_student
from semppl_keras.runs.job import Job
from semppl_keras.runs.run_models import (
    COMBINED,
    PATCHES,
    TRAINED_AT_THE_END,
    network_path,
)
from semppl_keras.runs.safety.json_files import read_json
from semppl_keras.runs.safety.loading import load_model
from semppl_keras.runs.telling import tell
from semppl_keras.runs.whole_files import save_model
from semppl_keras.views import MultiCrop

# Its checkpoints, and what is written last: what a run that goes on need not do again.
CHECKPOINTS = "ending"
_NOTE = "ending.json"


@dataclasses.dataclass(frozen=True, eq=False)
class Ended:
    """What a run has ended with.

    Args:
        candidates: By name, none where nothing was trained.
        settings: How it was trained, as JSON has it, or None.
    """

    candidates: dict[str, Candidate]
    settings: dict[str, Any] | None = None


def ending_for(data: FewLabels, image_size: int, *, pretrained: bool) -> Ending | None:
    """What a run on some data ends with, if it is trained at all.

    Args:
        data: What it is trained on.
        image_size: Of its views, pixels of a side.
        pretrained: Whether its backbone came with weights.
    """
    labels_per_class = len(data.labelled_indices) / data.num_classes
    return ending_of(labels_per_class, image_size, pretrained=pretrained)


def train_ending(
    ending: Ending | None,
    job: Job,
    model: SemPPL,
    of: Embedded,
    *,
    most_steps: int,
    budget: Budget | None = None,
) -> Ended:
    """Fits and trains the classifiers of the ending, measures and keeps them.

    Args:
        ending: Of `ending_for`, or None for none.
        job: The run, where it may have been begun, or done.
        model: A trained `SemPPL` of images.
        of: Its features, of as many images as the combination joins.
        most_steps: Of a training that no time is given. Of none the network that an
            earlier run has ended with gets a classifier, if there is a copy of it.
        budget: What is left of the run's time, of which as many steps are made as fit,
            or None.

    Returns:
        `Ended`.

    Raises:
        RunError: The note of one that was done is damaged.
    """
    if ending is None:
        return Ended({})
    folder, settings, data = job.folder, job.settings, job.data
    noted = read_note(folder / _NOTE, settings["labels"])
    if noted is not None and network_path(folder, COMBINED).is_file():
        return Ended(noted[0], read_json(folder / _NOTE).get("settings"))
    seed, how = job.seed, ending.combination
    size = model.views.large_size
    patches, candidates = _of_patches(ending, job, model.views)
    semppl_weight = how.weight_of_semppl(len(of.labels) / data.num_classes)
    semppl = network_part(model.backbone, "semppl", semppl_weight, how, of, size)
    parts = [patches, semppl]
    trained: tuple[ImageClassifier, dict[str, Any]] | None = None
    honest = honest_accuracy(candidates)
    as_trained: dict[str, Any] | None = None
    name = ending.name
    if most_steps:
        trained = _train(
            ending,
            job,
            model,
            of,
            Combined(parts, how, model.views, seed),
            steps=min(ending.steps, most_steps),
            batch_size=ending.batch_size,
            seed=seed,
            budget=budget,
            checkpoints=folder / CHECKPOINTS,
            depends_on={"ending": ending.name, "labels": settings["labels"]},
            trust=job.trust,
        )
    else:
        again = _of_earlier(job, how.images, honest)
        if again is not None:
            name, candidates[again.name], of_network, classifier = again
    if trained is not None:
        classifier, as_trained = trained
        classifier.class_names = data.class_names
        candidates[name], of_network = _measured(job, classifier, how.images, honest)
        save_model(classifier, network_path(folder, name))
    if name in candidates:
        network, weight = classifier.backbone, how.network_weight
        parts.append(network_part(network, name, weight, how, of_network, size))
    tell("Measuring all networks together ...")
    combined = Combined(parts, how, model.views, seed, honest)
    candidates[COMBINED] = _kept(combined, COMBINED, job)
    write_note(folder / _NOTE, settings["labels"], candidates, settings=as_trained)
    return Ended(candidates, as_trained)


def untrained_ending(job: Job, views: MultiCrop) -> Ended:
    """The part of the ending that needs no training, measured and kept.

    Args:
        job: The run.
        views: Of its network, which has no weights from elsewhere.
    """
    ending = ending_for(job.data, views.large_size, pretrained=False)
    if ending is None:
        return Ended({})
    _, candidates = _of_patches(ending, job, views)
    return Ended(candidates)


def _of_patches(
    ending: Ending, job: Job, views: MultiCrop
) -> tuple[Part, dict[str, Candidate]]:
    """What all images have in common, and the classifier of that alone."""
    tell("Looking for what all images have in common ...")
    patches = patch_part(ending.combination, job.data, views, job.seed)
    alone = Combined([patches], ending.combination, views, job.seed)
    return patches, {PATCHES: _kept(alone, PATCHES, job)}


def _kept(combined: Combined, name: str, job: Job) -> Candidate:
    """A combination, measured and kept as one network."""
    candidate, head = combined.candidate()
    save_model(combined.classifier(head, job.data), network_path(job.folder, name))
    return candidate


def _train(
    ending: Ending,
    job: Job,
    model: SemPPL,
    of: Embedded,
    combined: Combined,
    **training: Any,
) -> tuple[ImageClassifier, dict[str, Any]] | None:
    """The network of an ending and how it was trained; None without time for it."""
    data = job.data
    try:
        if isinstance(ending, StudentEnding):
            shares = combined.soft_labels()
            return train_student(ending, data, model, of, shares, **training)
        assert isinstance(ending, ConsistencyEnding)
        wanted = wanted_shares(job.settings, of, data.class_names)
        if wanted is not None:
            # A student learns from shares that are balanced already.
            prior = prior_to_adjust_by(wanted, data.y_labelled)
            training = {**training, "class_prior": prior}
        trainer, how = train_consistently(ending.method, model, data, **training)
        return trainer.classifier, how
    except TooShort as error:
        tell(f"Note: the run ends without a {ending.name} classifier. {error}")
        return None


class _Again(NamedTuple):
    """A network that was trained before, with a classifier for the labels of now."""

    name: str
    candidate: Candidate
    of: Embedded
    classifier: ImageClassifier


def _of_earlier(job: Job, most: int, honest: float | None) -> _Again | None:
    """The network that an earlier run has ended with, or None without a copy of it."""
    for name in TRAINED_AT_THE_END:
        path = network_path(job.folder, name)
        if path.is_file():
            break
    else:
        return None
    tell("Measuring the last network of the earlier run ...")
    data, seed = job.data, job.seed
    earlier = load_model(path, ImageClassifier, trust=job.trust)
    embedder = ImageEmbedder(earlier.backbone, earlier.views, name="embedder")
    of = embedded_by(embedder, data, saw_labels=True, most=most, seed=seed)
    of = dataclasses.replace(of, honest=honest)
    probe = trained_probe(of, seed)
    classifier = ImageClassifier(
        earlier.backbone,
        linear_head(probe, data.num_classes),
        earlier.views,
        class_names=data.class_names,
        name="classifier",
    )
    save_model(classifier, path)
    return _Again(name, linear_candidate(of, probe, seed), of, classifier)


def _measured(
    job: Job, classifier: ImageClassifier, most: int, honest: float | None
) -> tuple[Candidate, Embedded]:
    """How good a network is, and what it makes of the images.

    By cross-validation that is a linear probe of its features, without what knowing
    the labels flatters these by: the network would have to be trained anew for each
    fold.
    """
    tell("Measuring the last classifier ...")
    seed = job.seed
    embedder = ImageEmbedder(classifier.backbone, classifier.views, name="embedder")
    of = embedded_by(embedder, job.data, saw_labels=True, most=most, seed=seed)
    of = dataclasses.replace(of, honest=honest)
    measured = linear_candidate(of, trained_probe(of, seed), seed)
    if measured.cross_validation is not None and len(of.others):
        # How certain the network itself is, and not the probe.
        said = as_probabilities(classifier, of.others)
        measured = measured.as_certain_as_right(said, honest)
    predictions = None
    if of.test is not None:
        predictions = as_probabilities(classifier, of.test).argmax(axis=1)
    measured = dataclasses.replace(
        measured,
        accuracy=of.accuracy(predictions),
        balanced_accuracy=of.balanced_accuracy(predictions),
        predictions=predictions,
    )
    return measured, of
