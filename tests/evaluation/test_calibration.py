"""Probabilities that are as certain as they are right."""

import math

import numpy as np
import pytest
from keras import ops

from semppl_keras.evaluation import fit_temperature, match_confidence, tempered
from semppl_keras.evaluation.choosing import cross_validate, expected_accuracy

pytestmark = pytest.mark.any_backend


def _shares(rows=400, classes=4, seed=0):
    logits = 2 * np.random.default_rng(seed).normal(size=(rows, classes))
    shares = np.exp(logits)
    return shares / shares.sum(axis=1, keepdims=True)


def _drawn(shares, seed=1):
    """Labels that come as often as the shares say."""
    generator = np.random.default_rng(seed)
    return np.array([generator.choice(len(row), p=row) for row in shares])


def _naive_log_posterior(shares, labels, temperature, weight, usual, deviation):
    total = 0.0
    for row, label in zip(shares, labels, strict=True):
        powers = [share ** (1 / temperature) for share in row]
        total += weight * math.log(powers[label] / sum(powers))
    away = math.log(temperature / usual) / deviation
    return total + math.log((1 + away**2 / 4) ** (-5 / 2))


def test_tempered_is_what_dividing_the_logits_does():
    logits = np.random.default_rng(0).normal(size=(5, 3))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = np.exp(logits / 1.7)
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(tempered(shares, 1.7), expected, rtol=1e-9)
    np.testing.assert_allclose(tempered(shares, 1.0), shares, rtol=1e-9)
    # Of rank 0, as NumPy and the backends have a number.
    for array in (np.array, ops.convert_to_tensor):
        of_array = tempered(shares, array(2.0))
        assert of_array.dtype == "float64"
        np.testing.assert_array_equal(of_array, tempered(shares, 2.0))
    # A share of nothing stays next to nothing.
    assert tempered([[1.0, 0.0]], 1.0)[0, 1] < 1e-9
    for wrong in (0.0, -1.0, math.inf, math.nan, np.array(0), np.array(True)):
        with pytest.raises(ValueError, match="`temperature` must be positive"):
            tempered(shares, wrong)
    with pytest.raises(ValueError, match="must not be negative"):
        tempered([[1.5, -0.5]], 1.0)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_is_found_by_many_labels(temperature):
    shares = _shares(2000)
    labels = _drawn(tempered(shares, temperature))
    assert fit_temperature(shares, labels) == pytest.approx(temperature, rel=0.1)


def test_of_a_few_labels_the_most_probable_one_by_the_prior():
    shares, arguments = _shares(12), (1 / 3, 0.8, 0.4)
    labels = _drawn(shares)
    weight, usual, deviation = arguments
    found = fit_temperature(
        shares, labels, weight=weight, usual=usual, deviation=deviation
    )
    best = _naive_log_posterior(shares, labels, found, *arguments)
    for other in np.exp(np.linspace(-2.5, 3, 60)):
        # Found on a grid: what lies between is better by next to nothing.
        assert _naive_log_posterior(shares, labels, other, *arguments) < best + 1e-3
    # Whoever is always right with few labels is not made certain of everything.
    assert fit_temperature(np.eye(3) * 0.9 + 1 / 30, np.arange(3)) > 0.5
    with pytest.raises(ValueError, match="`deviation` must be positive"):
        fit_temperature(shares, labels, deviation=0)
    with pytest.warns(UserWarning, match="left out"):
        fit_temperature(shares[:3], np.array([0, -1, 1]))


def test_as_certain_as_right():
    shares = _shares()
    for accuracy in (0.4, 0.7, 0.95):
        temperature = match_confidence(shares, accuracy)
        confidence = tempered(shares, temperature).max(axis=1).mean()
        assert confidence == pytest.approx(accuracy, abs=0.005)
    # No temperature makes them less certain than chance.
    assert match_confidence(shares, 0.0) == pytest.approx(50, rel=0.02)


def test_a_classifier_is_calibrated_by_what_is_held_out():
    labels = np.tile(np.arange(3), 20)
    generator = np.random.default_rng(0)
    answers = np.where(generator.random(60) < 0.3, (labels + 1) % 3, labels)
    right = np.mean(answers == labels)

    def fit(given):
        # Of what it was given it is certain, of what is held out too much so.
        sure = np.where(given < 0, 0.98, 0.999999)[:, None]
        shares = np.where(np.eye(3)[answers] > 0, sure, (1 - sure) / 2)
        return shares, np.array([[0.98, 0.01, 0.01]])

    measured = cross_validate(fit, labels)
    said = tempered([[0.98, 0.01, 0.01]], measured.temperature).max()
    assert said == pytest.approx(right, abs=0.1)
    # What has seen the labels is as certain of the others as it should be.
    saw = cross_validate(fit, labels, saw_labels=True, honest=0.5)
    assert tempered([[0.98, 0.01, 0.01]], saw.temperature).max() == pytest.approx(
        expected_accuracy(saw.mean, 0.5), abs=0.02
    )
    assert expected_accuracy(0.8, None) == 0.8
