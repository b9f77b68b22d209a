"""The callbacks of a training that may go on in the middle of an epoch."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
from keras import ops


class FitCallbacks(keras.callbacks.CallbackList):
    """All callbacks of one `fit`, which also start the data where it is to go on.

    Keras runs whole epochs. What is left of one that was interrupted is therefore a
    `fit` of its own, of which the callbacks are not told: to them there is one
    training, and batches keep the numbers that they have in their epoch.

    Args:
        callbacks: a callback, several, or None.
        feed: `Feed` or `TFFeed`.
        initial_epoch: int.
        initial_batch: int, batches of that epoch that were done before; among the
            `params` of the callbacks.
        epochs: int.
        verbose: as in `keras.Model.fit`.
        model: the model.
    """

    def __init__(
        self,
        callbacks: Any,
        feed: Any,
        initial_epoch: int,
        initial_batch: int,
        epochs: int,
        verbose: Any,
        model: keras.Model,
    ) -> None:
        super().__init__(
            as_list(callbacks),
            add_history=True,
            add_progbar=verbose != 0,
            model=model,
            verbose=verbose,
            epochs=epochs,
            steps=feed.steps_per_epoch,
            initial_batch=initial_batch,
        )
        # On JAX Keras tells the end of a batch beside the next step; of several
        # threads, as it would have, one could tell it before an earlier batch's.
        self._executor = ThreadPoolExecutor(max_workers=1)
        self._feed = feed
        self._initial_epoch = initial_epoch
        self._epochs = epochs
        self._offset = initial_batch
        self._begun = self._sought = False
        self._last_logs = None

    def parts(self) -> Iterator[tuple[int, int]]:
        """Yields (first epoch, end) of each `fit` of Keras' that is to be run."""
        begin = self._initial_epoch
        if self._offset and begin < self._epochs:
            self._feed.skip_to(self._offset)
            yield begin, begin + 1
            begin += 1
            self._feed.skip_to(0)
            self._offset, self._sought = 0, False
        if not self._begun or (begin < self._epochs and not self._model.stop_training):
            yield begin, self._epochs
        super().on_train_end(self._last_logs)

    def on_train_begin(self, logs: Any = None) -> None:
        if not self._begun:
            super().on_train_begin(logs)
        self._begun = True

    def on_train_end(self, logs: Any = None) -> None:
        # It may be the end of a part alone: see `parts`.
        self._last_logs = logs

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        super().on_epoch_begin(epoch, logs)
        if not self._sought:
            # Other callbacks may have restored the model until now.
            self._feed.seek(int(ops.convert_to_numpy(self.model.step)))
            self._sought = True
        self._feed.begin_epoch()

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        super().on_train_batch_begin(batch + self._offset, logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        super().on_train_batch_end(batch + self._offset, logs)


def as_list(given: Any) -> list[Any]:
    """A list of what is given as `callbacks` or `metrics`: one, several or None."""
    if given is None:
        return []
    return list(given) if isinstance(given, (list, tuple)) else [given]


def check_initial_batch(
    model: keras.Model, initial_batch: int, steps_per_epoch: int
) -> None:
    """Raises a ValueError for a batch with which no `fit` can go on."""
    if initial_batch >= steps_per_epoch or initial_batch % model.steps_per_execution:
        raise ValueError(
            "`initial_batch` must be one of the batches of an epoch, from 0 on, "
            "and a multiple of `steps_per_execution`. Received: initial_batch="
            f"{initial_batch} of {steps_per_epoch}, steps_per_execution="
            f"{model.steps_per_execution}. After whole epochs give `initial_epoch` "
            "alone."
        )
    inner = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    if initial_batch and inner.use_ema:
        raise ValueError(
            "`initial_batch` is not for optimisers that replace the weights by "
            "their average at the end of `fit`: the rest of the epoch is a `fit` "
            f"of its own. Received: initial_batch={initial_batch} with "
            f"{type(inner).__name__}(use_ema=True). Begin with a whole epoch."
        )
