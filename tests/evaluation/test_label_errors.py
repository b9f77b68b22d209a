"""Labels that are probably wrong, and classes of which there are few."""

import numpy as np
import pytest

from semppl_keras.evaluation import (
    balanced_accuracy,
    find_label_errors,
    held_out_probabilities,
    label_shares,
    label_weights,
    per_class_accuracy,
)
from semppl_keras.evaluation.class_frequencies import balanced_label_weights
from semppl_keras.evaluation.neighbour_graph import NeighbourGraph
from semppl_keras.evaluation.probe import refitted
from semppl_keras.evaluation.propagated_probe import (
    averaged_shares,
    propagated_probe,
)
from semppl_keras.evaluation.propagation import spread_labels
from semppl_keras.evaluation.unit_probe import unit_probe

pytestmark = pytest.mark.any_backend


def _shares(rows=40, classes=4, seed=0):
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, rows)
    shares = generator.dirichlet(np.full(classes, 0.7), rows)
    shares[np.arange(rows), labels] += 0.4
    return shares / shares.sum(axis=1, keepdims=True), labels


def _reference(shares, labels):
    """Confident learning, image by image."""
    classes = shares.shape[1]
    thresholds = []
    for label in range(classes):
        own = [shares[i, label] for i in range(len(labels)) if labels[i] == label]
        thresholds.append(sum(own) / len(own))
    joint = np.zeros((classes, classes), int)
    scores, suggested, errors = [], [], []
    for row, label in zip(shares, labels, strict=True):
        ahead = [row[c] - thresholds[c] for c in range(classes)]
        best = max(c for c in range(classes) if c != label)
        for c in range(classes):
            if c != label and ahead[c] > ahead[best]:
                best = c
        scores.append(ahead[label] - ahead[best])
        suggested.append(best if scores[-1] < 0 else label)
        sure = [c for c in range(classes) if ahead[c] >= 0]
        errors.append(False)
        if sure:
            found = max(sure, key=lambda c: row[c])
            joint[label, found] += 1
            errors[-1] = found != label
    return thresholds, joint, scores, suggested, errors


def test_suspects_are_those_of_a_naive_reference():
    shares, labels = _shares()
    found = find_label_errors(shares, labels)
    thresholds, joint, scores, suggested, errors = _reference(shares, labels)
    np.testing.assert_allclose(found.thresholds, thresholds)
    np.testing.assert_array_equal(found.joint, joint)
    np.testing.assert_allclose(found.scores, scores, atol=1e-12)
    np.testing.assert_array_equal(found.suggested, suggested)
    np.testing.assert_array_equal(found.errors, errors)
    np.testing.assert_array_equal(found.order, np.argsort(scores, kind="stable"))
    assert found.errors.any()
    assert found.joint.sum() - np.trace(found.joint) == found.errors.sum()


def test_what_is_not_judged_is_no_suspect_and_says_nothing_of_its_class():
    shares, labels = _shares()
    judged = np.arange(len(labels)) % 5 > 0
    found = find_label_errors(shares, labels, judged)
    of_judged = find_label_errors(shares[judged], labels[judged])
    np.testing.assert_array_equal(found.scores[judged], of_judged.scores)
    np.testing.assert_array_equal(found.joint, of_judged.joint)
    np.testing.assert_array_equal(found.suggested[~judged], labels[~judged])
    assert sorted(found.order) == list(np.flatnonzero(judged))
    assert (label_weights(found)[~judged] == 1).all()


def test_labels_are_as_probable_as_they_are_by_bayes():
    shares, labels = _shares()
    # Of the second nothing is said but that it is of another class.
    shares[:2] = [[0.5, 0.496, 0.002, 0.002], [0, 1, 0, 0]]
    labels[:2] = 0
    judged = np.arange(len(labels)) % 5 < 4
    found = find_label_errors(shares, labels, judged)
    ours = label_shares(found, noise=0.25)
    for i, label in enumerate(labels):
        expected = [0.75 * shares[i, c] for c in range(4)]
        for c in set(range(4)) - {label}:
            expected[c] = 0.25 / 3 * shares[i, c]
        expected = [share / sum(expected) for share in expected]
        if not judged[i]:
            expected = [float(c == label) for c in range(4)]
        for c in range(4):
            if expected[c] < 0.01:
                expected[c] = 0.01 if c == label else 0
        expected = [share / sum(expected) for share in expected]
        np.testing.assert_allclose(ours[i], expected)
    assert (ours[np.arange(len(labels)), labels] > 0).all()
    weights = label_weights(found, noise=0.25)
    np.testing.assert_array_equal(weights, ours[np.arange(len(labels)), labels])
    # The fewer labels are wrong, the less the others' word counts against one.
    assert (weights <= label_weights(found, noise=0.1) + 1e-12).all()
    with pytest.raises(ValueError, match=r"`noise` must lie in \(0, 1\).*noise=1"):
        label_weights(found, noise=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"labels": [0, 1, 4]}, r"`labels` must lie in \[0, 3\).*Received: 0 to 4"),
        ({"labels": [0, 1, -1]}, "must all be known.*1 of 3"),
        ({"judged": [False] * 3}, "some row must be judged.*0 of 3 rows"),
        ({"judged": [True]}, r"one entry per row.*shape \(1,\)"),
    ],
)
def test_what_cannot_be_ranked_is_told(arguments, message):
    with pytest.raises(ValueError, match=message):
        find_label_errors(
            **{"probabilities": np.eye(3), "labels": [0, 1, 2], **arguments}
        )


def test_each_label_is_hidden_while_it_is_judged():
    labels = np.array([0] * 7 + [1] * 4 + [2])
    hidden = np.zeros(len(labels))

    def fit(given):
        held = given < 0
        np.testing.assert_array_equal(given[~held], labels[~held])
        assert set(given[~held]) == {0, 1, 2}
        hidden[held] += 1
        return np.where(held[:, None], [[0.2, 0.3, 0.5]], [[1.0, 0, 0]])

    shares, judged = held_out_probabilities(fit, labels, 3, repeats=2)
    # The only one of its class is never hidden.
    np.testing.assert_array_equal(hidden, [2] * 11 + [0])
    np.testing.assert_array_equal(judged, labels < 2)
    np.testing.assert_allclose(shares[judged], np.tile([[0.2, 0.3, 0.5]], (11, 1)))
    assert not shares[~judged].any()
    with pytest.raises(ValueError, match=r"two classes with two labels.*1 such"):
        held_out_probabilities(fit, [0, 0, 1], 2)


def _clusters(counts, seed=0, spread=0.3):
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    features = np.eye(8)[labels] + spread * generator.normal(size=(len(labels), 8))
    return features.astype("float32"), labels


def test_wrong_labels_are_found_among_neighbours_and_doubted():
    features, truth = _clusters([40, 40, 40])
    graph = NeighbourGraph(features, np.ones(120, bool))
    rows = np.arange(0, 120, 4)
    given = truth[rows].copy()
    wrong = [1, 12, 25]
    given[wrong] = (given[wrong] + 1) % 3

    def of_all(labels):
        everywhere = np.full(120, -1)
        everywhere[rows] = labels
        return everywhere

    def fit(labels):
        weights = balanced_label_weights(of_all(labels))
        return averaged_shares(graph, features, of_all(labels), 3, weights)[rows]

    shares, judged = held_out_probabilities(fit, given, 3)
    found = find_label_errors(shares, given, judged)
    assert set(found.order[:3]) == set(wrong)
    np.testing.assert_array_equal(found.suggested, truth[rows])
    weights = label_weights(found, noise=0.1)
    assert weights[wrong].max() < np.delete(weights, wrong).min()

    doubted = np.full((120, 3), np.nan)
    doubted[rows] = label_shares(found, noise=0.1)
    confidences = []
    for label_share in (None, doubted):
        probe = propagated_probe(
            graph, features, of_all(given), 3, label_shares=label_share
        )
        shares = probe.predict_proba(features)
        confidences.append(shares[np.arange(120), truth].mean())
    assert confidences[1] > confidences[0] + 0.01


@pytest.mark.parametrize("several", [False, True])
def test_as_many_labels_as_one_counts_are_as_good_as_it(several):
    """A label that weighs two spreads as two would that one image has."""
    features, truth = _clusters([10, 10])
    graph = NeighbourGraph(features, np.ones(20, bool))
    labels = np.where(np.isin(np.arange(20), [0, 1, 12]), truth, -1)
    weights = np.where(labels == 1, 2.0, 1.0)
    given = weights[:, None] * np.where(labels[:, None] < 0, 0, np.eye(2)[labels])
    if several:
        given[1] = [0.5, 1.5]
        weights = np.where(labels[:, None] < 0, 9, given)
    spread = spread_labels(graph, labels, 2, label_weight=weights, steps=9)
    expected = given
    dense = graph.weights.toarray()
    for _ in range(9):
        expected = 0.95 * dense @ expected + 0.05 * given
    expected = expected / expected.sum(axis=1, keepdims=True)
    unknown = labels < 0
    np.testing.assert_allclose(spread[unknown], expected[unknown], rtol=1e-5)
    of_labels = given[~unknown] / given[~unknown].sum(axis=1, keepdims=True)
    np.testing.assert_allclose(spread[~unknown], of_labels, rtol=1e-6)


def test_a_label_that_is_believed_is_one_of_a_single_class():
    features, truth = _clusters([15, 15, 15])
    graph = NeighbourGraph(features, np.ones(45, bool))
    labels = np.where(np.arange(45) % 5 == 0, truth, -1)
    probes = [
        propagated_probe(graph, features, labels, 3, label_shares=shares)
        for shares in (None, np.eye(3)[labels])
    ]
    of_each = [probe.predict_proba(features) for probe in probes]
    np.testing.assert_allclose(of_each[0], of_each[1], atol=1e-6)


def test_rare_classes_are_found_over_the_graph():
    features, truth = _clusters([40, 40, 40], spread=0.45)
    graph = NeighbourGraph(features, np.ones(120, bool))
    labels = np.full(120, -1)
    labels[[*range(30), 40, 80, 81]] = truth[[*range(30), 40, 80, 81]]
    probe = propagated_probe(graph, features, labels, 3)
    fresh, answers = _clusters([50, 50, 50], seed=1, spread=0.45)
    known = labels >= 0
    plain = unit_probe(features[known], labels[known], c=10.0, balance=False)
    balanced = [
        balanced_accuracy(one.predict(fresh), answers, 3) for one in (probe, plain)
    ]
    assert balanced[0] > balanced[1] + 0.1


def test_no_class_is_likelier_for_having_more_labels():
    features, labels = _clusters([30, 4, 8], spread=0.6)
    plain = unit_probe(features, labels, c=10.0, balance=False)
    adjusted = unit_probe(features, labels, c=10.0)
    shares = plain.predict_proba(features) / (np.bincount(labels) / len(labels))
    shares /= shares.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(adjusted.predict_proba(features), shares, rtol=1e-6)
    # As it was fitted first, so it is fitted again.
    again = refitted(adjusted, features, labels)
    np.testing.assert_allclose(again.predict_proba(features), shares, rtol=1e-3)
    two = labels < 2
    odds = [
        np.diff(
            np.log(
                unit_probe(
                    features[two], labels[two], c=10.0, balance=balance
                ).predict_proba(features)
            ),
            axis=1,
        )
        for balance in (False, True)
    ]
    np.testing.assert_allclose(odds[1] - odds[0], np.log(30 / 4), rtol=1e-6)


def test_of_equally_many_labels_nothing_is_adjusted():
    features, labels = _clusters([6, 6, 6])
    plain = unit_probe(features, labels, balance=False)
    np.testing.assert_array_equal(
        plain.predict_proba(features),
        unit_probe(features, labels).predict_proba(features),
    )


def test_balanced_accuracy_is_the_mean_over_the_classes_that_are_there():
    generator = np.random.default_rng(0)
    labels, predicted = generator.integers(0, 3, (2, 50))
    shares = []
    for label in range(3):
        of_class = [
            p == label for p, y in zip(predicted, labels, strict=True) if y == label
        ]
        shares.append(sum(of_class) / len(of_class))
    assert balanced_accuracy(predicted, labels, 5) == pytest.approx(np.mean(shares))
    assert np.isnan(per_class_accuracy(predicted, labels, 5)[3:]).all()
    with pytest.raises(ValueError, match="`labels` must lie"):
        balanced_accuracy(predicted, labels + 3, 3)
