"""The engine: one `fit` and one step for all models that are trained on views."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from semppl_keras.data.checks import ImageSpec
from semppl_keras.data.feed.explanations import explained
from semppl_keras.data.feed.feed import make_feed
from semppl_keras.networks.adapters import adapter_variables, restore_adapters
from semppl_keras.networks.blocks import rates_by_depth
from semppl_keras.networks.keras_file import (
    SavedAsKerasFile,
    check_checkpoint_files,
    of_every_backend,
)
from semppl_keras.networks.trainable_part import train_part
from semppl_keras.optimizers import (
    LARS,
    LayerwiseAdamW,
    biases_and_normalisation,
)
from semppl_keras.training.fit_callbacks import (
    FitCallbacks,
    as_list,
    check_initial_batch,
)
from semppl_keras.training.kept_memory import kept_memory
from semppl_keras.training.known_arguments import known_arguments
from semppl_keras.training.lost_process import lost_process
from semppl_keras.training.metrics import check_metrics
from semppl_keras.training.out_of_memory import is_out_of_memory, out_of_memory
from semppl_keras.training.random_state import SavesRandomState
from semppl_keras.training.target_ema import TargetEMA
from semppl_keras.training.view_step import ViewStep


class ViewModel(SavedAsKerasFile, SavesRandomState, ViewStep):
    """A model that is trained on random views of images, by a loss of its own.

    The batch of each step follows from the seed and from `step`, which is saved.

    A subclass says what a step is, see `ViewStep`. What else may differ is a hook with
    an answer of its own: `make_feed`, which images make a step, with `needs_labels`;
    `check_networks` and `_check_batch_sizes`, with what no training can begin.

    Args:
        seed: int, of the order of arrays; kept.
        draw_seed: int, of views and draws.
    """

    needs_labels: Any = False

    @known_arguments
    def compile(
        self,
        optimizer: Any = "adamw",
        metrics: Any = (),
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: Any = "auto",
        auto_scale_loss: bool = True,
    ) -> None:
        """Configures training; the loss is the model's own.

        Args:
            optimizer: a Keras optimiser or its name. `LARS` leaves out the biases
                and normalisation weights of this model, `LayerwiseAdamW` gets the
                rates of its backbone's blocks.
            metrics, weighted_metrics: what is computed from labels `(B,)` and
                predictions `(B, num_classes)`, by a model that predicts classes: of
                Keras' own "accuracy" and the sparse ones.
            steps_per_execution: int that divides the steps of an epoch.
            run_eagerly, jit_compile, auto_scale_loss: as in `keras.Model.compile`.

        Raises:
            ValueError: if a metric does not fit, or an argument is out of range.
        """
        for name, value in (("jit_compile", jit_compile), ("run_eagerly", run_eagerly)):
            if value not in (True, False, None, "auto"):
                raise ValueError(
                    f"`{name}` must be True or False. Received: {name}={value!r}."
                )
        metrics, weighted_metrics = as_list(metrics), as_list(weighted_metrics)
        if metrics or weighted_metrics:
            self._check_predicts_classes("metrics")
            check_metrics([metrics, weighted_metrics], self.num_classes)
        optimizer = keras.optimizers.get(optimizer)
        inner = getattr(optimizer, "inner_optimizer", optimizer)
        self._accumulation_steps = inner.gradient_accumulation_steps or 1
        if isinstance(inner, LARS) and not inner.built:
            inner.exclude_from_adaptation(biases_and_normalisation(self))
        if isinstance(inner, LayerwiseAdamW) and not inner.built:
            rates = inner.backbone_rate, inner.layer_decay
            inner.set_rates(rates_by_depth(self.backbone, *rates))
        super().compile(
            optimizer=optimizer,
            metrics=metrics if self.predicts_classes else None,
            weighted_metrics=weighted_metrics or None,
            run_eagerly=run_eagerly,
            steps_per_execution=steps_per_execution,
            jit_compile=jit_compile,
            auto_scale_loss=auto_scale_loss,
        )
        if self._accumulation_steps > 1 and hasattr(self.optimizer, "inner_optimizer"):
            raise ValueError(
                "Gradients that are accumulated and scaled (mixed_float16) have no "
                "count of batches to tell the target when to move, since steps of too "
                "large gradients are left out. Received: gradient_accumulation_steps="
                f"{self._accumulation_steps}. Use mixed_bfloat16, or larger batches."
            )
        # Variables that the first step of `fit` creates cost TensorFlow a second
        # tracing of it.
        if not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)
            self.accumulated_batches.assign(0)
        if self.predicts_classes:
            # Keras would build the metrics from the first batch of `fit`, which
            # holds views and no predictions.
            self._compile_metrics.build(
                ops.zeros((1,), "int32"), ops.zeros((1, self.num_classes))
            )

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles as the saved model was, see `keras.Model`."""
        config = keras.saving.deserialize_keras_object(of_every_backend(config))
        # Keras notes them; this model's `compile` has none.
        for name in ("loss", "loss_weights"):
            config.pop(name, None)
        self.compile(**config)

    # -- training -------------------------------------------------------------

    def train_part(self, part: str = "all", batch_norm: str = "adapt") -> None:
        """Chooses what of the backbone is trained from now on.

        The model is compiled anew, as it was, with a new optimiser of the same
        settings: the next `fit` is a stage of its own.

        Args:
            part, batch_norm: as in `networks.train_part`.

        Raises:
            ValueError: for another part or another kind of batch normalisation.
        """
        train_part(self.backbone, part, batch_norm)
        if self.compiled:
            self.compile_from_config(self.get_compile_config())

    def fit_feed(
        self,
        feed: Any,
        *,
        epochs: int = 1,
        validation_data: Any = None,
        validation_batch_size: int | None = None,
        validation_steps: int | None = None,
        validation_freq: Any = 1,
        initial_epoch: int = 0,
        initial_batch: int = 0,
        callbacks: Any = None,
        verbose: Any = "auto",
    ) -> keras.callbacks.History:
        """The one training loop: Keras' `fit` on what a feed gives.

        Args:
            feed: what `make_feed` and its kin give.
            epochs, validation_data, validation_batch_size, validation_steps,
            validation_freq, initial_epoch, initial_batch, callbacks, verbose: as in
                `fit`.

        Returns, Raises:
            As `fit`.
        """
        self._check_optimizer()
        self._check_batch_sizes(feed.batch_size, feed.labelled_batch_size)
        callbacks = as_list(callbacks)
        moved = any(isinstance(callback, TargetEMA) for callback in callbacks)
        if self.keeps_average and not moved:
            callbacks.append(self.make_target_ema())
        check_initial_batch(self, initial_batch, feed.steps_per_epoch)
        if feed.steps_per_epoch % self.steps_per_execution:
            raise ValueError(
                "`steps_per_execution` must divide the steps of an epoch, which is one "
                "pass over the images. Received: steps_per_execution="
                f"{self.steps_per_execution} for {feed.steps_per_epoch} steps."
            )
        if feed.batch_form != self._traced_form:
            # TensorFlow would trace a second form for batches of any, and the step
            # knows its own.
            self.train_function, self._traced_form = None, feed.batch_form
        if validation_data is not None:
            validation_data = self._checked_validation_data(
                validation_data, validation_steps
            )
        check_checkpoint_files(callbacks)
        callbacks = FitCallbacks(
            callbacks, feed, initial_epoch, initial_batch, epochs, verbose, model=self
        )
        try:
            with explained(), kept_memory():
                for begin, end in callbacks.parts():
                    super().fit(
                        **self.fit_arguments(feed),
                        initial_epoch=begin,
                        epochs=end,
                        shuffle=False,
                        validation_data=validation_data,
                        validation_batch_size=validation_batch_size,
                        validation_steps=validation_steps,
                        validation_freq=validation_freq,
                        callbacks=callbacks,
                        verbose=verbose,
                    )
        except Exception as error:
            explanation = feed.explain(error)
            if explanation is not None:
                raise explanation from None
            lost = lost_process(self, error)
            if lost is not None:
                raise RuntimeError(lost) from error
            if is_out_of_memory(error):
                raise MemoryError(out_of_memory(self.views, feed)) from error
            raise
        finally:
            self.hold_target()
        return self.history

    @known_arguments(hands_on_to=fit_feed)
    def fit(
        self,
        unlabelled: Any = None,
        labelled: Any = None,
        *,
        batch_size: int | None = None,
        labelled_batch_size: int | None = None,
        images_per_class: int | None = None,
        steps_per_epoch: int | None = None,
        **training: Any,
    ) -> keras.callbacks.History:
        """Trains on unlabelled and labelled images.

        An epoch is one pass over `unlabelled`, whose last batch is filled up from
        the beginning; `labelled` goes round beside it. Arrays are shuffled, in an
        order that follows from the model's seed and step; datasets come in their
        own order.

        Args:
            unlabelled: images, uint8 or float in the views' `value_range`, as an
                array `(N, H, W, C)`, `tf.data.Dataset`, `keras.utils.PyDataset`,
                torch `DataLoader` or another iterable of batches. With labels, as
                (images, labels), -1 for unknown, these are used for the metric
                `pseudo_label_accuracy` alone, of a model that tells it. `SemPPL` takes
                (images, labels or None, weights), too: how much what each image is
                taken for counts among its semantic positives, 0 for a stranger.
            labelled: the same of (images, labels), labels in [0, num_classes) or
                one-hot. To an objective that knows no labels they are some more
                images, and may be left out.
            batch_size: int or None, unlabelled images per step. None for that of
                the dataset's own batches, or 96, at most as many as there are.
            labelled_batch_size: int or None, labelled images per step. None for
                that of the dataset's own batches, or a third of `batch_size`, at
                most as many as there are.
            images_per_class: int or None. With it the labelled images of a step are so
                many of each of labelled_batch_size / images_per_class classes, which
                take turns: rare classes come up as often as others, and `SuNCEt` has
                its pairs. For `labelled` as arrays. None: as they come.
            steps_per_epoch: int, how many steps an epoch has, where `unlabelled` is an
                array, whose passes then run on from one epoch to the next, or has no
                end, or none that can be told: without it such images are counted by
                reading them once. None: one pass.
            epochs: int, 1 where it is left out.
            validation_data: (images, labels) or a dataset of them, for a model that
                predicts classes. Of what has no end, or is a generator,
                `validation_steps` says how many batches are read; those of a generator
                are kept for all epochs.
            validation_batch_size, validation_steps, validation_freq,
            initial_epoch, callbacks, verbose: as in `keras.Model.fit`. In a loop of
                `fit(initial_epoch=e, epochs=e + 1)` give `TargetEMA` the length of the
                target's schedule, see there.
            initial_batch: int, batches of epoch `initial_epoch` that were done before
                the model was saved; the rest of the epoch comes first.

        Returns:
            `keras.callbacks.History`: loss, what the model tells of itself (see its
            class), target_momentum with a network that follows another, val_ metrics.

        Raises:
            ValueError, TypeError: if the data does not fit; nothing is trained.
            MemoryError: if a step takes more memory than there is.
            RuntimeError: if another process of the training has ended.
        """
        self._check_compiled("fit")
        self.check_networks()
        feed = self.make_feed(
            unlabelled,
            labelled,
            self.image_spec,
            batch_size=batch_size,
            labelled_batch_size=labelled_batch_size,
            images_per_class=images_per_class,
            steps_per_epoch=steps_per_epoch,
        )
        return self.fit_feed(feed, **training)

    def make_feed(
        self, unlabelled: Any, labelled: Any, spec: ImageSpec, **sizes: Any
    ) -> Any:
        """What the steps of a `fit` are made of.

        Args:
            unlabelled, labelled: what `fit` was given.
            spec: `ImageSpec`, what the model takes.
            **sizes: of `data.feed.make_feed`.
        """
        return make_feed(
            unlabelled,
            labelled,
            spec,
            labels_required=self.needs_labels,
            seed=self.seed,
            num_replicas=self.num_replicas,
            **sizes,
        )

    def train_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        """A step is made of what `fit` draws, and by it alone.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError(
            "`train_on_batch` has no batch to train on: which images make a step, and "
            "how far the schedules are, is known to `fit`. Call `fit` on the images, "
            "for a few steps on a part of them."
        )

    def _check_optimizer(self) -> None:
        """Raises a ValueError where other weights are trained than `compile` found."""
        optimizer: Any = getattr(self.optimizer, "inner_optimizer", self.optimizer)
        known = {id(weight) for weight in optimizer._trainable_variables}
        trained = {id(weight) for weight in self.trainable_variables}
        if trained != known:
            raise ValueError(
                "What is trained must be what it was when the model was compiled: the "
                "optimiser keeps state for each weight. Received: "
                f"{len(trained - known)} weights that came or were released since, and "
                f"{len(known - trained)} that went or were frozen. Compile the model "
                "again with a new optimiser, or choose by `train_part`, which does."
            )

    def check_networks(self) -> None:
        """Raises a ValueError for networks with which no training can begin."""

    def _check_batch_sizes(self, batch_size: int, labelled_batch_size: int) -> None:
        """Raises a ValueError for a batch that the objective cannot work with."""

    # -- what it is -----------------------------------------------------------

    def summary(
        self,
        line_length: int | None = None,
        positions: Any = None,
        print_fn: Callable[[str], Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """As `keras.Model.summary`, and the shapes of what goes through the model."""
        super().summary(line_length, positions, print_fn, **kwargs)
        shapes = self._shapes_of_views()
        for name, shape in {**shapes, **self.output_shapes()}.items():
            (print_fn or print)(f" {name}: {(None, *shape)}")

    # -- saving ---------------------------------------------------------------

    def save_own_variables(self, store: Any) -> None:
        """Saves the adapters of its networks, too, which Keras merges."""
        super().save_own_variables(store)
        for number, variable in enumerate(adapter_variables(self)):
            store[f"adapter_{number}"] = variable

    def load_own_variables(self, store: Any) -> None:
        """Loads what `save_own_variables` has saved."""
        values = {key: store[key] for key in store.keys()}  # noqa: SIM118
        count = len(adapter_variables(self))
        names = [f"adapter_{number}" for number in range(count)]
        if count and set(names) <= set(values):
            restore_adapters(self, [np.asarray(values.pop(name)) for name in names])
        super().load_own_variables(values)

    def _shapes_of_views(self) -> dict[str, tuple[int | None, ...]]:
        views = self.views
        if views.cached:
            kept = self.backbone.input_shape[1:]
            return {"Kept features": (None, *kept), "Views": (views.num_large, *kept)}
        low, high = views.value_range
        shapes: dict[str, tuple[int | None, ...]] = {
            f"Images, {low} to {high}": (None, None, self.image_spec.channels[0])
        }
        kinds = (views.num_large, views.num_small)
        sizes = (views.large_size, views.small_size)
        for name, count, size in zip(("Large", "Small"), kinds, sizes, strict=True):
            if count:
                shapes[f"{name} views"] = (count, size, size, self.image_channels)
        return shapes

    def output_shapes(self) -> dict[str, tuple[int, ...]]:
        """dict of name to shape, without the batch, of what the networks give."""
        return {}
