"""Which labels are hidden in turn, to be held against what the others say."""

from typing import NamedTuple

import numpy as np

_MOST = 5
# Times that the folds are drawn: one draw of a few labels is mostly chance.
REPEATS = 3


class Folds(NamedTuple):
    """Labels that are hidden in turn.

    Args:
        held: Masks `(n,)` of what is hidden at once, `repeats` times all that is spare.
        spare: `(n,)` bool, what is hidden at all: the only label of a class is not.
    """

    held: list[np.ndarray]
    spare: np.ndarray


def stratified_folds(labels: np.ndarray, repeats: int, seed: int) -> Folds | None:
    """Up to five folds, of each class as evenly as it goes, drawn several times.

    Every class has a label left in each.

    Args:
        labels: `(n,)` integers, at least 0.
        repeats: At least 1.
        seed: Draws the folds; the same for the same labels.

    Returns:
        `Folds`; None where fewer than two classes have a label to spare.
    """
    counts = np.bincount(labels)
    if np.sum(counts >= 2) < 2:
        return None
    spare = counts[labels] >= 2
    held = [
        mask
        for repeat in range(repeats)
        for mask in _drawn(labels, spare, np.random.default_rng([seed, repeat]))
    ]
    return Folds(held, spare)


def _drawn(
    labels: np.ndarray, spare: np.ndarray, generator: np.random.Generator
) -> list[np.ndarray]:
    counts = np.bincount(labels)
    number = min(_MOST, int(counts.max()))
    fold_of = np.full(len(labels), -1)
    first = 0
    for label in np.flatnonzero(counts >= 2):
        rows = generator.permutation(np.flatnonzero(labels == label))
        # Where a class ends another one begins: no fold is always the larger one.
        fold_of[rows] = (first + np.arange(len(rows))) % number
        first += len(rows)
    masks = [spare & (fold_of == fold) for fold in range(number)]
    return [mask for mask in masks if mask.any()]
