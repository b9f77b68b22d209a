"""Images of a kind, with what a classifier says of them."""

import dataclasses
from collections.abc import Sequence

import numpy as np

# The kinds, as `embedding_map` numbers them.
UNLABELLED, TEST, LABELLED = 0, 1, 2


@dataclasses.dataclass(frozen=True, eq=False)
class ImageGroup:
    """Images of a kind, with what a classifier says of them.

    Args:
        images: `(N, h, w, c)`.
        names: A text for each.
        labels: `(N,)` integers, -1 for unknown.
        features: `(N, F)`.
        probabilities: `(N, C)`.
    """

    images: np.ndarray
    names: Sequence[str]
    labels: np.ndarray
    features: np.ndarray
    probabilities: np.ndarray

    @property
    def predicted(self) -> np.ndarray:
        """`(N,)` integers, the most probable class of each."""
        return self.probabilities.argmax(axis=1)

    @property
    def confidences(self) -> np.ndarray:
        """`(N,)`, the largest probability of each."""
        return self.probabilities.max(axis=1)
