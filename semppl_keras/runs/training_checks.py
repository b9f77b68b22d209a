"""Whether a run can be trained, told before it is."""

import math
import pathlib

from semppl_keras.callbacks import TrainingState
from semppl_keras.data import FewLabels
from semppl_keras.pretraining import SemPPL
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.run_models import check_model


def check_fits(
    checkpoints: pathlib.Path,
    model: SemPPL,
    state: TrainingState,
    data: FewLabels,
    epochs: int,
) -> None:
    """Raises a `RunError` where what goes on is not the training of this run."""
    expected, received = data.x_train.shape[-1], model.backbone.input_shape[-1]
    if not model.views.cached:
        # Others take what is kept of the images.
        check_model(checkpoints, model, data.class_names)
    if received != expected and not model.views.cached:
        raise RunError(
            f"The checkpoints in {str(checkpoints)!r} must take the run's images, of "
            f"{expected} channel(s). Received: a network for {received}. Remove them "
            "to begin anew."
        )
    if state.epoch + bool(state.batch) > epochs:
        raise RunError(
            f"The checkpoints in {str(checkpoints)!r} must be of the run's {epochs} "
            f"epoch(s). Received: one within epoch {state.epoch + 1}. Remove them to "
            "begin anew."
        )


def check_enough_images(
    num_negatives: int, data: FewLabels, batch_size: int, labelled_batch_size: int
) -> None:
    """Raises a `RunError` where a step lacks images that each is to be told from."""
    missing = num_negatives + 1 - batch_size - labelled_batch_size
    if missing <= 0:
        return
    told = (
        f"Every image is told from {num_negatives} others, so that a step needs at "
        f"least {num_negatives + 1}. Received: "
    )
    if batch_size < len(data.x_unlabelled):
        raise RunError(
            f"{told}{batch_size} unlabelled and {labelled_batch_size} labelled ones "
            f"per step. Train with --batch-size {num_negatives + 1} or more."
        )
    raise RunError(
        f"{told}{len(data.x_unlabelled)} unlabelled image(s) and "
        f"{len(data.x_labelled)} labelled one(s) that can be used. Add at least "
        f"{missing} more unlabelled image(s); some hundreds are worth training on."
    )


def check_enough_steps(
    neighbours: int, epochs: int, steps_per_epoch: int, labelled_batch_size: int
) -> None:
    """Raises a `RunError` where a training leaves less in the memory than votes."""
    per_epoch = steps_per_epoch * labelled_batch_size
    if epochs * per_epoch < neighbours:
        raise RunError(
            f"The {neighbours} nearest labelled images vote, and {epochs} epoch(s) of "
            f"{steps_per_epoch} step(s) with {labelled_batch_size} labelled image(s) "
            f"would leave {epochs * per_epoch} in the memory. Train longer: --epochs "
            f"{math.ceil(neighbours / per_epoch)} or more."
        )
