"""A run whose minutes leave no time for SemPPL: it ends with what it has by then."""

from semppl_keras.callbacks.training_progress import spoken_duration
from semppl_keras.runs.budget import Budget, TooShort
from semppl_keras.runs.job import Job
from semppl_keras.runs.run_files import write_run_files
from semppl_keras.runs.telling import tell

_WHAT_NEEDS_NONE = (
    "what needs none: patches and gradients of small images, and the features of a "
    "network as it was made, at random"
)


def begins_without_any(job: Job) -> None:
    """Tells that nothing at all is trained, as was asked for, and notes the run."""
    others = "" if len(job.data.unlabelled_indices) else "--unlabelled MORE "
    tell(
        f"Note: the run is without a training of SemPPL, with {_WHAT_NEEDS_NONE}. To "
        f"go on from there: semppl train --from {job.folder} {others}--out DIR."
    )
    write_run_files(job)


def ends_without_semppl(job: Job, why: TooShort) -> Job:
    """Tells that SemPPL is not trained, and notes it, so that a run that goes on knows.

    Args:
        job: The run.
        why: How much time there is, and how much would be needed.

    Returns:
        The run as it is from now on.
    """
    with_what = "classifiers of the features that there are"
    if not job.recipe.from_weights and not job.goes_on:
        with_what = _WHAT_NEEDS_NONE
    tell(
        f"Note: the run ends without a training of SemPPL, with {with_what}. {why} To "
        f"go on from there: semppl train --from {job.folder} --minutes "
        f"{why.minutes:g} --out DIR."
    )
    job = job.with_settings(epochs=0)
    write_run_files(job)
    return job


def unless_no_time_is_left(budget: Budget, job: Job) -> Job:
    """A run; one that `ends_without_semppl` where reading and measuring have taken all
    the time that there is.

    Args:
        budget: Of the run.
        job: The run.
    """
    if budget.seconds_to_train() > 0:
        return job
    least = budget.least_minutes(0.0)
    # A guess: by then nothing of the training was timed.
    minutes = float(f"{2 * least:.2g}")
    why = TooShort(
        f"Of --minutes {budget.minutes:g} reading and measuring have taken "
        f"{spoken_duration(budget.spent)}, and {spoken_duration(budget.kept)} are kept "
        f"for the end: more than --minutes {least:.2g} would be needed.",
        minutes,
    )
    return ends_without_semppl(job, why)
