"""Labels that are probably wrong: confident learning on a few of them."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from semppl_keras.evaluation.counting import Count, Progress
from semppl_keras.evaluation.folds import REPEATS, stratified_folds
from semppl_keras.evaluation.inputs import UNKNOWN, all_known, as_features

# Share of the labels that is taken to be wrong before anything is known of them.
USUAL_NOISE = 0.1
# What is less probable is not taken for a possible class of an image, but for the one
# that it is labelled with.
_LEAST = 0.01


@dataclasses.dataclass(frozen=True, eq=False)
class LabelErrors:
    """What a classifier that has not seen a label says of it.

    Args:
        labels: `(n,)` integers, as they were given.
        probabilities: `(n, C)`, of a classifier from which the row's label was hidden.
        judged: `(n,)` bool; the only label of a class cannot be hidden without hiding
            the class, and is not judged.
        thresholds: `(C,)`, how sure the classifier is of a class, on the mean over the
            images that are labelled so.
        joint: `(C, C)` integers, the confident joint: a row for each given label, a
            column for each class that the classifier is sure enough of.
        suggested: `(n,)` integers, the class whose probability is the furthest above
            its threshold.
        scores: `(n,)`, by how much that of the label given is ahead of the best other
            one: negative where another class is suggested. Of rows that are not judged
            the largest there is, 1.
        errors: `(n,)` bool, labels that are counted beside the diagonal of the joint.
    """

    labels: np.ndarray
    probabilities: np.ndarray
    judged: np.ndarray
    thresholds: np.ndarray
    joint: np.ndarray
    suggested: np.ndarray
    scores: np.ndarray
    errors: np.ndarray

    @property
    def order(self) -> np.ndarray:
        """Indices of the judged rows, the most suspect first."""
        ranked = np.argsort(self.scores, kind="stable")
        return ranked[self.judged[ranked]]


def find_label_errors(
    probabilities: Any, labels: Any, judged: Any = None
) -> LabelErrors:
    """Ranks labels by how much they look like wrong ones (Northcutt et al. 2021).

    A classifier is surer of some classes than of others, so that each has a threshold
    of its own, the mean probability of the class over the images that are labelled so:

        t_j = mean of p_j(x_i) over i with y_i = j

    The confident joint counts an image of label i under the class j whose probability
    is the largest of those that reach their thresholds. Labels are ranked by the margin
    between the given one and the best other one, each less its threshold:

        s_i = (p_y - t_y) - max over c != y of (p_c - t_c)

    Args:
        probabilities: `(n, C)`, each row by a classifier that has not seen its label,
            as of `held_out_probabilities`.
        labels: `(n,)` integers in [0, C).
        judged: `(n,)` bool, rows whose probabilities are of that kind; None for all.

    Returns:
        `LabelErrors`.

    Raises:
        ValueError: Shapes that do not fit, labels out of range, or no row to judge.

    Example:
        >>> shares, judged = held_out_probabilities(fit, labels, 8)
        >>> found = find_label_errors(shares, labels, judged)
        >>> found.order[:10], found.suggested[found.order[:10]]
    """
    shares = as_features(probabilities, "probabilities").astype("float64")
    length, num_classes = shares.shape
    labels = all_known(labels, "labels", length).astype("int64")
    if labels.max() >= num_classes:
        raise ValueError(
            f"`labels` must lie in [0, {num_classes}), the number of classes. "
            f"Received: {labels.min()} to {labels.max()}."
        )
    judged = np.ones(length, bool) if judged is None else np.asarray(judged, bool)
    if judged.shape != (length,) or not judged.any():
        raise ValueError(
            "`judged` must have one entry per row, and some row must be judged. "
            f"Received: shape {judged.shape}, {int(judged.sum())} of {length} rows."
        )
    thresholds = _thresholds(shares[judged], labels[judged])
    ahead = shares - thresholds
    rows = np.arange(length)
    others = ahead.copy()
    others[rows, labels] = -np.inf
    scores = ahead[rows, labels] - others.max(axis=1)
    suggested = np.where(scores < 0, others.argmax(axis=1), labels)
    # Of those that reach their threshold the most probable one, where any does.
    sure = np.where(ahead >= 0, shares, -np.inf)
    found = np.where((ahead >= 0).any(axis=1), sure.argmax(axis=1), UNKNOWN)
    counted = judged & (found != UNKNOWN)
    joint = np.zeros((num_classes, num_classes), "int64")
    np.add.at(joint, (labels[counted], found[counted]), 1)
    return LabelErrors(
        labels=labels,
        probabilities=shares,
        judged=judged,
        thresholds=thresholds,
        joint=joint,
        suggested=np.where(judged, suggested, labels),
        scores=np.where(judged, np.clip(scores, -1, 1), 1.0),
        errors=counted & (found != labels),
    )


def held_out_probabilities(
    fit: Callable[[np.ndarray], np.ndarray],
    labels: Any,
    num_classes: int,
    *,
    repeats: int = REPEATS,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """What a classifier says of labelled images while their labels are hidden from it.

    In folds, up to five, that are drawn `repeats` times, of each class as evenly as it
    goes; a row's probabilities are averaged over the draws.

    Args:
        fit: Function of labels `(n,)`, -1 where one is hidden: shares `(n, C)` of all
            labelled images by a classifier that has seen the others. It may look at any
            images beside them.
        labels: `(n,)` integers in [0, num_classes).
        num_classes: C.
        repeats: At least 1.
        seed: Draws the folds.
        progress: Function of (what is done: str, how many, of how many).

    Returns:
        `(n, C)` float64, rows of zeros for the only label of a class, which is never
        hidden, and `(n,)` bool: all the others.

    Raises:
        ValueError: Labels that are none, or fewer than two classes with two of them.
    """
    labels = all_known(labels, "labels", len(labels)).astype("int64")
    drawn = stratified_folds(labels, repeats, seed)
    if drawn is None:
        pairs = int(np.sum(np.bincount(labels) >= 2))
        raise ValueError(
            "`labels` must hold two classes with two labels each, of which one can be "
            f"hidden. Received: {len(labels)} labels, {pairs} such class(es). "
            "Label more images."
        )
    folds, spare = drawn
    shares = np.zeros((len(labels), num_classes))
    count = Count("labels that are hidden in turn", len(folds), progress)
    for held in folds:
        shares[held] += fit(np.where(held, UNKNOWN, labels))[held] / repeats
        count.add()
    return shares, spare


def label_shares(found: LabelErrors, *, noise: float = USUAL_NOISE) -> np.ndarray:
    """What labelled images are probably of where a share of the labels is wrong.

    By Bayes: what the others say of an image, times how often one of that class gets
    the label that was given, each of the other classes being mistaken for it alike:

        q_ic ~ p_ic (1 - noise)        if c is the label given
        q_ic ~ p_ic noise / (C - 1)    of other classes

    Few labels are taken for another class so, and most suspects for either one: there
    is most to learn of right labels of images that are hard.

    Args:
        found: Of `find_label_errors`.
        noise: Share in (0, 1) that is taken to be wrong.

    Returns:
        `(n, C)` float64, rows that sum to 1, without shares below some 0.01 but that of
        the label given; of labels that are not judged all is of this one.

    Raises:
        ValueError: `noise` is out of range.

    Example:
        >>> shares = label_shares(find_label_errors(probabilities, labels))
        >>> probably_wrong = shares.argmax(axis=1) != labels
    """
    if not 0 < noise < 1:
        raise ValueError(f"`noise` must lie in (0, 1). Received: noise={noise}.")
    num_classes = found.probabilities.shape[1]
    given = np.eye(num_classes)[found.labels]
    mistaken = noise / max(num_classes - 1, 1)
    shares = found.probabilities * np.where(given > 0, 1 - noise, mistaken)
    sums = shares.sum(axis=1, keepdims=True)
    shares = np.where(sums > 0, shares / np.where(sums > 0, sums, 1), given)
    # A class whose labels are all doubted remains one.
    shares = np.where(shares >= _LEAST, shares, _LEAST * given)
    shares = shares / shares.sum(axis=1, keepdims=True)
    return np.where(found.judged[:, None], shares, given)


def label_weights(found: LabelErrors, *, noise: float = USUAL_NOISE) -> np.ndarray:
    """How much each label is to count where a share of them is wrong.

    As much as it is probably right: its own share in `label_shares`.

    Args:
        found, noise: As for `label_shares`.

    Returns:
        `(n,)` float64 in (0, 1], 1 for labels that are not judged.

    Raises:
        ValueError: `noise` is out of range.
    """
    shares = label_shares(found, noise=noise)
    return shares[np.arange(len(shares)), found.labels]


def _thresholds(shares: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """How sure of each class on the mean; of one without labels as of the others."""
    counts = np.bincount(labels, minlength=shares.shape[1])
    own = shares[np.arange(len(labels)), labels]
    sums = np.bincount(labels, own, minlength=shares.shape[1])
    means = sums / np.maximum(counts, 1)
    return np.where(counts > 0, means, means[counts > 0].mean())
