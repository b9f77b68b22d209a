"""Images of none of the classes."""

import numpy as np
import pytest

from semppl_keras.evaluation import stranger_shares
from semppl_keras.evaluation.knn import unit_rows
from semppl_keras.evaluation.strangers import kernel_sums, odds_of, share_of

pytestmark = pytest.mark.any_backend


def _images(count, kinds, seed):
    """Features of images of some of five kinds, and which they are of."""
    generator = np.random.default_rng(seed)
    which = np.asarray(kinds)[np.arange(count) % len(kinds)]
    features = np.eye(12)[which] + 0.25 * np.abs(generator.normal(size=(count, 12)))
    return features, which


def _shares(strangers, members=90, **keywords):
    labelled, labels = _images(30, [0, 1, 2], seed=0)
    known, which = _images(members, [0, 1, 2], seed=1)
    strange, _ = _images(strangers, [3, 4], seed=2)
    probabilities = np.full((members + strangers, 3), 1 / 3)
    probabilities[:members] = np.eye(3)[which]
    features = np.concatenate([known, strange])
    return stranger_shares(labelled, labels, features, probabilities, **keywords)


def _naive_density(query, rows, weights):
    total = 0.0
    for row, weight in zip(rows, weights, strict=True):
        cosine = query @ row / np.linalg.norm(query) / np.linalg.norm(row)
        total += weight * max(cosine, 0) ** 3
    return total


def test_strangers_are_told_from_members():
    shares = _shares(45)
    assert shares[90:].min() > shares[:90].max()
    assert shares[90:].mean() > 0.9
    # Some members are less like the few labelled images than these are like each other.
    assert np.mean(shares[:90] < 0.5) > 0.85
    # Where there are none, hardly any is found.
    assert _shares(0).mean() < 0.01


def test_strangers_that_are_far_off_do_not_make_strangers_of_others():
    # They are told how far off they are, and members beside them are no halves of it.
    for strangers, off in ((10, 0.06), (45, 0.12), (90, 0.14)):
        true = strangers / (90 + strangers)
        assert _shares(strangers).mean() == pytest.approx(true, abs=off)


def test_odds_of_strangers_are_those_of_two_normal_distributions():
    away = np.linspace(-4, 4, 30)
    for apart in (1.2, 1.6):
        strange, members = (np.exp(-((away - mean) ** 2) / 2) for mean in (-apart, 0.0))
        np.testing.assert_allclose(odds_of(away, apart), strange / members, rtol=1e-6)


def test_the_share_of_strangers_is_the_most_probable_one():
    odds = np.exp(np.random.default_rng(6).normal(-0.5, 1.5, 200))
    fit, share = share_of(odds)
    grid = np.linspace(0.001, 0.999, 999)
    # Ten more, all of them members.
    likelihood = [np.log(p * odds + 1 - p).sum() + 10 * np.log(1 - p) for p in grid]
    assert share == pytest.approx(grid[np.argmax(likelihood)], abs=2e-3)
    assert fit == pytest.approx(np.log(share * odds + 1 - share).mean())


def test_a_copy_of_a_labelled_image_is_no_stranger():
    own = [[] for _ in range(135)]
    own[100] = [3]
    shares = _shares(45, own=own)
    assert shares[100] == 0
    assert shares[101] > 0.5
    # Nothing to compare with.
    assert np.all(_shares(45, own=[[0]] * 135) == 0)


def test_density_is_that_of_a_loop():
    queries, _ = _images(7, [0, 3], seed=3)
    rows, _ = _images(9, [0, 1, 2], seed=4)
    weights = np.random.default_rng(5).random(9)
    expected = [_naive_density(query, rows, weights) for query in queries]
    units = [unit_rows(of) for of in (queries, rows)]
    found = kernel_sums(*units, weights, np.full(7, -1))
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    # Each without itself.
    own = kernel_sums(units[1], units[1], weights, np.arange(9))
    for place, query in enumerate(rows):
        others = np.arange(9) != place
        naive = _naive_density(query, rows[others], weights[others])
        assert own[place] == pytest.approx(naive, rel=1e-4)


def test_what_does_not_fit_is_told():
    features, labels = _images(6, [0, 1], seed=0)
    with pytest.raises(ValueError, match="as wide as `labelled`"):
        stranger_shares(features, labels, features[:, :5], np.ones((6, 2)))
    with pytest.raises(ValueError, match="as many as `probabilities`"):
        stranger_shares(features, labels, features, np.ones((5, 2)))
