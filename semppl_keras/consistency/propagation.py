"""SimMatchV2: labels that spread from labelled neighbours along similarities."""

from typing import Any

import keras
from keras import ops

from semppl_keras.checks import check_below_one, check_integers, check_positive
from semppl_keras.consistency.similarity import enough, similarity_logits
from semppl_keras.consistency.strategy import Bank, Refinement, Step
from semppl_keras.consistency.walk import walk
from semppl_keras.memory.votes import nearest


def propagated(
    probabilities: Any,
    embeddings: Any,
    bank: Bank,
    neighbours: int,
    alpha: float,
    temperature: float,
) -> Any:
    """Label propagation among each image and its nearest labelled ones.

    The nodes of an image's graph are it, with its prediction, and its neighbours in
    the bank, with their labels; `A = softmax(E E^T / temperature)` row by row, without
    the diagonal.

    Args:
        probabilities: `(U, C)`.
        embeddings: `(U, D)`, of length 1.
        bank: `Bank` of M entries; of fewer than `neighbours` all are nodes.
        neighbours: int.
        alpha: float in [0, 1): how far labels go.
        temperature: float, positive.

    Returns:
        `(U, C)`, rows of sum 1; the probabilities as they are where the bank has fewer
        filled entries than neighbours.
    """
    count, num_classes = probabilities.shape
    neighbours = min(neighbours, bank.labels.shape[0])
    _, near = nearest(similarity_logits(embeddings, bank, 1.0), neighbours)
    labels = ops.take(ops.cast(bank.labels, "int32"), near, axis=0)
    nodes = ops.concatenate(
        [embeddings[:, None], ops.take(bank.embeddings, near, axis=0)], axis=1
    )
    logits = ops.matmul(nodes, ops.swapaxes(nodes, 1, 2)) / temperature
    logits = ops.where(ops.eye(neighbours + 1, dtype="bool"), -1e9, logits)
    arriving = walk(ops.softmax(logits, axis=-1), alpha)

    # The sum over neighbours of one class, without an array of (U, neighbours, C).
    place = ops.arange(count, dtype="int32")[:, None] * num_classes
    place = ops.reshape(place + ops.maximum(labels, 0), (-1,))
    spread = ops.segment_sum(
        ops.reshape(arriving[:, 1:], (-1,)), place, num_segments=count * num_classes
    )
    spread = ops.reshape(spread, (count, num_classes))
    refined = arriving[:, :1] * probabilities + spread
    return ops.where(enough(bank, neighbours), refined, probabilities)


@keras.saving.register_keras_serializable(package="semppl_keras")
class Propagation(Refinement):
    """Takes an image for what its labelled neighbours are, and theirs.

    SimMatchV2 (Zheng et al., ICCV 2023, arXiv 2308.06692): see `propagated`. The
    weights are those of the predictions before. The memory is read as it was before the
    step, and used once it holds the neighbours.

    Args:
        neighbours: int, at least 1, nearest labelled embeddings of an image.
        alpha: float in [0, 1), how far labels go.
        temperature: float, positive, of the similarities.

    Raises:
        ValueError: if an argument is out of range.
    """

    changes_weights = False

    def __init__(
        self,
        neighbours: int = 128,
        alpha: float = 0.1,
        temperature: float = 0.1,
        **kwargs: Any,
    ) -> None:
        check_integers(1, neighbours=neighbours)
        check_positive(temperature=temperature)
        check_below_one(alpha=alpha)
        super().__init__(**kwargs)
        self.neighbours = neighbours
        self.alpha = alpha
        self.temperature = temperature

    def call(self, probabilities: Any, embeddings: Any, step: Step) -> Any:
        assert step.bank is not None
        refined = propagated(
            ops.cast(probabilities, "float32"),
            embeddings["weak"],
            step.bank,
            self.neighbours,
            self.alpha,
            self.temperature,
        )
        return ops.stop_gradient(refined)

    def get_config(self) -> dict[str, Any]:
        names = ("neighbours", "alpha", "temperature")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
