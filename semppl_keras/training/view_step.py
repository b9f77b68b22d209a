"""The step of all trainings: views, the parts of a loss, what follows an update."""

from collections.abc import Iterable
from typing import Any

import keras
from keras import ops

from semppl_keras.training.global_batch import GlobalBatch, share_of_loss
from semppl_keras.training.inference import ImageInference
from semppl_keras.training.loss_parts import checked_parts
from semppl_keras.training.metrics import Latest
from semppl_keras.training.target_ema import KeepsAverage


class ViewStep(KeepsAverage, ImageInference):
    """One step of a training on random views.

    A subclass gives

    - `make_views(images)`: what is computed of the images before the step, without
      gradient: views, and what a teacher says of them;
    - `call(views, training=True)`: a dict of what the loss is made of;
    - `loss_parts(outputs, labels, batch)`: a dict of `loss` and of the values that
      `fit` shows, whose names it gives to `tell` in its constructor.

    What else may differ is a hook with an answer of its own: `classified` (the metrics
    given to `compile`, in training), `penalties`, `measures`, `loss_on_images`; and
    `keep_average` with `moving_pairs` for a network that follows another.

    Args:
        seed: int, of the order of arrays; kept.
        draw_seed: int, of views and draws.
    """

    def __init__(self, seed: int, draw_seed: int, **kwargs: Any) -> None:
        # The networks cast their inputs themselves; images and similarities stay
        # in float32.
        super().__init__(**{"autocast": False, **kwargs})
        # A moving average of weights in half precision would not move.
        kept = {keras.config.floatx(), self.dtype_policy.variable_dtype}
        if kept != {"float32"}:
            raise ValueError(
                "semppl_keras computes in float32, or in mixed precision. Received: "
                f"keras.config.floatx() {keras.config.floatx()!r} and the dtype policy "
                f"{self.dtype_policy.name!r}. Call keras.config.set_floatx('float32') "
                "before making the backbone, and leave out `dtype`. Half precision is "
                "keras.config.set_dtype_policy('mixed_float16' or 'mixed_bfloat16')."
            )
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(draw_seed)
        self.step = self._counter("step")
        self._traced_form: Any = None
        # Batches whose gradients the optimiser has added up since its last step.
        self.accumulated_batches = self._counter("accumulated_batches")
        self._step_metrics: list[keras.metrics.Metric] = []

    def _counter(self, name: str) -> Any:
        return self.add_weight(
            shape=(), dtype="int32", initializer="zeros", trainable=False, name=name
        )

    def tell(self, metrics: Iterable[str] = (), latest: Iterable[str] = ()) -> None:
        """Names what `loss_parts` gives beside the loss; for the constructor.

        A subclass of a model that tells something tells more by another call.

        Args:
            metrics: names of values of which `fit` tells the mean.
            latest: the same, of what is shown as it stands.

        Raises:
            TypeError: if one name is given in the place of several.
        """
        for argument, names in (("metrics", metrics), ("latest", latest)):
            if isinstance(names, str):
                raise TypeError(
                    f"`{argument}` must be a tuple of names. Received: "
                    f"{argument}={names!r}. Give ({names!r},)."
                )
        if self.keeps_average:
            latest = (*latest, "target_momentum")
        told = {metric.name for metric in self._step_metrics}
        self._step_metrics = [
            *self._step_metrics,
            *(keras.metrics.Mean(name) for name in metrics if name not in told),
            *(Latest(name) for name in latest if name not in told),
        ]

    def draw_views(self, images: tuple[Any, ...]) -> Any:
        """Random views of a batch.

        Args:
            images: tuple of `(B_i, H, W, C)`, the parts of this replica's batch.

        Returns:
            What `views` gives for the images of all parts, in this order.
        """
        batch = GlobalBatch(*(part.shape[0] for part in images))
        images = tuple(ops.cast(part, "float32") for part in images)
        return self.views(
            ops.concatenate(images, axis=0),
            seed=self.seed_generator,
            uniform=batch.uniform,
        )

    def begin_step(self, images: tuple[Any, ...], labels: dict[str, Any]) -> Any:
        """What a step is made of, on each backend: see `make_views`."""
        # Of the step that is traced: its loss is computed of the same images.
        self._batch = GlobalBatch(*(part.shape[0] for part in images))
        return self.views_and_labels(images, labels)

    def views_and_labels(self, images: tuple[Any, ...], labels: dict[str, Any]) -> Any:
        """As `make_views`, of a model that needs to know the labels before the step.

        Args:
            images: as there.
            labels: dict, as in `loss_parts`.
        """
        del labels
        return self.make_views(images)

    def make_views(self, images: tuple[Any, ...]) -> Any:
        """Views of the images of a batch, by `draw_views`, and what goes with them.

        Args:
            images: tuple of `(B_i, H, W, C)`: unlabelled and labelled ones, in this
                order, or one of them.
        """
        return self.draw_views(images)

    def loss_parts(
        self, outputs: dict[str, Any], labels: dict[str, Any], batch: GlobalBatch
    ) -> dict[str, Any]:
        """What is to be minimised, of the images of one batch.

        Args:
            outputs: what `call` gave in training.
            labels: dict of `label` int32, those of the labelled images, and
                `hidden_label` of the others, -1 for unknown; either may be missing.
                With weights of images, `weight` float32.
            batch: `GlobalBatch` of these images, of which other replicas may hold
                more.

        Returns:
            dict of `loss`, a scalar, and of what was given to `tell`: scalars, vectors
            whose mean is shown, or a pair of vectors, values and weights.
        """
        raise NotImplementedError(f"{type(self).__name__} has no `loss_parts`.")

    def write_states(self, variables: Iterable[Any], values: Iterable[Any]) -> None:
        """Sets variables from within `loss_parts`, such as a memory's."""
        for variable, value in zip(variables, values, strict=True):
            self.write_state(variable, value)

    def measures(self, outputs: dict[str, Any], batch: GlobalBatch) -> dict[str, Any]:
        """What a step tells of the networks, whatever its loss is.

        Args, Returns:
            As `loss_parts`, without a loss.
        """
        del outputs, batch
        if not self.keeps_average:
            return {}
        return {"target_momentum": self.current_momentum()}

    def loss_on_images(self, labels: Any, outputs: Any, weights: Any) -> Any:
        """What `evaluate` tells as the loss, of a model with `has_loss_on_images`.

        Args:
            labels: `(B,)`, `(B, 1)` or one-hot.
            outputs: what `call` gives of images.
            weights: `(B,)` or None.
        """
        raise NotImplementedError(f"{type(self).__name__} has no `loss_on_images`.")

    def penalties(self) -> Iterable[Any]:
        """Losses of layers, which are added to the loss."""
        return self.losses

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """The loss and its penalties; in training the metrics of the step as well."""
        if training:
            metrics = self.step_metrics(y)
            measured = self.measures(y_pred, self._batch)
            given = self.loss_parts(y_pred, y, self._batch)
            names = [each.name for each in metrics if each.name not in measured]
            parts = {**checked_parts(self, given, names), **measured}
            for metric in metrics:
                metric.update_state(*_without_gradient(parts[metric.name]))
            loss = parts["loss"]
        elif self.has_loss_on_images:
            loss = self.loss_on_images(y, y_pred, sample_weight)
        else:
            return ops.zeros((), "float32")
        for penalty in self.penalties():
            loss = loss + ops.cast(ops.sum(penalty), loss.dtype)
        return share_of_loss(loss)

    def step_metrics(self, labels: dict[str, Any]) -> list[keras.metrics.Metric]:
        """The metrics of `loss_parts`, given the labels that came with a batch."""
        del labels
        return list(self._step_metrics)

    def classified(
        self, outputs: dict[str, Any], labels: dict[str, Any]
    ) -> tuple[Any, Any, Any] | None:
        """What the metrics given to `compile` are computed of in training.

        Args:
            outputs, labels: as in `loss_parts`.

        Returns:
            labels `(B,)`, probabilities `(B, num_classes)` and weights `(B,)` or None;
            None to leave these metrics to `evaluate`.
        """
        del outputs, labels
        return None

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        """In training the step's metrics, otherwise those given to `compile`."""
        if isinstance(y_pred, dict):
            metrics = [self._loss_tracker, *self.step_metrics(y)]
            classified = self.classified(y_pred, y)
        else:
            metrics = [self._loss_tracker] if self.has_loss_on_images else []
            classified = self.as_indices(y), y_pred, sample_weight
        if classified is not None:
            self._compile_metrics.update_state(*classified)
            metrics.append(self._compile_metrics)
        results = {}
        for metric in metrics:
            result = metric.result()
            results.update(
                result if isinstance(result, dict) else {metric.name: result}
            )
        return results

    def after_update(self) -> None:
        """Moves what follows after the optimiser's step, and counts the batch."""
        self.move_average()
        self.step.assign(self.step + 1)
        if self._accumulation_steps > 1:
            self.accumulated_batches.assign(
                (self.accumulated_batches + 1) % self._accumulation_steps
            )

    def updates(self) -> Any:
        """Optimiser steps that were done before this batch, an int32 scalar."""
        return self.step // self._accumulation_steps

    def completed_updates(self) -> Any:
        """Optimiser steps that end with this batch: 1.0, or 0.0 where its gradients
        are only added to others'."""
        if self._accumulation_steps == 1:
            return 1.0
        last = self.accumulated_batches + 1 == self._accumulation_steps
        return ops.cast(last, "float32")


def _without_gradient(part: Any) -> tuple[Any, ...]:
    """The values of a part of the loss, and their weights where it has any."""
    parts = part if isinstance(part, tuple) else (part,)
    return tuple(ops.stop_gradient(values) for values in parts)
