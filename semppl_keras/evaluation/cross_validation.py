"""Labelled images predicted by what the others of them teach."""

import warnings
from typing import Any

import numpy as np

from semppl_keras.evaluation.counting import Count, Progress
from semppl_keras.evaluation.inputs import all_known, as_features
from semppl_keras.evaluation.probe import fit_probe

_MAX_FOLDS = 5


def cross_validated_predictions(
    features: Any,
    labels: Any,
    *,
    seed: int = 0,
    progress: Progress | None = None,
    **options: Any,
) -> np.ndarray:
    """Predicts each row by a linear probe that was fitted without it.

    In stratified cross-validation of up to five folds, as many as the rarest class has
    rows. The penalty is chosen within the rows that each probe is fitted to.

    Args:
        features: `(N, F)`, finite.
        labels: `(N,)` integers, at least two rows of each class and two classes, none
            unknown (-1).
        seed: Shuffles the folds.
        progress: Function of (what is done: str, how many, of how many).
        options: As for `fit_probe`, which fits the probes.

    Returns:
        `(N,)` integers.

    Raises:
        ValueError: Wrong shapes, a single class, a class with a single row, or
            labels of -1.

    Example:
        >>> predicted = cross_validated_predictions(features, labels)
        >>> np.mean(predicted == labels)
    """
    from sklearn.model_selection import StratifiedKFold

    features = as_features(features, "features")
    labels = all_known(labels, "labels", len(features))
    classes, counts = np.unique(labels, return_counts=True)
    if len(classes) < 2 or counts.min() < 2:
        raise ValueError(
            "`labels` must hold at least two classes and two rows of each. Received: "
            f"{len(classes)} class(es), {counts.min()} row(s) of "
            f"{classes[counts.argmin()]}."
        )
    folds = StratifiedKFold(
        n_splits=min(_MAX_FOLDS, int(counts.min())), shuffle=True, random_state=seed
    )
    predicted = np.empty_like(labels)
    with warnings.catch_warnings():
        # Two labels each of many classes are few, and classes all the same.
        warnings.filterwarnings("ignore", "The number of unique classes is greater")
        splits = list(folds.split(features, labels))
    count = Count("folds of cross-validation", len(splits), progress)
    for fitted, held_out in splits:
        probe = fit_probe(features[fitted], labels[fitted], seed=seed, **options)
        predicted[held_out] = probe.predict(features[held_out])
        count.add()
    return predicted
