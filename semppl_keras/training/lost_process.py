"""The end of a training of which one process is gone."""

from typing import Any

from semppl_keras.training.backends import processes

_SIGNS = ("crashed", "peer", "heartbeat", "unhealthy", "Unavailable", "UNAVAILABLE")


def lost_process(model: Any, error: BaseException) -> str | None:
    """What to tell where an error comes of another process' end, else None.

    Args:
        model: what several processes train.
        error: what the backend raised.
    """
    if model.num_processes == 1 or not processes.is_lost(error):
        return None
    # Of the pages that backends write, a line that says what was lost.
    lines = str(error).splitlines() or [type(error).__name__]
    lines.sort(key=lambda line: not any(sign in line for sign in _SIGNS))
    return (
        f"Another of the {model.num_processes} processes of this training has ended, "
        "or cannot be reached: look into its output for why. This one cannot go on "
        "without it, and what was saved stays. End what is left of them, start all "
        "again, and go on from the newest checkpoint in the folder of "
        "`TrainingCheckpoints` (semppl_keras.callbacks.latest_checkpoint). Received: "
        f"{lines[0]:.300}"
    )
