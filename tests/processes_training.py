"""What several processes do together beside a step, and what becomes of a killed one.

    python tests/processes_training.py --port 4321 --process 0 --folder DIR

For `test_processes`: one of two processes on the loopback interface, each of one
device. Both write what they got into the folder; then the second one kills itself in
the middle of a training.
"""

import argparse
import os
import pathlib
import signal
import time

import keras
import numpy as np
from distributed_training import (
    BACKEND,
    IMAGES,
    LABELS,
    Recorder,
    devices_of,
    make_semppl,
)

from semppl_keras import FineTuner
from semppl_keras.callbacks import (
    TrainingCheckpoints,
    TrainingState,
    latest_checkpoint,
)

# An epoch has three steps.
DATA = IMAGES[:24], LABELS[:24]
TRAINING = {"batch_size": 8, "verbose": 0}
EPOCHS = 3
# Of its last batch one image is left, for one device.
HELD_OUT = IMAGES[:33], LABELS[:33]


def compiled():
    """A model with a metric, that starts anew."""
    keras.utils.set_random_seed(0)
    model = FineTuner(make_semppl(), num_classes=3, seed=0)
    # Compiled, one device would draw other views.
    options = {"jit_compile": False} if BACKEND == "tensorflow" else {}
    model.compile(keras.optimizers.SGD(0.02), metrics=["accuracy"], **options)
    return model


def uninterrupted():
    """The record of a training, and what its model says of images of all kinds."""
    recorder, model = Recorder(), compiled()
    model.fit(
        *DATA,
        epochs=EPOCHS,
        callbacks=[recorder],
        validation_data=HELD_OUT,
        validation_batch_size=16,
        validation_freq=EPOCHS,
        **TRAINING,
    )
    return {**recorder.record, **what_it_says(model)}


def what_it_says(model):
    """Of arrays and of datasets."""
    images, labels = HELD_OUT
    options = {"verbose": 0, "batch_size": 16}
    evaluated = model.evaluate(images, labels, **options)
    evaluated_batches = model.evaluate(Batches(2), verbose=0)
    return {
        "predicted": model.predict(images, **options),
        "predicted_batches": model.predict(Batches(1), verbose=0),
        "evaluated": np.asarray(evaluated),
        "evaluated_batches": np.asarray(evaluated_batches),
        "embedded": make_semppl().embed(images[:1]),
    }


class Batches(keras.utils.PyDataset):
    """The same images in batches, with labels where there are two parts."""

    num_batches = 3

    def __init__(self, parts):
        super().__init__()
        self.parts = parts

    def __getitem__(self, index):
        images, labels = (part[16 * index : 16 * index + 16] for part in HELD_OUT)
        return (images, labels) if self.parts == 2 else images


def interrupted(folder, process):
    """The record of the same training, which the second process stops on the way, and
    the model that it ended with."""
    asked = iter([False, False, process == 1])

    def stop_requested():
        return next(asked, False)

    checkpoints = TrainingCheckpoints(
        folder, least_seconds=1e6, stop_requested=stop_requested
    )
    try:
        compiled().fit(*DATA, epochs=EPOCHS, callbacks=[checkpoints], **TRAINING)
    except KeyboardInterrupt:
        stopped = checkpoints.state.step
    path = latest_checkpoint(folder)
    state, recorder = TrainingState.read(path), Recorder()
    assert state.step == stopped
    model = keras.models.load_model(path)
    model.fit(
        *DATA,
        epochs=EPOCHS,
        initial_epoch=state.epoch,
        initial_batch=state.batch,
        callbacks=[recorder, TrainingCheckpoints(folder, state)],
        **TRAINING,
    )
    last = {
        name: value
        for name, value in recorder.record.items()
        if name.startswith(f"{EPOCHS - 1}/")
    }
    return {**last, "stopped_at": stopped}, model


class Killed(keras.callbacks.Callback):
    """Kills its process in the middle of the second epoch."""

    def on_train_begin(self, logs=None):
        self.epoch = 0

    def on_epoch_end(self, epoch, logs=None):
        self.epoch += 1

    def on_train_batch_begin(self, batch, logs=None):
        if (self.epoch, batch) == (1, 1):
            os.kill(os.getpid(), signal.SIGKILL)


def killed(model, folder, process):
    """More of a training, which the second process does not survive."""
    callbacks = [TrainingCheckpoints(folder, least_seconds=0)]
    if process == 1:
        callbacks.append(Killed())
    began = time.monotonic()
    try:
        model.fit(*DATA, epochs=EPOCHS, callbacks=callbacks, **TRAINING)
    except RuntimeError as error:
        print(f"{time.monotonic() - began:.0f} s: {error}", flush=True)
        # What the backend does to end all would take its time.
        os._exit(3)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--process", type=int, required=True)
    parser.add_argument("--folder", type=pathlib.Path, required=True)
    parser.set_defaults(remote=None, model_parallel=False)
    arguments = parser.parse_args()
    folder, process = arguments.folder, arguments.process
    with devices_of(arguments):
        images = IMAGES.copy()
        np.savez(folder / f"uninterrupted_{process}.npz", **uninterrupted())
        np.testing.assert_array_equal(IMAGES, images)
        results, model = interrupted(folder / "interrupted", process)
        np.savez(folder / f"interrupted_{process}.npz", **results)
        killed(model, folder / "killed", process)


if __name__ == "__main__":
    main()
