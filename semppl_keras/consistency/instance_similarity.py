"""SimMatch: a strong view lies among the labelled images as the weak one does."""

from typing import Any

import keras
from keras import ops

from semppl_keras.checks import check_not_negative, check_positive
from semppl_keras.consistency.memory_smoothing import unfolded
from semppl_keras.consistency.similarity import enough, half_of, similarity_logits
from semppl_keras.consistency.strategy import Bank
from semppl_keras.consistency.term import Context, Term
from semppl_keras.losses.classification import cross_entropy


def instance_similarity(
    weak: Any, strong: Any, probabilities: Any, bank: Bank, temperature: float
) -> Any:
    """`CE(sg unfold(r_w, p), r_s)`, r being the softmax over similarities with a bank.

    Args:
        weak: `(U, D)`, unit embeddings of the weak views.
        strong: `(U, S, D)`, of the strong ones.
        probabilities: `(U, C)`, p, of the weak views.
        bank: `Bank`.
        temperature: float, positive.

    Returns:
        float32 scalar, the mean over images and strong views; 0 where the bank is not
        half full.
    """
    similarities = ops.softmax(similarity_logits(weak, bank, temperature), axis=-1)
    targets = unfolded(similarities, probabilities, bank.labels)
    targets = ops.stop_gradient(targets)[:, None]
    losses = cross_entropy(targets, similarity_logits(strong, bank, temperature))
    return ops.where(enough(bank, half_of(bank)), ops.mean(losses), 0.0)


@keras.saving.register_keras_serializable(package="semppl_keras")
class InstanceSimilarity(Term):
    """Similarities with labelled images stay what they are under a strong view.

    SimMatch (Zheng et al., CVPR 2022, arXiv 2203.06915): see `instance_similarity`, of
    all unlabelled images, whatever they weigh, with the aligned prediction.

    Args:
        weight: float, not negative, its share of the loss; in the paper 5 on ImageNet,
            1 on CIFAR.
        temperature: float, positive, of both similarities.

    Raises:
        ValueError: if an argument is out of range.
    """

    needs_embeddings = True

    def __init__(
        self, weight: float = 1.0, temperature: float = 0.1, **kwargs: Any
    ) -> None:
        check_not_negative(weight=weight)
        check_positive(temperature=temperature)
        super().__init__(weight, **kwargs)
        self.temperature = temperature

    def call(self, context: Context) -> Any:
        assert context.step.bank is not None
        return instance_similarity(
            context.embeddings["weak"],
            context.embeddings["strong"],
            context.aligned,
            context.step.bank,
            self.temperature,
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "temperature": self.temperature}
