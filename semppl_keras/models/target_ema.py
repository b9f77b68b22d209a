"""The target network's schedule."""

import keras
from keras import ops

from semppl_keras.models.arguments import check_integers, check_share


@keras.saving.register_keras_serializable(package="semppl_keras")
class TargetEMA(keras.callbacks.Callback):
    """Lets the target network follow the online one, ever more slowly.

    After each optimiser step every trainable weight of the target moves by
    `w' <- m w' + (1 - m) w`, with

        m = 1 - (1 - m0) (cos(pi step / steps) + 1) / 2

    (BYOL, arXiv 2006.07733). The authors' code takes m0 = 0.97 at 40 epochs, 0.99 at
    100 and 300, 0.996 at 1,000. The callback owns this schedule; the
    arithmetic runs inside the compiled training step, so that it is exact with
    any `steps_per_execution`. Without the callback the target stays as it is.
    `fit` adds one, with the model's `target_momentum`, where none is given.

    Args:
        base_momentum: float in [0, 1], m0. 1 holds the target still.
        total_steps: int or None, the steps over which m rises from m0 to 1; all
            of `fit`'s, from epoch 0 on, where None.

    Raises:
        ValueError: if an argument is out of range.
    """

    def __init__(self, base_momentum=0.996, total_steps=None):
        super().__init__()
        check_share(base_momentum=base_momentum)
        if total_steps is not None:
            check_integers(1, total_steps=total_steps)
        self.base_momentum = base_momentum
        self.total_steps = total_steps
        self._scheduled = False

    def on_train_begin(self, logs=None):
        if not hasattr(self.model, "schedule_target"):
            raise TypeError(
                "`TargetEMA` moves the target network of pre-training (SemPPL, BYOL). "
                f"Received: {type(self.model).__name__}."
            )
        self._scheduled = False

    def on_epoch_begin(self, epoch, logs=None):
        # Not in on_train_begin: another callback may restore the model there, and
        # set the epoch to begin with.
        if self._scheduled:
            return
        steps = self.params["steps"]
        self.model.schedule_target(
            self.base_momentum,
            start=int(ops.convert_to_numpy(self.model.step))
            - epoch * steps
            - self.params.get("initial_batch", 0),
            steps=self.total_steps or self.params["epochs"] * steps,
        )
        self._scheduled = True

    def on_train_end(self, logs=None):
        self.model.hold_target()

    def get_config(self):
        return {"base_momentum": self.base_momentum, "total_steps": self.total_steps}

    @classmethod
    def from_config(cls, config):
        return cls(**config)
