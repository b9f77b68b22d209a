"""How far a network is with many images."""

from collections.abc import Mapping
from typing import Any

import keras

from semppl_keras.runs.progress import Progress


class PredictionProgress(keras.callbacks.Callback):
    """Tells a `Progress` how many images are done while `predict` is at work.

    Args:
        progress: `Progress`.
        what: What they are, such as "images to test on".
        total: How many.

    Example:
        >>> told = PredictionProgress(Progress("Measuring,"), "images", len(images))
        >>> model.predict(images, verbose=0, callbacks=[told])
    """

    def __init__(self, progress: Progress, what: str, total: int) -> None:
        super().__init__()
        self._progress = progress
        self._what = what
        self._total = total

    def on_predict_batch_end(
        self, batch: int, logs: Mapping[str, Any] | None = None
    ) -> None:
        # Batches are of one size, but for the last one.
        done = self._total * (batch + 1) // self.params["steps"]
        self._progress(self._what, done, self._total)
