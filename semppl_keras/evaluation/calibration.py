"""Probabilities as certain as they are right (temperature scaling)."""

import math
from typing import Any

import numpy as np

from semppl_keras.checks import check_positive
from semppl_keras.evaluation.inputs import as_features, known_rows

# What is looked for is between these, as logarithms: of 1 / 20 and 50.
_LOWEST, _HIGHEST = math.log(0.05), math.log(50.0)
_STEP = 0.02
# Of the logarithm of a temperature before any label speaks, Student's t: its centre, a
# classifier of all labels being surer, and more often right, than those of the folds;
# its scale; and its degrees of freedom, so few that labels which contradict it win. How
# they were found: docs/results/confidence.md.
_USUAL, _DEVIATION, _FREEDOM = -0.3, 0.2, 4
# A share of nothing has no logarithm.
_LEAST = 1e-12


def tempered(probabilities: Any, temperature: float) -> np.ndarray:
    """Probabilities made less certain, or more: p^(1 / temperature), brought to sum 1.

    What is most probable stays so. It is what dividing the logits by the temperature
    does (Guo et al. 2017).

    Args:
        probabilities: `(N, C)`, finite and not negative.
        temperature: Positive, a number or an array of rank 0; above 1 for less certain
            ones.

    Returns:
        `(N, C)` float64, rows that sum to 1.

    Raises:
        ValueError: A temperature that is not positive, or wrong shapes.

    Example:
        >>> tempered([[0.8, 0.2]], 2.0)
        array([[0.66666667, 0.33333333]])
    """
    check_positive(temperature=temperature)
    # Of any framework's array of rank 0, too.
    return _tempered(_logarithms(probabilities), float(temperature))


def fit_temperature(
    probabilities: Any,
    labels: Any,
    *,
    weight: float = 1.0,
    usual: float = math.exp(_USUAL),
    deviation: float = _DEVIATION,
) -> float:
    """The temperature that fits what a classifier says of images it was not given.

    The most probable one, given the labels, if before them its logarithm is distributed
    as Student's t around that of `usual`: chance makes little of a few labels, and the
    prior little of many, or of those that clearly contradict it.

    Args:
        probabilities: `(N, C)`, of images held out.
        labels: `(N,)` integers in [0, C), or -1: such rows are left out, and told.
        weight: Positive, how much a row counts: 1 / 3 where each image is there thrice.
        usual: Positive, what the temperature would be without any label.
        deviation: Positive, scale of the distribution.

    Returns:
        A float from 1 / 20 to 50.

    Raises:
        ValueError: Shapes that do not fit, or arguments that are not positive.

    Example:
        >>> temperature = fit_temperature(held_out_probabilities, held_out_labels)
        >>> tempered(probabilities, temperature).max(axis=1)
    """
    check_positive(weight=weight, usual=usual, deviation=deviation)
    logarithms = _logarithms(probabilities)
    labels, logarithms = known_rows(
        labels, "labels", logarithms, num_classes=logarithms.shape[1]
    )
    rows = np.arange(len(labels))

    def misfit(log_temperature: float) -> float:
        shares = _tempered(logarithms, math.exp(log_temperature))[rows, labels]
        unlikely = -float(np.log(np.maximum(shares, _LEAST)).sum())
        away = (log_temperature - math.log(usual)) / deviation
        prior = (_FREEDOM + 1) / 2 * math.log1p(away**2 / _FREEDOM)
        return weight * unlikely + prior

    candidates = np.arange(_LOWEST, _HIGHEST, _STEP)
    return math.exp(min(candidates, key=misfit))


def match_confidence(probabilities: Any, accuracy: float) -> float:
    """The temperature by which a classifier is as certain, on the mean, as it is right.

    For images that nobody has labelled, where an accuracy is known from elsewhere.

    Args:
        probabilities: `(N, C)`, N at least 1.
        accuracy: In [0, 1].

    Returns:
        A float from 1 / 20 to 50, one of these ends where no temperature does it.

    Raises:
        ValueError: Wrong shapes.

    Example:
        >>> temperature = match_confidence(probabilities, accuracy=0.72)
        >>> tempered(probabilities, temperature).max(axis=1).mean()
    """
    logarithms = _logarithms(probabilities)
    low, high = _LOWEST, _HIGHEST
    while high - low > _STEP / 4:
        middle = (low + high) / 2
        confidence = _tempered(logarithms, math.exp(middle)).max(axis=1).mean()
        # The higher the temperature, the less certain.
        low, high = (middle, high) if confidence > accuracy else (low, middle)
    return math.exp((low + high) / 2)


def _logarithms(probabilities: Any) -> np.ndarray:
    shares = as_features(probabilities, "probabilities").astype("float64")
    if shares.size and shares.min() < 0:
        raise ValueError(
            "`probabilities` must not be negative. Received: values down to "
            f"{shares.min():g}."
        )
    return np.log(np.maximum(shares, _LEAST))


def _tempered(logarithms: np.ndarray, temperature: float) -> np.ndarray:
    scaled = logarithms / temperature
    shares = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)
