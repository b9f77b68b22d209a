"""What a trained model does with images as they are: predictions and their metrics."""

import collections.abc
import contextlib
from collections.abc import Iterator
from typing import Any

import keras
from keras import ops

from semppl_keras.data.checks import check_labels, check_targets, check_weights
from semppl_keras.data.feed.checked_batches import checked_inputs
from semppl_keras.data.feed.explanations import explained
from semppl_keras.data.feed.named_parts import named_parts
from semppl_keras.data.feed.streamed_batches import for_keras
from semppl_keras.data.images.streamed_images import StreamedImages
from semppl_keras.kernels import quick_inference
from semppl_keras.training.backends import ViewTrainer, processes
from semppl_keras.training.known_arguments import known_arguments


class ImageInference(ViewTrainer):
    """Prediction and evaluation, of data that is checked where it comes in.

    A subclass sets `views` (`MultiCrop`), `num_classes` (int or None) and `image_spec`
    (`ImageSpec`).
    """

    predicts_classes = False
    # Whether `evaluate` has a loss to tell: what is learned from views has none.
    has_loss_on_images = False

    @known_arguments
    def predict(self, x: Any, batch_size: int | None = None, **kwargs: Any) -> Any:
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
        images = self._checked_images("x", x, steps=kwargs.get("steps"))
        images = for_keras(images, batch_size)
        with inference(self):
            self._check_ready("predict")
            predict = super().predict
            return processes.predicted(
                self, lambda: predict(images, batch_size=batch_size, **kwargs)
            )

    @known_arguments
    def evaluate(
        self, x: Any = None, y: Any = None, sample_weight: Any = None, **kwargs: Any
    ) -> Any:
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
        if isinstance(x, collections.abc.Mapping) and y is None:
            x, y, sample_weight = (*named_parts("x", x), y, sample_weight)[:3]
        steps = kwargs.get("steps")
        images = self._checked_images("x", x, labelled=y is None, steps=steps)
        if y is not None:
            y = self._checked_labels("y", y, images)
        if sample_weight is not None:
            if y is None:
                raise ValueError(
                    "`sample_weight` is for images as an array and `y`; a dataset "
                    "yields (images, labels, weights) itself."
                )
            sample_weight = check_weights("sample_weight", sample_weight, len(y))
        if isinstance(images, StreamedImages):
            # A dataset, which brings these itself.
            size = kwargs.get("batch_size")
            images = for_keras(images, size, y, sample_weight)
            y = sample_weight = None
        with inference(self):
            self._check_ready("evaluate")
            told = super().evaluate(images, y, sample_weight=sample_weight, **kwargs)
        return _numbers(told)

    def predict_on_batch(self, x: Any) -> Any:
        """As `predict`, of one batch `(B, H, W, C)`."""
        self._check_one_process("predict_on_batch")
        images = self._checked_batch("x", x)
        with inference(self):
            self._check_ready("predict_on_batch")
            return super().predict_on_batch(images)

    def test_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """As `evaluate`, of one batch of images and labels."""
        self._check_predicts_classes("test_on_batch")
        self._check_compiled("test_on_batch")
        self._check_measures("test_on_batch")
        self._check_one_process("test_on_batch")
        images = self._checked_batch("x", x)
        y = self._checked_labels("y", y, images)
        if sample_weight is not None:
            sample_weight = check_weights("sample_weight", sample_weight, len(y))
        # Keras before 3.15 would go on with the metrics of an earlier batch.
        self.reset_metrics()
        with inference(self):
            self._check_ready("test_on_batch")
            told = super().test_on_batch(images, y, sample_weight, return_dict)
        return _numbers(told)

    def as_indices(self, labels: Any) -> Any:
        """Labels `(B,)` int32 of `(B,)`, `(B, 1)`, one-hot `(B, num_classes)` or, the
        likeliest class, of probabilities."""
        if len(labels.shape) == 2:
            one_hot = labels.shape[-1] > 1
            labels = ops.argmax(labels, axis=-1) if one_hot else labels[:, 0]
        return ops.cast(labels, "int32")

    @property
    def image_channels(self) -> int:
        """Channels of the images that the backbone takes."""
        return self.image_spec.channels[0] - (self.views.background_removal > 0)

    # -- checks ---------------------------------------------------------------

    def _check_compiled(self, method: str) -> None:
        if not self.compiled:
            raise ValueError(
                f"The model must be compiled before `{method}`: "
                "model.compile(optimizer=...)."
            )

    def _check_ready(self, method: str) -> None:
        """Raises a ValueError while there is nothing to predict from."""

    def _check_one_process(self, what: str) -> None:
        if self.num_processes > 1:
            raise ValueError(
                f"`{what}` is for one process, and {self.num_processes} share this "
                "model. Save it in the first one, and load it in a process of its own."
            )

    def _check_predicts_classes(self, what: str) -> None:
        if not self.predicts_classes:
            raise ValueError(
                f"`{what}` is for a model that predicts classes, and "
                f"{type(self).__name__} does not. Measure its representation: "
                "semppl_keras.evaluation with what `embed` gives, or during `fit` "
                "semppl_keras.callbacks.OnlineEvaluation."
            )

    def _check_measures(self, what: str) -> None:
        if not self._compile_metrics.metrics and not self.has_loss_on_images:
            raise ValueError(
                f"`{what}` needs `metrics` to compute, and the model was compiled with "
                'none: model.compile(optimizer, metrics=["accuracy"]).'
            )

    def _checked_validation_data(self, data: Any, steps: int | None) -> Any:
        self._check_predicts_classes("validation_data")
        self._check_measures("validation_data")
        if isinstance(data, collections.abc.Mapping):
            data = named_parts("validation_data", data)
        if not isinstance(data, (tuple, list)):
            return self._checked_images(
                "validation_data", data, labelled=True, once=False, steps=steps
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

    def _checked_labels(self, name: str, labels: Any, images: Any) -> Any:
        """Labels, one for each of the images."""
        check = check_targets if self.image_spec.soft_labels else check_labels
        labels = check(name, labels, self.num_classes)
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

    def _checked_images(
        self, name: str, images: Any, labelled: bool = False, **reading: Any
    ) -> Any:
        """Images as Keras takes them, an array or a dataset of batches; `reading` is
        `once` and `steps` of `checked_inputs`."""
        return checked_inputs(
            name,
            images,
            self.views,
            self.image_channels,
            num_classes=self.num_classes if labelled else None,
            **reading,
            soft_labels=self.image_spec.soft_labels,
        )

    def _checked_batch(self, name: str, images: Any) -> Any:
        """An array of images, of what `predict_on_batch` and its like take."""
        if not (hasattr(images, "shape") and hasattr(images, "dtype")):
            raise TypeError(
                f"`{name}` must be an array of images. Received: "
                f"{type(images).__name__}."
            )
        return self._checked_images(name, images)


def _numbers(told: Any) -> Any:
    """Metrics as floats, which Keras before 3.15 gives as the backend has them."""
    return keras.tree.map_structure(float, told)


@contextlib.contextmanager
def inference(model: keras.Model) -> Iterator[None]:
    """A model's prediction and evaluation, as quick as its backend has it: tells what
    is wrong with the data, and keeps the model."""
    # keras.distribution would divide batches that need not be divisible: here every
    # device works on the whole batch.
    distribution = keras.distribution.distribution()
    try:
        if distribution is not None:
            keras.distribution.set_distribution(None)
        with explained(), processes.on_its_own(model), quick_inference(model):
            yield
    finally:
        if distribution is not None:
            keras.distribution.set_distribution(distribution)
