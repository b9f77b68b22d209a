"""How fast the target network moves, as state of the compiled step."""

import math

import keras
from keras import ops

# The length of a schedule whose end is not known: no training comes near it.
_OPEN = 2**31 - 1


@keras.saving.register_keras_serializable(package="semppl_keras")
class TargetSchedule(keras.layers.Layer):
    """The cosine schedule of the target's momentum: see `TargetEMA`, its owner.

    Non-trainable variables, so that the compiled step reads what the callback set.
    It begins by holding the target still.
    """

    def __init__(self, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})

        def state(name, dtype, initializer):
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

    def begin(self, base_momentum, start, steps=None):
        """Lets the momentum rise from `base_momentum` at a step to 1, `steps` on.

        Without `steps` it stays at `base_momentum`.
        """
        self._base_momentum.assign(base_momentum)
        self._start.assign(start)
        self._steps.assign(_OPEN if steps is None else steps)

    def progress_at(self, step):
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

    def hold(self):
        """Keeps the target as it is."""
        self._base_momentum.assign(1.0)

    def momentum(self, step):
        """The momentum m at a step, a float32 scalar."""
        elapsed = ops.cast(step - self._start, "float32")
        progress = elapsed / ops.cast(self._steps, "float32")
        progress = ops.clip(progress, 0.0, 1.0)
        remaining = (ops.cos(math.pi * progress) + 1.0) / 2.0
        return 1.0 - (1.0 - self._base_momentum) * remaining
