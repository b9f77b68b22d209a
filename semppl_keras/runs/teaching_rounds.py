"""Students that become teachers, round after round, to be gone on with."""

import pathlib
import time
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from semppl_keras.classifiers import Distiller
from semppl_keras.networks import ImageClassifier
from semppl_keras.recipes.defaults import CLASSIFIER_MEASURING_SHARE
from semppl_keras.runs.budget import Budget, TooShort
from semppl_keras.runs.classifier_training import teach
from semppl_keras.runs.telling import tell
from semppl_keras.runs.tracker import Tracker


def teach_in_rounds(
    student: keras.Model,
    teacher: ImageClassifier,
    images: np.ndarray,
    *,
    rounds: int = 1,
    goes_on: bool = False,
    minutes: float | None = None,
    begun: float | None = None,
    seed: int = 0,
    checkpoints: pathlib.Path | None = None,
    depends_on: Mapping[str, Any] | None = None,
    tracker: Tracker | None = None,
    **teaching: Any,
) -> tuple[Distiller, dict[str, Any]]:
    """Teaches a network what a classifier says, and again what that network says.

    Args:
        student: What a round trains a copy of, as for `Distiller`.
        teacher: `ImageClassifier` of the first round.
        images: `(N, h, w, c)`.
        rounds: How many, at least 1.
        goes_on: Whether each round begins with what the one before has learned, in
            place of `student`.
        minutes: How long all of them may take, each an equal part; None for as long as
            their epochs take.
        begun: From when they count, by `time.monotonic`; None for now.
        seed: Of the first round; each has the one after.
        checkpoints: Folder for those of all rounds, or None. A round that is done is
            kept there too, until the caller removes the folder.
        depends_on: As for `fine_tune`.
        tracker: What follows all rounds as one training, or None.
        **teaching: As `teach` takes it.

    Returns:
        The `Distiller` of the last round, and the settings that it was trained with.

    Raises:
        RunError: The minutes are too few, or the training diverges.
        ValueError, TypeError: The student cannot learn from this teacher.
    """
    begun = time.monotonic() if begun is None else begun
    tracker, epochs = tracker or Tracker(), 0
    for number in range(1, rounds + 1):
        folder, depending = checkpoints, {**(depends_on or {})}
        if rounds > 1:
            tell(f"Round {number} of {rounds}")
            depending["round"] = number
            folder = checkpoints and checkpoints / f"round_{number}"
        distiller, settings = _in_time(
            number,
            rounds,
            minutes,
            begun,
            student=student,
            teacher=teacher,
            images=images,
            seed=seed + number - 1,
            checkpoints=folder,
            depends_on=depending,
            callbacks=tracker.callbacks(epochs),
            **teaching,
        )
        epochs += settings["epochs"]
        teacher = distiller.classifier
        student = teacher if goes_on else student
    return distiller, settings


def _in_time(
    number: int, rounds: int, minutes: float | None, begun: float, **arguments: Any
) -> tuple[Distiller, dict[str, Any]]:
    """A round, in the part of the minutes that ends with it."""
    budget = None
    if minutes is not None:
        spent = time.monotonic() - begun
        until = minutes * number / rounds
        budget = Budget(until, CLASSIFIER_MEASURING_SHARE, spent=spent)
    try:
        return teach(budget=budget, **arguments)
    except TooShort as error:
        if rounds == 1:
            raise
        raise TooShort(
            f"{error} (That is for round {number} of {rounds}, with equal parts of the "
            f"{minutes:g} minutes; fewer --rounds leave each more.)",
            rounds * error.minutes,
        ) from error
