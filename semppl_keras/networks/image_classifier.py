"""Images to class probabilities."""

import os
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
from keras import ops

from semppl_keras.data.feed.checked_batches import check_opening
from semppl_keras.kernels import quick_inference
from semppl_keras.networks.adapters import keep_adapters
from semppl_keras.networks.backbone_contract import input_channels, pooled
from semppl_keras.networks.copying import copy_model
from semppl_keras.networks.image_model import ImageModel
from semppl_keras.networks.saved_parts import made_of_parts, with_frozen
from semppl_keras.networks.servable import make_servable
from semppl_keras.networks.splitting import whole_backbone

_ROWS_AT_ONCE = 4096


@keras.saving.register_keras_serializable(package="semppl_keras")
class ImageClassifier(ImageModel):
    """A classifier of images as they are: what `FineTuner` and `Distiller` train.

    An ordinary Keras model, to be called, saved and exported by itself; `compile` it
    with any loss on probabilities to train it in another way.

    Args:
        backbone: built `keras.Model` from views `(B, s, s, C)` to features `(B, F)`,
            or to feature maps, which are averaged over their positions.
        head: built `keras.Model` from features `(B, F)` to logits
            `(B, num_classes)`.
        views: a `MultiCrop`: `center_view` is what the backbone gets, and a training
            step takes its random large view.
        class_names: a string for each class, or None: what an export tells.

    Raises:
        ValueError: if there is not one name for each class.
    """

    freezable = ("backbone", "head")

    def __init__(
        self,
        backbone: keras.Model,
        head: keras.Model,
        views: Any,
        class_names: Iterable[Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone, views, **kwargs)
        self.head = head
        self.num_classes = head.output_shape[-1]
        if class_names is not None:
            class_names = tuple(str(name) for name in class_names)
            if len(class_names) != self.num_classes:
                raise ValueError(
                    "`class_names` must name every class once. Received: "
                    f"{len(class_names)} names for {self.num_classes} classes."
                )
        self.class_names = class_names
        keep_adapters(backbone)
        self.built = True
        make_servable(self)

    def logits(self, views: Any, training: bool = False) -> Any:
        """Logits of views that are made already.

        Args:
            views: `(B, large_size, large_size, C)` in the views' `output_range`.
            training: bool. A backbone that is frozen (`trainable = False`) runs as in
                inference all the same, its dropout too.

        Returns:
            `(B, num_classes)` float32.
        """
        features = self.features(views, training=training)
        return self.logits_of(features, training=training)

    def features(self, views: Any, training: bool = False) -> Any:
        """The backbone's features `(B, F)` of views, see `logits`."""
        training = bool(training) and self.backbone.trainable
        return pooled(self.backbone(views, training=training))

    def logits_of(self, features: Any, training: bool = False) -> Any:
        """Logits `(B, num_classes)`, float32, of features `(B, F)`."""
        return ops.cast(self.head(features, training=bool(training)), "float32")

    def call(self, images: Any, training: bool = False) -> Any:
        """Probabilities `(B, num_classes)`, float32, of images `(B, H, W, C)`.

        Args:
            images: uint8 or float in the views' `value_range`, of any size; seen is
                the central square.
            training: bool.
        """
        views = self.views.center_view(images)
        return ops.softmax(self.logits(views, training=training), axis=-1)

    def fit(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """As `keras.Model.fit`, on images in the views' `value_range`.

        Raises:
            ValueError, TypeError: if the images do not fit, or are in another range.
        """
        check_opening("x", x, self.views, input_channels(self.backbone))
        return super().fit(x, *args, **kwargs)

    def on_pictures(self, lower: keras.Model, views: Any) -> "ImageClassifier":
        """The same classifier for pictures, of one that was trained on kept features.

        Args:
            lower: the lower part of the backbone, see `networks.split_backbone`. It is
                frozen.
            views: the `MultiCrop` of the pictures.

        Returns:
            An `ImageClassifier` with the whole backbone, whose upper part and head are
            this one's.

        Raises:
            ValueError: if this one takes pictures itself, or `lower` does not fit.
        """
        return ImageClassifier(
            whole_backbone(lower, self.backbone, self.views),
            self.head,
            views,
            class_names=self.class_names,
            name=self.name,
        )

    def export(
        self,
        filepath: str | os.PathLike[str],
        format: str = "tf_saved_model",
        **kwargs: Any,
    ) -> None:
        """As `keras.Model.export`, for float images of a view's size.

        Args:
            filepath: where to.
            format: as in `keras.Model.export`.
            **kwargs: the same. `input_signature` chooses another size or dtype of the
                images: `[keras.InputSpec((None, 64, 80, 3), "uint8")]`.
        """
        if kwargs.get("input_signature") is None:
            size = self.views.large_size
            channels = self.backbone.input_shape[-1]
            kwargs["input_signature"] = [
                keras.InputSpec(shape=(None, size, size, channels), dtype="float32")
            ]
        super().export(filepath, format=format, **kwargs)

    def get_config(self) -> dict[str, Any]:
        config = {
            **super().get_config(),
            **{
                name: keras.saving.serialize_keras_object(getattr(self, name))
                for name in ("backbone", "head", "views")
            },
            "class_names": self.class_names,
        }
        return with_frozen(config, self)

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> "ImageClassifier":
        return made_of_parts(cls, config, ("backbone", "head", "views"), custom_objects)


def copy_classifier(
    classifier: ImageClassifier, scope: str, head: keras.Model | None = None
) -> ImageClassifier:
    """A classifier that computes the same, sharing nothing but the views.

    Args:
        classifier: an `ImageClassifier`.
        scope: str, the beginning of the paths of its weights: on torch Keras registers
            weights by their path.
        head: another one to be copied in place of the classifier's own, or None.

    Raises:
        ValueError: if a network cannot be copied.
    """
    with keras.name_scope(scope):
        return ImageClassifier(
            copy_model(classifier.backbone, classifier.views.large_size or 32),
            copy_model(classifier.head if head is None else head),
            classifier.views,
            class_names=classifier.class_names,
            name=classifier.name,
        )


def as_probabilities(classifier: ImageClassifier, features: np.ndarray) -> np.ndarray:
    """What a classifier says of features that its backbone gave.

    Args:
        classifier: an `ImageClassifier`.
        features: `(N, F)` float32.

    Returns:
        `(N, num_classes)` float32.
    """
    # Without `predict`, which would trace a small function anew.
    starts = range(0, len(features), _ROWS_AT_ONCE)
    with quick_inference(classifier.head, called=True):
        parts = [
            ops.convert_to_numpy(
                classifier.head(features[start : start + _ROWS_AT_ONCE])
            )
            for start in starts
        ]
    logits = np.concatenate(parts).astype("float32")
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)
