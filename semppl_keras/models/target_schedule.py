"""How fast the target network moves, as state of the compiled step."""

import math

import keras
from keras import ops


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

    def begin(self, base_momentum, start, steps):
        """Lets the momentum rise from `base_momentum` at a step to 1, `steps` on."""
        self._base_momentum.assign(base_momentum)
        self._start.assign(start)
        self._steps.assign(steps)

    def begin_open(self, base_momentum, start):
        """Keeps the momentum at `base_momentum`, where no end is known."""
        self.begin(base_momentum, start, _OPEN)

    def progress_at(self, step):
        """The share of the schedule that is done at a step, 0 where it has no end.

        Args:
            step: int.

        Returns:
            float in [0, 1], or None for a schedule that was never begun.
        """
        start, steps = (
            int(ops.convert_to_numpy(variable.value))
            for variable in (self._start, self._steps)
        )
        if steps == _OPEN:
            return 0.0
        if (start, steps) == (0, 1) and step > 1:
            return None
        return min(max((step - start) / steps, 0.0), 1.0)

    @property
    def is_open(self):
        """Whether it has no end."""
        return int(ops.convert_to_numpy(self._steps.value)) == _OPEN

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
