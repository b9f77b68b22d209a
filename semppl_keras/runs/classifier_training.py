"""Fine-tuning and distillation, by their recipes, to be gone on with."""

import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from semppl_keras.classifiers import Distiller, FineTuner
from semppl_keras.networks import ImageClassifier
from semppl_keras.pretraining import Pretraining
from semppl_keras.recipes import classifiers as recipes
from semppl_keras.recipes.classifiers import ClassifierTraining
from semppl_keras.recipes.defaults import TUNING_SHARE
from semppl_keras.runs.budget import Budget
from semppl_keras.runs.fitted_training import fitted_training
from semppl_keras.runs.schedule import Schedule
from semppl_keras.runs.student_views import make_student_views


def fine_tune(
    model: Pretraining,
    images: np.ndarray,
    labels: np.ndarray,
    num_classes: int,
    *,
    from_layer: int | None = None,
    freeze_backbone: bool = False,
    class_weight: Mapping[int, float] | None = None,
    epochs: int | None = None,
    budget: Budget | None = None,
    learning_rate: float | None = None,
    seed: int = 0,
    checkpoints: pathlib.Path | None = None,
    depends_on: Mapping[str, Any] | None = None,
    shorten: str = "",
    trust: bool = False,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> tuple[FineTuner, dict[str, Any]]:
    """Fine-tunes a copy of a pre-trained network by `recipes.classifiers.FINE_TUNING`.

    Args:
        model: A pre-training model of semppl_keras.
        images: `(n, h, w, c)`.
        labels: `(n,)` integers.
        num_classes: How many classes there are.
        from_layer, freeze_backbone: As for `FineTuner`.
        class_weight: As for its `fit`, or None.
        epochs: Passes over the images; None for the recipe's.
        budget: Which as many steps are to fit as can, in place of `epochs`; or None.
        learning_rate: At the beginning of its cosine; None for the recipe's.
        seed: Of views, order and the linear layer.
        checkpoints: `pathlib.Path` of a folder for them, to go on from; None for none.
        depends_on: Dict of what else the training depends on, as JSON has it.
        shorten: A sentence, what makes it shorter.
        trust: Whether its checkpoints may name what is not known here.
        callbacks: Others, for `fit`.

    Returns:
        A `FineTuner` after training, and the settings that it was trained with.

    Raises:
        ValueError, TypeError: The network cannot be fine-tuned so.
    """

    def make_tuner() -> FineTuner:
        return FineTuner(
            model,
            num_classes,
            from_layer=from_layer,
            freeze_backbone=freeze_backbone,
            seed=seed,
        )

    return _trained(
        "Fine-tuning the network",
        make_tuner,
        recipes.FINE_TUNING,
        (images, labels),
        {},
        **({} if class_weight is None else {"class_weight": class_weight}),
        shorten=shorten,
        epochs=epochs,
        budget=budget,
        learning_rate=learning_rate,
        seed=seed,
        checkpoints=checkpoints,
        depends_on=depends_on,
        trust=trust,
        callbacks=callbacks,
    )


def self_train(
    classifier: ImageClassifier,
    unlabelled: np.ndarray,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    budget: Budget | None = None,
    seed: int = 0,
    checkpoints: pathlib.Path | None = None,
    depends_on: Mapping[str, Any] | None = None,
    trust: bool = False,
) -> Distiller:
    """Teaches a copy of a classifier what it says itself, and what the labels say.

    By `recipes.classifiers.SELF_TRAINING`: the teacher sees the images as they are, the
    student random views of them.

    Args:
        classifier: What it starts from; the upper part of its backbone is trained, and
            its batch normalisation keeps its statistics.
        unlabelled: `(m, ...)`, as its views take them.
        images: `(n, ...)`, labelled.
        labels: `(n,)` integers.
        budget: Of a run, of which it has a share; longer than its recipe says it is
            not. None for as long as that.
        seed, checkpoints, depends_on, trust: As for `fine_tune`.

    Returns:
        A `Distiller` after training.

    Raises:
        TooShort: Too few steps of it fit.
        ValueError, TypeError: The network cannot be fine-tuned so.
    """
    recipe = recipes.SELF_TRAINING
    part = "all" if classifier.views.cached else "top"

    def make_distiller() -> Distiller:
        return Distiller(
            classifier,
            classifier,
            temperature=recipe.temperature,
            distillation_weight=0.5,
            teacher_sees="image",
            views=classifier.views,
            trainable=part,
            batch_norm="inference",
            seed=seed,
        )

    distiller, _ = _trained(
        "Fine-tuning on propagated labels",
        make_distiller,
        recipe,
        (unlabelled, (images, labels)),
        {},
        shorten="A lower --image-size takes less, and --epochs 0 leaves it out.",
        epochs=None,
        budget=budget,
        share=TUNING_SHARE,
        at_most_usual=True,
        learning_rate=None,
        seed=seed,
        checkpoints=checkpoints,
        depends_on=depends_on,
        trust=trust,
        labelled_batch_size=min(recipe.batch_size // 2, len(images)),
    )
    return distiller


def teach(
    student: keras.Model,
    teacher: ImageClassifier,
    images: np.ndarray,
    *,
    temperature: float,
    student_views: str | None = None,
    min_confidence: float = 0.0,
    balance: bool = False,
    epochs: int | None = None,
    budget: Budget | None = None,
    learning_rate: float | None = None,
    seed: int = 0,
    checkpoints: pathlib.Path | None = None,
    depends_on: Mapping[str, Any] | None = None,
    trust: bool = False,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> tuple[Distiller, dict[str, Any]]:
    """Teaches a network what a classifier says, by `recipes.classifiers.DISTILLATION`.

    Args:
        student: As for `Distiller`.
        teacher: `ImageClassifier`.
        images: `(N, h, w, c)`.
        temperature: Positive.
        student_views: What the student alone sees, a name of `STUDENT_VIEWS`; None
            for what its teacher sees.
        min_confidence, balance: As for `Distiller`.
        epochs, budget, learning_rate, seed, checkpoints, depends_on, trust, callbacks:
            As for `fine_tune`.

    Returns:
        A `Distiller` after training, and the settings that it was trained with.

    Raises:
        ValueError, TypeError: The student cannot learn from this teacher.
    """

    noise: dict[str, Any] = {
        "student_views": student_views,
        "min_confidence": min_confidence,
        "balance": balance,
    }
    # What makes no difference stands in no settings: the training is the one that it
    # was before there was a choice.
    noise = {name: value for name, value in noise.items() if value}

    def make_distiller() -> Distiller:
        views = make_student_views(student_views, teacher.views)
        return Distiller(
            student,
            teacher,
            temperature=temperature,
            student_views=views,
            min_confidence=min_confidence,
            balance=balance,
            seed=seed,
        )

    return _trained(
        "Distilling",
        make_distiller,
        recipes.DISTILLATION,
        (images,),
        {"temperature": temperature, **noise},
        shorten="A lower --epochs, or a smaller --student, takes less.",
        epochs=epochs,
        budget=budget,
        learning_rate=learning_rate,
        seed=seed,
        checkpoints=checkpoints,
        depends_on=depends_on,
        trust=trust,
        callbacks=callbacks,
    )


def _trained(
    doing: str,
    make_trainer: Callable[[], Any],
    recipe: ClassifierTraining,
    data: tuple[Any, ...],
    settings: dict[str, Any],
    *,
    shorten: str,
    epochs: int | None,
    budget: Budget | None = None,
    learning_rate: float | None,
    seed: int,
    checkpoints: pathlib.Path | None,
    depends_on: Mapping[str, Any] | None,
    trust: bool,
    **arguments: Any,
) -> tuple[Any, dict[str, Any]]:
    """What is made, trained by a recipe on data; and `settings` with the recipe's."""
    count = len(data[0])
    learning_rate = learning_rate or recipe.learning_rate
    batch_size = recipe.batch_of(count)

    def make_compiled(steps: int) -> Any:
        keras.utils.set_random_seed(seed)
        trainer = make_trainer()
        trainer.compile(recipe.make_optimizer(steps, learning_rate))
        return trainer

    return fitted_training(
        doing,
        make_compiled,
        data,
        {"batch_size": batch_size, "learning_rate": learning_rate, **settings},
        usual=Schedule(epochs or recipe.epochs_of(count)),
        steps_in_pass=recipe.steps_in(count),
        budget=budget,
        checkpoints=checkpoints,
        depends_on=depends_on,
        shorten=shorten,
        trust=trust,
        batch_size=batch_size,
        **arguments,
    )
