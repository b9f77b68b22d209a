"""The network that follows another: its schedule, its state, its arithmetic."""

import math
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import keras
from keras import ops

from semppl_keras.checks import check_integers, check_share

# The length of a schedule whose end is not known: no training comes near it.
_OPEN = 2**31 - 1


@keras.saving.register_keras_serializable(package="semppl_keras")
class TargetSchedule(keras.layers.Layer):
    """The cosine schedule of the target's momentum: see `TargetEMA`, its owner.

    Non-trainable variables, so that the compiled step reads what the callback set.
    It begins by holding the target still.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})

        def state(name: str, dtype: str, initializer: str) -> Any:
            return self.add_weight(
                shape=(),
                dtype=dtype,
                initializer=initializer,
                trainable=False,
                name=name,
            )

        # A base momentum of 1 holds the target still.
        self._base_momentum = state("base_momentum", "float32", "ones")
        self._start = state("start", "int32", "zeros")
        self._steps = state("steps", "int32", "ones")
        self.built = True

    def begin(self, base_momentum: float, start: int, steps: int | None = None) -> None:
        """Lets the momentum rise from `base_momentum` at a step to 1, `steps` on.

        Without `steps` it stays at `base_momentum`.
        """
        self._base_momentum.assign(base_momentum)
        self._start.assign(start)
        self._steps.assign(_OPEN if steps is None else steps)

    def progress_at(self, step: int) -> float | None:
        """The share of the schedule, as it was begun, that is done at a step.

        Args:
            step: int.

        Returns:
            float in [0, 1]; 1 for one without an end, and None for one that was never
            begun.
        """
        start, steps = (
            int(variable.numpy()) for variable in (self._start, self._steps)
        )
        if steps == _OPEN:
            return 1.0
        if step == 0 or ((start, steps) == (0, 1) and step > 1):
            return None
        return min(max((step - start) / steps, 0.0), 1.0)

    def hold(self) -> None:
        """Keeps the target as it is."""
        self._base_momentum.assign(1.0)

    def momentum(self, step: Any) -> Any:
        """The momentum m at a step, a float32 scalar."""
        elapsed = ops.cast(step - self._start, "float32")
        progress = elapsed / ops.cast(self._steps, "float32")
        progress = ops.clip(progress, 0.0, 1.0)
        remaining = (ops.cos(math.pi * progress) + 1.0) / 2.0
        return 1.0 - (1.0 - self._base_momentum) * remaining


class KeepsAverage:
    """A model one of whose networks follows another after each optimiser step.

    A subclass that has one says so in its constructor, by `keep_average`, and tells in
    `moving_pairs` which weights follow which; all the rest is done here and by the
    training step. A model without one is left alone.
    """

    # Of the model that this is a part of.
    step: Any
    completed_updates: Callable[[], Any]
    move_by_share: Callable[[Iterable[tuple[Any, Any]], Any], None]

    target_momentum: float | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._target_schedule: TargetSchedule | None = None

    def keep_average(self, target_momentum: float | None) -> None:
        """Makes the state of the schedule; for the constructor.

        Args:
            target_momentum: float in [0, 1], m0 of the `TargetEMA` that `fit` adds.
        """
        check_share(target_momentum=target_momentum)
        self.target_momentum = target_momentum
        self._target_schedule = TargetSchedule(name="target_schedule")

    @property
    def keeps_average(self) -> bool:
        """Whether one network follows another."""
        return self._target_schedule is not None

    def moving_pairs(self) -> Iterable[tuple[Any, Any]]:
        """(weight, the weight that it follows), read while a step is traced."""
        return ()

    def make_target_ema(self) -> "TargetEMA":
        """The callback that `fit` adds where none is given."""
        assert self.target_momentum is not None
        return TargetEMA(self.target_momentum)

    def current_momentum(self) -> Any:
        """The momentum of this step, a float32 scalar."""
        assert self._target_schedule is not None
        return self._target_schedule.momentum(self.step)

    def move_average(self) -> None:
        """`w' <- m w' + (1 - m) w`, where this batch ends an optimiser step."""
        if not self.keeps_average:
            return
        weight = (1.0 - self.current_momentum()) * self.completed_updates()
        self.move_by_share(self.moving_pairs(), weight)

    def schedule_target(
        self, base_momentum: float, start: int, steps: int | None
    ) -> None:
        """Lets the target move: see `TargetEMA`, which calls this.

        Args:
            base_momentum: float in [0, 1].
            start: int, the model's step at which the schedule begins.
            steps: int, its length, or None: the momentum stays as it begins.
        """
        assert self._target_schedule is not None
        self._target_schedule.begin(base_momentum, start, steps)

    def target_progress(self) -> float | None:
        """The share of the target's schedule that is done, None if it never began."""
        assert self._target_schedule is not None
        return self._target_schedule.progress_at(int(self.step.numpy()))

    def hold_target(self) -> None:
        """Keeps the target as it is."""
        if self._target_schedule is not None:
            self._target_schedule.hold()


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

    def __init__(
        self, base_momentum: float = 0.996, total_steps: int | None = None
    ) -> None:
        super().__init__()
        check_share(base_momentum=base_momentum)
        if total_steps is not None:
            check_integers(1, total_steps=total_steps)
        self.base_momentum = base_momentum
        self.total_steps = total_steps
        self._scheduled = False

    def on_train_begin(self, logs: Any = None) -> None:
        if not getattr(self.model, "keeps_average", False):
            raise TypeError(
                f"{type(self.model).__name__} has no target network that `TargetEMA` "
                "could move."
            )
        self._scheduled = False

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
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

    def _length(self, done: int, steps: int) -> int | None:
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

    def on_train_end(self, logs: Any = None) -> None:
        self.model.hold_target()

    def get_config(self) -> dict[str, Any]:
        return {"base_momentum": self.base_momentum, "total_steps": self.total_steps}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "TargetEMA":
        return cls(**config)


def _warn(what: str) -> None:
    warnings.warn(f"The schedule of the target's momentum {what}", stacklevel=2)
