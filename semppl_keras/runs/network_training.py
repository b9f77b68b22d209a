"""SemPPL in a run: the model that is trained, for how long, and its training."""

import contextlib
import math
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np

from semppl_keras.callbacks import ScalarLogs, TargetEMA, TrainingState
from semppl_keras.data import FewLabels
from semppl_keras.pretraining import SemPPL
from semppl_keras.pretraining.continued import take_over
from semppl_keras.runs.budget import Budget
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.folder import dataset_of
from semppl_keras.runs.job import Job
from semppl_keras.runs.kept_features import KeptFeatures, Start, start_of
from semppl_keras.runs.options.checks import CLASSES
from semppl_keras.runs.resuming import begun_training, safe_fit
from semppl_keras.runs.run_files import RunFiles
from semppl_keras.runs.schedule import Schedule
from semppl_keras.runs.settings import schedule_of
from semppl_keras.runs.telling import tell
from semppl_keras.runs.tracker import Tracker
from semppl_keras.runs.training_checks import (
    check_enough_images,
    check_enough_steps,
    check_fits,
)

# What the stages of a recipe train, in words.
_PARTS = {
    "heads": "the heads alone",
    "top": "the upper part of the backbone",
    "all": "the whole backbone",
}


def begin_training(
    job: Job, earlier: SemPPL | None
) -> tuple[SemPPL, TrainingState, Start]:
    """The model that is trained, or what it has come to.

    Args:
        job: The run.
        earlier: What is gone on from in place of a new backbone, of
            `earlier_network`, or None.

    Returns:
        The model, its `TrainingState`, and what it starts from.

    Raises:
        RunError: It cannot be trained, or what is there is none of this run.
    """
    data, recipe, epochs = job.data, job.recipe, job.epochs
    if earlier is not None and not epochs:
        return earlier, TrainingState(), Start(recipe.make_views())
    batch_size, labelled = batches_of(job)
    labelled_batch_size = labelled["labelled_batch_size"]
    steps_per_epoch = steps_in_epoch(job)
    keras.utils.set_random_seed(job.seed)
    checkpoints = job.folder / "checkpoints"
    model, state = begun_training(checkpoints, SemPPL, trust=job.trust)
    start = Start(recipe.make_views())
    if model is None or recipe.kept_views is not None:
        backbone = job.new_backbone() if earlier is None else earlier.backbone
        start = start_of(recipe, backbone)
    if model is None:
        model = recipe.make_model(
            data.x_train.shape[-1],
            data.num_classes,
            steps_per_epoch=steps_per_epoch,
            seed=job.seed,
            backbone=start.part,
            kept=start.lower is not None,
        )
        if earlier is not None and not take_over(
            model, earlier, cut=start.lower is not None
        ):
            tell(
                "Note: projector, predictor and memory begin anew: the recipe has "
                "others than the earlier run."
            )
    check_fits(checkpoints, model, state, data, epochs)
    if epochs:
        check_enough_images(model.num_negatives, data, batch_size, labelled_batch_size)
    if epochs and schedule_of(job.settings) is not None:
        check_enough_steps(
            model.neighbours, epochs, steps_per_epoch, labelled_batch_size
        )
    return model, state, start


def fit_schedule(
    budget: Budget,
    share: float,
    job: Job,
    model: SemPPL,
    kept: KeptFeatures | None,
) -> Schedule:
    """The schedule of SemPPL that fits the minutes of a run.

    Args:
        budget: Of the run.
        share: Of the time for training.
        job: The run.
        model: Of a recipe of one epoch, which is that of its last stage. It is of no
            use afterwards.
        kept: What it is to be trained on in the place of images, or None.
    """
    data = job.data
    batch_size, labelled = batches_of(job)
    with _memory_told(batch_size):
        return budget.fitted(
            "SemPPL",
            lambda: model,
            *images_of(data, kept),
            share=share,
            steps_in_pass=math.ceil(len(data.unlabelled_indices) / batch_size),
            batch_size=batch_size,
            **labelled,
        )


def train_network(
    job: Job,
    model: SemPPL,
    state: TrainingState,
    kept: KeptFeatures | None,
    tracker: Tracker,
    *,
    checkpoint_minutes: float | None,
    strangers: np.ndarray | None = None,
) -> TrainingState:
    """Trains a model, or what is left of its training.

    Args:
        job: The run.
        model, state: What `begin_training` has given.
        kept: What is trained on in the place of images, or None.
        tracker: What follows it beside the run folder.
        checkpoint_minutes: So often there is a checkpoint within an epoch, or None.
        strangers: `(m,)` bool, which unlabelled images are taken for none of the
            classes, or None.

    Returns:
        The `TrainingState` in the end.
    """
    recipe, epochs = job.recipe, job.epochs
    if state.epoch == epochs:
        # As the end of `fit` leaves it.
        model.hold_target()
        return state
    batch_size, labelled = batches_of(job)
    steps_per_epoch = steps_in_epoch(job)
    # An epoch that counts as done is in the logs.
    callbacks = [RunFiles(job), ScalarLogs(job.folder / "logs")]
    if recipe.stages:
        # The target's schedule runs through all of them.
        steps = epochs * steps_per_epoch
        momentum = recipe.model["target_momentum"]
        callbacks.append(TargetEMA(momentum, total_steps=steps))
    callbacks += tracker.callbacks()
    with _memory_told(batch_size):
        while state.epoch < epochs:
            part, begin, end = recipe.stage_at(state.epoch)
            # Within a stage a checkpoint has its optimiser, and what is frozen.
            if (state.epoch, state.batch) == (begin, 0):
                recipe.begin_stage(model, begin, steps_per_epoch)
            if part is not None:
                tell(f"Epochs {begin + 1} to {end} train {_PARTS[part]}.")
            state = safe_fit(
                model,
                state,
                job.folder / "checkpoints",
                *images_of(job.data, kept, strangers),
                minutes=checkpoint_minutes,
                callbacks=callbacks,
                epochs=end,
                batch_size=batch_size,
                **labelled,
                steps_per_epoch=job.settings.get("steps_per_epoch"),
                shorten=_shorten(job.settings),
            )
    return state


@contextlib.contextmanager
def _memory_told(batch_size: int) -> Iterator[None]:
    """Within it a `RunError` says what to do where a step takes too much memory."""
    try:
        yield
    except MemoryError as error:
        raise RunError(
            f"{error} On the command line: --batch-size {max(1, batch_size // 2)}, "
            "with another --out."
        ) from error


def batches_of(job: Job) -> tuple[int, dict[str, Any]]:
    """Unlabelled images of a step, and what `fit` is told of the labelled ones."""
    data, recipe = job.data, job.recipe
    # A second copy of an image would be among its negatives.
    batch_size = min(recipe.batch_size, _num_unlabelled(data))
    labelled = min(recipe.labelled_batch_size, len(data.labelled_indices))
    if job.settings.get("balance") != CLASSES:
        return batch_size, {"labelled_batch_size": labelled}
    counts = np.bincount(data.y_labelled)
    counts = counts[counts > 0]
    of_each = int(min(math.ceil(labelled / len(counts)), counts.min()))
    classes = min(len(counts), max(1, labelled // of_each))
    return batch_size, {
        "labelled_batch_size": of_each * classes,
        "images_per_class": of_each,
    }


def steps_in_epoch(job: Job) -> int:
    """Steps of an epoch: of a pass, or of what fits the minutes of a run."""
    batch_size, _ = batches_of(job)
    schedule = schedule_of(job.settings) or Schedule(1)
    return schedule.steps_in_epoch(math.ceil(_num_unlabelled(job.data) / batch_size))


def _num_unlabelled(data: FewLabels) -> int:
    """At least 1: a network is made, though there be none to train it with."""
    return max(1, len(data.unlabelled_indices))


def images_of(
    data: FewLabels, kept: KeptFeatures | None, strangers: np.ndarray | None = None
) -> tuple[Any, Any]:
    """What `fit` takes: unlabelled images, with hidden labels where some are known, and
    labelled ones; or what is kept of them.

    What strangers are taken for, `(m,)` bool, has no weight.
    """
    unlabelled, labelled = data.x_unlabelled, data.x_labelled
    if kept is not None:
        unlabelled, labelled = kept.unlabelled, kept.labelled
    hidden = data.y_hidden if np.any(data.y_hidden >= 0) else None
    few = labelled, data.y_labelled
    if strangers is not None and strangers.any():
        return (unlabelled, hidden, (~strangers).astype("float32")), few
    return unlabelled if hidden is None else (unlabelled, hidden), few


def _shorten(settings: Mapping[str, Any]) -> str:
    """What makes a training shorter."""
    if settings.get("minutes") is not None:
        return "Fewer --minutes take less."
    if dataset_of(settings).in_parts:
        return "A lower --epochs or --image-size, or a smaller --backbone, takes less."
    return "A lower --epochs takes less."
