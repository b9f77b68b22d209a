"""Who says what the unlabelled images show."""

from typing import Any

import keras

from semppl_keras.consistency.strategy import Strategy
from semppl_keras.networks.encoder import unit_vectors
from semppl_keras.networks.image_classifier import ImageClassifier


def seen_by(
    classifier: ImageClassifier,
    projector: keras.Model | None,
    views: Any,
    training: bool = False,
) -> dict[str, Any]:
    """What a classifier makes of views.

    Args:
        classifier: `ImageClassifier`.
        projector: from features to embeddings, or None.
        views: `(V, s, s, C)`.
        training: bool.

    Returns:
        dict of `features` `(V, F)`, `logits` `(V, num_classes)` and, with a projector,
        `embeddings` `(V, D)` of length 1, all of them float32.
    """
    features = classifier.features(views, training=training)
    seen = {
        "features": keras.ops.cast(features, "float32"),
        "logits": classifier.logits_of(features, training=training),
    }
    if projector is not None:
        embeddings = projector(features, training=training)
        seen["embeddings"] = unit_vectors(embeddings)
    return seen


class Teacher(Strategy):
    """Says what the weak views show.

    Attributes:
        online: whether that is said by the network that is trained, in the pass that
            trains it. Another one is asked before the step.
        makes_embeddings: whether it gives features and embeddings beside the logits.
    """

    online = False
    makes_embeddings = True

    def follow_from(
        self, student: ImageClassifier, projector: keras.Model | None
    ) -> None:
        """Makes the state, given what is trained.

        Args:
            student: `ImageClassifier`.
            projector: from its features to embeddings, or None.
        """
        del student, projector
        self.built = True

    def check_can_teach(self) -> None:
        """Raises a ValueError, before a training, for one that has nothing to teach."""

    def call(self, views: Any) -> dict[str, Any]:
        """What it makes of views `(V, s, s, C)`, as `seen_by` gives it."""
        raise NotImplementedError(f"{type(self).__name__} has no `call`.")

    def follow(
        self,
        student: ImageClassifier,
        projector: keras.Model | None,
        updates: Any,
        completed: Any,
    ) -> None:
        """Moves after a step.

        Args:
            student, projector: as in `follow_from`.
            updates: int32 scalar, optimiser steps that were done before this one.
            completed: 1.0 where one was done, 0.0 where gradients were only added up.
        """
        del student, projector, updates, completed
