"""Two classifiers on the same features, whose probabilities are mixed."""

from typing import Any

import keras
import numpy as np
from keras import ops

from semppl_keras.kernels import quick_inference
from semppl_keras.networks.copying import copy_model
from semppl_keras.networks.image_classifier import ImageClassifier
from semppl_keras.networks.image_embedder import ImageEmbedder

# Of the layers of `two_heads`.
LABELLED, TAUGHT, MIXTURE = "labelled", "taught", "mixture"

# Below this a probability is taken for it, as `losses.classification.log_of` does.
_SMALLEST = 2e-38


@keras.saving.register_keras_serializable(package="semppl_keras")
class MixedLogits(keras.layers.Layer):
    """`log(alpha softmax(z_1) + (1 - alpha) softmax(z_2 / beta))` of two logits.

    The prediction of DHO (Kang et al., arXiv 2505.07675) as logits, of which a softmax
    makes the mixed probabilities again. alpha and beta are weights that nothing trains:
    a saved classifier keeps what was chosen.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.alpha, self.beta = (
            self.add_weight(
                shape=(),
                initializer=keras.initializers.Constant(value),
                trainable=False,
                name=name,
            )
            for name, value in (("alpha", 0.5), ("beta", 1.0))
        )
        self.built = True

    def choose(self, alpha: float, beta: float) -> None:
        """Sets the share of the first, in [0, 1], and the second's temperature."""
        self.alpha.assign(alpha)
        self.beta.assign(beta)

    def call(self, logits: Any) -> Any:
        """`(B, C)` float32 of a pair of `(B, C)`."""
        first, second = (ops.cast(each, "float32") for each in logits)
        mixed = self.alpha * ops.softmax(first, axis=-1)
        mixed = mixed + (1.0 - self.alpha) * ops.softmax(second / self.beta, axis=-1)
        return ops.log(ops.maximum(mixed, _SMALLEST))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """That of one of the two."""
        return tuple(input_shape[0])


def two_heads(head: keras.Model) -> keras.Model:
    """A head that is two copies of another one, whose probabilities are mixed.

    Args:
        head: built `keras.Model` from features `(B, F)` to logits `(B, C)`.

    Returns:
        The same, with the layers "labelled" and "taught", the two copies, and
        "mixture", a `MixedLogits` of theirs.
    """
    features = keras.layers.Input((head.input_shape[-1],))
    parts = [_named_copy(head, name) for name in (LABELLED, TAUGHT)]
    mixture = MixedLogits(name=MIXTURE)([part(features) for part in parts])
    return keras.Model(features, mixture, name=head.name)


def with_two_heads(classifier: ImageClassifier) -> ImageClassifier:
    """A classifier with the same backbone and `two_heads` of its head."""
    return ImageClassifier(
        classifier.backbone,
        two_heads(classifier.head),
        classifier.views,
        class_names=classifier.class_names,
        name=classifier.name,
    )


def logits_of_heads(
    classifier: ImageClassifier, images: Any, batch_size: int | None = None
) -> list[np.ndarray]:
    """What each of the two heads of a classifier says of images, before it is mixed.

    Args:
        classifier: an `ImageClassifier` with two heads.
        images: `(N, H, W, C)` in the views' `value_range`.
        batch_size: int or None, as in `keras.Model.predict`.

    Returns:
        Two arrays `(N, C)`, of the head of labels and of the one that was taught.
    """
    embedder = ImageEmbedder(classifier.backbone, classifier.views)
    features = embedder.predict(images, batch_size=batch_size, verbose=0)
    heads = [classifier.head.get_layer(name) for name in (LABELLED, TAUGHT)]
    with quick_inference(classifier.head):
        return [head.predict(features, batch_size, verbose=0) for head in heads]


def has_two_heads(head: keras.Model) -> bool:
    """Whether a head is one of `two_heads`."""
    return any(isinstance(layer, MixedLogits) for layer in head.layers)


def _named_copy(head: keras.Model, name: str) -> keras.Model:
    # Paths of their own: on torch Keras registers weights by their path.
    with keras.name_scope(name):
        copy = copy_model(head)
    copy.name = name
    return copy
