"""Recipes of consistency training: those of the papers, and scaled ones."""

import json

import keras
import numpy as np
import pytest
from toy_classifiers import dense_backbone, plain_views
from toys import toy_views

from semppl_keras import FineTuner, consistency, recipes
from semppl_keras.optimizers import LayerwiseAdamW, QuarterCosine
from semppl_keras.views import MultiCrop, WeakStrong

pytestmark = pytest.mark.any_backend

# steps, unlabelled and labelled images per step, highest rate.
PUBLISHED = {
    "fixmatch": (1_048_576, 448, 64, 0.03),
    "uda": (500_000, 448, 64, 0.03),
    "freematch": (1_048_576, 448, 64, 0.03),
    "softmatch": (1_048_576, 448, 64, 0.03),
    "adamatch": (1_048_576, 192, 64, 0.03),
    "simmatch": (1_600_000, 320, 64, 0.03),
    "iomatch": (262_144, 448, 64, 0.03),
    "semi_vit": (200_000, 640, 128, 5e-4),
}


@pytest.mark.parametrize("name", recipes.CONSISTENCY_METHODS)
def test_the_papers_settings(name):
    recipe = recipes.consistency(name)
    sizes = recipe.batch_size, recipe.labelled_batch_size
    assert (recipe.steps, *sizes, recipe.learning_rate) == PUBLISHED[name]


@pytest.mark.parametrize("name", recipes.CONSISTENCY_METHODS)
def test_scaled_settings_make_a_trainer(name):
    recipe = recipes.consistency(name, steps=1000)
    assert recipe.steps == 1000
    assert recipe.batch_size <= 4 * recipe.labelled_batch_size <= 128
    start = FineTuner(dense_backbone(size=8), 3, views=toy_views())
    trainer = recipe.make_trainer(start, seed=4)
    for argument, value in recipe.trainer.items():
        if isinstance(value, tuple) and argument != "terms":
            part = getattr(trainer, argument)
            assert isinstance(part, getattr(consistency, value[0]))
            momentum = getattr(part, "momentum", None)
            assert momentum is None or momentum <= 0.98
    assert trainer.weight_average == pytest.approx(0.98)
    assert (trainer.seed, trainer.num_classes) == (4, 3)
    assert isinstance(trainer.views, WeakStrong)
    assert trainer.views.weak.large_area == (1, 1)
    json.dumps(recipe.to_dict())
    # Where others are wanted.
    weak = MultiCrop.from_config(plain_views(size=8).get_config())
    trainer = recipe.make_trainer(start, views=weak, weight_average=None)
    assert trainer.views.weak.shift == 0
    assert trainer.classifier is trainer.online


def test_long_averages_stay_where_the_training_is_long():
    recipe = recipes.consistency("semi_vit", steps=10**6)
    assert recipe.trainer["teacher"] == ("EMATeacher", {"momentum": 0.9999})
    assert recipe.trainer["weight_average"] == 0.9999


def test_l2_of_kernels_goes_through_the_momentum():
    layer = keras.layers.Dense(2, bias_initializer="ones")
    layer.build((None, 3))
    recipe = recipes.consistency("fixmatch")
    optimizer = recipe.make_optimizer()
    optimizer.build(layer.trainable_variables)
    kernel, bias = (variable.numpy() for variable in layer.trainable_variables)
    nothing = [keras.ops.zeros_like(v.value) for v in layer.trainable_variables]
    optimizer.apply(nothing, layer.trainable_variables)
    # Nesterov's first step is of the gradient and of 0.9 of it once more.
    decayed = kernel * (1 - 0.03 * 5e-4 * (1 + 0.9))
    np.testing.assert_allclose(layer.kernel.numpy(), decayed, rtol=1e-6)
    np.testing.assert_array_equal(layer.bias.numpy(), bias)


def test_the_schedules():
    recipe = recipes.consistency("fixmatch").with_learning_rate(0.5)
    rate = recipe.make_optimizer(160)._learning_rate
    assert isinstance(rate, QuarterCosine)
    for step in (0, 1, 80, 160, 200):
        expected = 0.5 * np.cos(7 * np.pi * min(step, 160) / (16 * 160))
        assert float(rate(step)) == pytest.approx(expected, rel=1e-5)
    again = QuarterCosine.from_config(rate.get_config())
    assert float(again(80)) == float(rate(80))
    rate = recipes.consistency("fixmatch", 1000).make_optimizer(100)._learning_rate
    expected = [0.0, 0.006, 0.03, 0.015, 0.0]
    given = [float(rate(step)) for step in (0, 1, 5, 52.5, 100)]
    np.testing.assert_allclose(given, expected, atol=1e-6)
    assert isinstance(
        recipes.consistency("semi_vit", 9).make_optimizer(), LayerwiseAdamW
    )


def test_epochs_are_as_long_as_the_steps():
    recipe = recipes.consistency("fixmatch", 1000)
    assert recipe.batch_size == 128
    # Eight steps of a pass, the last one filled up.
    assert recipe.epochs_of(1000) == 125
    assert recipe.epochs_of(100) == 1000


def test_what_there_is_none_of_is_named():
    with pytest.raises(ValueError, match="one of.*'fixmatch'.*'mixmatch'"):
        recipes.consistency("mixmatch")
    with pytest.raises(ValueError, match="`steps` must be an integer of at least 1"):
        recipes.consistency("fixmatch", steps=0)
    with pytest.raises(ValueError, match="`views` must be given where `start`"):
        recipes.consistency("fixmatch", 9).make_trainer(dense_backbone(), 3)
    with pytest.raises(ValueError, match="`peak` must be positive"):
        QuarterCosine(0.0, 10)
