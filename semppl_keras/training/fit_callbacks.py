"""The callbacks of a training that may go on in the middle of an epoch."""

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
        self, callbacks, feed, initial_epoch, initial_batch, epochs, verbose, model
    ):
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
        self._feed = feed
        self._initial_epoch = initial_epoch
        self._epochs = epochs
        self._offset = initial_batch
        self._begun = self._sought = False
        self._last_logs = None

    def parts(self):
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

    def on_train_begin(self, logs=None):
        if not self._begun:
            super().on_train_begin(logs)
        self._begun = True

    def on_train_end(self, logs=None):
        # It may be the end of a part alone: see `parts`.
        self._last_logs = logs

    def on_epoch_begin(self, epoch, logs=None):
        super().on_epoch_begin(epoch, logs)
        if not self._sought:
            # Other callbacks may have restored the model until now.
            self._feed.seek(int(ops.convert_to_numpy(self.model.step)))
            self._sought = True

    def on_train_batch_begin(self, batch, logs=None):
        super().on_train_batch_begin(batch + self._offset, logs)

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch + self._offset, logs)


def as_list(callbacks):
    """A list of what Keras takes as `callbacks`."""
    if callbacks is None:
        return []
    return list(callbacks) if isinstance(callbacks, (list, tuple)) else [callbacks]
