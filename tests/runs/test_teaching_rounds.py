"""Rounds of Noisy Student: who teaches whom, and going on in the one that stopped."""

import itertools

import keras
import numpy as np
import pytest
from toys import toy_backbone, toy_images, toy_views

from semppl_keras import FineTuner
from semppl_keras.callbacks import latest_checkpoint
from semppl_keras.runs import classifier_training
from semppl_keras.runs.budget import TooShort
from semppl_keras.runs.options.classifier import DistillationOptions
from semppl_keras.runs.student_views import make_student_views
from semppl_keras.runs.teaching_rounds import teach_in_rounds
from semppl_keras.runs.tracker import told_by
from semppl_keras.views import MultiCrop, RandAugment

pytestmark = pytest.mark.any_backend

IMAGES, _ = toy_images(24)


def classifier(seed=0):
    keras.utils.set_random_seed(seed)
    return FineTuner(toy_backbone(), 3, views=toy_views(), seed=seed).classifier


def test_an_interrupted_round_goes_on_from_those_before_it(tmp_path, monkeypatch):
    teacher, made = classifier(), []
    distiller = classifier_training.Distiller

    def recorded(student, teacher, **keywords):
        made.append((student, teacher, keywords))
        return distiller(student, teacher, **keywords)

    calls = itertools.count(1)

    def interrupted(*arguments, **keywords):
        if next(calls) == 2:
            raise KeyboardInterrupt
        return distiller(*arguments, **keywords)

    def teach(folder):
        return teach_in_rounds(
            teacher,
            teacher,
            IMAGES,
            rounds=2,
            goes_on=True,
            epochs=1,
            temperature=1.0,
            student_views="rand_augment",
            min_confidence=0.3,
            balance=True,
            seed=4,
            checkpoints=folder,
        )

    monkeypatch.setattr(classifier_training, "Distiller", recorded)
    whole, settings = teach(tmp_path / "whole")
    first, second = made
    assert first[0] is first[1] is teacher
    assert second[0] is second[1] is not teacher
    assert [keywords["seed"] for *_, keywords in made] == [4, 5]
    assert isinstance(whole.student_views.strong, RandAugment)
    assert whole.teacher_sees == "image"
    assert settings["student_views"] == "rand_augment"
    assert (settings["min_confidence"], settings["balance"]) == (0.3, True)

    parts = tmp_path / "parts"
    with monkeypatch.context() as patch:
        patch.setattr(classifier_training, "Distiller", interrupted)
        with pytest.raises(KeyboardInterrupt):
            teach(parts)
    assert latest_checkpoint(parts / "round_1") is not None
    made.clear()
    again, _ = teach(parts)
    assert len(made) == 1
    for own, other in zip(
        whole.classifier.weights, again.classifier.weights, strict=True
    ):
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(own), keras.ops.convert_to_numpy(other)
        )


def test_another_student_begins_anew_in_each_round(monkeypatch):
    made, distiller = [], classifier_training.Distiller

    def recorded(student, teacher, **keywords):
        made.append((student, teacher))
        return distiller(student, teacher, **keywords)

    monkeypatch.setattr(classifier_training, "Distiller", recorded)
    teacher, student = classifier(), toy_backbone(features=4)
    epochs = []
    told = told_by(lambda logs, epoch: epochs.append(epoch), lambda figures: None)
    last, settings = teach_in_rounds(
        student, teacher, IMAGES, rounds=2, epochs=2, temperature=1.0, tracker=told
    )
    # Followed, they are one training.
    assert epochs == [0, 1, 2, 3]
    assert [each for each, _ in made] == [student, student]
    assert last.teacher is made[1][1]
    # What was not asked for stands in no settings.
    assert not {"student_views", "min_confidence", "balance"} & set(settings)


def test_minutes_are_divided_among_the_rounds(monkeypatch):
    budgets = []

    def teach(budget, **arguments):
        budgets.append(budget.minutes)
        if len(budgets) == 2:
            raise TooShort("--minutes must leave time.", 3.0)
        return FineTuner(classifier(), 3), {"epochs": 1}

    monkeypatch.setattr("semppl_keras.runs.teaching_rounds.teach", teach)
    with pytest.raises(TooShort, match="round 2 of 3, with equal parts of the 6 min"):
        teach_in_rounds(classifier(), classifier(), IMAGES, rounds=3, minutes=6)
    assert budgets == [2.0, 4.0]


def test_views_of_a_student_are_made_to_those_of_its_teacher():
    views = toy_views(output_range=(-1, 1))
    assert make_student_views(None, views) is None
    assert isinstance(make_student_views("rand_augment", views), RandAugment)
    harder = make_student_views("small_images", views)
    assert isinstance(harder, MultiCrop)
    assert (harder.large_size, harder.output_range) == (8, (-1, 1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"student_views": "hard"},
            "--student-views must be one of rand_augment.*hard",
        ),
        ({"min_confidence": 1.0}, "--min-confidence must be below 1.*1.0"),
        ({"min_confidence": -1}, "--min-confidence must be a share"),
        ({"rounds": 0}, "--rounds must be.*at least 1.*0"),
        ({"balance": 1}, "`balance` must be"),
    ],
)
def test_options_that_are_wrong_are_named(arguments, message):
    with pytest.raises((ValueError, TypeError), match=message):
        DistillationOptions.of(run="RUN", **arguments)
