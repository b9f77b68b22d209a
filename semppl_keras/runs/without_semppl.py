"""A run whose minutes leave no time for SemPPL: it ends with what it has by then."""

import pathlib
from collections.abc import Mapping
from typing import Any

from semppl_keras.callbacks.training_progress import spoken_duration
from semppl_keras.data import FewLabels
from semppl_keras.runs.budget import Budget, TooShort
from semppl_keras.runs.folder import goes_on, recipe_of
from semppl_keras.runs.run_files import write_run_files
from semppl_keras.runs.telling import tell

_WHAT_NEEDS_NONE = (
    "what needs none: patches and gradients of small images, and the features of a "
    "network as it was made, at random"
)


def begins_without_any(
    folder: pathlib.Path, settings: Mapping[str, Any], data: FewLabels
) -> None:
    """Tells that nothing at all is trained, as was asked for, and notes the run.

    Args:
        folder, settings, data: As for `ends_without_semppl`.
    """
    others = "" if len(data.unlabelled_indices) else "--unlabelled MORE "
    tell(
        f"Note: the run is without a training of SemPPL, with {_WHAT_NEEDS_NONE}. To "
        f"go on from there: semppl train --from {folder} {others}--out DIR."
    )
    write_run_files(folder, settings, data)


def ends_without_semppl(
    folder: pathlib.Path, settings: Mapping[str, Any], data: FewLabels, why: TooShort
) -> dict[str, Any]:
    """Tells that SemPPL is not trained, and notes it, so that a run that goes on knows.

    Args:
        folder: Of the run.
        settings: What `run.json` holds.
        data: What it is trained on.
        why: How much time there is, and how much would be needed.

    Returns:
        What `run.json` holds from now on.
    """
    with_what = "classifiers of the features that there are"
    if not recipe_of(settings).from_weights and not goes_on(settings):
        with_what = _WHAT_NEEDS_NONE
    tell(
        f"Note: the run ends without a training of SemPPL, with {with_what}. {why} To "
        f"go on from there: semppl train --from {folder} --minutes {why.minutes:g} "
        "--out DIR."
    )
    settings = {**settings, "epochs": 0}
    write_run_files(folder, settings, data)
    return settings


def unless_no_time_is_left(
    budget: Budget, folder: pathlib.Path, settings: dict[str, Any], data: FewLabels
) -> dict[str, Any]:
    """The settings of a run; of one that `ends_without_semppl` where reading and
    measuring have taken all the time that there is.

    Args:
        budget: Of the run.
        folder, settings, data: As for `ends_without_semppl`.
    """
    if budget.seconds_to_train() > 0:
        return settings
    least = budget.least_minutes(0.0)
    # A guess: by then nothing of the training was timed.
    minutes = float(f"{2 * least:.2g}")
    why = TooShort(
        f"Of --minutes {budget.minutes:g} reading and measuring have taken "
        f"{spoken_duration(budget.spent)}, and {spoken_duration(budget.kept)} are kept "
        f"for the end: more than --minutes {least:.2g} would be needed.",
        minutes,
    )
    return ends_without_semppl(folder, settings, data, why)
