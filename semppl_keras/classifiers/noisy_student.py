"""Noisy Student: students that become teachers, round after round."""

from collections.abc import Callable, Mapping
from typing import Any

import keras

from semppl_keras.checks import check_integers
from semppl_keras.classifiers.distiller import Distiller
from semppl_keras.views import RandAugment

# Of each round, where nobody says something else; see `Distiller`.
MIN_CONFIDENCE = 0.3
LABEL_SMOOTHING = 0.1
LABELLED_SHARE = 0.5


def noisy_student(
    student: keras.Model | Callable[[int], keras.Model],
    teacher: keras.Model,
    unlabelled: Any,
    labelled: Any = None,
    *,
    rounds: int = 3,
    make_optimizer: Callable[[], Any] = keras.optimizers.AdamW,
    settings: Mapping[str, Any] | None = None,
    **fit: Any,
) -> Distiller:
    """Trains a student on what a teacher says of clean images, which then teaches.

    Noisy Student (Xie et al., CVPR 2020, arXiv 1911.04252) on soft labels: the teacher
    sees each image as it is, the student a view that RandAugment has changed; images
    that the teacher is not sure of are left out, and its classes are balanced. Each
    round is a `Distiller`, with these settings where `settings` say nothing else:
    student_views=RandAugment(2), min_confidence=0.3, balance=True, and with labels
    label_smoothing=0.1 and distillation_weight=0.5.

    Example:

    ```python
    student = noisy_student(
        backbone, tuner, images, (few_images, few_labels), rounds=2, epochs=50,
        settings={"weight_average": 0.999},
    )
    student.classifier.save("student.keras")
    ```

    Args:
        student: what every round trains a copy of, as for `Distiller`: a backbone that
            was not trained learns from scratch each time, as in the paper. Or a
            function of the round, from 1 on, that gives it; later ones may be larger,
            and noisier, with dropout and stochastic depth of their own.
        teacher: of the first round, as for `Distiller`.
        unlabelled, labelled: as for `Distiller.fit`. With labels both losses count
            alike.
        rounds: int, at least 1.
        make_optimizer: function that gives a Keras optimiser, a new one each time.
        settings: of every round, keywords of `Distiller`. Where `seed` is among them,
            it is that of the first round, and each round has the one after.
        **fit: of every round, keywords of `Distiller.fit`, such as `epochs`.

    Returns:
        The `Distiller` of the last round, after training.

    Raises:
        TypeError, ValueError: as `Distiller` and its `fit`; of the first round before
            anything is trained.
    """
    check_integers(1, rounds=rounds)
    if not callable(make_optimizer):
        raise TypeError(
            "`make_optimizer` must be a function that gives a new optimiser, of which "
            f"each round needs one. Received: {type(make_optimizer).__name__}. Pass "
            "lambda: keras.optimizers.Adam(1e-3)."
        )
    chosen = {
        "student_views": RandAugment(2),
        "min_confidence": MIN_CONFIDENCE,
        "balance": True,
        **_with_labels(labelled is not None),
        **(settings or {}),
    }
    data = (unlabelled,) if labelled is None else (unlabelled, labelled)

    def begin(number: int) -> keras.Model:
        # A model is callable as well.
        made = callable(student) and not isinstance(student, keras.Model)
        return student(number) if made else student

    distiller = Distiller(begin(1), teacher, **chosen)
    for number in range(1, rounds + 1):
        if number > 1:
            distiller = distiller.next_round(begin(number))
        distiller.compile(make_optimizer())
        distiller.fit(*data, **fit)
    return distiller


def _with_labels(there_are: bool) -> dict[str, float]:
    if not there_are:
        return {}
    return {
        "label_smoothing": LABEL_SMOOTHING,
        "distillation_weight": LABELLED_SHARE,
    }
