"""What a model must be to serve as a backbone."""

import keras
from keras import ops


def pooled(features):
    """A backbone's features `(B, F)`: maps are averaged over their positions."""
    if len(features.shape) == 4:
        return ops.mean(features, axis=(1, 2))
    return features


def check_backbone(backbone, image_sizes):
    """Checks a backbone and tells what goes in and comes out.

    Args:
        backbone: any built Keras model from images to `(B, F)` or `(B, h, w, F)`.
        image_sizes: the sizes of the (square) views that it will get.

    Returns:
        The number of channels of its images and the size F of its features.

    Raises:
        TypeError: if it is not a Keras model.
        ValueError: if it is not built, has nothing to train, does not take images
            of these sizes, or its features have another rank or no fixed size.
    """
    if not isinstance(backbone, keras.Model):
        raise TypeError(
            "`backbone` must be a keras.Model from images to features. Received: "
            f"{type(backbone).__name__}."
        )
    channels = input_channels(backbone)
    if not backbone.trainable_weights:
        raise ValueError(
            f"`backbone` '{backbone.name}' has no trainable weights: there is nothing "
            "to train. If it is frozen, set `backbone.trainable = True`."
        )
    shapes = {}
    for size in image_sizes:
        image = keras.KerasTensor((None, size, size, channels), dtype="float32")
        try:
            features = backbone(image)
        except Exception as error:
            raise ValueError(
                f"`backbone` '{backbone.name}' does not take images of {size} x {size} "
                f"x {channels}, the size of one kind of view. Build it for any size "
                f"(input_shape=(None, None, {channels})), or choose `views` of its "
                f"size. ({type(error).__name__}: {error})"
            ) from error
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
    return channels, sizes.pop()


def input_channels(backbone):
    """The number of channels of the images that a backbone takes.

    Args:
        backbone: a built Keras model.

    Raises:
        ValueError: if it is not built, or takes something else than images.
    """
    # Functional and Sequential models know their input; a subclassed model what
    # it was built with.
    shape = getattr(backbone, "input_shape", None)
    if shape is None and backbone.built:
        shape = (backbone.get_build_config() or {}).get("input_shape")
    if shape is None:
        raise ValueError(
            f"`backbone` '{backbone.name}' must be built, so that its features can be "
            "told. Call it once on a batch of images, or start it with keras.Input."
        )
    if len(shape) != 4 or shape[-1] is None:
        raise ValueError(
            f"`backbone` '{backbone.name}' must take one batch of images (B, height, "
            f"width, channels) with a fixed number of channels. Received: input shape "
            f"{shape}."
        )
    return shape[-1]
