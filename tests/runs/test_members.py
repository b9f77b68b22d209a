"""Unlabelled images that show none of a run's classes teach less."""

import dataclasses
import types

import numpy as np
import pytest
from toys import toy_backbone, toy_views

from semppl_keras.data import FewLabels
from semppl_keras.evaluation import stranger_shares
from semppl_keras.evaluation.neighbour_graph import NeighbourGraph
from semppl_keras.evaluation.propagated_probe import propagated_probe
from semppl_keras.runs import RunError, tuned
from semppl_keras.runs.candidates import propagated_candidate, shares_of
from semppl_keras.runs.embedded import Embedded
from semppl_keras.runs.job import Job
from semppl_keras.runs.kept_features import KeptFeatures, Start
from semppl_keras.runs.members import strange_rows, with_members
from semppl_keras.runs.options.train import TrainOptions
from semppl_keras.runs.settings import check_tells_strangers

pytestmark = pytest.mark.any_backend

_MEMBERS, _STRANGERS = 60, 30


def _features(count, kinds, seed):
    generator = np.random.default_rng(seed)
    which = np.asarray(kinds)[np.arange(count) % len(kinds)]
    return np.eye(12)[which] + 0.25 * np.abs(generator.normal(size=(count, 12))), which


@pytest.fixture(scope="module")
def of():
    """Features of 30 labelled images, and of 90 others, the last 30 of no class."""
    labelled, labels = _features(30, [0, 1, 2], seed=0)
    members, _ = _features(_MEMBERS, [0, 1, 2], seed=1)
    strangers, _ = _features(_STRANGERS, [3, 4], seed=2)
    learned = np.concatenate([labelled, members, strangers]).astype("float32")
    # Every other one of the training images is none that was looked at.
    return Embedded(learned, labels, None, None, 3, rows=2 * np.arange(len(learned)))


@pytest.fixture(scope="module")
def weighted(of):
    return with_members(of, seed=0)


@pytest.fixture(scope="module")
def data(of):
    count = 2 * len(of.learned)
    names = np.full(count, -1)
    names[2 * np.arange(30)] = of.labels
    images = np.zeros((count, 4, 4, 1), "uint8")
    images[:, 0, 0, 0] = np.arange(count)
    return FewLabels(
        x_train=images,
        y_train=names,
        labelled_indices=2 * np.arange(30),
        x_test=None,
        y_test=None,
        num_classes=3,
        class_names=("a", "b", "c"),
        name="toys",
    )


def test_members_are_what_strangers_are_not(of, weighted):
    probe = propagated_probe(of.graph, of.learned, of.of_learned(of.labels), 3)
    shares = shares_of(probe, of.others, 3)
    expected = 1 - stranger_shares(of.labelled, of.labels, of.others, shares)
    np.testing.assert_allclose(weighted.members[30:], expected)
    assert np.all(weighted.members[:30] == 1)
    assert weighted.members[-_STRANGERS:].max() < weighted.members[30:90].min()
    alone = dataclasses.replace(of, learned=of.labelled)
    assert with_members(alone, seed=0) is alone


def test_propagation_learns_less_from_strangers(of, weighted):
    labels = of.of_learned(of.labels)
    graph = NeighbourGraph(of.learned, labels >= 0)
    # What counts nothing is as if it were not there: the graph is not asked again.
    without = propagated_probe(graph, of.learned, labels, 3, members=weighted.members)
    everything = propagated_probe(graph, of.learned, labels, 3)
    alike = propagated_probe(graph, of.learned, labels, 3, members=np.ones(120))
    first, all_of_it = (probe.predict_proba(of.learned) for probe in (without, alike))
    np.testing.assert_allclose(all_of_it, everything.predict_proba(of.learned))
    # It is less sure of what strangers are.
    assert first[-_STRANGERS:].max(axis=1).mean() < all_of_it[-30:].max(axis=1).mean()
    by_run = propagated_candidate(weighted, seed=0).head
    expected = propagated_candidate(of, seed=0).head
    assert any(
        not np.allclose(one, other)
        for one, other in zip(by_run.get_weights(), expected.get_weights(), strict=True)
    )


def test_no_class_loses_all_its_images(of):
    labels = of.of_learned(of.labels)
    probe = propagated_probe(of.graph, of.learned, labels, 3, members=np.zeros(120))
    assert len(probe.classes_) == 3


def test_which_images_of_a_run_are_strange(of, weighted, data):
    strange = strange_rows(weighted, data)
    assert strange.shape == (len(data.x_unlabelled),)
    numbers = data.x_unlabelled[strange][:, 0, 0, 0]
    np.testing.assert_array_equal(numbers, 2 * np.flatnonzero(weighted.members < 0.5))
    assert strange_rows(of, data) is None
    alone = data.unlabelled_indices
    nothing = dataclasses.replace(weighted, rows=alone, members=np.zeros(len(alone)))
    assert strange_rows(nothing, data) is None


@pytest.mark.parametrize("kept", [False, True], ids=["images", "kept features"])
def test_a_network_is_not_tuned_on_strangers(
    of, weighted, data, kept, tmp_path, monkeypatch
):
    taught = []

    def self_train(classifier, unlabelled, *_, **__):
        taught.append(unlabelled)
        return types.SimpleNamespace(classifier=classifier)

    monkeypatch.setattr(tuned, "self_train", self_train)
    monkeypatch.setattr(tuned, "linear_head", lambda *_: toy_backbone())
    monkeypatch.setattr(tuned, "ImageClassifier", lambda *_, **__: None)
    features = KeptFeatures(data.x_labelled, data.x_unlabelled) if kept else None
    start = Start(toy_views())
    job = Job(tmp_path, {"seed": 0, "labels": {}}, data)
    for features_of, left in ((of, 210), (weighted, 210 - strange(weighted))):
        tuned.tune(job, start, features_of, features)
        assert len(taught[-1]) == left


def strange(of):
    return int(np.sum(of.members < 0.5))


def test_it_is_for_a_network_with_weights():
    from semppl_keras import recipes

    recipe = recipes.small_images(2)
    check_tells_strangers({"strangers": False}, recipe)
    with pytest.raises(RunError, match="--strangers finds images .* pretrained"):
        check_tells_strangers({"strangers": True}, recipe)
    with pytest.raises(TypeError, match="`strangers` must be True or False"):
        TrainOptions.of(strangers="yes")
