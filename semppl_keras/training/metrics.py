"""What `fit` shows and `evaluate` computes: a metric of the step, and which fit."""

from typing import Any

import keras
import numpy as np

# Keras' metric of the likeliest classes, and how many the function looks at.
_TOP = ("SparseTopKCategoricalAccuracy", "sparse_top_k_categorical_accuracy")
_TOP_OF_FUNCTION = 5


@keras.saving.register_keras_serializable(package="semppl_keras")
class Latest(keras.metrics.Metric):
    """The last value given, for what grows over an epoch (memory, momentum)."""

    def __init__(self, name: str = "latest", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.current = self.add_variable(
            (), initializer="zeros", aggregation="only_first_replica", name="value"
        )

    def update_state(self, value: Any, sample_weight: Any = None) -> None:
        """Keeps the value."""
        self.current.assign(value)

    def result(self) -> Any:
        """The value that was given last."""
        return self.current * 1.0


def check_metrics(metrics: Any, num_classes: int) -> None:
    """Raises a ValueError for a metric of Keras that does not take integer labels, or
    more classes than there are."""
    for metric in keras.tree.flatten(metrics):
        if isinstance(metric, str) and metric.lower() in ("accuracy", "acc"):
            continue  # Keras chooses the one that fits.
        found = keras.metrics.get(metric)
        kind = found if hasattr(found, "__name__") else type(found)
        name = kind.__name__
        # Only of those that Keras brings is it known what they take.
        if (
            not kind.__module__.startswith("keras.")
            or name in ("MeanMetricWrapper", "SumOverBatchSizeWrapper")
            or name.lower().startswith("sparse")
            or _takes_indices_and_shares(metric)
        ):
            _check_top(found, name, num_classes)
            continue
        sparse = [f"{start}{name}" for start in ("Sparse", "sparse_")]
        sparse = [name for name in sparse if hasattr(keras.metrics, name)]
        remedy = "Compute it from what `predict` gives"
        if sparse:
            remedy = f"Use {sparse[0]}"
        raise ValueError(
            "`metrics` must hold metrics of integer labels `(B,)` and predictions "
            f"`(B, num_classes)`. Received: {name}, which takes others. {remedy}, or "
            "give a metric of your own."
        )


def _takes_indices_and_shares(metric: Any) -> bool:
    """Whether it is one of Keras' IoU metrics, made for these."""
    return getattr(metric, "sparse_y_true", False) and not metric.sparse_y_pred


def _check_top(metric: Any, name: str, num_classes: int) -> None:
    """Raises a ValueError for Keras' metric of the likeliest k of fewer classes."""
    if name not in _TOP:
        return
    k: Any = getattr(metric, "k", _TOP_OF_FUNCTION)
    if not isinstance(k, (int, np.integer)) or not 1 <= k <= num_classes:
        raise ValueError(
            f"`metrics` must look at no more than the {num_classes} classes that there "
            f"are. Received: {name} of the k={k!r} likeliest. Give "
            "keras.metrics.SparseTopKCategoricalAccuracy(k=...) with a lower one."
        )
