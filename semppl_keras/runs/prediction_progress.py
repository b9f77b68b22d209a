"""How far a network is with many images."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from semppl_keras.runs.progress import Progress

# What a `Progress` calls them.
TESTED = "images to test on"


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


def predicted_on_test(
    model: keras.Model, images: np.ndarray, progress: Progress
) -> np.ndarray:
    """What a model says of images to test on, while it tells how far it is."""
    told = PredictionProgress(progress, TESTED, len(images))
    return model.predict(images, verbose=0, callbacks=[told])
