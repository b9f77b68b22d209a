"""What a classifier needs to be a teacher, tried before anything is trained."""

from typing import Any

import keras

from semppl_keras.classifiers.starting_point import classifier_within, encoder_within
from semppl_keras.networks import input_channels
from semppl_keras.networks.image_classifier import ImageClassifier
from semppl_keras.views import MultiCrop
from semppl_keras.views.variants import crop_and_flip


def check_teacher(teacher: Any) -> None:
    """Raises a TypeError for what predicts no classes."""
    if not isinstance(teacher, keras.Model):
        raise TypeError(
            "`teacher` must be a keras.Model from images to class probabilities "
            f"or logits. Received: {type(teacher).__name__}."
        )
    if encoder_within(teacher) is not None and not getattr(
        teacher, "predicts_classes", False
    ):
        raise TypeError(
            "`teacher` must predict classes. Received: "
            f"{type(teacher).__name__}, which gives a representation. Fine-tune it "
            "first: FineTuner(teacher, num_classes)."
        )


def views_of(model: Any) -> MultiCrop | None:
    """Crop and flip of a model's views; those of a classifier as they are."""
    model = classifier_within(model)
    views = getattr(model, "views", None)
    if not isinstance(views, MultiCrop):
        return None
    return views if isinstance(model, ImageClassifier) else crop_and_flip(views)


def channels_of(student: Any) -> int:
    """Channels of the images of a backbone, or of what holds one."""
    student, encoder = classifier_within(student), encoder_within(student)
    if isinstance(student, ImageClassifier):
        return input_channels(student.backbone)
    return input_channels(student if encoder is None else encoder.backbone)


def num_classes_of(teacher: keras.Model, channels: int, views: MultiCrop) -> int:
    """The number of classes of a teacher, once it has been tried on a view.

    Raises:
        ValueError: if it does not take one, or gives something else.
    """
    size = views.large_size
    image = keras.KerasTensor((None, size, size, channels), dtype="float32")
    try:
        shape = tuple(getattr(teacher(image), "shape", ()))
    except Exception as error:
        raise ValueError(
            f"`teacher` '{teacher.name}' does not take images of {size} x {size} x "
            f"{channels}, the size of a view. Choose `views` of its size, or put a "
            f"keras.layers.Resizing before it. ({type(error).__name__}: {error})"
        ) from error
    if len(shape) != 2 or shape[-1] is None or shape[-1] < 2:
        raise ValueError(
            f"`teacher` '{teacher.name}' must give the probabilities (or logits) of at "
            f"least two classes, (B, num_classes). Received: output shape {shape}."
        )
    return shape[-1]
