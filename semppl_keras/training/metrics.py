"""What `fit` shows and `evaluate` computes: a metric of the step, and which fit."""

from typing import Any

import keras


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


def check_metrics(metrics: Any) -> None:
    """Raises a ValueError for a metric of Keras that does not take integer labels."""
    for metric in keras.tree.flatten(metrics):
        if isinstance(metric, str) and metric.lower() in ("accuracy", "acc"):
            continue  # Keras chooses the one that fits.
        kind = keras.metrics.get(metric)
        kind = kind if hasattr(kind, "__name__") else type(kind)
        name = kind.__name__
        # Only of those that Keras brings is it known what they take.
        if (
            not kind.__module__.startswith("keras.")
            or name in ("MeanMetricWrapper", "SumOverBatchSizeWrapper")
            or name.lower().startswith("sparse")
            or _takes_indices_and_shares(metric)
        ):
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
