"""How frequent classes are, of which a few labels are known."""

import math

import numpy as np
import pytest
from sklearn.datasets import make_blobs

from semppl_keras.evaluation.class_frequencies import (
    balanced_label_weights,
    believed_frequencies,
)
from semppl_keras.evaluation.neighbour_graph import NeighbourGraph
from semppl_keras.evaluation.propagation import spread_labels, spread_labels_alike

pytestmark = pytest.mark.any_backend


def _reference(shares, labels):
    """The equation, class by class."""
    counts = [np.sum(labels == label) for label in range(shares.shape[1])]
    there = [label for label, count in enumerate(counts) if count]
    means = [sum(row[label] for row in shares) for label in there]
    means = [mean / sum(means) for mean in means]
    uneven = math.log(len(there)) + sum(mean * math.log(mean) for mean in means)
    per_class = len(there) / sum(1 / counts[label] for label in there)
    by_chance = (1 - 1 / len(there)) / (6 * per_class)
    power = max(0.0, 1 - by_chance / uneven)
    expected = np.zeros(len(counts))
    expected[there] = [mean**power for mean in means]
    return expected / expected.sum()


def _labelled(counts, length=400):
    labels = np.full(length, -1)
    labels[: sum(counts)] = np.repeat(np.arange(len(counts)), counts)
    return labels


@pytest.mark.parametrize("counts", [[4, 4, 4], [1, 9, 3], [30, 30, 30], [5, 0, 5]])
def test_frequencies_are_those_of_a_naive_reference(counts):
    shares = np.random.default_rng(0).dirichlet([3.0, 0.3, 1.0], 400)
    labels = _labelled(counts)
    found = believed_frequencies(shares, labels)
    np.testing.assert_allclose(found, _reference(shares, labels), rtol=1e-9)
    assert found.sum() == pytest.approx(1)


def test_the_more_labels_say_it_the_more_is_believed_of_it():
    shares = np.eye(2)[[0] * 300 + [1] * 100]
    found = [believed_frequencies(shares, _labelled([n, n]))[0] for n in (1, 4, 16, 64)]
    assert found == sorted(found)
    assert 0.5 < found[0] < 0.7
    assert found[-1] == pytest.approx(0.75, abs=0.01)


def test_what_may_be_chance_is_not_believed():
    shares = np.eye(2)[[0] * 210 + [1] * 190]
    np.testing.assert_array_equal(believed_frequencies(shares, _labelled([4, 4])), 0.5)
    even = np.full((400, 2), 0.5)
    np.testing.assert_array_equal(believed_frequencies(even, _labelled([9, 1])), 0.5)


def test_of_one_class_there_is_nothing_to_tell():
    shares = np.full((400, 3), 1 / 3)
    np.testing.assert_array_equal(
        believed_frequencies(shares, _labelled([0, 5, 0])), [0, 1, 0]
    )


def _spread(of_each, labelled, spread=6.0):
    """A graph over blobs of some sizes, a few labels of each, and the truth."""
    features, truth = make_blobs(
        of_each, 16, centers=None, cluster_std=spread, random_state=3
    )
    labels = np.full(len(truth), -1)
    for label, count in enumerate(labelled):
        labels[np.flatnonzero(truth == label)[:count]] = label
    graph = NeighbourGraph(features.astype("float32"), labels >= 0, power=3.0)
    return graph, labels, truth


def test_how_many_labels_a_class_has_says_nothing_of_how_frequent_it_is():
    graph, labels, truth = _spread([150, 150, 150, 150], [40, 2, 6, 6])
    others = labels < 0
    counts = np.bincount(labels[~others])
    alike = spread_labels_alike(graph, labels, 4)
    by_labels = spread_labels(graph, labels, 4, class_prior=counts / counts.sum())
    right = [
        np.mean(shares.argmax(axis=1)[others] == truth[others])
        for shares in (alike, by_labels)
    ]
    assert right[0] > right[1] + 0.1
    np.testing.assert_allclose(alike.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(alike[~others], np.eye(4)[labels[~others]])


def test_classes_that_are_rare_among_the_images_stay_so():
    graph, labels, truth = _spread([400, 400, 60, 60], [10, 10, 10, 10], spread=3.0)
    alike = spread_labels_alike(graph, labels, 4)
    even = spread_labels(graph, labels, 4, class_prior=np.full(4, 0.25))
    right = [np.mean(shares.argmax(axis=1) == truth) for shares in (alike, even)]
    assert right[0] > right[1] + 0.03
    assert alike.sum(axis=0)[2:].max() < 120


def test_equally_many_labels_of_equally_frequent_classes_are_balanced():
    graph, labels, _ = _spread([150, 150, 150, 150], [6, 6, 6, 6], spread=2.0)
    np.testing.assert_array_equal(
        spread_labels_alike(graph, labels, 4),
        spread_labels(graph, labels, 4, class_prior=np.full(4, 0.25)),
    )


def test_every_class_of_labels_counts_alike():
    labels = np.array([0, 0, 0, 1, -1, 2, 2])
    weights = balanced_label_weights(labels)
    np.testing.assert_allclose(weights, [2 / 3, 2 / 3, 2 / 3, 2, 0, 1, 1])
    shares = np.random.default_rng(0).dirichlet(np.ones(3), 7)
    doubted = balanced_label_weights(labels, shares)
    np.testing.assert_allclose(doubted.sum(axis=0), 2)
    np.testing.assert_array_equal(doubted[4], 0)
    ratios = doubted[0] / doubted[5]
    np.testing.assert_allclose(ratios, shares[0] / shares[5])
    equal = balanced_label_weights(np.array([1, 0, 0, 1]))
    np.testing.assert_array_equal(equal, np.ones(4))
