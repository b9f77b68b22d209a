"""What all models share that are trained on views: data, steps, saving."""

import collections.abc
import contextlib

import keras
from keras import ops

from semppl_keras.checks import check_integers, check_metrics
from semppl_keras.data.checks import check_labels, check_weights
from semppl_keras.data.feed.checked_batches import checked_inputs
from semppl_keras.data.feed.explanations import explained
from semppl_keras.data.feed.named_parts import named_parts
from semppl_keras.networks.keras_file import check_checkpoint_files, check_keras_file
from semppl_keras.optimizers import LARS, biases_and_normalisation
from semppl_keras.training.backends import ViewTrainer
from semppl_keras.training.fit_callbacks import FitCallbacks, as_list
from semppl_keras.training.global_batch import GlobalBatch
from semppl_keras.training.known_arguments import known_arguments
from semppl_keras.training.out_of_memory import is_out_of_memory
from semppl_keras.training.random_state import SavesRandomState


class ViewModel(SavesRandomState, ViewTrainer):
    """A model that is trained on random views of images, by a loss of its own.

    The batch of each step follows from the seed and from `step`, which is saved.
    A subclass sets `views` (`MultiCrop`), `num_classes` (int or None) and
    `image_spec` (`ImageSpec`), and hands what `make_feed` gives to `fit_feed`.

    Args:
        seed: int, of the order of arrays; kept.
        draw_seed: int, of views and draws.
    """

    predicts_classes = False
    # Whether `evaluate` has a loss to tell: what is learned from views has none.
    has_loss_on_images = False

    def __init__(self, seed, draw_seed, **kwargs):
        # The networks cast their inputs themselves; images and similarities stay
        # in float32.
        super().__init__(**{"autocast": False, **kwargs})
        if "float64" in (keras.config.floatx(), self.dtype_policy.compute_dtype):
            raise ValueError(
                "semppl_keras computes in float32, or in mixed precision. Received: "
                f"keras.config.floatx() {keras.config.floatx()!r} and the dtype policy "
                f"{self.dtype_policy.name!r}. Call keras.config.set_floatx('float32') "
                "before making the backbone, and leave out `dtype`."
            )
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(draw_seed)
        self.step = self._counter("step")
        self._traced_form = None
        # Batches whose gradients the optimiser has added up since its last step.
        self.accumulated_batches = self._counter("accumulated_batches")

    def _counter(self, name):
        return self.add_weight(
            shape=(), dtype="int32", initializer="zeros", trainable=False, name=name
        )

    @known_arguments
    def compile(
        self,
        optimizer="adamw",
        metrics=(),
        weighted_metrics=None,
        run_eagerly=False,
        steps_per_execution=1,
        jit_compile="auto",
        auto_scale_loss=True,
    ):
        """Configures training; the loss is the model's own.

        Args:
            optimizer: a Keras optimiser or its name. `LARS` leaves out the biases
                and normalisation weights of this model.
            metrics, weighted_metrics: what is computed from labels `(B,)` and
                predictions `(B, num_classes)`, by a model that predicts classes: of
                Keras' own "accuracy" and the sparse ones.
            steps_per_execution: int that divides the steps of an epoch.
            run_eagerly, jit_compile, auto_scale_loss: as in `keras.Model.compile`.

        Raises:
            ValueError: if a metric does not fit, or an argument is out of range.
        """
        check_integers(1, steps_per_execution=steps_per_execution)
        for name, value in (("jit_compile", jit_compile), ("run_eagerly", run_eagerly)):
            if value not in (True, False, None, "auto"):
                raise ValueError(
                    f"`{name}` must be True or False. Received: {name}={value!r}."
                )
        if metrics or weighted_metrics:
            self._check_predicts_classes("metrics")
            check_metrics([metrics or (), weighted_metrics or ()])
        optimizer = keras.optimizers.get(optimizer)
        inner = getattr(optimizer, "inner_optimizer", optimizer)
        self._accumulation_steps = inner.gradient_accumulation_steps or 1
        if isinstance(inner, LARS) and not inner.built:
            inner.exclude_from_adaptation(biases_and_normalisation(self))
        super().compile(
            optimizer=optimizer,
            metrics=list(metrics or ()) if self.predicts_classes else None,
            weighted_metrics=weighted_metrics,
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

    def compile_from_config(self, config):
        """Compiles as the saved model was, see `keras.Model`."""
        config = keras.saving.deserialize_keras_object(config)
        # Keras notes them; this model's `compile` has none.
        for name in ("loss", "loss_weights"):
            config.pop(name, None)
        self.compile(**config)

    def fit_feed(
        self,
        feed,
        *,
        epochs,
        initial_epoch,
        initial_batch,
        validation_data,
        callbacks,
        verbose,
        **arguments,
    ):
        """Keras' `fit` on what `make_feed` gives.

        Args:
            feed: `Feed` or `TFFeed`.
            epochs, initial_epoch: int, as in `keras.Model.fit`.
            initial_batch: int, batches of the first epoch that were done before.
            validation_data: (images, labels), a dataset of them, or None.
            callbacks: a callback, several, or None.
            verbose, **arguments: as in `keras.Model.fit`.

        Returns:
            `keras.callbacks.History`.

        Raises:
            ValueError, TypeError: if the data does not fit.
            MemoryError: if a step takes more memory than there is.
        """
        self._check_initial_batch(initial_batch, feed.steps_per_epoch)
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
            self._check_one_process("validation_data")
            validation_data = self._checked_validation_data(validation_data)
        check_checkpoint_files(as_list(callbacks))
        callbacks = FitCallbacks(
            callbacks, feed, initial_epoch, initial_batch, epochs, verbose, model=self
        )
        try:
            with explained():
                for begin, end in callbacks.parts():
                    super().fit(
                        **self.fit_arguments(feed),
                        initial_epoch=begin,
                        epochs=end,
                        shuffle=False,
                        validation_data=validation_data,
                        callbacks=callbacks,
                        verbose=verbose,
                        **arguments,
                    )
        except Exception as error:
            explanation = feed.explain(error)
            if explanation is not None:
                raise explanation from None
            if is_out_of_memory(error):
                raise MemoryError(self._out_of_memory(feed)) from error
            raise
        return self.history

    @known_arguments
    def predict(self, x, batch_size=None, **kwargs):
        """Class probabilities of images; without classes the same as `embed`.

        Each image is seen as its central square at the large views' size.

        Args:
            x: images, uint8 or float in the views' `value_range`, as an array
                `(N, H, W, C)`, or a dataset of batches of them.
            batch_size, **kwargs: as in `keras.Model.predict`.

        Returns:
            `(N, num_classes)` float32, rows summing to 1, or `(N, F)`.

        Raises:
            ValueError, TypeError: if the images do not fit, or the model is not
                ready.
        """
        self._check_one_process("predict")
        self._check_ready("predict")
        images = self._checked_images("x", x)
        with inference(self):
            return super().predict(images, batch_size=batch_size, **kwargs)

    @known_arguments
    def evaluate(self, x=None, y=None, sample_weight=None, **kwargs):
        """The metrics given to `compile`, of labels and predictions.

        Args:
            x: images `(N, H, W, C)`, or a dataset of batches of (images, labels), or
                of (images, labels, weights).
            y: labels `(N,)`, with images as an array.
            sample_weight: `(N,)`, with images as an array, of `weighted_metrics` and of
                each image's share of the loss; or None.
            **kwargs: as in `keras.Model.evaluate`.

        Raises:
            ValueError, TypeError: if the model predicts no classes or has no metrics
                to compute, or the data does not fit.
        """
        self._check_predicts_classes("evaluate")
        self._check_compiled("evaluate")
        self._check_measures("evaluate")
        self._check_one_process("evaluate")
        self._check_ready("evaluate")
        if isinstance(x, collections.abc.Mapping) and y is None:
            x, y, sample_weight = (*named_parts("x", x), y, sample_weight)[:3]
        images = self._checked_images("x", x, labelled=y is None)
        if y is not None:
            y = self._checked_labels("y", y, images)
        if sample_weight is not None:
            if y is None:
                raise ValueError(
                    "`sample_weight` is for images as an array and `y`; a dataset "
                    "yields (images, labels, weights) itself."
                )
            sample_weight = check_weights("sample_weight", sample_weight, len(y))
        with inference(self):
            return super().evaluate(images, y, sample_weight=sample_weight, **kwargs)

    def predict_on_batch(self, x):
        """As `predict`, of one batch `(B, H, W, C)`."""
        self._check_one_process("predict_on_batch")
        self._check_ready("predict_on_batch")
        images = self._checked_batch("x", x)
        with inference(self):
            return super().predict_on_batch(images)

    def test_on_batch(self, x, y=None, sample_weight=None, return_dict=False):
        """As `evaluate`, of one batch of images and labels."""
        self._check_predicts_classes("test_on_batch")
        self._check_compiled("test_on_batch")
        self._check_measures("test_on_batch")
        self._check_one_process("test_on_batch")
        self._check_ready("test_on_batch")
        images = self._checked_batch("x", x)
        y = self._checked_labels("y", y, images)
        if sample_weight is not None:
            sample_weight = check_weights("sample_weight", sample_weight, len(y))
        with inference(self):
            return super().test_on_batch(images, y, sample_weight, return_dict)

    def train_on_batch(self, *args, **kwargs):
        """A step is made of what `fit` draws, and by it alone.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError(
            "`train_on_batch` has no batch to train on: which images make a step, and "
            "how far the schedules are, is known to `fit`. Call `fit` on the images, "
            "for a few steps on a part of them."
        )

    def save(self, filepath, overwrite=True, **kwargs):
        """As `keras.Model.save`, to a `.keras` file.

        Raises:
            ValueError: for a HDF5 file.
        """
        check_keras_file(filepath)
        super().save(filepath, overwrite=overwrite, **kwargs)

    def summary(self, line_length=None, positions=None, print_fn=None, **kwargs):
        """As `keras.Model.summary`, and the shapes of what goes through the model."""
        super().summary(line_length, positions, print_fn, **kwargs)
        low, high = self.views.value_range
        shapes = {f"Images, {low} to {high}": (None, None, self.image_spec.channels[0])}
        kinds = (self.views.num_large, self.views.num_small)
        sizes = (self.views.large_size, self.views.small_size)
        for name, count, size in zip(("Large", "Small"), kinds, sizes, strict=True):
            if count:
                shapes[f"{name} views"] = (count, size, size, self.image_channels)
        for name, shape in {**shapes, **self.output_shapes()}.items():
            (print_fn or print)(f" {name}: {(None, *shape)}")

    def output_shapes(self):
        """dict of name to shape, without the batch, of what the networks give."""
        return {}

    def draw_views(self, images):
        """Random views of a batch.

        Args:
            images: tuple of `(B_i, H, W, C)`, the parts of this replica's batch.

        Returns:
            What `views` gives for the images of all parts, in this order.
        """
        # Of the step that is traced: its loss is computed of the same images.
        self._batch = GlobalBatch(*(part.shape[0] for part in images))
        images = [ops.cast(part, "float32") for part in images]
        return self.views(
            ops.concatenate(images, axis=0),
            seed=self.seed_generator,
            uniform=self._batch.uniform,
        )

    def after_update(self):
        """Counts the batch."""
        self.step.assign(self.step + 1)
        if self._accumulation_steps > 1:
            self.accumulated_batches.assign(
                (self.accumulated_batches + 1) % self._accumulation_steps
            )

    def completed_updates(self):
        """Optimiser steps that end with this batch: 1.0, or 0.0 where its gradients
        are only added to others'."""
        if self._accumulation_steps == 1:
            return 1.0
        last = self.accumulated_batches + 1 == self._accumulation_steps
        return ops.cast(last, "float32")

    def as_indices(self, labels):
        """Labels `(B,)` int32 of `(B,)`, `(B, 1)` or one-hot `(B, num_classes)`."""
        if len(labels.shape) == 2:
            one_hot = labels.shape[-1] > 1
            labels = ops.argmax(labels, axis=-1) if one_hot else labels[:, 0]
        return ops.cast(labels, "int32")

    @property
    def image_channels(self):
        """Channels of the images that the backbone takes."""
        return self.image_spec.channels[0] - (self.views.background_removal > 0)

    # -- checks ---------------------------------------------------------------

    def _check_initial_batch(self, initial_batch, steps_per_epoch):
        check_integers(0, initial_batch=initial_batch)
        if initial_batch >= steps_per_epoch or initial_batch % self.steps_per_execution:
            raise ValueError(
                "`initial_batch` must be one of the batches of an epoch, from 0 on, "
                "and a multiple of `steps_per_execution`. Received: initial_batch="
                f"{initial_batch} of {steps_per_epoch}, steps_per_execution="
                f"{self.steps_per_execution}. After whole epochs give `initial_epoch` "
                "alone."
            )
        inner = getattr(self.optimizer, "inner_optimizer", self.optimizer)
        if initial_batch and inner.use_ema:
            raise ValueError(
                "`initial_batch` is not for optimisers that replace the weights by "
                "their average at the end of `fit`: the rest of the epoch is a `fit` "
                f"of its own. Received: initial_batch={initial_batch} with "
                f"{type(inner).__name__}(use_ema=True). Begin with a whole epoch."
            )

    def _out_of_memory(self, feed):
        views = f"{self.views.num_large} of {self.views.large_size} pixels"
        if self.views.num_small:
            views += f" and {self.views.num_small} of {self.views.small_size}"
        sizes = f"batch_size={feed.batch_size}"
        if feed.labelled_batch_size:
            sizes += f", labelled_batch_size={feed.labelled_batch_size}"
        return (
            "A step of training must fit into the memory. Received: less memory than "
            f"one takes with {sizes} and views of each image: {views}. Lower the batch "
            f"size first, such as to {max(1, feed.batch_size // 2)}; or the number or "
            'size of the views; or set keras.mixed_precision to "mixed_bfloat16".'
        )

    def _check_compiled(self, method):
        if not self.compiled:
            raise ValueError(
                f"The model must be compiled before `{method}`: "
                "model.compile(optimizer=...)."
            )

    def _check_ready(self, method):
        """Raises a ValueError while there is nothing to predict from."""

    def _check_one_process(self, what):
        if self.num_processes > 1:
            raise ValueError(
                f"`{what}` is for one process, and {self.num_processes} share this "
                "model. Save it in the first one, and load it in a process of its own."
            )

    def _check_predicts_classes(self, what):
        if not self.predicts_classes:
            raise ValueError(
                f"`{what}` is for a model that predicts classes, and "
                f"{type(self).__name__} does not. Measure its representation: "
                "semppl_keras.evaluation with what `embed` gives, or during `fit` "
                "semppl_keras.callbacks.OnlineEvaluation."
            )

    def _check_measures(self, what):
        if not self._compile_metrics.metrics and not self.has_loss_on_images:
            raise ValueError(
                f"`{what}` needs `metrics` to compute, and the model was compiled with "
                'none: model.compile(optimizer, metrics=["accuracy"]).'
            )

    def _checked_validation_data(self, data):
        self._check_predicts_classes("validation_data")
        self._check_measures("validation_data")
        if isinstance(data, collections.abc.Mapping):
            data = named_parts("validation_data", data)
        if not isinstance(data, (tuple, list)):
            return self._checked_images(
                "validation_data", data, labelled=True, once=False
            )
        if len(data) not in (2, 3):
            raise ValueError(
                "`validation_data` must be (images, labels) or a dataset of them. "
                f"Received: {len(data)} part(s)."
            )
        images, labels, *weights = data
        images = self._checked_images("validation_data", images)
        labels = self._checked_labels("validation_data", labels, images)
        weights = [
            check_weights("validation_data", part, len(labels))
            for part in weights
            if part is not None
        ]
        return (images, labels, *weights)

    def _checked_labels(self, name, labels, images):
        """Labels, one for each of the images."""
        labels = check_labels(name, labels, self.num_classes)
        if not hasattr(images, "shape"):
            raise ValueError(
                f"`{name}` holds labels, which are for images as an array: a dataset "
                "yields (images, labels) itself. Received: images as a dataset."
            )
        if len(labels) != len(images):
            raise ValueError(
                f"`{name}` must hold one label per image. Received: {len(images)} "
                f"images and {len(labels)} labels."
            )
        return labels

    def _checked_images(self, name, images, labelled=False, once=True):
        """Images as Keras takes them, an array or a dataset of batches."""
        return checked_inputs(
            name,
            images,
            self.views,
            self.image_channels,
            num_classes=self.num_classes if labelled else None,
            once=once,
        )

    def _checked_batch(self, name, images):
        """An array of images, of what `predict_on_batch` and its like take."""
        if not (hasattr(images, "shape") and hasattr(images, "dtype")):
            raise TypeError(
                f"`{name}` must be an array of images. Received: "
                f"{type(images).__name__}."
            )
        return self._checked_images(name, images)


@contextlib.contextmanager
def inference(model):
    """A model's prediction and evaluation: tells what is wrong with the data, and
    keeps the model."""
    # keras.distribution would divide batches that need not be divisible: here every
    # device works on the whole batch.
    distribution = keras.distribution.distribution()
    try:
        if distribution is not None:
            keras.distribution.set_distribution(None)
        with explained():
            yield
    finally:
        if distribution is not None:
            keras.distribution.set_distribution(distribution)
        # Keras' evaluation on JAX takes the variables' values, and forgets to give
        # them back after an error.
        if keras.backend.backend() == "jax":
            model.jax_state_sync()
