"""A probe of the features and the network before it, as one classifier."""

from typing import Any

import keras
import numpy as np

from semppl_keras.networks.image_classifier import ImageClassifier

# The logit of a class that the probe has never seen: its probability is 0.
_NEVER = -1e4


def linear_classifier(
    backbone: keras.Model,
    views: Any,
    probe: Any,
    num_classes: int,
    class_names: Any = None,
) -> ImageClassifier:
    """Puts a fitted linear probe on a backbone: images to probabilities.

    Standardisation and regression are both linear, so that one layer does both;
    features that were probed by their directions, evened out or not, pass others before
    it.

    Args:
        backbone: built `keras.Model` from views `(B, s, s, C)` to features `(B, F)`,
            or to feature maps, whose mean over their positions was probed. It becomes
            the classifier's.
        views: the `MultiCrop` of the images that were probed.
        probe: what `evaluation.linear_probe`, `evaluation.sgd_linear_probe` or
            `evaluation.unit_probe` returns.
        num_classes: int; classes that the probe was not fitted to get probability 0.
        class_names: a string for each class, or None.

    Returns:
        An `ImageClassifier` with the probe's probabilities.

    Raises:
        ValueError: if the probe knows other classes than 0 .. num_classes - 1.

    Example:
        >>> probe = linear_probe(model.embed(x_labelled), y_labelled)
        >>> classifier = linear_classifier(model.backbone, model.views, probe, 10)
    """
    head = linear_head(probe, num_classes)
    return ImageClassifier(
        backbone, head, views, class_names=class_names, name="classifier"
    )


def linear_head(probe: Any, num_classes: int) -> keras.Model:
    """What a fitted linear probe does with features, as a network.

    Args:
        probe, num_classes: as for `linear_classifier`.

    Returns:
        A `keras.Model` from features `(B, F)` to logits `(B, num_classes)`, float32.

    Raises:
        ValueError: if the probe knows other classes than 0 .. num_classes - 1.
    """
    classes = np.asarray(probe.classes_)
    if classes.min() < 0 or classes.max() >= num_classes:
        raise ValueError(
            f"The classes of `probe` must be among 0 .. {num_classes - 1}. Received: "
            f"{classes.min()} .. {classes.max()}. Raise `num_classes`."
        )
    of_probe, bias_of_probe = _affine(probe)
    weights = np.zeros((len(of_probe), num_classes))
    bias = np.full(num_classes, _NEVER)
    weights[:, classes], bias[classes] = of_probe, bias_of_probe
    layers, parameters, width = [], [], len(weights)
    if (directions := _directions(probe)) is not None:
        width = len(directions.kernel)
        # Which they are was told by many images, and is not for a few to change.
        layers.append(
            keras.layers.Dense(
                len(weights), dtype="float32", name="even_directions", trainable=False
            )
        )
        parameters += [directions.kernel, directions.bias]
    if _takes_directions(probe):
        layers.append(keras.layers.UnitNormalization(dtype="float32", name="direction"))
    logits = keras.layers.Dense(num_classes, dtype="float32", name="logits")
    inputs = keras.layers.Input((width,))
    head = keras.Sequential([inputs, *layers, logits], name="head")
    head.set_weights([*parameters, weights, bias])
    return head


def _directions(probe: Any) -> Any:
    """`EvenDirections` that a probe looks at features in, or None."""
    step = getattr(probe, "named_steps", {}).get("directions")
    return None if step is None else step.directions


def _takes_directions(probe: Any) -> bool:
    return "normalizer" in getattr(probe, "named_steps", ())


def _affine(probe: Any) -> tuple[np.ndarray, np.ndarray]:
    """Weights `(F, C)` and bias `(C,)` of a probe on features as they are, or on their
    directions."""
    if hasattr(probe, "steps"):
        scaler, regression = (step for _, step in probe.steps[-2:])
        weights = regression.coef_.T.astype("float64")
        bias = regression.intercept_.astype("float64")
        if len(regression.classes_) == 2:
            # Of two classes scikit-learn keeps the logit of the second against 0.
            weights = np.concatenate([np.zeros_like(weights), weights], axis=1)
            bias = np.concatenate([np.zeros_like(bias), bias])
        if _takes_directions(probe):
            return weights, bias
        width = len(weights)
        scale = scaler.scale_ if scaler.with_std else np.ones(width)
        centre = scaler.mean_ if scaler.with_mean else np.zeros(width)
    else:
        weights, bias = probe.weights.astype("float64"), probe.bias.astype("float64")
        scale, centre = probe.scale, probe.centre
    weights = weights / np.asarray(scale, "float64")[:, None]
    return weights, bias - np.asarray(centre, "float64") @ weights
