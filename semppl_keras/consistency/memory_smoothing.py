"""SimMatch: what a memory of labelled embeddings says beside the classifier."""

from typing import Any

import keras
from keras import ops

from semppl_keras.checks import check_positive, check_share
from semppl_keras.consistency.similarity import (
    enough,
    half_of,
    of_classes,
    similarity_logits,
)
from semppl_keras.consistency.strategy import Bank, Refinement, Step


def aggregated(similarities: Any, labels: Any, num_classes: int) -> Any:
    """Class probabilities of similarities: of each class the sum over its entries.

    Args:
        similarities: `(U, M)`, rows of sum 1.
        labels: `(M,)` int32, -1 for an empty entry, whose similarity is 0.
        num_classes: int, C.

    Returns:
        `(U, C)`, rows of sum 1.
    """
    return ops.matmul(similarities, of_classes(labels, num_classes))


def unfolded(similarities: Any, probabilities: Any, labels: Any) -> Any:
    """Similarities in proportion to how probable the class of each entry is.

        r_j p(y_j) / sum_k r_k p(y_k)

    Args:
        similarities: `(U, M)`, rows of sum 1.
        probabilities: `(U, C)`, rows of sum 1.
        labels: `(M,)` int32, -1 for an empty entry, whose similarity is 0.

    Returns:
        `(U, M)`, rows of sum 1.
    """
    own = ops.take(probabilities, ops.maximum(labels, 0), axis=1)
    product = similarities * own
    return product / ops.maximum(ops.sum(product, axis=-1, keepdims=True), 1e-12)


def smoothed(
    probabilities: Any, embeddings: Any, bank: Bank, weight: float, temperature: float
) -> Any:
    """`weight p + (1 - weight)` times what the bank says; p where it is half empty.

    Args:
        probabilities: `(U, C)`, p.
        embeddings: `(U, D)`, of length 1.
        bank: `Bank`.
        weight: float in [0, 1].
        temperature: float, positive, of the similarities.

    Returns:
        `(U, C)`, rows of sum 1.
    """
    similarities = ops.softmax(similarity_logits(embeddings, bank, temperature))
    said = aggregated(similarities, bank.labels, probabilities.shape[-1])
    mixed = weight * probabilities + (1.0 - weight) * said
    return ops.where(enough(bank, half_of(bank)), mixed, probabilities)


@keras.saving.register_keras_serializable(package="semppl_keras")
class MemorySmoothing(Refinement):
    """Mixes into a prediction what similar labelled images are.

    SimMatch (Zheng et al., CVPR 2022, arXiv 2203.06915): similarities with the labelled
    embeddings in the memory, softmax over all of them, are added up class by class. The
    memory is read as it was before the step, and used once it is half full.

    Args:
        weight: float in [0, 1], of the classifier's own prediction.
        temperature: float, positive, of the similarities.

    Raises:
        ValueError: if an argument is out of range.
    """

    def __init__(
        self, weight: float = 0.9, temperature: float = 0.1, **kwargs: Any
    ) -> None:
        check_share(weight=weight)
        check_positive(temperature=temperature)
        super().__init__(**kwargs)
        self.weight = weight
        self.temperature = temperature

    def call(self, probabilities: Any, embeddings: Any, step: Step) -> Any:
        assert step.bank is not None
        refined = smoothed(
            ops.cast(probabilities, "float32"),
            embeddings["weak"],
            step.bank,
            self.weight,
            self.temperature,
        )
        return ops.stop_gradient(refined)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "weight": self.weight,
            "temperature": self.temperature,
        }
