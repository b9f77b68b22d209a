"""What fine-tuning and distillation share: a classifier, trained on random views."""

import random

import keras
import numpy as np
from keras import ops

from semppl_keras.data.checks import ImageSpec, check_images, check_labels
from semppl_keras.data.sources import make_source
from semppl_keras.distillation.objectives import cross_entropy, log_of
from semppl_keras.models.random_state import SavesRandomState
from semppl_keras.networks import input_channels
from semppl_keras.optimizers import LARS, biases_and_normalisation
from semppl_keras.trainers import ViewTrainer


class ClassifierTrainer(SavesRandomState, ViewTrainer):
    """Trains an `ImageClassifier` on one random view of each image.

    A subclass gives `make_views`, which ends up in `random_views`, and
    `training_loss`.

    Args:
        classifier: `ImageClassifier`; becomes this model's.
        draw_seed: int, of the views.
        seed: int, of the order of arrays; kept.
    """

    def __init__(self, classifier, draw_seed, seed, **kwargs):
        # The networks cast their inputs themselves; images stay in float32.
        super().__init__(**{"autocast": False, **kwargs})
        self.classifier = classifier
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(draw_seed)
        self._image_spec = ImageSpec(
            classifier.num_classes,
            (input_channels(classifier.backbone),),
            self.views.min_image_size,
        )
        # The data of a resumed run goes on from here.
        self.step = self.add_weight(
            shape=(),
            dtype="int32",
            initializer="zeros",
            trainable=False,
            aggregation="only_first_replica",
            name="step",
        )
        self.built = True

    @property
    def backbone(self):
        """The classifier's backbone, a `keras.Model` from views to features."""
        return self.classifier.backbone

    @property
    def views(self):
        """The `MultiCrop` that makes the views of training and of prediction."""
        return self.classifier.views

    @property
    def num_classes(self):
        return self.classifier.num_classes

    # -- use ------------------------------------------------------------------

    def compile(
        self,
        optimizer="adamw",
        metrics=("accuracy",),
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
                probabilities `(B, num_classes)`.
            steps_per_execution: int that divides the steps of an epoch.
            run_eagerly, jit_compile, auto_scale_loss: as in `keras.Model.compile`.
        """
        optimizer = keras.optimizers.get(optimizer)
        inner = getattr(optimizer, "inner_optimizer", optimizer)
        if isinstance(inner, LARS) and not inner.built:
            inner.exclude_from_adaptation(biases_and_normalisation(self))
        super().compile(
            optimizer=optimizer,
            metrics=list(metrics or ()),
            weighted_metrics=weighted_metrics,
            run_eagerly=run_eagerly,
            steps_per_execution=steps_per_execution,
            jit_compile=jit_compile,
            auto_scale_loss=auto_scale_loss,
        )
        # Variables that the first step of `fit` creates cost TensorFlow a second
        # tracing of it.
        if not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)
        self._compile_metrics.update_state(
            ops.zeros((1,), "int32"),
            ops.one_hot(ops.zeros((1,), "int32"), self.num_classes),
        )
        self.reset_metrics()

    def compile_from_config(self, config):
        config = keras.saving.deserialize_keras_object(config)
        # Keras notes them; this model's `compile` has none.
        for name in ("loss", "loss_weights"):
            config.pop(name, None)
        self.compile(**config)

    def predict(self, x, batch_size=None, **kwargs):
        """Class probabilities of images.

        Args:
            x: images, uint8 or float in the views' `value_range`, of any size, as an
                array `(N, H, W, C)` or a dataset of batches of them.
            batch_size, **kwargs: as in `keras.Model.predict`.

        Returns:
            `(N, num_classes)` float32, rows summing to 1.

        Raises:
            ValueError, TypeError: if the images do not fit.
        """
        images = self._checked_images("x", x)
        return super().predict(images, batch_size=batch_size, **kwargs)

    def evaluate(self, x=None, y=None, **kwargs):
        """The loss on labels, and the metrics given to `compile`.

        Args:
            x: images `(N, H, W, C)`, or a dataset of batches of (images, labels).
            y: labels `(N,)`, with images as an array.
            **kwargs: as in `keras.Model.evaluate`.

        Returns:
            As `keras.Model.evaluate`; the loss is the cross-entropy.
        """
        self._check_compiled("evaluate")
        if y is not None:
            y = check_labels("y", y, self.num_classes)
        images = self._checked_images("x", x, labelled=y is None)
        return super().evaluate(images, y, **kwargs)

    def _fit(
        self,
        feed,
        validation_data=None,
        callbacks=None,
        **arguments,
    ):
        """Keras' `fit` on a feed, whose batches follow from seed and step."""
        if feed.steps_per_epoch % self.steps_per_execution:
            raise ValueError(
                "`steps_per_execution` must divide the steps of an epoch, which is one "
                "pass over the images. Received: steps_per_execution="
                f"{self.steps_per_execution} for {feed.steps_per_epoch} steps."
            )
        if validation_data is not None:
            validation_data = self._checked_validation_data(validation_data)
        if not isinstance(callbacks, (list, tuple)):
            callbacks = [] if callbacks is None else [callbacks]
        try:
            return super().fit(
                **feed.fit_arguments(),
                shuffle=False,
                validation_data=validation_data,
                callbacks=[*callbacks, _SeekFeed(feed)],
                **arguments,
            )
        except Exception as error:
            explanation = feed.explain(error)
            if explanation is None:
                raise
            raise explanation from None

    # -- the step -------------------------------------------------------------

    def random_views(self, images):
        """One view `(B, s, s, C)` of each image `(B, H, W, C)`."""
        views = self.views(ops.cast(images, "float32"), seed=self.seed_generator)
        return views["large"][:, 0]

    def training_loss(self, views, labels, logits):
        """What is to be minimised, from the views of one batch.

        Args:
            views: what `make_views` gave.
            labels: dict, as the data gives it.
            logits: `(B, num_classes)` of `views["view"]`.

        Returns:
            A scalar.
        """
        raise NotImplementedError(f"{type(self).__name__} has no `training_loss`.")

    def call(self, inputs, training=False):
        """In training views to logits, otherwise images to probabilities.

        Args:
            inputs: in training what `make_views` gives; otherwise images
                `(B, H, W, C)`.
            training: bool.

        Returns:
            `(B, num_classes)`: in training a dict that holds it as `logits`.
        """
        if training:
            logits = self.classifier.logits(inputs["view"], training=True)
            return {"logits": logits}
        return self.classifier(inputs)

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        """The training loss and the backbone's own penalties; else cross-entropy."""
        if training:
            loss = self.training_loss(x, y, y_pred["logits"])
        else:
            losses = cross_entropy(
                ops.one_hot(self._as_indices(y), self.num_classes), log_of(y_pred)
            )
            if sample_weight is not None:
                losses = losses * ops.cast(sample_weight, losses.dtype)
            loss = ops.mean(losses)
        for penalty in self.losses:
            loss = loss + ops.cast(ops.sum(penalty), loss.dtype)
        return loss

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Those of the training step, or those given to `compile`."""
        if isinstance(y_pred, dict):
            metrics = self.step_metrics(x, y, y_pred["logits"])
        else:
            y = self._as_indices(y)
            self._compile_metrics.update_state(y, y_pred, sample_weight)
            metrics = [self._loss_tracker, self._compile_metrics]
        results = {}
        for metric in metrics:
            result = metric.result()
            results.update(
                result if isinstance(result, dict) else {metric.name: result}
            )
        return results

    def after_update(self):
        """Counts the step."""
        self.step.assign(self.step + 1)

    def _as_indices(self, labels):
        """Labels `(B,)` of `(B,)`, `(B, 1)` or one-hot `(B, num_classes)` ones."""
        if len(labels.shape) == 2:
            labels = (
                ops.argmax(labels, axis=-1) if labels.shape[-1] > 1 else labels[:, 0]
            )
        return ops.cast(labels, "int32")

    # -- checks ---------------------------------------------------------------

    def _check_compiled(self, method):
        if not self.compiled:
            raise ValueError(
                f"The model must be compiled before `{method}`: "
                "model.compile(optimizer=...)."
            )

    def _checked_validation_data(self, data):
        if not isinstance(data, (tuple, list)):
            return self._checked_images("validation_data", data, labelled=True)
        if len(data) not in (2, 3):
            raise ValueError(
                "`validation_data` must be (images, labels) or a dataset of them. "
                f"Received: {len(data)} part(s)."
            )
        images, labels, *weights = data
        return (
            self._checked_images("validation_data", images),
            check_labels("validation_data", labels, self.num_classes),
            *weights,
        )

    def _checked_images(self, name, images, labelled=False):
        """Images as Keras takes them, an array or a dataset of batches."""
        # Any size will do: the central square is resized to a view's.
        spec = ImageSpec(self.num_classes, self._image_spec.channels)
        if hasattr(images, "shape") and hasattr(images, "dtype"):
            if labelled:
                raise ValueError(
                    f"`{name}` must come with labels. Received: an array of images "
                    "alone."
                )
            images = check_images(name, images, spec)
            if not len(images):
                raise ValueError(f"`{name}` is empty: it holds no image.")
            return images
        if isinstance(images, (tuple, list, dict)) or images is None:
            raise TypeError(
                f"`{name}` must be an array of images or a dataset of batches. "
                f"Received: {type(images).__name__}."
            )
        if not hasattr(images, "__next__"):
            source = make_source(name, images, spec, labelled=labelled, seed=self.seed)
            if source.native_batch_size is None:
                raise ValueError(
                    f"`{name}` must yield batches. Received: single images. Batch the "
                    "dataset: dataset.batch(64)."
                )
        return images


def draw_seeds(seed):
    """The seed, drawn where it is None, and two that follow from it.

    The two are far apart for seeds that are not.
    """
    if seed is None:
        # From where Keras draws its default seeds, so that
        # keras.utils.set_random_seed fixes it too.
        seed = random.randint(0, 2**31 - 1)
    states = np.random.SeedSequence(int(seed)).generate_state(2)
    return int(seed), *(int(state) >> 1 for state in states)


class _SeekFeed(keras.callbacks.Callback):
    """Starts the data at the model's step, once other callbacks have restored it."""

    def __init__(self, feed):
        super().__init__()
        self._feed = feed
        self._started = False

    def on_epoch_begin(self, epoch, logs=None):
        if not self._started:
            self._feed.seek(int(self.model.step))
            self._started = True
