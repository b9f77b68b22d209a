"""How far a training is, for what changes in the course of it."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="semppl_keras")
class TrainingLength(keras.layers.Layer):
    """The step at which a training began and how many it has, as variables.

    The compiled step reads what `NotesLength` wrote, and a saved model keeps it.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.start, self.steps = (
            self.add_weight(
                shape=(),
                dtype="int32",
                initializer=initial,
                trainable=False,
                name=name,
            )
            for name, initial in (("start", "zeros"), ("steps", "ones"))
        )
        self.built = True

    def done(self, step: Any) -> Any:
        """int32 scalar, how many steps of the training were done at a model's step."""
        return step - self.start


class NotesLength(keras.callbacks.Callback):
    """Writes down the length of a training when it begins, or goes on.

    Args:
        length: `TrainingLength`.
        total_steps: int or None, of the whole training; the `epochs` of `fit` where
            None.
    """

    def __init__(self, length: TrainingLength, total_steps: int | None) -> None:
        super().__init__()
        self._length = length
        self._total_steps = total_steps
        self._noted = False

    def on_train_begin(self, logs: Any = None) -> None:
        self._noted = False

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        # Not in on_train_begin: another callback may restore the model there, and
        # set the epoch to begin with.
        if self._noted:
            return
        steps = self.params["steps"]
        done = epoch * steps + self.params.get("initial_batch", 0)
        self._length.start.assign(int(ops.convert_to_numpy(self.model.step)) - done)
        self._length.steps.assign(self._total_steps or self.params["epochs"] * steps)
        self._noted = True
