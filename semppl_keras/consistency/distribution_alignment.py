"""Distribution alignment: classes are predicted as often as they should be."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from semppl_keras.consistency.history import checked_momentum, mean_of, recorded
from semppl_keras.consistency.strategy import Alignment, Step

_TARGETS = ("uniform", "labelled")


def aligned(probabilities: Any, frequencies: Any, target: Any) -> Any:
    """Probabilities in proportion to how much rarer a class is than it should be.

        norm(p (target + 1e-6) / (frequencies + 1e-6))

    Args:
        probabilities: `(U, C)`.
        frequencies: `(C,)`, the mean of what is predicted.
        target: `(C,)`, what it should be.

    Returns:
        `(U, C)`, rows of sum 1.
    """
    scaled = probabilities * ((target + 1e-6) / (frequencies + 1e-6))
    return scaled / ops.sum(scaled, axis=-1, keepdims=True)


@keras.saving.register_keras_serializable(package="semppl_keras")
class DistributionAlignment(Alignment):
    """Scales probabilities so that each class is predicted as often as it should be.

    ReMixMatch (Berthelot et al., ICLR 2020, arXiv 1911.09785) aligns with the classes'
    frequencies, AdaMatch (arXiv 2106.04732) with what is predicted of the labelled
    images. The mean of the predictions is that before alignment, this step's included.

    Args:
        target: how often each class should be predicted: "uniform", all alike;
            "labelled", as often as of the labelled images, averaged in the same way;
            or a number for each class, which are taken in proportion.
        momentum: float in [0, 1], of the moving average of the batches' means, which
            begins with the first; None for 0.999, where there is no `queue`.
        queue: int, K, or None: the mean is that of the last K batches.
        changes_targets: whether the targets are made of the aligned probabilities, or
            the weights alone, as in SoftMatch.

    Raises:
        ValueError: if an argument is out of range, or both averages are given.
    """

    def __init__(
        self,
        target: str | Sequence[float] = "uniform",
        momentum: float | None = None,
        queue: int | None = None,
        changes_targets: bool = True,
        **kwargs: Any,
    ) -> None:
        momentum = checked_momentum(momentum, queue)
        super().__init__(**kwargs)
        self.target = _checked_target(target)
        self.momentum = momentum
        self.queue = queue
        self.changes_targets = bool(changes_targets)

    def build_for(self, num_classes: int) -> None:
        if not isinstance(self.target, str) and len(self.target) != num_classes:
            raise ValueError(
                f"`target` must have a number for each of the {num_classes} classes. "
                f"Received: {len(self.target)} numbers."
            )
        shape = (self.queue or 1, num_classes)
        self.predicted = self.state("predicted", shape, 0.0)
        if self.target == "labelled":
            self.labelled = self.state("labelled", shape, 0.0)
        super().build_for(num_classes)

    def call(self, probabilities: Any, step: Step) -> Any:
        probabilities = ops.stop_gradient(ops.cast(probabilities, "float32"))
        latest = step.unlabelled.mean(ops.mean(probabilities, axis=0))
        frequencies = self._averaged(self.predicted, latest, step)
        if self.target == "labelled":
            latest = step.labelled.mean(ops.mean(step.labelled_probabilities, axis=0))
            target = self._averaged(self.labelled, latest, step)
        elif self.target == "uniform":
            target = 1.0 / frequencies.shape[0]
        else:
            target = ops.convert_to_tensor(self.target, "float32")
            target = target / ops.sum(target)
        return aligned(probabilities, frequencies, target)

    def _averaged(self, variable: Any, latest: Any, step: Step) -> Any:
        history = recorded(variable.value, latest, self.momentum)
        step.write(variable, history)
        return mean_of(history)

    def get_config(self) -> dict[str, Any]:
        names = ("target", "momentum", "queue", "changes_targets")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _checked_target(target: Any) -> str | tuple[float, ...]:
    """`target`, numbers as a tuple of floats."""
    if isinstance(target, str) and target in _TARGETS:
        return target
    listed = hasattr(target, "__iter__") and not isinstance(target, str)
    numbers = tuple(map(float, target)) if listed else ()
    if not all(0 <= n < float("inf") for n in numbers) or not sum(numbers):
        raise ValueError(
            f"`target` must be one of {_TARGETS}, or a number for each class, none "
            f"negative and not all 0. Received: target={target!r}."
        )
    return numbers
