"""SGD with the weight decay of the papers that train with it."""

from typing import Any

import keras
from keras import ops

from semppl_keras.checks import check_not_negative


@keras.saving.register_keras_serializable(package="semppl_keras")
class SGDL2(keras.optimizers.SGD):
    """SGD on the loss and `l2 / 2` times the sum of squares of all kernels.

    The decay goes through the momentum, as that of PyTorch's SGD and of FixMatch's
    code does, while the `weight_decay` of Keras' own optimisers is applied beside it:
    with momentum 0.9 that would be ten times as much for the same effect. Biases and
    normalisation (all of rank 0 and 1) have none.

    Args:
        learning_rate, momentum, nesterov: as in `keras.optimizers.SGD`.
        l2: float, not negative.
        name: name of the optimiser.
        **kwargs: the other arguments of `keras.optimizers.SGD`.

    Raises:
        ValueError: if `l2` is out of range.
    """

    def __init__(
        self,
        learning_rate: Any = 0.03,
        momentum: float = 0.9,
        nesterov: bool = True,
        l2: float = 5e-4,
        name: str = "sgd_l2",
        **kwargs: Any,
    ) -> None:
        check_not_negative(l2=l2)
        super().__init__(learning_rate, momentum, nesterov, name=name, **kwargs)
        self.l2 = l2

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Moves one variable and its momentum."""
        if self.l2 and len(variable.shape) > 1:
            gradient = gradient + ops.cast(self.l2, variable.dtype) * variable
        super().update_step(gradient, variable, learning_rate)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "l2": self.l2}
