"""Which classifier is chosen by a few labels, and the probes to choose among."""

import keras
import numpy as np
import pytest

from semppl_keras.evaluation import linear_probe
from semppl_keras.evaluation.choosing import CrossValidation, choose, cross_validate
from semppl_keras.evaluation.neighbour_graph import NeighbourGraph
from semppl_keras.evaluation.probe import refitted
from semppl_keras.evaluation.propagated_probe import propagated_probe, usual_whitening
from semppl_keras.evaluation.unit_probe import penalty_of, unit_probe
from semppl_keras.networks import linear_head

pytestmark = pytest.mark.any_backend


def _clusters(per_class, spread=0.3, seed=0, classes=3):
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), per_class)
    features = np.eye(8)[labels] + spread * generator.normal(size=(len(labels), 8))
    return features.astype("float32"), labels


def _answers(labels, wrong=()):
    """A classifier that is wrong about some rows, whatever it is given."""
    answers = labels.copy()
    answers[list(wrong)] = (answers[list(wrong)] + 1) % 3
    return lambda given: (np.eye(3)[answers], np.empty((0, 3)))


def test_each_label_is_held_out_once_in_each_draw_of_folds():
    labels = np.repeat(np.arange(3), 7)
    hidden = np.zeros(len(labels))

    def fit(given):
        held = given < 0
        # What is not held out is told, of every class.
        np.testing.assert_array_equal(given[~held], labels[~held])
        assert set(given[~held]) == {0, 1, 2}
        nonlocal hidden
        hidden += held
        return np.eye(3)[np.where(held, 0, labels)], np.empty((0, 3))

    measured = cross_validate(fit, labels, repeats=2)
    np.testing.assert_array_equal(hidden, 2)
    # It says 0 of all that is held out, and never gets away with what it was given.
    assert measured.mean == pytest.approx(1 / 3)
    assert measured.correct == (1.0,) * 7 + (0.0,) * 14


def test_mean_and_standard_error():
    labels = np.tile(np.arange(3), 10)
    measured = cross_validate(_answers(labels, wrong=range(6)), labels)
    correct = np.array([0.0] * 6 + [1.0] * 24)
    assert measured.mean == pytest.approx(0.8)
    assert measured.std_error == pytest.approx(correct.std(ddof=1) / np.sqrt(30))


def test_every_class_counts_alike():
    labels = np.repeat(np.arange(3), [12, 4, 2])
    measured = cross_validate(_answers(labels, wrong=[0, 1, 2, 16]), labels)
    # 9 of 12, 4 of 4 and 1 of 2.
    assert measured.mean == pytest.approx((0.75 + 1 + 0.5) / 3)
    correct = np.array([0] * 3 + [1] * 13 + [0, 1])
    weighted = correct * 18 / (3 * np.repeat([12, 4, 2], [12, 4, 2]))
    assert measured.std_error == pytest.approx(weighted.std(ddof=1) / np.sqrt(18))
    many = np.repeat(np.arange(6), [3, 31, 29, 34, 8, 5])
    assert cross_validate(lambda given: (np.eye(6)[many], []), many).mean == 1
    # The one that knows the rare classes is better, with fewer right answers.
    rare = cross_validate(_answers(labels, wrong=range(7)), labels)
    frequent = cross_validate(_answers(labels, wrong=range(13, 18)), labels)
    assert sum(rare.correct) < sum(frequent.correct)
    assert choose({"rare": rare, "often": frequent}, ["often", "rare"]) == "rare"


def test_the_only_label_of_a_class_is_not_measured():
    labels = np.array([0, 0, 0, 1, 1, 2])
    seen = []

    def fit(given):
        seen.append(given)
        return np.eye(3)[labels], np.empty((0, 3))

    assert len(cross_validate(fit, labels).correct) == 5
    assert all(given[5] == 2 for given in seen)
    assert cross_validate(fit, np.arange(3)) is None
    assert cross_validate(fit, np.array([0, 0, 1])) is None
    with pytest.raises(ValueError, match="all be known"):
        cross_validate(fit, np.array([0, 0, -1]))


def test_what_saw_the_labels_is_lowered_by_how_much_surer_it_is_of_them():
    labels = np.tile(np.arange(3), 5)

    def fit(given):
        # Of the third class it says the same of all images.
        sure = np.array([0.9, 0.8, 0.7])[labels]
        shares = np.where(np.eye(3)[labels], sure[:, None], (1 - sure[:, None]) / 2)
        others = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.15, 0.15, 0.7]])
        # As many of a class as there may be.
        return shares, others[[0, 0, 0, 0, 0, 1, 2]]

    measured = cross_validate(fit, labels, saw_labels=True)
    assert measured.optimism == pytest.approx(0.1 / 3)
    assert measured.mean == pytest.approx(1 - 0.1 / 3)
    assert cross_validate(fit, labels).mean == 1


def test_the_best_is_chosen_and_the_preferred_where_nobody_could_tell():
    labels = np.tile(np.arange(3), 30)
    best = cross_validate(_answers(labels), labels)
    near = cross_validate(_answers(labels, wrong=[4]), labels)
    far = cross_validate(_answers(labels, wrong=range(9)), labels)
    measured = {"best": best, "near": near, "far": far}
    assert choose(measured, ["far", "near", "best"]) == "near"
    assert choose(measured, ["far", "best", "near"]) == "best"
    assert choose(measured, ["far", "unheard of"]) == "far"
    # As far behind, and on other images than the best one: nobody could tell.
    other = cross_validate(_answers(labels, wrong=range(45)), labels)
    half = cross_validate(_answers(labels, wrong=range(45, 89)), labels)
    assert choose({"half": half, "other": other}, ["other", "half"]) == "other"
    flattered = CrossValidation(best.correct, optimism=0.3)
    assert choose({"a": flattered, "far": far}, ["a", "far"]) == "far"
    assert choose({"a": None, "b": None}, ["b", "a"]) == "b"
    with pytest.raises(ValueError, match="preference"):
        choose(measured, ["unheard of"])


def test_what_contains_another_is_judged_by_it():
    labels = np.tile(np.arange(3), 30)
    part = cross_validate(_answers(labels, wrong=range(9)), labels)
    rival = cross_validate(_answers(labels, wrong=range(9, 24)), labels)
    ahead = CrossValidation(
        cross_validate(_answers(labels, wrong=range(6)), labels).correct, optimism=0.5
    )
    names, of_parts = ["whole", "part", "rival"], {"whole": "part"}

    def chosen(whole, rival=rival):
        measured = {"whole": whole, "part": part, "rival": rival}
        return choose(measured, names, {"whole"}, of_parts)

    # Far behind once that is taken off which flatters it, and ahead with it.
    assert chosen(ahead) == "whole"
    assert choose({"whole": ahead, "part": part}, names, {"whole"}) == "part"
    # Not ahead even so.
    assert chosen(CrossValidation(part.correct)) == "part"
    # Nor does another that was trained take its place: it stood for all of these.
    measured = {"whole": CrossValidation(part.correct), "student": ahead, "part": part}
    trained = {"whole", "student"}
    assert choose(measured, [*names, "student"], trained, of_parts) == "part"
    # What is better than the part is taken for better than the whole.
    assert chosen(ahead, cross_validate(_answers(labels), labels)) == "rival"
    assert choose({"whole": ahead}, names, {"whole"}, of_parts) == "whole"


def test_a_unit_probe_sees_directions_alone():
    features, labels = _clusters(12)
    probe = unit_probe(features, labels)
    lengths = np.random.default_rng(0).uniform(0.1, 9, (len(features), 1))
    np.testing.assert_allclose(
        probe.predict_proba(features * lengths.astype("float32")),
        probe.predict_proba(features),
        atol=1e-5,
    )
    test, test_labels = _clusters(50, seed=1)
    assert probe.score(test, test_labels) > 0.9
    assert penalty_of(probe) in (10, 100, 1000, 10_000)
    assert penalty_of(unit_probe(features, labels, c=3.0)) == 3
    # A single row of a class: nothing is held out.
    assert penalty_of(unit_probe(features[11:13], labels[11:13])) == 10


def test_weights_say_how_much_a_row_counts():
    features, labels = _clusters(12, spread=1.0)
    weights = np.where(np.arange(36) % 2, 2.0, 0.0)
    kept = weights > 0
    np.testing.assert_allclose(
        unit_probe(features, labels, c=10.0, sample_weight=weights).predict_proba(
            features
        ),
        unit_probe(
            np.repeat(features[kept], 2, axis=0), np.repeat(labels[kept], 2), c=10.0
        ).predict_proba(features),
        atol=1e-3,
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"c": 0}, "c=0"),
        ({"sample_weight": np.ones(36)}, "sample_weight"),
        ({"labels": np.zeros(36, int)}, "two classes"),
    ],
)
def test_what_a_unit_probe_cannot_be_fitted_to(arguments, told):
    features, labels = _clusters(12)
    with pytest.raises(ValueError, match=told):
        unit_probe(**{"features": features, "labels": labels, **arguments})


def test_a_probe_is_fitted_anew_with_the_penalty_that_it_has():
    features, labels = _clusters(12, spread=0.8)
    for probe in (linear_probe(features, labels), unit_probe(features, labels)):
        again = refitted(probe, features[::2], labels[::2])
        assert penalty_of(again) == penalty_of(probe)
        assert np.abs(again.predict_proba(features)).max() <= 1
        np.testing.assert_allclose(
            refitted(probe, features, labels).predict_proba(features),
            probe.predict_proba(features),
            atol=1e-3,
        )


def test_a_propagated_probe_knows_what_the_others_look_like():
    # Two long clusters, of which one end each is labelled.
    generator = np.random.default_rng(0)
    along = np.linspace(0, 1, 200)
    truth = np.repeat([0, 1], 200)
    angles = np.concatenate([along, along + 1.3])
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    features = (features + 0.01 * generator.normal(size=features.shape)).astype("f")
    labels = np.full(400, -1)
    labels[:3], labels[200:203] = 0, 1
    graph = NeighbourGraph(features, labels >= 0)
    probe = propagated_probe(graph, features, labels, 2)
    known = labels >= 0
    alone = unit_probe(features[known], labels[known], c=10.0)
    assert probe.score(features, truth) > 0.97
    assert probe.score(features, truth) > alone.score(features, truth) + 0.1


def test_directions_are_evened_out_of_many_images_alone():
    assert usual_whitening(499) == 0
    assert 0 < usual_whitening(500) == usual_whitening(20_000) < 1


def test_a_propagated_probe_of_evened_directions_is_a_head_of_the_features():
    generator = np.random.default_rng(0)
    truth = np.arange(120) % 3
    features = generator.normal(size=(120, 6)) + 3 * np.eye(6)[truth]
    features[:, 5] *= 50
    labels = np.where(np.arange(120) < 12, truth, -1)
    graph = NeighbourGraph(features, labels >= 0, whitening=0.3)
    probe = propagated_probe(graph, features, labels, 4)
    plain = NeighbourGraph(features, labels >= 0)
    as_they_are = propagated_probe(plain, features, labels, 4)
    assert probe.score(features, truth) > as_they_are.score(features, truth) + 0.1
    head = linear_head(probe, 4)
    logits = keras.ops.convert_to_numpy(head(features.astype("float32")))
    given = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(given[:, :3], probe.predict_proba(features), atol=1e-5)
    np.testing.assert_array_equal(given[:, 3], 0)
    # A training of the head leaves the directions as they are.
    trained = {weight.path.split("/")[-2] for weight in head.trainable_variables}
    assert trained == {"logits"}
