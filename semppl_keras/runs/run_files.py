"""What makes a folder a run, `run.json`: written with the first step of training."""

from collections.abc import Mapping
from typing import Any

import keras

from semppl_keras.runs.job import Job
from semppl_keras.runs.noted_files import note_files
from semppl_keras.runs.skipped_files import write_skipped
from semppl_keras.runs.whole_files import write_json


class RunFiles(keras.callbacks.Callback):
    """Writes what makes a folder a run, once it is known that the data fits.

    Args:
        job: The run.
    """

    def __init__(self, job: Job) -> None:
        super().__init__()
        self._job = job

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        write_run_files(self._job)


def write_run_files(job: Job) -> None:
    """Writes them.

    Args:
        job: The run.
    """
    # Which a run that goes on may name as where its labels are.
    note_files(job.folder, job.settings, job.data)
    write_json(job.folder / "run.json", job.settings)
    write_skipped(job.folder / "skipped.tsv", getattr(job.data, "skipped", ()))
