"""What a run ends with: a student of propagated labels, or a consistency training."""

import dataclasses
import json

import keras
import numpy as np
import pytest
from tiny_runs import assert_same_results, interrupting, tiny_runs, write_archive
from toys import toy_images

from semppl_keras import runs
from semppl_keras.callbacks import TrainingState, latest_checkpoint
from semppl_keras.cli import main
from semppl_keras.data import FewLabels
from semppl_keras.evaluation.classifier_titles import TITLES
from semppl_keras.recipes.ending import (
    Combination,
    ConsistencyEnding,
    StudentEnding,
    ending_of,
)
from semppl_keras.runs import budget, combination, resuming
from semppl_keras.runs import ending as run_ending
from semppl_keras.runs.budget import Budget
from semppl_keras.runs.combination import Combined, Part
from semppl_keras.runs.embedded import embedded
from semppl_keras.runs.ending_student import sharpened
from semppl_keras.runs.finished import FinishedRun
from semppl_keras.runs.speed import Speed

pytestmark = pytest.mark.any_backend

TINY = {"steps": 4, "share": 0.5, "batch_size": 12}
COMBINATION = Combination(entries=8, directions=4, neighbours=5, rows=40)
TINY["combination"] = COMBINATION
STUDENT = StudentEnding("student", **TINY, backbone=("SmallResNet", {"widths": (4,)}))
CONSISTENCY = ConsistencyEnding("consistency", **TINY, method="fixmatch")


def test_the_ending_follows_from_the_labels():
    assert isinstance(ending_of(4, 28), StudentEnding)
    assert isinstance(ending_of(999, 28), StudentEnding)
    assert isinstance(ending_of(1000, 28), ConsistencyEnding)
    for labels in (1, 10, 600, 6000):
        ending = ending_of(labels, 28)
        assert ending.name in TITLES
        assert 0 < ending.share < 1
        assert ending_of(labels, 28, pretrained=True) is None
        assert ending_of(labels, 96) is None


def _few_labels():
    images, labels = toy_images(60)
    return FewLabels(
        images,
        labels,
        np.array([3, 4, 5, 40, 41, 42]),
        None,
        None,
        3,
        ("a", "b", "c"),
        "x",
    )


def _embedded(data, seed=0):
    """Features that tell the classes, roughly."""
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(3, 6))
    features = centres[data.y_train] + generator.normal(scale=0.4, size=(60, 6))

    def embed(images, what):
        rows = [
            np.flatnonzero((data.x_train == one).all((1, 2, 3)))[0] for one in images
        ]
        return features[rows]

    return embedded(embed, data)


def test_a_combination_says_of_all_images_what_the_labels_become():
    data = _few_labels()
    one, other = _embedded(data, 0), _embedded(data, 1)
    parts = [Part(None, None, 1.0, one), Part(None, None, 1.0, other)]
    combined = Combined(parts, COMBINATION, None, seed=0)
    expected = np.concatenate([one.learned, other.learned], axis=1)
    np.testing.assert_array_equal(combined.of.learned, expected)
    shares = combined.soft_labels()
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(shares[:6], np.eye(3)[data.y_labelled])
    right = shares.argmax(axis=1) == data.y_train[one.rows]
    assert right.mean() > 0.9
    # A label that is held out is hidden.
    hidden = np.array([-1, 0, 0, 1, 1, 2])
    hidden[1:] = data.y_labelled[1:]
    assert combined.fit(hidden).predict(combined.of.learned[:1]).shape == (1,)


def test_the_walk_is_longer_with_fewer_labels():
    how = Combination(restart=0.01)
    assert how.alpha(1) == pytest.approx(0.99)
    assert how.alpha(25) == pytest.approx(0.95)
    assert how.alpha(100) == how.alpha(6000) == pytest.approx(0.9)


def test_semppl_counts_twice_with_one_label_a_class():
    how = Combination(semppl_weight=0.3)
    assert how.weight_of_semppl(1) == how.weight_of_semppl(0.5) == pytest.approx(0.6)
    assert how.weight_of_semppl(4) == pytest.approx(0.375)
    assert how.weight_of_semppl(600) == pytest.approx(0.3, rel=0.01)


def test_a_combination_walks_by_the_labels_that_it_is_given(monkeypatch):
    alphas = []
    spread = combination.spread_labels_alike

    def watched(*args, alpha, **arguments):
        alphas.append(alpha)
        return spread(*args, alpha=alpha, **arguments)

    monkeypatch.setattr(combination, "spread_labels_alike", watched)
    of = _embedded(_few_labels())
    how = dataclasses.replace(COMBINATION, restart=0.02)
    combined = Combined([Part(None, None, 1.0, of)], how, None, seed=0)
    for labels in (of.labels, np.where(np.arange(6) % 2, of.labels, -1)):
        combined.fit(labels)
        per_class = np.sum(labels >= 0) / of.num_classes
        assert alphas.pop() == pytest.approx(1 - 0.02 * per_class**0.5)


def test_shares_are_sharpened():
    shares = np.array([[0.5, 0.3, 0.2], [1.0, 0.0, 0.0]])
    sharp = sharpened(shares, 4.0)
    for row, expected in zip(sharp, shares, strict=True):
        powers = [value**4 for value in expected]
        np.testing.assert_allclose(row, np.array(powers) / sum(powers))
    np.testing.assert_allclose(sharpened(shares, 1.0), shares)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return write_archive(tmp_path_factory.mktemp("data") / "data.npz")


@pytest.fixture
def tiny(monkeypatch):
    """Tiny runs, and a function that says what they end with."""
    with tiny_runs():
        yield lambda ending: monkeypatch.setattr(
            run_ending, "ending_of", lambda labels, size, *, pretrained: ending
        )


@pytest.mark.parametrize(
    "ending",
    [STUDENT, pytest.param(CONSISTENCY, marks=pytest.mark.slow)],
    ids=lambda ending: ending.name,
)
def test_a_run_ends_with_a_classifier_of_its_own(
    ending, tiny, archive, tmp_path, monkeypatch, capsys
):
    tiny(ending)
    options = ["train", *archive, "--epochs", "2", "--out"]
    whole = tmp_path / "whole"
    assert main([*options, str(whole)]) == 0
    table = capsys.readouterr().out
    metrics = json.loads((whole / "metrics.json").read_text())
    names = (ending.name, "combined", "patches")
    for name in names:
        assert f"{metrics[f'{name}_accuracy']:.1%}" in table
        assert name in metrics["classifier_cv_accuracies"]
    assert metrics["ending"]["epochs"] >= 1
    assert not (whole / "ending").exists()

    finished = FinishedRun(whole)
    for name in names:
        accuracy = metrics[f"{name}_accuracy"]
        assert name in finished.classifier_names
        classifier, how = finished.classifier(name)
        assert how == TITLES[name]
        assert classifier.class_names == finished.class_names
        shares = classifier.predict(finished.test.images, verbose=0)
        measured = np.mean(shares.argmax(axis=1) == finished.test.labels)
        assert measured == pytest.approx(accuracy)
    (evaluation,) = runs.evaluate(
        whole, classifier=name, out=tmp_path / "measured", verbose=0
    )
    row = evaluation["rows"]["classifier"]
    assert (row["classifier"], row["top1"]) == (how, pytest.approx(accuracy))
    exported = runs.export(
        whole, format="keras", classifier=name, out=tmp_path / "e.keras", verbose=0
    )
    np.testing.assert_allclose(
        keras.models.load_model(exported).predict(finished.test.images, verbose=0),
        shares,
        rtol=1e-4,
        atol=1e-5,
    )

    # Interrupted in the ending, it goes on there.
    parts = tmp_path / "parts"
    with monkeypatch.context() as patch:
        for name in ("train_student", "train_consistently"):
            patch.setattr(run_ending, name, _interrupted(getattr(run_ending, name)))
        assert main([*options, str(parts)]) == 130
    assert TrainingState.read(latest_checkpoint(parts / "ending")).epoch == 1
    assert main(["train", "--resume", str(parts)]) == 0
    assert_same_results(whole, parts)

    # What is done is not done again.
    (parts / "metrics.json").unlink()
    with monkeypatch.context() as patch:
        patch.setattr(run_ending, "linear_candidate", None)
        assert main(["train", "--resume", str(parts)]) == 0
    assert_same_results(whole, parts)


def _interrupted(train):
    """The same, with Ctrl-C in its second epoch."""

    def called(*arguments, **keywords):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(resuming, "TrainingHealth", interrupting(epoch=1))
            return train(*arguments, **keywords)

    return called


def test_a_run_without_time_for_it_ends_without(tiny, archive, tmp_path, monkeypatch):
    tiny(STUDENT)
    monkeypatch.setattr(budget, "measured_speed", lambda *a, **k: Speed(1.0, 3.0))
    monkeypatch.setattr(budget, "LEAST_STEPS", 10)
    left = iter([40.0, 20.0])
    monkeypatch.setattr(Budget, "seconds_to_train", lambda *arguments: next(left))
    run = runs.train(
        dataset=archive[1],
        labels_per_class=2,
        minutes=1,
        out=tmp_path / "run",
        verbose=0,
    )
    assert run["ending"] is None
    assert "student_accuracy" not in run
    assert "student" not in run["classifier_cv_accuracies"]
    assert "student" not in FinishedRun(run.folder).classifier_names
