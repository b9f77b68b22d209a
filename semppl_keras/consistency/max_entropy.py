"""FreeMatch: strong views are taken for all classes alike."""

from typing import Any

import keras
from keras import ops

from semppl_keras.checks import check_share
from semppl_keras.consistency.similarity import of_classes
from semppl_keras.consistency.term import Context, Term
from semppl_keras.losses.classification import log_of


def fairness(
    frequencies: Any, counted: Any, strong_frequencies: Any, strong_counted: Any
) -> Any:
    """`sum_c a_c log b_c`, a and b being how probable a class is where it is predicted.

        a = norm(frequencies / counted), b = norm(strong / strong counted)

    A class that is not predicted at all has 0 there.

    Args:
        frequencies: `(C,)`, the mean probabilities of weak views.
        counted: `(C,)`, how often each class is the most probable one of them.
        strong_frequencies, strong_counted: `(C,)`, the same of strong views.

    Returns:
        float32 scalar.
    """
    first = ops.stop_gradient(_relative(frequencies, counted))
    second = _relative(strong_frequencies, ops.stop_gradient(strong_counted))
    return ops.sum(first * log_of(second + 1e-12))


@keras.saving.register_keras_serializable(package="semppl_keras")
class MaxEntropy(Term):
    """FreeMatch's self-adaptive fairness (Wang et al., ICLR 2023, arXiv 2205.07246).

    See `fairness`: the statistics of the weak views are moving averages that begin at
    1 / C; those of the strong views are of this step's images that count. The sign is
    that of the paper's equation and code, in which a term without a lower bound is
    minimised: it is no part of the recipe.

    Args:
        weight: float, its share of the loss; 0.001 in the authors' code.
        momentum: float in [0, 1].

    Raises:
        ValueError: if an argument is out of range.
    """

    def __init__(
        self, weight: float = 1e-3, momentum: float = 0.999, **kwargs: Any
    ) -> None:
        check_share(momentum=momentum)
        super().__init__(weight, **kwargs)
        self.momentum = momentum

    def build_for(
        self, num_classes: int, features: int = 0, seed: int | None = None
    ) -> None:
        even = 1.0 / num_classes
        self.frequencies = self.state("frequencies", (num_classes,), even)
        self.counted = self.state("counted", (num_classes,), even)
        super().build_for(num_classes, features, seed)

    def call(self, context: Context) -> Any:
        step, num_classes = context.step, context.predicted.shape[-1]
        weak = ops.stop_gradient(context.aligned)
        frequencies = self._averaged(self.frequencies, weak, step)
        hits = of_classes(ops.argmax(weak, axis=-1), num_classes)
        counted = self._averaged(self.counted, hits, step)

        strong = ops.softmax(context.logits["strong"], axis=-1)
        selected = ops.cast(context.weights > 0, "float32")[:, None, None]
        hits = ops.reshape(
            of_classes(ops.reshape(ops.argmax(strong, axis=-1), (-1,)), num_classes),
            ops.shape(strong),
        )
        # Of all replicas' images: a mean of quotients is no quotient of means.
        mean = step.unlabelled.mean(ops.mean(selected * strong, axis=(0, 1)))
        count = step.unlabelled.mean(ops.mean(selected * hits, axis=(0, 1)))
        return ops.where(
            ops.sum(count) > 0, fairness(frequencies, counted, mean, count), 0.0
        )

    def _averaged(self, variable: Any, values: Any, step: Any) -> Any:
        latest = step.unlabelled.mean(ops.mean(values, axis=0))
        value = self.momentum * variable.value + (1.0 - self.momentum) * latest
        step.write(variable, value)
        return value

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "momentum": self.momentum}


def _relative(frequencies: Any, counted: Any) -> Any:
    """`norm(frequencies / counted)`, 0 where nothing was counted."""
    known = counted > 0
    relative = ops.where(known, frequencies / ops.where(known, counted, 1.0), 0.0)
    return relative / ops.maximum(ops.sum(relative), 1e-12)
