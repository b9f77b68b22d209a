"""A training of a classifier that can be gone on with, and may have to fit a time."""

import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from semppl_keras.runs.budget import Budget
from semppl_keras.runs.resuming import begun_schedule, resumable_fit
from semppl_keras.runs.schedule import Schedule
from semppl_keras.runs.telling import tell


def fitted_training(
    doing: str,
    make_compiled: Callable[[int], Any],
    data: tuple[Any, ...],
    settings: Mapping[str, Any],
    *,
    usual: Schedule,
    steps_in_pass: int,
    budget: Budget | None = None,
    share: float = 1.0,
    at_most_usual: bool = False,
    least_steps: int | None = None,
    checkpoints: pathlib.Path | None = None,
    depends_on: Mapping[str, Any] | None = None,
    shorten: str = "",
    trust: bool = False,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    **arguments: Any,
) -> tuple[Any, dict[str, Any]]:
    """Trains what is made.

    Args:
        doing: What is done, a word or more, such as "Distilling".
        make_compiled: Function of the number of steps, that gives the trainer, seeded.
        data: As its `fit` takes them.
        settings: Dict of how it is trained, as JSON has it.
        usual: How long, where there is no budget.
        steps_in_pass: Of a pass over the images.
        budget: Which as many steps are to fit as can, or None.
        share: As for `Budget.fitted`.
        at_most_usual: Whether no budget makes it longer than `usual`.
        least_steps: As for `Budget.fitted`.
        checkpoints: Folder for them, to go on from, also with the length that was found
            when the training was begun; None for none.
        depends_on: Dict of what else the training depends on, as JSON has it.
        shorten: A sentence, what makes it shorter.
        trust: Whether its checkpoints may name what is not known here.
        callbacks: Others, called before a checkpoint is written; not by what is timed.
        **arguments: As in `fit`.

    Returns:
        The trainer, and the settings with the length.
    """
    schedule, settings = usual, {**settings}
    if budget is not None:
        settings["minutes"] = budget.minutes
        begun = {**settings, **(depends_on or {})}
        schedule = begun_schedule(checkpoints, begun, *data) or budget.fitted(
            f"{doing[0].lower()}{doing[1:]}",
            lambda: make_compiled(steps_in_pass),
            *data,
            steps_in_pass=steps_in_pass,
            share=share,
            least_steps=least_steps,
            most=usual if at_most_usual else None,
            **arguments,
        )
        shorten = "Fewer --minutes take less."
    if schedule.steps_per_epoch is not None:
        arguments["steps_per_epoch"] = schedule.steps_per_epoch
    settings = {**schedule.to_dict(), **settings}
    steps = schedule.steps_in_all(steps_in_pass)
    tell(f"{doing}, {steps:,} steps ...")
    trainer = resumable_fit(
        lambda: make_compiled(steps),
        checkpoints,
        {**settings, **(depends_on or {})},
        *data,
        epochs=schedule.epochs,
        shorten=shorten,
        trust=trust,
        callbacks=callbacks,
        **arguments,
    )
    return trainer, settings
