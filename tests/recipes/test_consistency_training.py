"""Recipes of consistency training: what they differ in, and a few steps of each."""

import numpy as np
import pytest
from toys import (
    QUICK,
    one_everywhere,
    slow_on_jax,
    toy_backbone,
    toy_images,
    toy_views,
)

from semppl_keras import recipes
from semppl_keras.recipes.named_consistency import CONSISTENCY_METHODS

IMAGES, LABELS = toy_images(24)


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
@one_everywhere("name", sorted(CONSISTENCY_METHODS))
def test_each_recipe_trains(name):
    trainer, history = trained(name)
    assert all(np.isfinite(values).all() for values in history.values())
    probabilities = trainer.predict(IMAGES, verbose=0)
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1.0, rtol=1e-5)


@slow_on_jax
def test_iomatch_tells_of_an_image_that_it_is_none_of_the_classes():
    trainer, _ = trained("iomatch")
    open_set = trainer.terms[0].open_classifier(trainer.online)
    shares = open_set.predict(IMAGES, verbose=0)
    # The last is that of none of the three.
    assert shares.shape == (24, 4)
    np.testing.assert_allclose(shares.sum(axis=-1), 1.0, rtol=1e-5)
    assert np.ptp(shares[:, -1]) > 0


def test_what_the_recipes_differ_in():
    made = {
        name: recipes.consistency(name, 1000).make_trainer(
            toy_backbone(), 3, views=toy_views(num_large=1, num_small=0), seed=0
        )
        for name in ("freematch", "softmatch", "adamatch", "simmatch", "iomatch")
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
        "iomatch": [
            "OnlineTeacher",
            "DistributionAlignment",
            "FixedThreshold",
            "SoftLabels",
            "OutlierDetection",
        ],
    }
    assert not made["softmatch"].alignment.changes_targets
    assert made["adamatch"].labelled_strong
    # A 50th of the training.
    assert made["freematch"].weighting.momentum == pytest.approx(0.95)
