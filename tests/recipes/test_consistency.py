"""Recipes of consistency training: settings, and a few steps of each."""

import numpy as np
import pytest
from toys import QUICK, slow_on_jax, toy_backbone, toy_images, toy_views

from semppl_keras import consistency, recipes
from semppl_keras.recipes.named_consistency import CONSISTENCY_METHODS

IMAGES, LABELS = toy_images(24)
every_method = pytest.mark.parametrize("name", sorted(CONSISTENCY_METHODS))


def trained(name, views=None, **fit):
    recipe = recipes.consistency(name, steps=40)
    trainer = recipe.make_trainer(
        toy_backbone(), 3, views=views or toy_views(num_large=1, num_small=0), seed=0
    )
    trainer.compile(recipe.make_optimizer(4), **QUICK)
    history = trainer.fit(
        IMAGES,
        (IMAGES[:6], LABELS[:6]),
        batch_size=12,
        labelled_batch_size=6,
        epochs=2,
        verbose=0,
        **fit,
    ).history
    return trainer, history


@slow_on_jax
@every_method
def test_each_recipe_trains(name):
    trainer, history = trained(name)
    assert all(np.isfinite(values).all() for values in history.values())
    probabilities = trainer.predict(IMAGES, verbose=0)
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1.0, rtol=1e-5)


@pytest.mark.any_backend
@every_method
def test_recipes_of_the_papers_and_of_some_thousand_steps(name):
    published, short = recipes.consistency(name), recipes.consistency(name, 3000)
    assert published.name == short.name == name
    assert short.steps == 3000 < 10**5 < published.steps
    assert short.batch_size < published.batch_size
    for recipe in (published, short):
        assert recipe.batch_size % recipe.labelled_batch_size == 0
        # Written down, and inert: of names and numbers alone.
        assert "keras" not in repr(recipe.to_dict())
        for value in recipe.trainer.values():
            if isinstance(value, tuple) and isinstance(value[0], str):
                assert hasattr(consistency, value[0])


def test_what_the_recipes_differ_in():
    made = {
        name: recipes.consistency(name, 1000).make_trainer(
            toy_backbone(), 3, views=toy_views(num_large=1, num_small=0), seed=0
        )
        for name in ("freematch", "softmatch", "adamatch", "simmatch")
    }
    parts = {
        name: [
            type(part).__name__
            for part in (
                trainer.teacher,
                trainer.alignment,
                trainer.refinement,
                trainer.weighting,
                trainer.targets,
                *trainer.terms,
            )
            if part is not None
        ]
        for name, trainer in made.items()
    }
    assert parts == {
        "freematch": ["OnlineTeacher", "SelfAdaptiveThreshold", "HardLabels"],
        "softmatch": [
            "OnlineTeacher",
            "DistributionAlignment",
            "TruncatedGaussian",
            "HardLabels",
        ],
        "adamatch": [
            "OnlineTeacher",
            "DistributionAlignment",
            "RelativeThreshold",
            "SoftLabels",
        ],
        "simmatch": [
            "EMATeacher",
            "DistributionAlignment",
            "MemorySmoothing",
            "FixedThreshold",
            "SoftLabels",
            "InstanceSimilarity",
        ],
    }
    assert not made["softmatch"].alignment.changes_targets
    assert made["adamatch"].labelled_strong
    # A 50th of the training.
    assert made["freematch"].weighting.momentum == pytest.approx(0.95)


@pytest.mark.any_backend
def test_what_is_no_recipe_is_refused():
    with pytest.raises(ValueError, match="one of.*adamatch.*Received: 'mixmatch'"):
        recipes.consistency("mixmatch")
    with pytest.raises(ValueError, match="`steps` must be an integer"):
        recipes.consistency("adamatch", 0)
