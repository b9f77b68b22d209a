"""What fine-tuning and distillation share: a classifier, trained on random views."""

import os
from collections.abc import Iterable
from typing import Any

import keras
from keras import ops

from semppl_keras.checks import check_below_one
from semppl_keras.data.checks import ImageSpec
from semppl_keras.losses.classification import cross_entropy, log_of
from semppl_keras.networks import input_channels
from semppl_keras.networks.image_classifier import ImageClassifier, copy_classifier
from semppl_keras.networks.trainable_part import choose_part
from semppl_keras.networks.trainable_state import freeze_places, frozen_places
from semppl_keras.training.bystanders import HoldsBystanders
from semppl_keras.training.known_arguments import known_arguments
from semppl_keras.training.view_model import ViewModel
from semppl_keras.training.weight_average import average_weights, decay_at


class ClassifierTrainer(HoldsBystanders, ViewModel):
    """Trains an `ImageClassifier` on one random view of each image.

    A subclass gives `make_views`, which ends up in `random_views`, and `loss_parts`,
    of the logits of the views and of whatever else `make_views` has given.

    Args:
        classifier: `ImageClassifier` to train; becomes this model's.
        draw_seed: int, of the views.
        seed: int, of the order of arrays; kept.
        training_views: what makes the views of training, with the attributes of a
            `MultiCrop`; None for the classifier's own.
        predictor: `ImageClassifier` of the same backbone that predicts in its place,
            whose head is trained beside its own; None for `classifier` itself.
        trainable: what of the backbone is trained, "heads", "top" or "all", see
            `networks.train_part`; None for what it says itself.
        batch_norm: "adapt" or "inference", the same; None for "adapt" where
            `trainable` is given.
        weight_average: float in [0, 1) or None. With it a second classifier has the
            moving average of the weights, of this decay (a smaller one at first, see
            `training.weight_average`): `classifier`, which predicts, evaluates and is
            exported, while `online` is trained. None: both are the same one.

    Raises:
        ValueError: if `weight_average` is out of range.
    """

    predicts_classes = True
    freezable = ("classifier", "online")
    has_loss_on_images = True
    # Whether an image may come with probabilities of the classes as its label.
    takes_soft_labels = False

    def __init__(
        self,
        classifier: ImageClassifier,
        draw_seed: int,
        seed: int,
        *,
        training_views: Any = None,
        predictor: ImageClassifier | None = None,
        trainable: str | bool | None = None,
        batch_norm: str | None = None,
        weight_average: float | None = None,
        **kwargs: Any,
    ) -> None:
        if weight_average is not None:
            check_below_one(weight_average=weight_average)
        if isinstance(trainable, bool):
            # What Keras notes of every model; what is frozen is noted beside it.
            kwargs["trainable"], trainable = trainable, None
        super().__init__(seed, draw_seed, **kwargs)
        choose_part(classifier.backbone, trainable, batch_norm)
        self._training_views = training_views
        self.weight_average = weight_average
        predictor = classifier if predictor is None else predictor
        if weight_average is None:
            self.classifier = predictor
        else:
            self.classifier = copy_classifier(predictor, "average")
            self.predictor = predictor
        if self.classifier is not classifier:
            self.online_classifier = classifier
        channels = input_channels(classifier.backbone)
        self.views.check_channels(channels)
        self.image_spec = ImageSpec(
            classifier.num_classes,
            (channels,),
            self.views.min_image_size,
            self.views.value_range,
            cached=self.views.cached,
            soft_labels=self.takes_soft_labels,
        )
        self.built = True

    @property
    def online(self) -> ImageClassifier:
        """The classifier that is trained: `classifier`, unless that is an average."""
        has_other = hasattr(self, "online_classifier")
        return self.online_classifier if has_other else self.classifier

    @property
    def backbone(self) -> keras.Model:
        """The backbone that is trained, a `keras.Model` from views to features."""
        return self.online.backbone

    def bystanders(self) -> Iterable[Any]:
        """The average."""
        averaged = getattr(self, "weight_average", None) is not None
        return (self.classifier,) if averaged else ()

    @property
    def views(self) -> Any:
        """The `MultiCrop` that makes the views of training and of prediction, or what
        makes those of training alone."""
        return self._training_views or self.classifier.views

    @property
    def num_classes(self) -> int:
        """The classifier's number of classes."""
        return self.classifier.num_classes

    # -- use ------------------------------------------------------------------

    @known_arguments
    def compile(
        self, optimizer: Any = "adamw", metrics: Any = ("accuracy",), **options: Any
    ) -> None:
        """Configures training; the loss is the model's own.

        Args:
            optimizer: a Keras optimiser or its name. `LARS` leaves out the biases
                and normalisation weights of this model.
            metrics: what is computed from labels `(B,)` and probabilities
                `(B, num_classes)`.
            **options: weighted_metrics, run_eagerly, steps_per_execution (an int that
                divides the steps of an epoch), jit_compile, auto_scale_loss: as in
                `keras.Model.compile`.
        """
        super().compile(optimizer, metrics=metrics, **options)

    def export(
        self,
        filepath: str | os.PathLike[str],
        format: str = "tf_saved_model",
        **kwargs: Any,
    ) -> None:
        """The classifier's, see `ImageClassifier.export`."""
        self.classifier.export(filepath, format=format, **kwargs)

    def output_shapes(self) -> dict[str, tuple[int, ...]]:
        """Of the backbone and of the classifier."""
        features = self.classifier.head.input_shape[-1]
        return {"Features": (features,), "Probabilities": (self.num_classes,)}

    def train_part(self, part: str = "all", batch_norm: str = "adapt") -> None:
        """As `ViewModel.train_part`; the average has the same frozen."""
        super().train_part(part, batch_norm)
        if self.weight_average is not None:
            freeze_places(self.classifier, frozen_places(self.online))

    # -- the step -------------------------------------------------------------

    def random_views(self, images: tuple[Any, ...]) -> Any:
        """One view `(B, s, s, C)` of each image of a tuple of `(B_i, H, W, C)`."""
        return self.draw_views(images)["large"][:, 0]

    def make_views(self, images: tuple[Any, ...]) -> dict[str, Any]:
        """One random view of each image of a batch, as `view`."""
        return {"view": self.random_views(images)}

    def call(self, inputs: Any, training: bool = False) -> Any:
        """In training views to logits, otherwise images to probabilities.

        Args:
            inputs: in training what `make_views` gives; otherwise images
                `(B, H, W, C)`.
            training: bool.

        Returns:
            `(B, num_classes)`: in training a dict that holds it as `logits`, and what
            came with the views as it is.
        """
        if training:
            given = {name: part for name, part in inputs.items() if name != "view"}
            logits = self.online.logits(inputs["view"], training=True)
            return {**given, "logits": logits}
        return self.classifier(inputs)

    def penalties(self) -> Iterable[Any]:
        """Those of the classifier that is trained."""
        return self.online.losses

    def after_update(self) -> None:
        """Moves the average, too, where this batch ends a step."""
        if self.weight_average is not None:
            share = 1.0 - decay_at(self.updates(), self.weight_average)
            share = share * self.completed_updates()
            average_weights(self.classifier, self.predictor, share)
        super().after_update()

    def as_targets(self, labels: Any) -> Any:
        """`(B, num_classes)` float32 of labels, one-hot, or of probabilities."""
        if len(labels.shape) == 2 and labels.shape[-1] > 1:
            return ops.cast(labels, "float32")
        return ops.one_hot(self.as_indices(labels), self.num_classes)

    def loss_on_images(self, labels: Any, outputs: Any, weights: Any) -> Any:
        """Cross-entropy of probabilities, weighted where there are weights."""
        losses = cross_entropy(self.as_targets(labels), log_of(outputs))
        if weights is not None:
            losses = losses * ops.cast(weights, losses.dtype)
        # A replica may have got no image of the last batch.
        count = ops.cast(ops.shape(losses)[0], losses.dtype)
        return ops.sum(losses) / ops.maximum(count, 1.0)
