"""Layer-wise adaptive rate scaling."""

from typing import Any

import keras
from keras import ops

from semppl_keras.checks import check_below_one, check_not_negative, check_positive
from semppl_keras.optimizers.variable_identities import VariableIdentities


@keras.saving.register_keras_serializable(package="semppl_keras")
class LARS(keras.optimizers.Optimizer):
    """Momentum whose step is scaled, variable by variable, to the variable's norm.

    You et al. 2017 (arXiv 1708.03888), with the learning rate inside the momentum
    buffer as in SimCLR's `lars_optimizer.py` (BYOL's multiplies by it afterwards).
    For a variable w with gradient g:

        d = g + weight_decay * w
        trust = trust_coefficient * ||w|| / ||d||    (1 where either norm is 0)
        v <- momentum * v + learning_rate * trust * d
        w <- w - v

    and w <- w - (momentum * v + learning_rate * trust * d) with `nesterov`.

    Variables of rank 0 and 1 and those given to `exclude_from_adaptation` have
    weight_decay = 0 and trust = 1: plain momentum. The inherited
    `exclude_from_weight_decay` takes away the decay alone. Which variables are
    excluded is saved with the optimiser's state, so that training goes on in the same
    way after loading; it is no part of the configuration, which knows no variables.

    Norms, trust and update are computed in float32 (float64 for float64 variables)
    under every precision policy.

    Args:
        learning_rate: float, schedule or callable, as for any Keras optimiser.
        momentum: from 0 up to, not including, 1.
        trust_coefficient: above 0; the length of the first step of a variable, at
            learning rate 1, as a share of the variable's norm.
        weight_decay: 0 or more, 0 for none; it is part of the gradient, where the
            argument of this name of other Keras optimisers is decoupled from it.
        nesterov: whether to look ahead along the momentum.
        name: name of the optimiser.
        **kwargs: the other arguments of keras.optimizers.Optimizer: clipping, moving
            average, `gradient_accumulation_steps`, ...

    Raises:
        ValueError: for a value out of its range.

    Example:
        >>> optimizer = LARS(warmup_cosine(0.3, 100, 3000))
        >>> optimizer.exclude_from_adaptation(biases_and_normalisation(model))
        >>> model.compile(optimizer=optimizer, loss="mse")
    """

    def __init__(
        self,
        learning_rate: Any,
        momentum: float = 0.9,
        trust_coefficient: float = 1e-3,
        weight_decay: float = 1e-6,
        nesterov: bool = False,
        name: str = "lars",
        **kwargs: Any,
    ) -> None:
        check_below_one(momentum=momentum)
        check_positive(trust_coefficient=trust_coefficient)
        check_not_negative(weight_decay=weight_decay)
        super().__init__(learning_rate, weight_decay=weight_decay, name=name, **kwargs)
        self.momentum = momentum
        self.trust_coefficient = trust_coefficient
        self.nesterov = nesterov
        self._exclusions = VariableIdentities()

    def exclude_from_adaptation(self, variables: Any) -> None:
        """Leaves variables without weight decay and without adaptation.

        They are told by identity. Calls add up. Variables that the optimiser is not
        built on later are no error and have no effect.

        Args:
            variables: keras.Variables; see `biases_and_normalisation`.

        Raises:
            ValueError: if the optimiser is built already.
            TypeError: if one of them is not a keras.Variable.
        """
        if self.built:
            raise ValueError(
                "`exclude_from_adaptation()` must be called before the optimiser is "
                "built, which compiling or the first training step does. Make a new "
                "optimiser, exclude the variables, then compile the model with it."
            )
        variables = list(variables)
        for variable in variables:
            if not isinstance(variable, keras.Variable):
                raise TypeError(
                    "`variables` must hold keras.Variable objects. "
                    f"Received: {variable!r} of type {type(variable).__name__}."
                )
        self._exclusions.add((variable, True) for variable in variables)

    def build(self, variables: Any) -> None:
        """Creates a momentum buffer for each variable, and the record of exclusions."""
        if self.built:
            return
        super().build(variables)
        self._velocities = self.add_optimizer_variables(variables, "velocity")
        adapted = [
            float(len(variable.shape) > 1 and not self._exclusions.get(variable, False))
            for variable in variables
        ]
        # A variable, not a list: a loaded optimiser is built on variables that it has
        # not seen before, and gets this back with the buffers. LossScaleOptimizer,
        # too, saves an inner optimiser's variables and nothing else of it.
        self._adapted = self.add_variable(
            shape=(len(adapted),),
            initializer=lambda shape, dtype=None: ops.convert_to_tensor(adapted, dtype),
            dtype="float32",
            aggregation="only_first_replica",
            name="adapted",
        )

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Moves one variable and its momentum buffer."""
        dtype = keras.backend.result_type(
            keras.backend.standardize_dtype(variable.dtype), "float32"
        )
        index = self._get_variable_index(variable)
        velocity = self._velocities[index]
        weights = ops.cast(variable, dtype)
        direction = ops.cast(gradient, dtype)
        step_size = ops.cast(learning_rate, dtype)
        if len(variable.shape) > 1:
            adapted = ops.cast(self._adapted[index], dtype)
            if self._use_weight_decay(variable):
                direction = direction + self.weight_decay * adapted * weights
            step_size = step_size * self._trust(weights, direction, adapted)
        step = step_size * direction
        new_velocity = self.momentum * ops.cast(velocity, dtype) + step
        if self.nesterov:
            update = self.momentum * new_velocity + step
        else:
            update = new_velocity
        self.assign(velocity, ops.cast(new_velocity, velocity.dtype))
        self.assign_sub(variable, ops.cast(update, variable.dtype))

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(
            {
                "momentum": self.momentum,
                "trust_coefficient": self.trust_coefficient,
                "nesterov": self.nesterov,
            }
        )
        return config

    def _trust(self, weights: Any, direction: Any, adapted: Any) -> Any:
        weight_norm = ops.sqrt(ops.sum(ops.square(weights)))
        direction_norm = ops.sqrt(ops.sum(ops.square(direction)))
        applies = (adapted > 0) & (weight_norm > 0) & (direction_norm > 0)
        # The division is safe in the branch that is not taken, too: NaN debuggers
        # stop at it otherwise.
        divisor = ops.where(applies, direction_norm, ops.ones_like(direction_norm))
        ratio = self.trust_coefficient * weight_norm / divisor
        return ops.where(applies, ratio, ops.ones_like(ratio))

    def _apply_weight_decay(self, variables: Any) -> None:
        # Keras' decoupled decay would come on top of the one inside the gradient.
        del variables
