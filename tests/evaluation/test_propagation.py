"""Label propagation against a naive reference in float64."""

import numpy as np
import pytest
from sklearn.datasets import make_blobs, make_moons

from semppl_keras.evaluation import propagate_labels

pytestmark = pytest.mark.any_backend


def _reference(
    features,
    labels,
    classes,
    neighbours=10,
    power=3.0,
    alpha=0.95,
    steps=60,
):
    """Shares, row by row and edge by edge."""
    features = features.astype("float64")
    length = len(features)
    norms = [np.linalg.norm(row) or 1.0 for row in features]
    weights = np.zeros((length, length))
    for row in range(length):
        similar = [
            features[row] @ features[other] / (norms[row] * norms[other])
            for other in range(length)
        ]
        others = [other for other in range(length) if other != row]
        others.sort(key=lambda other: (-round(similar[other], 9), other))
        for other in others[:neighbours]:
            weight = max(similar[other], 0.0) ** power
            weights[row, other] = weights[other, row] = weight
    ends = weights.sum(axis=1)
    given = np.zeros((length, classes))
    for row, label in enumerate(labels):
        if label >= 0:
            given[row, label] = 1
    spread = given.copy()
    for _ in range(steps):
        taken = np.zeros_like(spread)
        for row in range(length):
            for other in np.flatnonzero(weights[row]):
                scale = np.sqrt(ends[row] * ends[other])
                taken[row] += weights[row, other] / scale * spread[other]
        spread = alpha * taken + (1 - alpha) * given
    shares = np.full((length, classes), 1 / classes)
    for row, label in enumerate(labels):
        if label >= 0:
            shares[row] = np.eye(classes)[label]
        elif spread[row].sum() > 0:
            shares[row] = spread[row] / spread[row].sum()
    return shares


def _moons(count=400, labelled=2, seed=0):
    """Two moons on a sphere, where nearness in angle is nearness; a few labels."""
    points, classes = make_moons(count, noise=0.05, random_state=seed)
    features = np.concatenate([points, np.full((count, 1), 2.0)], axis=1)
    labels = np.full(count, -1)
    for label in (0, 1):
        labels[np.flatnonzero(classes == label)[:labelled]] = label
    return features.astype("float32"), labels, classes


def _blobs(count=300, classes=4, labelled=3, seed=0, spread=1.0):
    features, truth = make_blobs(
        count, 16, centers=classes, cluster_std=spread, random_state=seed
    )
    labels = np.full(count, -1)
    for label in range(classes):
        labels[np.flatnonzero(truth == label)[:labelled]] = label
    return features.astype("float32"), labels, truth


@pytest.mark.parametrize(
    "settings",
    [{}, {"neighbours": 3, "power": 1.0, "alpha": 0.5, "steps": 5}],
)
def test_shares_are_those_of_a_naive_reference(settings):
    generator = np.random.default_rng(0)
    features = generator.normal(size=(60, 5)).astype("float32")
    # Equal rows, and one that has no direction.
    features[40:55] = features[0]
    features[58] = 0
    labels = np.full(60, -1)
    labels[[0, 1, 2, 3, 58]] = [0, 1, 2, 0, 1]
    shares = propagate_labels(features, labels, 4, **settings)
    assert shares.dtype == np.float32
    np.testing.assert_allclose(
        shares, _reference(features, labels, 4, **settings), atol=1e-6
    )


def _evened(features, whitening):
    """Coordinates along the principal axes, divided by powers of their deviations."""
    centred = features.astype("float64") - features.astype("float64").mean(axis=0)
    variances, axes = np.linalg.eigh(centred.T @ centred / (len(features) - 1))
    return centred @ axes / variances ** (whitening / 2)


@pytest.mark.parametrize("whitening", [0.3, 1.0])
def test_shares_of_evened_directions_are_those_of_a_naive_reference(whitening):
    generator = np.random.default_rng(0)
    features = generator.normal(size=(60, 5)) * [9.0, 4.0, 2.0, 1.0, 0.3] + 5
    labels = np.full(60, -1)
    labels[[0, 1, 2, 3, 58]] = [0, 1, 2, 0, 1]
    np.testing.assert_allclose(
        propagate_labels(features, labels, whitening=whitening),
        _reference(_evened(features, whitening), labels, 3),
        atol=1e-5,
    )


def test_rows_that_do_not_differ_have_no_directions():
    labels = np.array([0, 1, -1, -1])
    alike = np.ones((4, 3))
    np.testing.assert_array_equal(
        propagate_labels(alike, labels, whitening=0.3), propagate_labels(alike, labels)
    )


def test_evened_directions_see_past_one_that_says_nothing():
    features, labels, truth = _blobs(labelled=2, spread=0.5)
    loud = np.random.default_rng(1).normal(size=(len(features), 1)) * 1000
    features = np.concatenate([features, loud], axis=1)
    misled = propagate_labels(features, labels).argmax(axis=1)
    evened = propagate_labels(features, labels, whitening=1.0).argmax(axis=1)
    assert np.mean(misled == truth) < 0.85
    assert np.mean(evened == truth) > 0.95
    # Images that are not joined are compared in the same directions.
    part = propagate_labels(features, labels, whitening=1.0, max_exact=150)
    assert np.mean(part.argmax(axis=1) == truth) > 0.95


def test_moons_are_told_apart_by_two_labels_each():
    features, labels, classes = _moons()
    assert np.mean(propagate_labels(features, labels).argmax(axis=1) == classes) > 0.99


def test_the_length_of_features_and_their_type_are_of_no_effect():
    features, labels, _ = _blobs()
    shares = propagate_labels(features, labels)
    lengths = np.random.default_rng(1).uniform(0.1, 9, size=(len(features), 1))
    np.testing.assert_allclose(
        propagate_labels((features * lengths).astype("float64"), labels),
        shares,
        atol=1e-5,
    )


def test_what_is_left_out_of_the_graph_comes_close_to_being_in_it():
    features, labels, truth = _blobs(600, spread=3.0)
    whole = propagate_labels(features, labels)
    part = propagate_labels(features, labels, max_exact=200, seed=3)
    assert np.mean(whole.argmax(axis=1) == part.argmax(axis=1)) > 0.97
    assert np.mean(np.abs(whole - part)) < 0.1
    np.testing.assert_allclose(part.sum(axis=1), 1, rtol=1e-5)
    # Labelled rows are in it, however few rows are.
    known = labels >= 0
    least = propagate_labels(features, labels, max_exact=2)
    for shares in (part, least):
        np.testing.assert_array_equal(shares[known], np.eye(4)[labels[known]])
    assert np.mean(least.argmax(axis=1) == truth) > 0.9


def test_the_same_again_and_another_seed_draws_others():
    features, labels, _ = _blobs(400, spread=4.0)
    first, again, other = (
        propagate_labels(features, labels, max_exact=100, seed=seed)
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.01


def test_rows_do_not_depend_on_the_block_in_which_they_are_compared(monkeypatch):
    from semppl_keras.evaluation import neighbour_graph

    generator = np.random.default_rng(0)
    # Copies of a few rows: all that is near is equally near.
    features = np.repeat(generator.normal(size=(9, 33)), 30, axis=0).astype("float32")
    labels = np.full(len(features), -1)
    labels[::30] = np.arange(9) % 3
    shares = propagate_labels(features, labels)
    for rows in (7, 64):
        monkeypatch.setattr(neighbour_graph, "ROWS_AT_ONCE", rows)
        np.testing.assert_array_equal(propagate_labels(features, labels), shares)


def test_balanced_columns_come_to_the_prior():
    features, labels, _ = _blobs(300, spread=14.0)
    prior = np.array([0.4, 0.3, 0.2, 0.1])
    shares = propagate_labels(features, labels, class_prior=prior)
    np.testing.assert_allclose(shares.sum(axis=0), 300 * prior, rtol=1e-3)
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)
    # Counts say the same.
    np.testing.assert_array_equal(
        propagate_labels(features, labels, class_prior=30 * prior), shares
    )
    balanced = propagate_labels(features, labels, balance=True)
    np.testing.assert_allclose(balanced.sum(axis=0), 75, rtol=1e-3)
    plain = propagate_labels(features, labels)
    assert np.ptp(plain.sum(axis=0)) > np.ptp(balanced.sum(axis=0))


def test_what_no_label_reaches_gets_the_prior_or_as_much_of_every_class():
    features = np.repeat(np.eye(3), 5, axis=0).astype("float32")
    labels = np.full(15, -1)
    labels[0], labels[5] = 0, 1
    shares = propagate_labels(features, labels, 4, neighbours=4)
    np.testing.assert_allclose(shares[10:], 0.25)
    np.testing.assert_allclose(shares[:5], np.eye(4)[[0] * 5], atol=1e-6)
    # The same of what is not joined.
    far = propagate_labels(features, labels, 4, neighbours=4, max_exact=2)
    np.testing.assert_allclose(far[10:], 0.25)
    # Nobody expects what nobody has labelled: it is spread over all the others.
    prior = [0.5, 0.25, 0.25, 0.0]
    shares = propagate_labels(features, labels, 4, neighbours=4, class_prior=prior)
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)
    assert np.all(shares[10:, 3] == 0)


def test_a_class_without_labels_is_given_to_no_row():
    features, labels, _ = _blobs(60)
    shares = propagate_labels(features, labels, 6, class_prior=np.ones(6))
    assert shares.shape == (60, 6)
    assert not shares[:, 4:].any()


def test_a_single_row_and_two():
    np.testing.assert_array_equal(propagate_labels(np.ones((1, 2)), np.array([0])), 1)
    shares = propagate_labels(np.ones((2, 2)), np.array([1, -1]))
    np.testing.assert_allclose(shares, [[0, 1], [0, 1]], atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"labels": np.full(60, -1)}, "some known classes"),
        ({"labels": np.full(60, -2)}, "from 0 on, or -1.*Received: -2"),
        ({"labels": np.full(60, "cat")}, "integers"),
        ({"labels": np.full(60, True)}, "integers"),
        ({"labels": np.full(60, 4), "num_classes": 4}, r"\[0, 4\)"),
        ({"labels": np.zeros(9, int)}, "one entry per row"),
        ({"labels": np.zeros(60)}, "integers"),
        ({"features": np.full((60, 2), np.nan)}, "finite"),
        ({"features": np.full((60, 2), 1e200)}, "3.4e38 in 60 of 60 rows"),
        ({"features": np.ones(60)}, r"\(N, F\)"),
        ({"num_classes": 0}, "num_classes"),
        ({"neighbours": 0}, "neighbours=0"),
        ({"power": 0}, "power=0"),
        ({"whitening": 1.5}, "whitening=1.5"),
        ({"whitening": None}, "whitening=None"),
        ({"neighbours": 2.5}, "neighbours=2.5"),
        ({"alpha": 1}, "alpha=1"),
        ({"steps": 0}, "steps=0"),
        ({"steps": 2.5}, "steps=2.5"),
        ({"max_exact": 1}, "max_exact=1"),
        ({"class_prior": [0.5, 0.5]}, "4 numbers"),
        ({"class_prior": [1, 1, 1, -1]}, "none negative"),
    ],
)
def test_what_cannot_be_spread_is_told(changes, told):
    features, labels, _ = _blobs(60)
    arguments = {"features": features, "labels": labels, **changes}
    with pytest.raises(ValueError, match=told):
        propagate_labels(**arguments)


def test_classes_do_not_depend_on_those_that_are_spread_beside_them(monkeypatch):
    from semppl_keras.evaluation import propagation

    features, labels, _ = _blobs(120, classes=7, labelled=2, spread=4.0)
    shares = propagate_labels(features, labels)
    for classes in (1, 3):
        monkeypatch.setattr(propagation, "CLASSES_AT_ONCE", classes)
        np.testing.assert_allclose(propagate_labels(features, labels), shares, 1e-6)
