"""Stops a training that has diverged, and warns of one whose embeddings collapse."""

import math
import pathlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from semppl_keras.callbacks.defaults import warned_of
from semppl_keras.callbacks.training_diverged import TrainingDiverged
from semppl_keras.checks import check_positive

# Of the spread of embeddings that point in all directions alike.
_COLLAPSED_SHARE = 0.1
# Epochs in a row: a network may begin with embeddings that are nearly alike.
_COLLAPSED_EPOCHS = 2


class TrainingHealth(keras.callbacks.Callback):
    """Stops a training that has diverged, and warns of one that collapses.

    It has diverged where the mean loss of an epoch so far is not finite, or many times
    its lowest value, or where the weights at the end of an epoch are not finite. It
    collapses where the components of the embeddings hardly differ over the images of a
    batch, at the end of two epochs in a row.

    Args:
        largest_growth: positive float, how many times its lowest value so far, or 1
            where that is lower, the loss may be.
        checkpoints: `TrainingCheckpoints`, whose last one is named; or None.
        warn: function of a text, called once on collapse; None for a warning.

    Raises:
        ValueError: an argument is out of range.
        TrainingDiverged: from `fit`, with the step, the learning rate and the last good
            checkpoint.
    """

    # The end of a batch only looks at its logs: Keras may call it beside the next step
    # instead of waiting for them.
    async_safe = True

    def __init__(
        self,
        largest_growth: float = 100.0,
        checkpoints: Any = None,
        warn: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__()
        check_positive(largest_growth=largest_growth)
        self.largest_growth = largest_growth
        self._checkpoints = checkpoints
        self._warn = warn or warned_of

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._lowest = math.inf
        self._diverged: tuple[int, float] | None = None
        self._collapsed_epochs = 0
        self._initial_batch = self.params.get("initial_batch", 0)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        step = int(ops.convert_to_numpy(self.model.step))
        self._epoch, self._epoch_step = epoch, step - self._initial_batch
        self._initial_batch = 0

    def on_train_batch_begin(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self._check()

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        loss = (logs or {}).get("loss")
        if loss is None or self._diverged is not None:
            return
        bound = self.largest_growth * max(1.0, self._lowest)
        if not math.isfinite(loss) or loss > bound:
            self._diverged = (batch, float(loss))
        else:
            self._lowest = min(self._lowest, loss)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._check()
        check_weights(self.model, self._last_good())
        self._look_for_collapse((logs or {}).get("embedding_std"))

    def _check(self) -> None:
        if self._diverged is None:
            return
        batch, loss = self._diverged
        grown = ""
        if math.isfinite(loss):
            grown = f", after {self._lowest:.3g} at its lowest"
        raise TrainingDiverged(
            f"The loss must stay finite, within {self.largest_growth:g} times its "
            f"lowest value. Received: {loss:.3g}{grown} at step "
            f"{self._epoch_step + batch + 1:,} (epoch {self._epoch + 1}). "
            + _what_to_do(self.model, self._last_good())
        )

    def _last_good(self) -> pathlib.Path | None:
        return None if self._checkpoints is None else self._checkpoints.last

    def _look_for_collapse(self, deviation: float | None) -> None:
        dimension = getattr(self.model, "projection_dim", None)
        if deviation is None or dimension is None:
            return
        spread = 1 / math.sqrt(dimension)
        collapsed = deviation < _COLLAPSED_SHARE * spread
        self._collapsed_epochs = self._collapsed_epochs + 1 if collapsed else 0
        if self._collapsed_epochs == _COLLAPSED_EPOCHS:
            self._warn(
                "The embeddings collapse: the standard deviation of their components "
                f"is {deviation:.2g}, where {spread:.2g} is that of embeddings spread "
                "evenly. What is learned so tells no image from another. Try a lower "
                "learning rate, stronger views (larger differences in crop and "
                "colour), more images a step, a target momentum closer to 1; and look "
                "whether the images are all alike."
            )


def check_weights(model: Any, last_good: pathlib.Path | None = None) -> None:
    """Raises `TrainingDiverged` where trainable weights are not finite.

    Args:
        model: a model with an optimiser and a `step`.
        last_good: path of the last checkpoint of finite weights, or None.
    """
    for variable in model.trainable_variables:
        values = ops.convert_to_numpy(ops.all(ops.isfinite(variable)))
        if not np.all(values):
            raise TrainingDiverged(
                "Weights must stay finite. Received: NaN or infinity in "
                f"{variable.path!r} at step "
                f"{int(ops.convert_to_numpy(model.step)):,}. "
                + _what_to_do(model, last_good)
            )


def _what_to_do(model: Any, last_good: pathlib.Path | None) -> str:
    rate = float(ops.convert_to_numpy(model.optimizer.learning_rate))
    kept = (
        "There is no good checkpoint"
        if last_good is None
        else f"The last good checkpoint is {last_good}"
    )
    return (
        f"The learning rate was {rate:.3g}. {kept}. Train with a lower learning rate "
        "or a longer warm-up, and in float32 or mixed_bfloat16, not mixed_float16."
    )
