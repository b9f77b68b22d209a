"""A classifier that is as certain as it is right."""

import keras

from semppl_keras.checks import check_positive
from semppl_keras.networks.image_classifier import ImageClassifier


def calibrated_classifier(
    classifier: ImageClassifier, temperature: float
) -> ImageClassifier:
    """The same classifier, its logits divided by a temperature.

    Args:
        classifier: an `ImageClassifier`; its networks become the other's, too.
        temperature: float, positive, as `evaluation.fit_temperature` finds it.

    Returns:
        An `ImageClassifier` that takes every image for the same class. It is an
        ordinary one, to be saved and exported.

    Raises:
        ValueError: if the temperature is not positive.

    Example:
        >>> calibrated_classifier(classifier, 1.4).predict(images).max(axis=1)
    """
    check_positive(temperature=temperature)
    head = classifier.head
    if temperature != 1:
        divided = keras.layers.Rescaling(
            1 / float(temperature), dtype="float32", name="temperature"
        )
        width = head.input_shape[-1]
        layers = [keras.layers.Input((width,)), head, divided]
        head = keras.Sequential(layers, name="calibrated_head")
    return ImageClassifier(
        classifier.backbone,
        head,
        classifier.views,
        class_names=classifier.class_names,
        name=classifier.name,
    )
