"""Classes of unequal size, of which a few labels are known."""

import numpy as np

from semppl_keras.evaluation.inputs import UNKNOWN

# What chance alone makes of equally frequent classes, times the labels a class and
# C / (C - 1): docs/results/labels.md.
_BY_CHANCE = 1 / 6


def believed_frequencies(shares: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """How frequent classes are by what images are taken for, as far as that can tell.

    The mean p of the shares, drawn towards classes that are equally frequent by as much
    as its being uneven may be chance (after James and Stein, 1961): `p^b`, in
    proportion, where

        b = max(0, 1 - d_0 / d),  d = log C + sum_c p_c log p_c,
        d_0 = (1 - 1 / C) / (6 n)

    and n is the harmonic mean of how many labels a class has. How it was found:
    docs/results/labels.md.

    Args:
        shares: `(N, C)`, rows that sum to 1: what each image is taken for, of labels
            that count alike by class.
        labels: `(N,)` integers in [0, C), -1 where no class is known; at least one is.

    Returns:
        `(C,)` shares that sum to 1, 0 for a class without labels.

    Example:
        >>> shares = np.eye(2)[[0] * 600 + [1] * 200]
        >>> labels = np.full(800, -1)
        >>> labels[[0, 1, 600, 601]] = 0, 0, 1, 1
        >>> believed_frequencies(shares, labels).round(2)
        array([0.69, 0.31])
    """
    counts = np.bincount(labels[labels != UNKNOWN], minlength=shares.shape[1])
    there = np.flatnonzero(counts)
    found = np.zeros(len(counts))
    if len(there) == 1:
        found[there] = 1.0
        return found
    mean = np.maximum(shares[:, there].mean(axis=0), 1e-12)
    mean = mean / mean.sum()
    uneven = np.log(len(there)) + np.sum(mean * np.log(mean))
    labels_per_class = len(there) / np.sum(1 / counts[there])
    by_chance = _BY_CHANCE * (1 - 1 / len(there)) / labels_per_class
    believed = mean ** max(0.0, 1 - by_chance / max(uneven, 1e-12))
    found[there] = believed / believed.sum()
    return found


def balanced_label_weights(
    labels: np.ndarray, label_shares: np.ndarray | None = None
) -> np.ndarray:
    """Weights with which the labels of every class count alike, their mean being 1.

    Args:
        labels: `(N,)` integers from 0 on, -1 where no class is known.
        label_shares: As for `propagated_probe`.

    Returns:
        `(N,)` float64, 0 where no class is known; of `label_shares` the same in
        `(N, C)`, for each class that a label may stand for.

    Example:
        >>> balanced_label_weights(np.array([0, 0, 0, 1, -1]))
        array([0.66666667, 0.66666667, 0.66666667, 2.        , 0.        ])
    """
    known = labels != UNKNOWN
    if label_shares is None:
        counts = np.bincount(labels[known])
        weights = np.zeros(len(labels))
        weights[known] = known.sum() / np.count_nonzero(counts) / counts[labels[known]]
        return weights
    shares = np.where(known[:, None], label_shares, 0.0)
    sums = shares.sum(axis=0)
    even = known.sum() / np.count_nonzero(sums)
    return shares * (even / np.where(sums > 0, sums, 1))
