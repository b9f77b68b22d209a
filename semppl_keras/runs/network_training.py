"""SemPPL in a run: the model that is trained, for how long, and its training."""

import contextlib
import math
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np

from semppl_keras.callbacks import ScalarLogs, TargetEMA, TrainingState
from semppl_keras.data import FewLabels
from semppl_keras.pretraining import SemPPL
from semppl_keras.pretraining.continued import take_over
from semppl_keras.recipes import Recipe
from semppl_keras.runs.budget import Budget
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.folder import dataset_of
from semppl_keras.runs.kept_features import KeptFeatures, Start, start_of
from semppl_keras.runs.options.checks import CLASSES
from semppl_keras.runs.options.train import TrainOptions
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
    folder: pathlib.Path,
    settings: Mapping[str, Any],
    data: FewLabels,
    recipe: Recipe,
    make_backbone: Callable[[], keras.Model],
    earlier: SemPPL | None,
    options: TrainOptions,
) -> tuple[SemPPL, TrainingState, Start]:
    """The model that is trained, or what it has come to.

    Args:
        folder: Of the run.
        settings: What `run.json` is to hold.
        data, recipe: What it is trained on, and how.
        make_backbone: Gives a backbone as it was before all training.
        earlier: What is gone on from in its place, of `earlier_network`, or None.
        options: `TrainOptions`.

    Returns:
        The model, its `TrainingState`, and what it starts from.

    Raises:
        RunError: It cannot be trained, or what is there is none of this run.
    """
    if earlier is not None and not settings["epochs"]:
        return earlier, TrainingState(), Start(recipe.make_views())
    epochs, seed = settings["epochs"], settings["seed"]
    batch_size, labelled = batches_of(settings, data, recipe)
    labelled_batch_size = labelled["labelled_batch_size"]
    steps_per_epoch = steps_in_epoch(settings, data, recipe)
    keras.utils.set_random_seed(seed)
    model, state = begun_training(folder / "checkpoints", SemPPL, trust=options.trust)
    start = Start(recipe.make_views())
    if model is None or recipe.kept_views is not None:
        backbone = make_backbone() if earlier is None else earlier.backbone
        start = start_of(recipe, backbone)
    if model is None:
        model = recipe.make_model(
            data.x_train.shape[-1],
            data.num_classes,
            steps_per_epoch=steps_per_epoch,
            seed=seed,
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
    check_fits(folder / "checkpoints", model, state, data, epochs)
    if epochs:
        check_enough_images(model.num_negatives, data, batch_size, labelled_batch_size)
    if epochs and schedule_of(settings) is not None:
        check_enough_steps(
            model.neighbours, epochs, steps_per_epoch, labelled_batch_size
        )
    return model, state, start


def fit_schedule(
    budget: Budget,
    share: float,
    settings: Mapping[str, Any],
    model: SemPPL,
    data: FewLabels,
    recipe: Recipe,
    kept: KeptFeatures | None,
) -> Schedule:
    """The schedule of SemPPL that fits the minutes of a run.

    Args:
        budget: Of the run.
        share: Of the time for training.
        settings: What `run.json` holds.
        model: Of a recipe of one epoch, which is that of its last stage. It is of no
            use afterwards.
        data, recipe, kept: What it is to be trained on, and how.
    """
    batch_size, labelled = batches_of(settings, data, recipe)
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
    folder: pathlib.Path,
    settings: Mapping[str, Any],
    data: FewLabels,
    recipe: Recipe,
    model: SemPPL,
    state: TrainingState,
    kept: KeptFeatures | None,
    options: TrainOptions,
    tracker: Tracker,
    strangers: np.ndarray | None = None,
) -> TrainingState:
    """Trains a model, or what is left of its training.

    Args:
        folder, settings, data, recipe, options: As for `begin_training`.
        model, state: What that has given.
        kept: What is trained on in the place of images, or None.
        tracker: What follows it beside the run folder.
        strangers: `(m,)` bool, which unlabelled images are taken for none of the
            classes, or None.

    Returns:
        The `TrainingState` in the end.
    """
    if state.epoch == settings["epochs"]:
        # As the end of `fit` leaves it.
        model.hold_target()
        return state
    batch_size, labelled = batches_of(settings, data, recipe)
    epochs = settings["epochs"]
    steps_per_epoch = steps_in_epoch(settings, data, recipe)
    # An epoch that counts as done is in the logs.
    callbacks = [RunFiles(folder, settings, data), ScalarLogs(folder / "logs")]
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
                folder / "checkpoints",
                *images_of(data, kept, strangers),
                minutes=options.checkpoint_minutes,
                callbacks=callbacks,
                epochs=end,
                batch_size=batch_size,
                **labelled,
                steps_per_epoch=settings.get("steps_per_epoch"),
                shorten=_shorten(settings),
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


def batches_of(
    settings: Mapping[str, Any], data: FewLabels, recipe: Recipe
) -> tuple[int, dict[str, Any]]:
    """Unlabelled images of a step, and what `fit` is told of the labelled ones."""
    # A second copy of an image would be among its negatives.
    batch_size = min(recipe.batch_size, _num_unlabelled(data))
    labelled = min(recipe.labelled_batch_size, len(data.labelled_indices))
    if settings.get("balance") != CLASSES:
        return batch_size, {"labelled_batch_size": labelled}
    counts = np.bincount(data.y_labelled)
    counts = counts[counts > 0]
    of_each = int(min(math.ceil(labelled / len(counts)), counts.min()))
    classes = min(len(counts), max(1, labelled // of_each))
    return batch_size, {
        "labelled_batch_size": of_each * classes,
        "images_per_class": of_each,
    }


def steps_in_epoch(settings: Mapping[str, Any], data: FewLabels, recipe: Recipe) -> int:
    """Steps of an epoch: of a pass, or of what fits the minutes of a run."""
    batch_size, _ = batches_of(settings, data, recipe)
    schedule = schedule_of(settings) or Schedule(1)
    return schedule.steps_in_epoch(math.ceil(_num_unlabelled(data) / batch_size))


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
