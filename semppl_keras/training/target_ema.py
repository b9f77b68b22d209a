"""The target network's schedule."""

import warnings

import keras
from keras import ops

from semppl_keras.checks import check_integers, check_share


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

    A training that is divided into several calls of `fit` follows one schedule if each
    is given the same `epochs`, as one that was interrupted is, or the same
    `total_steps`:

    ```python
    for epoch in range(100):
        schedule = semppl_keras.callbacks.TargetEMA(0.996, total_steps=100 * steps)
        model.fit(..., initial_epoch=epoch, epochs=epoch + 1, callbacks=[schedule])
    ```

    Without them the end is not known: a `fit` that goes on (`initial_epoch` above 0)
    after its schedule's end keeps m at m0, so that the target does not stand still, and
    one that moves the end takes the new one. Both warn, and so does a `fit` from epoch
    0 on that begins a schedule of `total_steps` anew before it was at its end.

    Args:
        base_momentum: float in [0, 1], m0. 1 holds the target still.
        total_steps: int or None, the steps over which m rises from m0 to 1, from epoch
            0 on; the `epochs` of `fit` where None.

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
        done = epoch * steps + self.params.get("initial_batch", 0)
        self.model.schedule_target(
            self.base_momentum,
            start=int(ops.convert_to_numpy(self.model.step)) - done,
            steps=self._length(done, steps),
        )
        self._scheduled = True

    def _length(self, done, steps):
        """The steps of the schedule, None where they cannot be known.

        Args:
            done: int, the steps of this training that were done in earlier calls.
            steps: int, those of an epoch.
        """
        epochs = self.params["epochs"]
        if self.total_steps is not None:
            if self.total_steps < epochs * steps:
                _warn(
                    f"reaches 1 after total_steps={self.total_steps}, and the target "
                    f"stands still from then on. Received: epochs={epochs} of {steps} "
                    f"steps. Give total_steps={epochs * steps}, or fewer epochs."
                )
            before = self.model.target_progress()
            # Next to nothing of a schedule that is there to keep m where it is.
            if not done and before is not None and 1e-5 < before < 1:
                _warn(
                    f"begins anew at {self.base_momentum}. Received: a `fit` from "
                    f"epoch 0 on, {100 * before:.0f}% into a schedule of an earlier "
                    "one. If it goes on, say where: fit(initial_epoch=e, epochs=e + 1)."
                )
            return self.total_steps
        before = self.model.target_progress() if done else None
        if before is None or abs(before - done / (epochs * steps)) < 1e-6:
            return epochs * steps
        ended = before == 1.0
        _warn(
            (
                f"had reached its end, and stays at {self.base_momentum}"
                if ended
                else f"had another end, and now rises until epoch {epochs}"
            )
            + f". Received: a `fit` that goes on after {done} steps, with epochs="
            f"{epochs}. For one schedule over several calls of `fit` tell each its "
            "length: callbacks=[semppl_keras.callbacks.TargetEMA("
            f"{self.base_momentum}, total_steps=ALL_EPOCHS * {steps})]."
        )
        return None if ended else epochs * steps

    def on_train_end(self, logs=None):
        self.model.hold_target()

    def get_config(self):
        return {"base_momentum": self.base_momentum, "total_steps": self.total_steps}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


def _warn(what):
    warnings.warn(f"The schedule of the target's momentum {what}", stacklevel=2)
