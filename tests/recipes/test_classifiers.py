"""Recipes of fine-tuning and distillation: how long they take for so many images."""

import dataclasses

import pytest

from semppl_keras.cli import main
from semppl_keras.recipes.classifiers import (
    DISTILLATION,
    FINE_TUNING,
    ClassifierTraining,
)

pytestmark = pytest.mark.any_backend


@pytest.mark.parametrize(
    ("recipe", "count", "batch", "steps_per_epoch", "epochs"),
    [
        # Some 300 steps, at least ten passes.
        (FINE_TUNING, 10, 10, 1, 300),
        (FINE_TUNING, 100, 64, 2, 150),
        (FINE_TUNING, 64_000, 64, 1000, 10),
        # Some 1,000 steps, and never less than one pass.
        (DISTILLATION, 1397, 128, 11, 91),
        (DISTILLATION, 1_280_000, 128, 10_000, 1),
    ],
)
def test_length_follows_from_the_images(recipe, count, batch, steps_per_epoch, epochs):
    assert recipe.batch_of(count) == batch
    assert recipe.steps_in(count) == steps_per_epoch
    assert recipe.epochs_of(count) == epochs


def test_the_learning_rate_falls_from_that_of_the_recipe():
    recipe = ClassifierTraining(steps=10, batch_size=2, learning_rate=0.5)
    for given, first in ((None, 0.5), (0.25, 0.25)):
        schedule = recipe.make_optimizer(8, given).get_config()["learning_rate"]
        assert schedule["class_name"] == "CosineDecay"
        settings = schedule["config"]
        assert (settings["initial_learning_rate"], settings["decay_steps"]) == (
            pytest.approx(first),
            8,
        )


@pytest.mark.parametrize(
    ("command", "recipe", "lengths"),
    [
        ("finetune", FINE_TUNING, "some 300 steps, at least 10"),
        ("distil", DISTILLATION, "some 1,000 steps"),
    ],
)
def test_help_tells_the_recipe(command, recipe, lengths, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    told = " ".join(capsys.readouterr().out.split())
    assert f"passes over the images (default: {lengths}" in told
    assert f"(default: {recipe.learning_rate:g})" in told
    if command == "distil":
        assert f"what the teacher says (default: {recipe.temperature:g})" in told


def test_settings_cannot_be_changed_by_the_way():
    with pytest.raises(dataclasses.FrozenInstanceError):
        FINE_TUNING.steps = 1
