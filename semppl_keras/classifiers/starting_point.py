"""A classifier out of what was trained before: the copy that training begins with."""

from typing import Any

import keras
from keras import layers

from semppl_keras.networks import Encoder, check_backbone, copy_model
from semppl_keras.networks.image_classifier import ImageClassifier
from semppl_keras.views import CachedViews, MultiCrop, recipe
from semppl_keras.views.variants import crop_and_flip, single_view

_ACTIVATIONS = (layers.ReLU, layers.LeakyReLU, layers.PReLU, layers.ELU)
_NAMES = {"backbone": 0, "hidden": 1}


def make_classifier(
    model: Any,
    num_classes: int,
    *,
    argument: str = "model",
    from_layer: int | str | None = None,
    views: MultiCrop | None = None,
    seed: int | None = None,
) -> ImageClassifier:
    """An `ImageClassifier` that begins with the weights of a model, and shares none.

    Args:
        model: an `ImageClassifier`, or a model that has one as `classifier`, which is
            copied with its linear layer; a pre-training model, of which the online
            backbone and the first layers of its projector are copied; or a bare
            backbone, any built `keras.Model` from images to features.
        num_classes: int, of the classifier.
        argument: str, what the caller names `model` in an error.
        from_layer: see `FineTuner`.
        views: the `MultiCrop` of the classifier, or None for those that come with the
            model.
        seed: int or None, of the linear layer's initial weights.

    Raises:
        TypeError, ValueError: if the model is none of these, or does not fit.
    """
    model, encoder = classifier_within(model), encoder_within(model)
    if isinstance(model, ImageClassifier):
        return _copy_of_classifier(model, num_classes, argument, from_layer, views)
    check_model(argument, model)
    if views is None:
        if encoder is None:
            raise ValueError(
                f"`views` must be given where `{argument}` is a bare backbone, which "
                "does not tell the size and range of its images: a MultiCrop, or the "
                "name of a recipe of semppl_keras.views."
            )
        views = crop_and_flip(model.views)
    backbone = _trainable_copy(
        model if encoder is None else encoder.backbone, views.large_size or 32
    )
    projector = encoder.heads[0] if encoder is not None and encoder.heads else None
    hidden = _hidden_layers(projector, from_layer, argument)
    _, size = check_backbone(backbone, views.sizes[:1], views.output_range)
    head = keras.Sequential(
        [
            layers.Input((size,)),
            *([hidden] if hidden is not None else []),
            # The scale is that of SimCLR's own code (model_util.linear_layer).
            layers.Dense(
                num_classes,
                kernel_initializer=keras.initializers.RandomNormal(
                    stddev=0.01, seed=seed
                ),
                dtype="float32",
                name="logits",
            ),
        ],
        name="head",
    )
    return ImageClassifier(backbone, head, views, name="classifier")


def check_model(argument: str, model: Any) -> None:
    """Raises a TypeError for what is no Keras model."""
    if not isinstance(model, keras.Model):
        raise TypeError(
            f"`{argument}` must be a pre-training model of semppl_keras, a backbone "
            "(a keras.Model from images to features) or an ImageClassifier. Received: "
            f"{type(model).__name__}."
        )


def classifier_within(model: Any) -> Any:
    """The `ImageClassifier` that a model trains, or the model itself."""
    classifier = getattr(model, "classifier", None)
    return classifier if isinstance(classifier, ImageClassifier) else model


def encoder_within(model: Any) -> Encoder | None:
    """The online network of a pre-training model, None for any other."""
    encoder = getattr(model, "online", None)
    return encoder if isinstance(encoder, Encoder) else None


def chosen_views(views: Any) -> MultiCrop | None:
    """What the argument `views` stands for, None where it is None.

    Raises:
        TypeError, ValueError: if it is neither a `MultiCrop` nor a recipe's name.
    """
    if views is None:
        return None
    if isinstance(views, str):
        return crop_and_flip(recipe(views))
    if isinstance(views, (MultiCrop, CachedViews)):
        if views.background_removal > 0:
            raise ValueError(
                "`views` must not remove backgrounds: a classifier's images come "
                "without a mask. Received: background_removal="
                f"{views.background_removal}."
            )
        return single_view(views)
    raise TypeError(
        "`views` must be a MultiCrop or the name of a recipe of semppl_keras.views. "
        f"Received: {type(views).__name__}."
    )


def _trainable_copy(backbone: keras.Model, image_size: int) -> keras.Model:
    """A copy of a backbone, released if it is frozen as a whole."""
    copy = copy_model(backbone, image_size)
    if not copy.trainable_weights:
        copy.trainable = True
    return copy


def _copy_of_classifier(
    classifier: ImageClassifier,
    num_classes: int,
    argument: str,
    from_layer: int | str | None,
    views: MultiCrop | None,
) -> ImageClassifier:
    if from_layer is not None:
        raise ValueError(
            f"`from_layer` is for models that have no linear layer yet. `{argument}` "
            f"is a classifier. Received: from_layer={from_layer!r}. Leave it out."
        )
    if num_classes != classifier.num_classes:
        raise ValueError(
            f"`num_classes` must be that of `{argument}`, a classifier of "
            f"{classifier.num_classes} classes. Received: num_classes={num_classes}. "
            "For other classes pass its `backbone`."
        )
    views = views or classifier.views
    backbone = _trainable_copy(classifier.backbone, views.large_size or 32)
    check_backbone(backbone, views.sizes[:1], views.output_range)
    return ImageClassifier(
        backbone,
        copy_model(classifier.head),
        views,
        class_names=classifier.class_names,
        name=classifier.name,
    )


def _hidden_layers(
    projector: keras.Model | None, from_layer: int | str | None, argument: str
) -> keras.Model | None:
    """A copy of a projector up to its k-th activation; None for none of it."""
    count = _NAMES.get(from_layer) if isinstance(from_layer, str) else from_layer
    if isinstance(from_layer, str) and count is None:
        count = -1
    if count is None:
        count = 0 if projector is None else 1
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        raise ValueError(
            '`from_layer` must be "backbone" (0), "hidden" (1) or an integer of at '
            f"least 0, a hidden layer of the projector. Received: {from_layer!r}."
        )
    if count == 0:
        return None
    if projector is None:
        raise ValueError(
            f"`from_layer` must be 0 or None: `{argument}` has no projection head. "
            f"Received: from_layer={from_layer!r}."
        )
    copy = copy_model(projector)
    ends = [layer for layer in copy.layers if _is_activation(layer)]
    if count > len(ends):
        raise ValueError(
            f"`from_layer` must be at most {len(ends)}, the hidden layers of the "
            f"projector of `{argument}`. Received: from_layer={from_layer!r}."
        )
    return keras.Model(copy.inputs, ends[count - 1].output, name="hidden")


def _is_activation(layer: keras.layers.Layer) -> bool:
    linear = keras.activations.linear
    return (
        isinstance(layer, _ACTIVATIONS)
        or getattr(layer, "activation", linear) is not linear
    )
