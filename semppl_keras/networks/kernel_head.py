"""A classifier's head that compares features with kept ones."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="semppl_keras")
class KernelScores(keras.layers.Layer):
    """Kernel ridge regression as a layer: features to the logarithms of scores.

    Args:
        rows: int, N, how many features are kept.
        classes: int, C.
        width: float, of the kernel exp(-width |u - v|^2) of features of length 1.
        floor: float, what a score is at least.

    Input: features `(B, F)`. Output: `(B, C)` float32.
    """

    def __init__(
        self, rows: int, classes: int, width: float, floor: float, **kwargs: Any
    ) -> None:
        super().__init__(**{**kwargs, "dtype": "float32", "trainable": False})
        self.rows = rows
        self.classes = classes
        self.width = width
        self.floor = floor

    def build(self, input_shape: Any) -> None:
        """Makes what `kernel_head` fills."""
        self.kept = self.add_weight(name="kept", shape=(self.rows, input_shape[-1]))
        self.coefficients = self.add_weight(
            name="coefficients", shape=(self.rows, self.classes)
        )
        self.bias = self.add_weight(name="bias", shape=(self.classes,))
        self.built = True

    def call(self, features: Any) -> Any:
        """Logarithms of the scores `(B, C)` of features `(B, F)`."""
        features = ops.normalize(ops.cast(features, "float32"), axis=-1)
        similarities = ops.matmul(features, ops.transpose(self.kept))
        kernel = ops.exp(-2.0 * self.width * (1.0 - similarities))
        scores = ops.matmul(kernel, self.coefficients) + self.bias
        return ops.log(ops.maximum(scores, self.floor))

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """`(B, C)`."""
        return (input_shape[0], self.classes)

    def get_config(self) -> dict[str, Any]:
        """The sizes; what is kept is weights."""
        return {
            **super().get_config(),
            "rows": self.rows,
            "classes": self.classes,
            "width": self.width,
            "floor": self.floor,
        }


def kernel_head(probe: Any, floor: float) -> keras.Model:
    """What a fitted `evaluation.kernel_ridge.KernelProbe` does, as a network.

    Args:
        probe: `KernelProbe`.
        floor: float, what a score is at least.

    Returns:
        A `keras.Model` from features `(B, F)` to logits `(B, C)`, float32.
    """
    rows, width = probe.units.shape
    scores = KernelScores(rows, len(probe.bias), probe.width, floor, name="logits")
    head = keras.Sequential([keras.layers.Input((width,)), scores], name="head")
    scores.set_weights([probe.units, probe.coefficients, probe.bias])
    return head
