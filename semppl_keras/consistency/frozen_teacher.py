"""Another classifier, which stays as it is, is the teacher."""

from typing import Any

import keras
from keras import ops

from semppl_keras.consistency.teacher import Teacher
from semppl_keras.losses.classification import log_of
from semppl_keras.networks.image_classifier import ImageClassifier
from semppl_keras.networks.saved_parts import part_of
from semppl_keras.training.teaching import (
    check_has_learned,
    check_probabilities,
    range_of_images,
    to_range,
)

_OUTPUTS = ("probabilities", "logits")


@keras.saving.register_keras_serializable(package="semppl_keras")
class FrozenTeacher(Teacher):
    """A classifier of images that has been trained, such as a larger one.

    It is saved with the trainer, and not trained.

    Args:
        model: a `keras.Model` from images `(B, s, s, C)` to `(B, num_classes)`, or a
            `FineTuner`, whose classifier is taken. It is shown the weak views, as
            images in its `views.value_range` where it has `views`, otherwise in that
            of the trainer's.
        outputs: "probabilities" or "logits".
    """

    makes_embeddings = False

    def __init__(
        self, model: keras.Model, outputs: str = "probabilities", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        within = getattr(model, "classifier", None)
        model = within if isinstance(within, ImageClassifier) else model
        if not isinstance(model, keras.Model):
            raise TypeError(
                "`model` must be a keras.Model from images to class probabilities. "
                f"Received: {type(model).__name__}."
            )
        if outputs not in _OUTPUTS:
            raise ValueError(
                f"`outputs` must be one of {_OUTPUTS}. Received: outputs={outputs!r}."
            )
        self.model = model
        self.outputs = outputs

    def follow_from(
        self, student: ImageClassifier, projector: keras.Model | None
    ) -> None:
        """Takes note of the range of the views, and tries the model on one.

        Raises:
            ValueError: if it does not give what is predicted of a view.
        """
        super().follow_from(student, projector)
        own = student.views
        self._from, self._to = own.output_range, range_of_images(self.model, own)
        size, channels = own.large_size, student.backbone.input_shape[-1]
        self._image_shape = (size, size, channels)
        views = keras.KerasTensor((None, size, size, channels), dtype="float32")
        try:
            shape = tuple(getattr(self.model(views), "shape", ()))
        except Exception as error:
            raise ValueError(
                f"`model` '{self.model.name}' does not take images of {size} x {size} "
                f"x {channels}, the size of a view. ({type(error).__name__}: {error})"
            ) from error
        if len(shape) != 2 or shape[-1] != student.num_classes:
            raise ValueError(
                f"`model` '{self.model.name}' must give one number for each of the "
                f"{student.num_classes} classes. Received: output shape {shape}."
            )

    def check_can_teach(self) -> None:
        """Raises a ValueError for a model that has not been trained, or for logits that
        are taken for probabilities."""
        check_has_learned("model", self.model)
        if self.outputs == "probabilities":
            check_probabilities(
                "model", self.model, self._image_shape, self._to, 'outputs="logits"'
            )

    def call(self, views: Any) -> dict[str, Any]:
        """As `Teacher.call`, logits alone."""
        outputs = self.model(to_range(views, self._from, self._to), training=False)
        if self.outputs == "probabilities":
            outputs = log_of(outputs)
        return {"logits": ops.cast(outputs, "float32")}

    def get_config(self) -> dict[str, Any]:
        model = keras.saving.serialize_keras_object(self.model)
        # How it was trained is of no use here.
        model.pop("compile_config", None)
        return {**super().get_config(), "model": model, "outputs": self.outputs}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> "FrozenTeacher":
        model = part_of(config["model"], custom_objects)
        return cls(**{**config, "model": model})
