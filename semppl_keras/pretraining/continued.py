"""A trained model that goes on: with other classes and labels, in a new training."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from semppl_keras.memory.carrying_over import carry_over, forget, remember
from semppl_keras.networks import split_backbone
from semppl_keras.pretraining.memory_classifier import memory_embeddings
from semppl_keras.pretraining.semppl import SemPPL


def with_classes(model: SemPPL, num_classes: int, numbers: Mapping[int, int]) -> SemPPL:
    """A model with the same networks for other classes.

    Args:
        model: which stays as it is.
        num_classes: int, at least 2.
        numbers: of each class that stays, its number before and now.

    Returns:
        A `SemPPL`, not compiled, whose memory has room for each class and holds what is
        known of those that stay.
    """
    config = model.get_config()
    config["num_classes"] = num_classes
    # Each class has room for the majority of the neighbours.
    least = num_classes * (model.neighbours // 2 + 1)
    config["memory_size"] = max(model.memory_size, least)
    # Of images of an earlier training.
    config.pop("num_images", None)
    other = SemPPL.from_config(config)
    assert model.target is not None
    assert other.target is not None
    other.online.set_weights(model.online.get_weights())
    other.target.set_weights(model.target.get_weights())
    carry_over(model.memory, other.memory, numbers)
    return other


def remember_images(
    model: SemPPL,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    alone: bool = False,
    callbacks: Any = None,
) -> None:
    """Writes labelled images into a memory as the target network sees them now.

    Args:
        model: a `SemPPL` of images.
        images: `(N, H, W, C)`.
        labels: `(N,)`.
        alone: bool, whether what the memory holds is forgotten before.
        callbacks: as in `keras.Model.predict`.
    """
    if alone:
        forget(model.memory)
    embeddings = memory_embeddings(model, images, callbacks, network="target")
    rows = ops.convert_to_numpy(ops.normalize(embeddings, axis=-1, epsilon=1e-6))
    # The central view stands for each of those that training takes.
    views = np.repeat(rows[None], model.memory.num_views, axis=0)
    remember(model.memory, views, labels)


def take_over(model: SemPPL, earlier: SemPPL, *, cut: bool = False) -> bool:
    """Lets a training begin with what an earlier one has come to.

    Args:
        model: new, with the backbone of the earlier one, or with its upper part.
        earlier: of as many classes.
        cut: bool, whether it is the upper part, see `networks.split_backbone`.

    Returns:
        Whether projector, predictor and memory were taken over, too; where those of
        the new model are of other sizes, they begin anew.
    """
    assert model.target is not None
    assert earlier.target is not None
    backbone = earlier.target.backbone
    if cut:
        _, backbone = split_backbone(backbone)
    model.target.backbone.set_weights(backbone.get_weights())
    pairs = [
        (model.online.heads, earlier.online.heads),
        (model.target.heads, earlier.target.heads),
    ]
    memory, source = model.memory, earlier.memory
    if (memory.num_views, memory.dim) != (source.num_views, source.dim):
        return False
    if not all(_are_alike(heads, others) for heads, others in pairs):
        return False
    for heads, others in pairs:
        for head, other in zip(heads, others, strict=True):
            head.set_weights(other.get_weights())
    carry_over(source, memory, {one: one for one in range(model.num_classes)})
    return True


def _are_alike(heads: Sequence[keras.Model], others: Sequence[keras.Model]) -> bool:
    one, other = (
        [weight.shape for head in each for weight in head.weights]
        for each in (heads, others)
    )
    return one == other
