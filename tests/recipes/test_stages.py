"""Stages of a recipe: which part when, and from a checkpoint on."""

import dataclasses

import keras
import numpy as np
import pytest

from semppl_keras import recipes
from semppl_keras.callbacks import (
    TargetEMA,
    TrainingCheckpoints,
    TrainingState,
    latest_checkpoint,
)
from semppl_keras.networks.adapters import adapter_places
from semppl_keras.optimizers import LayerwiseAdamW
from tests.networks.test_trainable_part import residual_network, transformer
from tests.toys import toy_images

STAGES = (("heads", 0.25), ("top", 0.25), ("all", 0.5))


def staged(**changes):
    recipe = recipes.digits(epochs=4)
    settings = {**recipe.model, "projection_dim": 4, "hidden_dim": 8}
    settings |= {"memory_size": 12, "num_negatives": 4}
    rates = {"learning_rate": 1e-2, "warmup_epochs": 1, "backbone_rate": 0.5}
    return dataclasses.replace(
        recipe,
        model=settings,
        optimizer=("layerwise_adamw", rates),
        **{"stages": STAGES, "batch_norm": "inference", **changes},
    )


@pytest.fixture
def backbone(monkeypatch):
    made = {"make": residual_network}
    monkeypatch.setattr(
        recipes.Recipe, "make_backbone", lambda recipe, channels: made["make"]()
    )
    return made


@pytest.mark.any_backend
def test_stages_follow_each_other():
    recipe = staged()
    found = [recipe.stage_at(epoch) for epoch in range(4)]
    assert found == [("heads", 0, 1), ("top", 1, 2), ("all", 2, 4), ("all", 2, 4)]
    with pytest.raises(ValueError, match="`epoch` must be below epochs=4"):
        recipe.stage_at(4)
    assert staged(stages=()).stage_at(3) == (None, 0, 4)
    # Of a stage that is too short nothing is left.
    short = dataclasses.replace(staged(), epochs=1)
    assert short.stage_at(0) == ("all", 0, 1)


def trained(recipe, folder, model=None, state=None, until=4):
    """As a run trains, up to an epoch."""
    images, labels = toy_images(24, size=16)
    state = state or TrainingState()
    keras.utils.set_random_seed(0)
    model = model or recipe.make_model(1, 3, steps_per_epoch=2, seed=0)
    model.jit_compile = keras.backend.backend() == "jax"
    while state.epoch < until:
        _, begin, end = recipe.stage_at(state.epoch)
        if (state.epoch, state.batch) == (begin, 0):
            recipe.begin_stage(model, begin, steps_per_epoch=2)
            model.jit_compile = keras.backend.backend() == "jax"
        saving = TrainingCheckpoints(folder, state)
        model.fit(
            images,
            (images[:6], labels[:6]),
            batch_size=12,
            initial_epoch=state.epoch,
            epochs=min(end, until),
            callbacks=[TargetEMA(0.5, total_steps=8), saving],
            verbose=0,
        )
        state = saving.state
    return model


@pytest.mark.any_backend
def test_a_training_in_stages_goes_on_from_a_checkpoint(backbone, tmp_path):
    recipe = staged()
    whole = trained(recipe, tmp_path / "whole")
    assert isinstance(whole.optimizer, LayerwiseAdamW)
    # Within the last stage.
    trained(recipe, tmp_path / "part", until=3)
    path = latest_checkpoint(tmp_path / "part")
    resumed = trained(
        recipe,
        tmp_path / "part",
        keras.models.load_model(path),
        TrainingState.read(path),
    )
    for first, second in zip(whole.variables, resumed.variables, strict=True):
        np.testing.assert_allclose(
            first.numpy(), second.numpy(), atol=1e-5, err_msg=first.path
        )


def test_a_recipe_makes_a_model_of_its_first_stage_and_with_adapters(backbone):
    model = staged().make_model(1, 3, steps_per_epoch=2, seed=0)
    assert not model.backbone.trainable_weights
    backbone["make"] = lambda: transformer(blocks=2, side=16)
    model = staged(stages=(), lora_rank=2).make_model(1, 3, steps_per_epoch=2, seed=0)
    assert len(adapter_places(model.backbone)) == 12
    assert {w.name[:5] for w in model.backbone.trainable_weights} == {"lora_"}
