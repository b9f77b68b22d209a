"""Which of several classifiers is best, by the labelled images alone."""

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from semppl_keras.evaluation.calibration import fit_temperature, match_confidence
from semppl_keras.evaluation.counting import Count, Progress
from semppl_keras.evaluation.folds import REPEATS, stratified_folds
from semppl_keras.evaluation.inputs import UNKNOWN, all_known

# Of labels with -1 in the place of those that are held out, `(n,)`: shares of all
# labelled images, `(n, C)`, and of images that nobody has labelled, `(m, C)`, of which
# there may be none.
Fit = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclasses.dataclass(frozen=True)
class CrossValidation:
    """How often a classifier is right about labels that it was not given.

    Args:
        correct: For each labelled image that was held out, in how many of the draws of
            folds it was recognised, a share.
        optimism: What `correct` is too high by, on the mean, for features that were
            trained with these labels; 0 for others.
        temperature: By which what it says of other images is as certain as it is right
            (`evaluation.tempered`).
        weights: How much each of these images counts, 1 on the mean; empty where all
            count alike.
    """

    correct: tuple[float, ...]
    optimism: float = 0.0
    temperature: float = 1.0
    weights: tuple[float, ...] = ()

    @property
    def weighted(self) -> np.ndarray:
        """`correct`, each times its weight: their mean is the flattered accuracy."""
        return np.multiply(self.correct, self.weights or 1.0)

    @property
    def mean(self) -> float:
        """The accuracy, without the optimism."""
        # Weights add up to no more than nearly 1.
        return min(1.0, max(0.0, float(np.mean(self.weighted)) - self.optimism))

    @property
    def std_error(self) -> float:
        """Of the mean, as far as it depends on which images are labelled."""
        return _std_error(self.weighted)


def cross_validate(
    fit: Fit,
    labels: Any,
    *,
    saw_labels: bool = False,
    honest: float | None = None,
    repeats: int = REPEATS,
    seed: int = 0,
    progress: Progress | None = None,
) -> CrossValidation | None:
    """Measures a classifier on the labels that it may be fitted to.

    In stratified folds, up to five, drawn `repeats` times, the same for every
    classifier of the same labels and seed. A label is hidden from the classifier while
    it is held out, also where that looks at all images, labelled or not. The only
    label of a class is never held out, and not measured. Every class counts alike: how
    often one is among the labels that somebody has given says little of how often it
    is among the images.

    Features that were trained with these labels have drawn the images that belong to
    them together, so that held-out ones are recognised more easily than images that
    nobody has labelled. No folds can show by how much. With `saw_labels` the mean is
    lowered by how much more certain the classifier is of held-out labelled images than
    of others that it takes for the same class, which goes with how much more often it
    is right (Guillory et al. 2021). That is an estimate, and mostly too low a one.

    What it says of the labels that are held out is also what its temperature is fitted
    to. Of features that have seen these labels that would be too certain: there the
    temperature is that by which it is as certain, on the mean over the others, as
    halfway between its own mean, which is too high, and `honest`, of a classifier that
    has learned less; without that as its own mean.

    Args:
        fit: Function of labels `(n,)`, with -1 for those that are held out: shares
            `(n, C)` of the labelled images, and `(m, C)` of some that nobody has
            labelled.
        labels: `(n,)` integers.
        saw_labels: Whether the features were trained with them.
        honest: How often a classifier is right, a share, that has not seen the labels
            and is about as good; None where there is none.
        repeats: At least 1.
        seed: Shuffles the folds.
        progress: Function of (what is done: str, how many, of how many).

    Returns:
        A `CrossValidation`; None where fewer than two classes have a label to spare.

    Raises:
        ValueError: Labels that are none.

    Example:
        >>> def fit(labels):
        ...     probe = linear_probe(features[labels >= 0], labels[labels >= 0])
        ...     return probe.predict_proba(features), probe.predict_proba(others)
        >>> cross_validate(fit, labels).mean
    """
    labels = all_known(labels, "labels", len(labels)).astype("int64")
    drawn = stratified_folds(labels, repeats, seed)
    if drawn is None:
        return None
    folds, spare = drawn
    correct, surer = np.zeros(len(labels)), []
    said: list[np.ndarray] = []
    said_of_others: list[np.ndarray] = []
    count = Count("folds of cross-validation", len(folds), progress)
    for held in folds:
        shares, others = fit(np.where(held, UNKNOWN, labels))
        correct[held] += shares[held].argmax(axis=1) == labels[held]
        said.append(shares[held])
        if saw_labels:
            surer.append(_surer(shares[held], others))
            said_of_others.append(others)
        count.add()
    optimism = max(0.0, float(np.mean(surer))) if surer else 0.0
    measured = CrossValidation(
        tuple((correct[spare] / repeats).tolist()),
        optimism,
        weights=_balancing(labels[spare]),
    )
    if sum(map(len, said_of_others)):
        accuracy = expected_accuracy(measured.mean, honest)
        temperature = match_confidence(np.concatenate(said_of_others), accuracy)
    else:
        held_labels = np.concatenate([labels[held] for held in folds])
        temperature = fit_temperature(
            np.concatenate(said), held_labels, weight=1 / repeats
        )
    return dataclasses.replace(measured, temperature=temperature)


def expected_accuracy(flattered: float, honest: float | None) -> float:
    """How often a classifier is right about images that nobody has labelled.

    Args:
        flattered: By labels that its features have seen, a share.
        honest: As for `cross_validate`.
    """
    return flattered if honest is None else (flattered + honest) / 2


def choose(
    measured: Mapping[str, CrossValidation | None],
    preference: Sequence[str],
    trained: Collection[str] = (),
    contained: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """The best of several classifiers that were measured on the same labels.

    Of a few labels a small difference says nothing: among those that are behind the
    best one by no more than the standard error of the difference, image by image, the
    one that is preferred wins. What was trained with these labels is flattered by them,
    each classifier by as much as its features fit them: such numbers tell nothing of
    which of these is best, so that the one that is preferred stands for all of them.
    Nor do they tell one from what it contains that is not flattered, unless it is not
    even ahead of it: else it is expected to be the better of the two, and is compared
    with all others by the number of what it contains.

    Args:
        measured: By name what `cross_validate` gave, all of them of the same labels and
            seed, or all None.
        preference: Names, the one that is expected to be best first; names that are not
            in `measured` are passed over.
        trained: Names of those whose features were trained with the labels.
        contained: By name of one of these the name of another that is not, and that it
            contains.

    Returns:
        A name.

    Raises:
        ValueError: None of the names is preferred.
    """
    named = [name for name in preference if name in measured]
    if not named:
        raise ValueError(
            "`preference` must name some classifiers that were measured. Received: "
            f"{', '.join(preference)}, where {', '.join(measured)} were."
        )
    known = {name: one for name in named if (one := measured[name]) is not None}
    if not known:
        return named[0]
    of_trained = [name for name in known if name in trained]
    for name in of_trained[1:]:
        del known[name]
    for whole, part in contained.items():
        if whole in known and part in known:
            ahead = known[whole].weighted.mean() > known[part].weighted.mean()
            if ahead:
                known[whole] = known[part]
            del known[part if ahead else whole]
    best = max(known.values(), key=lambda one: one.mean)
    return next(name for name, one in known.items() if not _is_behind(one, best))


def _balancing(labels: np.ndarray) -> tuple[float, ...]:
    """Weights by which all classes count alike; none where they do so anyway."""
    counts = np.bincount(labels)
    of_each = counts[labels]
    if of_each.min() == of_each.max():
        return ()
    weights = len(labels) / (np.count_nonzero(counts) * of_each)
    return tuple(weights.tolist())


def _surer(some: np.ndarray, others: np.ndarray) -> float:
    """By how much the largest shares of some are larger than those of others.

    On the mean over the classes that both are taken for: classes may come more or less
    often among images that somebody has chosen to label.

    Args:
        some: `(n, C)`.
        others: `(m, C)`.
    """
    means = []
    for shares in (some, others):
        taken = np.eye(some.shape[1])[shares.argmax(axis=1)]
        counts = taken.sum(axis=0)
        sums = taken.T @ shares.max(axis=1)
        means.append(np.where(counts > 0, sums / np.maximum(counts, 1), np.nan))
    differences = means[0] - means[1]
    known = ~np.isnan(differences)
    return float(differences[known].mean()) if known.any() else 0.0


def _is_behind(one: CrossValidation, best: CrossValidation) -> bool:
    """Whether by more than chance, as far as that can be told."""
    differences = best.weighted - one.weighted
    return best.mean - one.mean > _std_error(differences)


def _std_error(values: np.ndarray) -> float:
    if len(values) < 2:
        return 0.0
    return float(np.std(values, ddof=1) / np.sqrt(len(values)))
