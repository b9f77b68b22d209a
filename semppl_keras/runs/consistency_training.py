"""Consistency training by a recipe, to be gone on with."""

import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from semppl_keras import recipes
from semppl_keras.classifiers import ConsistencyTrainer
from semppl_keras.data import FewLabels
from semppl_keras.runs.budget import Budget
from semppl_keras.runs.fitted_training import fitted_training
from semppl_keras.runs.schedule import Schedule


def train_consistently(
    method: str,
    start: keras.Model,
    data: FewLabels,
    *,
    steps: int,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    from_layer: int | None = None,
    class_prior: np.ndarray | None = None,
    seed: int = 0,
    budget: Budget | None = None,
    checkpoints: pathlib.Path | None = None,
    depends_on: Mapping[str, Any] | None = None,
    shorten: str = "",
    trust: bool = False,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> tuple[ConsistencyTrainer, dict[str, Any]]:
    """Trains a copy of a network on labelled and unlabelled images, by the recipe of a
    method that is scaled to the number of steps.

    Args:
        method: A name of `recipes.consistency`.
        start: As for `ConsistencyTrainer`.
        data: The images.
        steps: How many, where there are neither `epochs` nor a budget.
        epochs: Passes over the unlabelled images, or None.
        batch_size: Unlabelled images per step, labelled ones in proportion; None for
            the recipe's. No more than there are, of both.
        learning_rate: In the beginning; None for the recipe's.
        from_layer, class_prior: As for `ConsistencyTrainer`.
        seed: Of views, order and new layers.
        budget, checkpoints, depends_on, shorten, trust, callbacks: As for
            `fitted_training`.

    Returns:
        The trainer, and the settings that it was trained with.

    Raises:
        ValueError, TypeError: The network cannot be trained so.
    """
    unlabelled, labelled = data.x_unlabelled, data.x_labelled
    recipe = recipes.consistency(method, steps)
    asked = recipe.batch_size if batch_size is None else batch_size
    share = recipe.labelled_batch_size / recipe.batch_size
    asked_labelled = max(1, round(share * asked))
    sizes: dict[str, Any] = {
        "batch_size": min(asked, len(unlabelled)),
        "labelled_batch_size": min(asked_labelled, len(labelled)),
    }
    steps_in_pass = math.ceil(len(unlabelled) / sizes["batch_size"])

    def make_compiled(steps: int) -> ConsistencyTrainer:
        keras.utils.set_random_seed(seed)
        recipe = recipes.consistency(method, steps)
        if learning_rate is not None:
            recipe = recipe.with_learning_rate(learning_rate)
        trainer = recipe.make_trainer(
            start,
            data.num_classes,
            from_layer=from_layer,
            class_prior=class_prior,
            seed=seed,
        )
        trainer.compile(recipe.make_optimizer())
        return trainer

    usual = Schedule.of_steps(steps, steps_in_pass)
    known = np.any(data.y_hidden >= 0)
    return fitted_training(
        f"Training by {method}",
        make_compiled,
        (
            (unlabelled, data.y_hidden) if known else unlabelled,
            (labelled, data.y_labelled),
        ),
        {"method": method, **sizes, "learning_rate": learning_rate},
        usual=usual if epochs is None else Schedule(epochs),
        steps_in_pass=steps_in_pass,
        budget=budget,
        checkpoints=checkpoints,
        depends_on=depends_on,
        shorten=shorten,
        trust=trust,
        callbacks=callbacks,
        **sizes,
    )
