"""The network of an earlier run, as a run that goes on begins with it."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from semppl_keras.data import FewLabels
from semppl_keras.memory.carrying_over import carry_over, forget, remember
from semppl_keras.networks import split_backbone
from semppl_keras.pretraining import SemPPL
from semppl_keras.pretraining.memory_classifier import memory_embeddings
from semppl_keras.runs.kept_features import Start
from semppl_keras.runs.prediction_progress import PredictionProgress
from semppl_keras.runs.progress import Progress
from semppl_keras.runs.run_models import EARLIER
from semppl_keras.runs.safety.loading import load_model
from semppl_keras.runs.telling import tell


def earlier_network(
    folder: pathlib.Path,
    settings: Mapping[str, Any],
    data: FewLabels,
    *,
    trust: bool = False,
) -> SemPPL:
    """The network that a run goes on from, for the classes and labels of now.

    Backbone, projector and predictor are those of the earlier run; its memory is, too,
    as far as its labels still hold, and behind these it gets all labelled images of now
    as the network sees them.

    Args:
        folder: Of the run that goes on.
        settings: What its `run.json` holds.
        data: What it is trained on.
        trust: As for `load_model`.

    Returns:
        A `SemPPL` of images, not compiled where the classes are others.

    Raises:
        RunError: The file is gone, or none of this run.
    """
    path, note = folder / EARLIER, settings["from"]
    model = load_model(path, SemPPL, trust=trust)
    before, now = note["class_names"], list(data.class_names)
    numbers = {
        number: now.index(name) for number, name in enumerate(before) if name in now
    }
    if before != now:
        grown = with_classes(model, len(now))
        carry_over(model.memory, grown.memory, numbers)
        model = grown
    if note["same_labels"] and before == now:
        return model
    labels = note.get("labels")
    if labels is None or labels["changed"] or labels["removed"]:
        # What is in the memory has no image's name on it.
        forget(model.memory)
        tell(
            "The memory begins anew with the labelled images of now: some of the "
            "earlier labels hold no more, or are not known by name."
        )
    told = PredictionProgress(
        Progress("Remembering,"), "labelled images", len(data.labelled_indices)
    )
    embeddings = memory_embeddings(
        model, data.x_labelled, callbacks=[told], network="target"
    )
    rows = ops.convert_to_numpy(ops.normalize(embeddings, axis=-1, epsilon=1e-6))
    views = np.repeat(rows[None], model.memory.num_views, axis=0)
    remember(model.memory, views, data.y_labelled)
    return model


def with_classes(model: SemPPL, num_classes: int) -> SemPPL:
    """A model with the same networks for another number of classes.

    Args:
        model: Which stays as it is.
        num_classes: At least 2.

    Returns:
        A `SemPPL`, not compiled, whose memory is empty and has room for the classes.
    """
    config = model.get_config()
    config["num_classes"] = num_classes
    # Each class has room for the majority of the neighbours.
    least = num_classes * (model.neighbours // 2 + 1)
    config["memory_size"] = max(model.memory_size, least)
    config.pop("num_images", None)
    other = SemPPL.from_config(config)
    other.online.set_weights(model.online.get_weights())
    assert model.target is not None
    assert other.target is not None
    other.target.set_weights(model.target.get_weights())
    return other


def take_over(model: SemPPL, earlier: SemPPL, start: Start) -> None:
    """Lets a training begin with what an earlier one has come to.

    Args:
        model: New, with the backbone of the earlier one, or with its upper part.
        earlier: Of `earlier_network`.
        start: What `model` was made with.
    """
    assert model.target is not None
    assert earlier.target is not None
    backbone = earlier.target.backbone
    if start.lower is not None:
        _, backbone = split_backbone(backbone)
    model.target.backbone.set_weights(backbone.get_weights())
    pairs = [
        (model.online.heads, earlier.online.heads),
        (model.target.heads, earlier.target.heads),
    ]
    if all(_are_alike(heads, others) for heads, others in pairs):
        for heads, others in pairs:
            for head, other in zip(heads, others, strict=True):
                head.set_weights(other.get_weights())
        own = {number: number for number in range(model.num_classes)}
        carry_over(earlier.memory, model.memory, own)
        return
    tell(
        "Note: projector, predictor and memory begin anew: the recipe has others than "
        "the earlier run."
    )


def _are_alike(heads: Sequence[keras.Model], others: Sequence[keras.Model]) -> bool:
    one, other = (
        [weight.shape for head in each for weight in head.weights]
        for each in (heads, others)
    )
    return one == other
