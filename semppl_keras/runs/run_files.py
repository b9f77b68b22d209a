"""What makes a folder a run, `run.json`: written with the first step of training."""

import pathlib
from collections.abc import Mapping
from typing import Any

import keras

from semppl_keras.data import FewLabels
from semppl_keras.runs.noted_files import note_files
from semppl_keras.runs.skipped_files import write_skipped
from semppl_keras.runs.whole_files import write_json


class RunFiles(keras.callbacks.Callback):
    """Writes what makes a folder a run, once it is known that the data fits.

    Args:
        folder: Of the run.
        settings: What `run.json` is to hold.
        data: What it is trained on.
    """

    def __init__(
        self, folder: pathlib.Path, settings: Mapping[str, Any], data: FewLabels
    ) -> None:
        super().__init__()
        self._written = folder, settings, data

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        write_run_files(*self._written)


def write_run_files(
    folder: pathlib.Path, settings: Mapping[str, Any], data: FewLabels
) -> None:
    """Writes them.

    Args:
        folder, settings, data: As for `RunFiles`.
    """
    # Which a run that goes on may name as where its labels are.
    note_files(folder, settings, data)
    write_json(folder / "run.json", settings)
    write_skipped(folder / "skipped.tsv", getattr(data, "skipped", ()))
