"""Embeddings beside those of the labelled images in a bank."""

from typing import Any

from keras import ops

from semppl_keras.consistency.strategy import Bank

# A logarithm of next to no share, and finite: of an empty bank nothing is NaN.
_NONE = -1e9


def similarity_logits(embeddings: Any, bank: Bank, temperature: float) -> Any:
    """`embeddings . entries / temperature`, of which empty entries get no share.

    Args:
        embeddings: `(..., D)`, of length 1.
        bank: `Bank` of M entries.
        temperature: float, positive.

    Returns:
        `(..., M)` float32.
    """
    entries = ops.stop_gradient(ops.cast(bank.embeddings, "float32"))
    logits = ops.matmul(ops.cast(embeddings, "float32"), ops.transpose(entries))
    return ops.where(bank.labels >= 0, logits / temperature, _NONE)


def of_classes(labels: Any, num_classes: int) -> Any:
    """`(M, C)` float32: 1 for the class of each entry, a row of 0 for an empty one."""
    classes = ops.arange(num_classes, dtype="int32")
    return ops.cast(ops.cast(labels, "int32")[:, None] == classes, "float32")


def enough(bank: Bank, least: int) -> Any:
    """Whether at least so many entries are filled: a boolean scalar."""
    return ops.sum(ops.cast(bank.labels >= 0, "int32")) >= least


def half_of(bank: Bank) -> int:
    """Entries with which a bank begins to be used: before, it is next to empty, and of
    a network that has seen nothing."""
    return -(-bank.labels.shape[0] // 2)
