"""What makes a folder a run, `run.json`: written with the first step of training."""

import pathlib
from collections.abc import Mapping
from typing import Any

import keras

from semppl_keras.data import FewLabels
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
        self._folder = folder
        self._settings = settings
        self._skipped = getattr(data, "skipped", ())

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        write_json(self._folder / "run.json", self._settings)
        write_skipped(self._folder / "skipped.tsv", self._skipped)
