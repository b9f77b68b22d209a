"""What a model must be to serve as a backbone."""

import contextlib
import contextvars
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from semppl_keras.networks.probing import (
    input_shape,
    outputs_of,
    probe_inputs,
    seen_by_first_weights,
)

# Names of the last layer of the classifiers of keras.applications and KerasHub, and
# the number of their classes.
_TOPS = ("predictions", "logits", "probabilities")
_IMAGENET_CLASSES = 1000
_SHARES = ("softmax", "sigmoid", "log_softmax", "logsoftmax")
# What leaves values as they are, apart from their shape or dtype.
_NEUTRAL = ("Identity", "Cast", "Reshape", "Flatten", "Squeeze", "Dropout")
# What the first layer with weights sees of images that fill the range of the views:
# a spread below the first, or above the second, is that of images of another range.
# Known good ones go from 1 ([0, 1] as it is) to 20 (scaled by the deviation of dark
# images).
_SPREADS = (0.1, 100.0)
_made_before = contextvars.ContextVar("made_before", default=False)


@contextlib.contextmanager
def as_before() -> Iterator[None]:
    """Within it a model is made that was saved: what it would be refused for if it
    were new is a warning, and it may be frozen."""
    token = _made_before.set(True)
    try:
        yield
    finally:
        _made_before.reset(token)


def pooled(features: Any) -> Any:
    """A backbone's features `(B, F)`: maps are averaged over their positions."""
    if len(features.shape) == 4:
        return ops.mean(features, axis=(1, 2))
    return features


def check_backbone(
    backbone: keras.Model,
    image_sizes: Iterable[int | None],
    output_range: tuple[float, float] | None = (0.0, 1.0),
    may_be_frozen: bool = False,
) -> tuple[int, int]:
    """Checks a backbone and tells what goes in and comes out.

    Args:
        backbone: any built Keras model from images to `(B, F)` or `(B, h, w, F)`.
        image_sizes: the sizes of the (square) views that it will get; None for what it
            takes, of the upper part of a backbone.
        output_range: (low, high) of these views; None for any.
        may_be_frozen: bool, of one that is not to be trained.

    Returns:
        The number of channels of its images and the size F of its features.

    Raises:
        TypeError: if it is not a Keras model.
        ValueError: if it is not built, has nothing to train, does not take images
            of these sizes, its features have another rank or no fixed size, it is a
            classifier, or it scales images of another range than that of the views.
    """
    if not isinstance(backbone, keras.Model):
        raise TypeError(
            "`backbone` must be a keras.Model from images to features. Received: "
            f"{type(backbone).__name__}."
        )
    channels = input_channels(backbone)
    trained = bool(backbone.trainable_weights) or may_be_frozen
    if not trained and not _made_before.get():
        raise ValueError(
            f"`backbone` '{backbone.name}' has no trainable weights: there is nothing "
            "to train. If it is frozen, set `backbone.trainable = True`."
        )
    shapes = {}
    for size in image_sizes:
        taken = input_shape(backbone) if size is None else (None, size, size, channels)
        image = keras.KerasTensor(taken, dtype="float32")
        try:
            features = backbone(image)
        except Exception as error:
            raise ValueError(
                f"`backbone` '{backbone.name}' does not take images of {size} x {size} "
                f"x {channels}, the size of one kind of view. Build it for any size "
                f"(input_shape=(None, None, {channels})), or choose `views` of its "
                f"size. ({type(error).__name__}: {error})"
            ) from error
        if isinstance(features, (tuple, list, dict)):
            raise ValueError(
                f"`backbone` '{backbone.name}' must give one thing, features (B, F) or "
                f"feature maps (B, h, w, F). Received: a {type(features).__name__} of "
                f"{len(features)}. Take one of them: "
                "keras.Model(backbone.input, backbone.outputs[0])."
            )
        shape = tuple(getattr(features, "shape", ()))
        if len(shape) not in (2, 4) or shape[-1] is None:
            raise ValueError(
                f"`backbone` '{backbone.name}' must give features (B, F), or feature "
                "maps (B, h, w, F), F fixed. Received: output shape "
                f"{shape or type(features).__name__} for images of {size} x {size} "
                f"x {channels}. (A classifier is made without its top: "
                "include_top=False.)"
            )
        shapes[size] = shape
    sizes = {shape[-1] for shape in shapes.values()}
    if len(sizes) > 1:
        raise ValueError(
            f"`backbone` '{backbone.name}' must give features of one size. Received: "
            f"{shapes} by image size. Average the feature maps instead of flattening."
        )
    size = min(filter(None, image_sizes), default=32)
    _check_is_no_classifier(backbone, shape, size)
    if output_range is not None:
        _check_scale(backbone, size, output_range)
    return channels, sizes.pop()


def _check_is_no_classifier(backbone: keras.Model, shape: Any, size: int) -> None:
    """Refuses a model that ends in classes rather than features.

    Args:
        backbone: a built model.
        shape: of what it gives, for a square image of `size`.
    """
    last = _last_operation(backbone)
    kind = type(last).__name__
    activation = getattr(getattr(last, "activation", None), "__name__", "")
    what = None
    if kind.lower() in _SHARES or activation in _SHARES:
        what = f"class probabilities ({activation or kind.lower()})"
    elif last is backbone and _gives_shares(backbone, shape, size):
        what = "class probabilities"
    elif last.name in _TOPS:
        what = "a classifier's outputs"
    elif len(shape) == 2 and shape[-1] == _IMAGENET_CLASSES:
        what = f"{_IMAGENET_CLASSES} outputs, the classes of ImageNet"
    if what is not None:
        where = "" if last is backbone else f", in its layer '{last.name}'"
        _refuse(
            f"`backbone` '{backbone.name}' must give features. Received: a classifier, "
            f"which ends in {what}{where}. Make it without its top "
            "(include_top=False), or take what is before it: "
            "keras.Model(classifier.input, classifier.layers[-2].output)."
        )


def _last_operation(model: keras.Model) -> Any:
    """The last layer or operation of a graph that makes other values, in the model that
    it ends with; a model without a graph itself."""
    operations = getattr(model, "operations", None) or getattr(model, "layers", [])
    if not hasattr(model, "inputs"):
        return model
    for operation in reversed(operations):
        kind = type(operation).__name__
        linear = getattr(operation, "activation", None) is keras.activations.linear
        if kind not in _NEUTRAL and not (kind == "Activation" and linear):
            return _last_operation(operation)
    return model


def _gives_shares(model: keras.Model, shape: Any, size: int) -> bool:
    """Whether what a model without a graph gives sums to 1 for each image."""
    inputs = None if len(shape) != 2 else probe_inputs(model, size)
    if inputs is None or shape[-1] < 2:
        return False
    outputs = outputs_of(model, inputs)
    return outputs.min() >= 0 and np.allclose(outputs.sum(axis=-1), 1, atol=1e-3)


def _check_scale(
    backbone: keras.Model, size: int, output_range: tuple[float, float]
) -> None:
    """Refuses a backbone that scales images of another range than that of the views."""
    low, high = output_range
    inputs = probe_inputs(backbone, size, low, high)
    if inputs is None:
        return
    seen = seen_by_first_weights(backbone, inputs)
    if seen is None or len(seen) != len(inputs):
        return
    # At each place over the images: a border that is added is no contrast.
    spread = float(np.max(np.ptp(seen, axis=0), initial=0.0))
    least, most = _SPREADS
    if spread >= min(least, 0.1 * (high - low)) and not (
        spread > max(most, 1.5 * (high - low))
    ):
        return
    begins = "[0, 255]" if spread < least else "[0, 1]"
    other = (0, 255) if spread < least else (0, 1)
    _refuse(
        f"`backbone` '{backbone.name}' scales images by itself, as if they were in "
        f"{begins} or another range than that of the views. Received: views in "
        f"[{low:g}, {high:g}], of which its first layer with weights sees values that "
        f"differ by {spread:.3g} at most. Give views of the range that it expects, "
        f"semppl_keras.views.MultiCrop(output_range={other}), or make it without "
        "scaling (include_preprocessing=False in keras.applications)."
    )


def _refuse(message: str) -> None:
    if not _made_before.get():
        raise ValueError(message)
    warnings.warn(message, stacklevel=2)


def input_channels(backbone: keras.Model) -> int:
    """The number of channels of the images that a backbone takes.

    Args:
        backbone: a built Keras model.

    Raises:
        ValueError: if it is not built, or takes something else than images.
    """
    shape = input_shape(backbone)
    if shape is None:
        raise ValueError(
            f"`backbone` '{backbone.name}' must be built, so that its features can be "
            "told. Call it once on a batch of images, or start it with keras.Input."
        )
    if len(shape) not in (3, 4) or shape[-1] is None:
        raise ValueError(
            f"`backbone` '{backbone.name}' must take one batch of images (B, height, "
            f"width, channels) with a fixed number of channels. Received: input shape "
            f"{shape}."
        )
    return shape[-1]
