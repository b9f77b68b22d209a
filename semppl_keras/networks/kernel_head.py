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
        opinion_weight: float, how much the opinion of another classifier counts. Above
            0 features have C columns more, proportional to its probabilities.

    Input: features `(B, F)`, or `(B, F + C)` with opinions. Output: `(B, C)` float32.
    """

    def __init__(
        self,
        rows: int,
        classes: int,
        width: float,
        floor: float,
        opinion_weight: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{**kwargs, "dtype": "float32", "trainable": False})
        self.rows = rows
        self.classes = classes
        self.width = width
        self.floor = floor
        self.opinion_weight = opinion_weight

    def build(self, input_shape: Any) -> None:
        """Makes what `kernel_head` fills."""
        opinions = self.classes if self.opinion_weight else 0
        self.kept = self.add_weight(
            name="kept", shape=(self.rows, input_shape[-1] - opinions)
        )
        self.coefficients = self.add_weight(
            name="coefficients", shape=(self.rows, self.classes)
        )
        self.bias = self.add_weight(name="bias", shape=(self.classes,))
        self.built = True

    def call(self, features: Any) -> Any:
        """See the class."""
        features = ops.cast(features, "float32")
        own = self.kept.shape[1]
        units = ops.normalize(features[:, :own], axis=-1)
        similarities = ops.matmul(units, ops.transpose(self.kept))
        kernel = ops.exp(-2.0 * self.width * (1.0 - similarities))
        scores = ops.matmul(kernel, self.coefficients) + self.bias
        logits = ops.log(ops.maximum(scores, self.floor))
        if self.opinion_weight:
            opinions = ops.maximum(features[:, own:], self.floor)
            logits = logits + self.opinion_weight * ops.log(opinions)
        return logits

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
            "opinion_weight": self.opinion_weight,
        }


def kernel_head(probe: Any, floor: float) -> keras.Model:
    """What a fitted `evaluation.kernel_ridge.KernelProbe` does, as a network.

    Args:
        probe: `KernelProbe`.
        floor: float, what a score is at least.

    Returns:
        A `keras.Model` from features `(B, F)`, or `(B, F + C)` where the probe hears
        opinions, to logits `(B, C)`, float32.
    """
    rows, width = probe.units.shape
    classes = len(probe.bias)
    scores = KernelScores(
        rows,
        classes,
        probe.width,
        floor,
        opinion_weight=probe.opinion_weight,
        name="logits",
    )
    if probe.opinion_weight:
        width += classes
    head = keras.Sequential([keras.layers.Input((width,)), scores], name="head")
    scores.set_weights([probe.units, probe.coefficients, probe.bias])
    return head
