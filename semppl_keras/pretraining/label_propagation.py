"""Pseudo-labels from a graph over all images of a training."""

import math
import time
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from semppl_keras.evaluation import propagate_labels
from semppl_keras.evaluation.inputs import UNKNOWN

if TYPE_CHECKING:
    from semppl_keras.pretraining.semppl import SemPPL

# Images that are embedded at once.
_BATCH_SIZE = 256


class LabelPropagation(keras.callbacks.Callback):
    """Sets the pseudo-labels of all unlabelled images, between steps.

    When it does follows from the place in the training alone, and the labels from the
    networks as they are then: a training that goes on does what an uninterrupted one
    would have done. `fit` adds one to a `SemPPL` with labeller="propagation", and tells
    as `propagation_seconds` what it cost of each epoch.

    Args:
        unlabelled: `(N, H, W, C)` images.
        labelled: `(M, H, W, C)` the others.
        labels: `(M,)` their labels.
        start: float, epochs before the first time.
        every: float, epochs from one time to the next.
    """

    model: "SemPPL"

    def __init__(
        self,
        unlabelled: np.ndarray,
        labelled: np.ndarray,
        labels: np.ndarray,
        *,
        start: float,
        every: float,
    ) -> None:
        super().__init__()
        self._images = labelled, unlabelled
        unknown = np.full(len(unlabelled), UNKNOWN)
        self._labels = np.concatenate([labels.astype("int64"), unknown])
        self._start, self._every = start, every
        self._epoch, self._seconds = 0, 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch, self._seconds = epoch, 0.0
        if epoch == 0 and not self.params.get("initial_batch", 0):
            # Another training's, of other images.
            self.model.image_labels.make_room(len(self._images[1]))

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        at_once = self.model.steps_per_execution
        if self._times(batch) > self._times(batch - at_once):
            begun = time.monotonic()
            self._propagate()
            self._seconds += time.monotonic() - begun

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if logs is not None:
            logs["propagation_seconds"] = self._seconds

    def _times(self, batch: int) -> int:
        """How many times it is to have been done when a batch of this epoch begins."""
        steps = self.params["steps"]
        since = self._epoch * steps + batch - round(self._start * steps)
        return max(0, 1 + math.floor(since / max(1, round(self._every * steps))))

    def _propagate(self) -> None:
        features = np.concatenate(
            [self.model.embed(part, batch_size=_BATCH_SIZE) for part in self._images]
        )
        shares = propagate_labels(
            features,
            self._labels,
            self.model.num_classes,
            balance=self.model.balance_labels,
        )
        self.model.image_labels.assign(shares[len(self._images[0]) :])
