"""Training that goes wrong: what is told, and what is kept."""

import errno
import os
import resource
import signal
import time

import keras
import numpy as np
import pytest
from toys import (
    QUICK,
    SINGLE_OUTCOME,
    assert_same_weights,
    toy_backbone,
    toy_images,
    toy_model,
    toy_views,
    weights_of,
)

from semppl_keras import FineTuner
from semppl_keras.callbacks import (
    TrainingCheckpoints,
    TrainingDiverged,
    TrainingHealth,
    TrainingState,
    finishing_the_step,
    latest_checkpoint,
    training_checkpoints,
)
from semppl_keras.cli import main
from semppl_keras.runs.classifier_files import file_digest
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.resuming import resumable_fit

IMAGES, LABELS = toy_images(24)
# 4 steps an epoch.
SIZES = {"batch_size": 6, "labelled_batch_size": 3}


class At(keras.callbacks.Callback):
    """Calls a function before a step of an epoch."""

    def __init__(self, epoch, batch, function):
        super().__init__()
        self._when = (epoch, batch)
        self._function = function

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        if (self._epoch, batch) == self._when:
            self._function(self.model)


def _fit(model, *callbacks, **arguments):
    return model.fit(
        IMAGES,
        (IMAGES[:6], LABELS[:6]),
        **{"epochs": 2, "verbose": 0, **SIZES, **arguments},
        callbacks=list(callbacks),
    )


def _quick_model(**changes):
    # The backbone's weights have no seed of their own.
    keras.utils.set_random_seed(0)
    return toy_model(**changes)


def _interrupt(model):
    os.kill(os.getpid(), signal.SIGINT)


# -- going on -----------------------------------------------------------------


def test_the_rest_of_an_epoch_is_trained_as_in_one_go(tmp_path):
    whole = _quick_model()
    expected = _fit(whole, epochs=3).history

    with finishing_the_step() as stop_requested:
        saving = TrainingCheckpoints(tmp_path, stop_requested=stop_requested)
        with pytest.raises(KeyboardInterrupt):
            _fit(_quick_model(), At(1, 2, _interrupt), saving, epochs=3)
    path = latest_checkpoint(tmp_path)
    state = TrainingState.read(path)
    assert (state.step, state.epoch, state.batch) == (6, 1, 2)

    model = keras.models.load_model(path)
    told = []

    class Listening(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            told.append("begin")

        def on_train_end(self, logs=None):
            told.append("end")

        def on_train_batch_end(self, batch, logs=None):
            told.append(batch)

    history = _fit(
        model,
        TrainingCheckpoints(tmp_path, state),
        Listening(),
        epochs=3,
        initial_epoch=state.epoch,
        initial_batch=state.batch,
    ).history
    # One training, of which the callbacks are told no more than that.
    assert told == ["begin", 2, 3, 0, 1, 2, 3, "end"]
    assert history == {name: values[1:] for name, values in expected.items()}
    assert_same_weights(weights_of(whole), weights_of(model))
    state = TrainingState.read(latest_checkpoint(tmp_path))
    assert (state.epoch, state.batch, state.history) == (3, 0, expected)


def test_the_rest_of_an_epoch_of_a_dataset():
    batches = [IMAGES[start : start + 6] for start in range(0, 24, 6)]
    labelled = (IMAGES[:6], LABELS[:6])
    options = {"epochs": 2, "labelled_batch_size": 3, "verbose": 0}
    whole, parts = _quick_model(), _quick_model()
    expected = whole.fit(batches, labelled, **options).history["loss"]

    class Stop(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if batch == 1:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        parts.fit(batches, labelled, callbacks=[Stop()], **options)
    if keras.backend.backend() == "jax":
        # What an exception leaves behind in Keras' loop.
        parts.jax_state_sync()
    losses = parts.fit(batches, labelled, initial_batch=1, **options).history["loss"]
    assert len(losses) == 2
    # The first epoch's is the mean of its last three batches here.
    assert losses[1] == expected[1]
    assert_same_weights(weights_of(whole), weights_of(parts))


@pytest.mark.any_backend
def test_a_callback_stops_the_rest_of_an_epoch():
    class Stop(keras.callbacks.Callback):
        ended = 0

        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = True

        def on_train_end(self, logs=None):
            self.ended += 1

    model, stop = _quick_model(), Stop()
    history = _fit(model, stop, epochs=5, initial_batch=2)
    assert len(history.history["loss"]) == 1
    assert int(model.step) == 1
    assert stop.ended == 1


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (4, "initial_batch=4 of 4"),
        (-1, "initial_batch=-1"),
        (1.5, "initial_batch=1.5"),
    ],
)
def test_no_batch_of_the_epoch(batch, message):
    with pytest.raises(ValueError, match=message):
        _fit(toy_model(), initial_batch=batch)


def test_averaged_weights_have_no_rest_of_an_epoch():
    model = toy_model(
        compile_arguments={"optimizer": keras.optimizers.Adam(1e-2, use_ema=True)}
    )
    with pytest.raises(ValueError, match=r"Adam\(use_ema=True\)"):
        _fit(model, initial_batch=1)


# -- Ctrl-C -------------------------------------------------------------------


@pytest.mark.any_backend
def test_the_second_interrupt_does_not_wait(tmp_path):
    def twice(model):
        _interrupt(model)
        _interrupt(model)

    # In a job in the background it is ignored.
    before = signal.getsignal(signal.SIGINT)
    with finishing_the_step() as stop_requested:
        saving = TrainingCheckpoints(tmp_path, stop_requested=stop_requested)
        with pytest.raises(KeyboardInterrupt):
            _fit(_quick_model(), At(0, 1, twice), saving)
    assert latest_checkpoint(tmp_path) is None
    # Everything is as it was.
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.any_backend
def test_an_interrupt_in_the_last_step_of_an_epoch(tmp_path):
    class InTheEnd(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            _interrupt(self.model)

    with finishing_the_step() as stop_requested:
        saving = TrainingCheckpoints(
            tmp_path, stop_requested=stop_requested, least_seconds=1e9
        )
        with pytest.raises(KeyboardInterrupt):
            _fit(_quick_model(), InTheEnd(), saving)
    state = TrainingState.read(latest_checkpoint(tmp_path))
    assert (state.step, state.epoch, state.batch) == (4, 1, 0)


# -- checkpoints --------------------------------------------------------------


def _no_room(model):
    # What is written beyond it fails, as it does on a disk that is full.
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))


def _room(model=None):
    resource.setrlimit(resource.RLIMIT_FSIZE, [resource.RLIM_INFINITY] * 2)


@pytest.mark.any_backend
def test_a_disk_that_is_full_for_a_while(tmp_path):
    told = []
    saving = TrainingCheckpoints(
        tmp_path, minutes=1e-9, least_seconds=0, tell=told.append
    )
    try:
        _fit(_quick_model(), At(0, 2, _no_room), At(1, 2, _room), saving)
    finally:
        _room()
    # Where there is no room it is made, except for the last one.
    assert "step 2 cannot be written" in told[0]
    assert "(File too large); the last is " in told[0]
    assert "checkpoint_000000001.keras. Make room. Training goes on." in told[0]
    # Of steps 2 to 5, that of the first epoch's end tried again before the next one.
    assert len(told) == 5
    names = [path.name for path in sorted(tmp_path.iterdir())]
    assert names == ["checkpoint_000000007.keras", "checkpoint_000000008.keras"]
    assert TrainingState.read(latest_checkpoint(tmp_path)).epoch == 2


class _Windows:
    """`os` as on a system that syncs no file open to be read, and opens no folder."""

    name = "nt"

    def __getattr__(self, name):
        return getattr(os, name)

    def open(self, path, flags):
        if os.path.isdir(path):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return os.open(path, flags)

    def fsync(self, descriptor):
        # Writing nothing fails where nothing may be written.
        os.write(descriptor, b"")
        os.fsync(descriptor)


@pytest.mark.any_backend
def test_checkpoints_are_written_on_windows(tmp_path, monkeypatch):
    monkeypatch.setattr(training_checkpoints, "os", _Windows())
    (tmp_path / "some").write_bytes(b"some")
    read = os.open(tmp_path / "some", os.O_RDONLY)
    with pytest.raises(OSError, match="Bad file descriptor"):
        _Windows().fsync(read)
    os.close(read)
    folder, told = tmp_path / "checkpoints", []
    _fit(_quick_model(), TrainingCheckpoints(folder, tell=told.append), epochs=1)
    assert told == []
    assert TrainingState.read(latest_checkpoint(folder)).step == 4


@pytest.mark.any_backend
def test_a_disk_that_is_full_in_the_end(tmp_path):
    saving = TrainingCheckpoints(tmp_path, minutes=1e-9, tell=lambda text: None)
    try:
        with pytest.raises(
            OSError, match="step 8 cannot be written.*the last is .*006"
        ):
            _fit(_quick_model(), At(1, 3, _no_room), saving)
    finally:
        _room()
    assert TrainingState.read(latest_checkpoint(tmp_path)).step == 6
    assert not list(tmp_path.glob("*partial*"))


@pytest.mark.any_backend
def test_damaged_checkpoints_are_passed_over(tmp_path):
    model = _quick_model()
    _fit(model, TrainingCheckpoints(tmp_path, least_seconds=0, keep=3), epochs=3)
    paths = sorted(tmp_path.iterdir())
    assert [path.name[-8:-6] for path in paths] == ["04", "08", "12"]
    content = bytearray(paths[2].read_bytes())
    content[len(content) // 2] ^= 255
    paths[2].write_bytes(content)
    assert latest_checkpoint(tmp_path) == paths[1]
    os.truncate(paths[1], 1000)
    assert latest_checkpoint(tmp_path) == paths[0]

    told = []
    model, state = keras.models.load_model(paths[0]), TrainingState.read(paths[0])
    saving = TrainingCheckpoints(tmp_path, state, tell=told.append)
    _fit(model, saving, initial_epoch=state.epoch, epochs=3)
    assert [text.endswith("is damaged and removed.") for text in told] == [True, True]
    assert latest_checkpoint(tmp_path).name == "checkpoint_000000012.keras"


@pytest.mark.any_backend
def test_a_training_does_not_take_the_place_of_another(tmp_path):
    _fit(_quick_model(), TrainingCheckpoints(tmp_path), epochs=1)
    with pytest.raises(ValueError, match="Received: step 0, where .*004.keras"):
        _fit(_quick_model(), TrainingCheckpoints(tmp_path), epochs=1)


@pytest.mark.any_backend
def test_no_checkpoint(tmp_path):
    assert latest_checkpoint(tmp_path / "none") is None
    model = toy_model()
    model.save(tmp_path / "model.keras")
    with pytest.raises(ValueError, match="must be a checkpoint of"):
        TrainingState.read(tmp_path / "model.keras")


# -- divergence ---------------------------------------------------------------


def _spoil(model):
    variable = model.trainable_variables[0]
    variable.assign(keras.ops.full(variable.shape, float("nan")))


def test_a_loss_that_is_not_finite(tmp_path):
    saving = TrainingCheckpoints(tmp_path, least_seconds=0)
    health = TrainingHealth(checkpoints=saving)
    with pytest.raises(TrainingDiverged) as raised:
        _fit(_quick_model(), At(1, 1, _spoil), health, saving, epochs=3)
    told = str(raised.value)
    assert "Received: nan at step 6 (epoch 2). The learning rate was 0.01." in told
    assert f"The last good checkpoint is {tmp_path / 'checkpoint_000000004'}" in told
    # None was written of what is lost.
    assert len(list(tmp_path.iterdir())) == 1


class Slow(keras.callbacks.Callback):
    """Takes its time with the first batch."""

    async_safe = True

    def __init__(self):
        super().__init__()
        self.ended = []

    def on_train_batch_end(self, batch, logs=None):
        if batch == 0:
            time.sleep(0.5)
        self.ended.append(batch)


def test_batches_end_in_their_order():
    slow = Slow()
    _fit(_quick_model(), slow, epochs=1)
    assert slow.ended == [0, 1, 2, 3]


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    saving = TrainingCheckpoints(tmp_path, minutes=1e-9, least_seconds=0)
    with pytest.raises(TrainingDiverged, match="NaN or infinity in .* at step 5"):
        _fit(_quick_model(), At(1, 1, _spoil), saving)
    assert TrainingState.read(latest_checkpoint(tmp_path)).step == 4


@pytest.mark.any_backend
def test_a_loss_that_explodes():
    health = TrainingHealth(largest_growth=0.5)
    with pytest.raises(
        TrainingDiverged, match="within 0.5 times its lowest value"
    ) as e:
        _fit(_quick_model(), health)
    assert "There is no good checkpoint" in str(e.value)


@pytest.mark.any_backend
def test_a_training_that_is_well_is_left_alone(recwarn):
    model = _quick_model()
    _fit(model, TrainingHealth(), epochs=2)
    assert not [w for w in recwarn if "collapse" in str(w.message)]
    other = _quick_model()
    _fit(other, epochs=2)
    assert_same_weights(weights_of(other), weights_of(model))


@pytest.mark.any_backend
def test_collapse_is_told_once():
    told = []
    # Images, and views of them, that are all alike.
    model = _quick_model(views=toy_views(**SINGLE_OUTCOME))
    images = np.full_like(IMAGES, 100)
    model.fit(
        images,
        (images[:6], LABELS[:6]),
        epochs=4,
        verbose=0,
        callbacks=[TrainingHealth(warn=told.append)],
        **SIZES,
    )
    assert len(told) == 1
    assert "The embeddings collapse" in told[0]
    assert "where 0.5 is that of embeddings spread" in told[0]


# -- memory -------------------------------------------------------------------


def test_out_of_memory_names_the_batch_size():
    def allocate(model):
        # More than any machine has: what the backend itself then raises. JAX's ends the
        # process where an array that was never made is asked for its numbers.
        float(keras.ops.sum(keras.ops.zeros((1 << 22, 1 << 23))))

    with pytest.raises(MemoryError) as raised:
        _fit(_quick_model(), At(0, 1, allocate))
    told = str(raised.value)
    assert "with batch_size=6, labelled_batch_size=3 and views of each image" in told
    assert "Lower the batch size first, such as to 3" in told


@pytest.mark.any_backend
def test_the_command_line_tells_of_too_little_memory(tmp_path, monkeypatch, capsys):
    def fit(self, *arguments, **keywords):
        raise MemoryError("A step must fit.")

    monkeypatch.setattr("semppl_keras.SemPPL.fit", fit)
    assert main(["train", "--epochs", "1", "--out", str(tmp_path / "run")]) == 2
    assert "A step must fit. On the command line: --batch-size 32" in (
        capsys.readouterr().err
    )

    def load_digits(*arguments, **keywords):
        raise MemoryError

    monkeypatch.setattr("sklearn.datasets.load_digits", load_digits)
    assert main(["train", "--epochs", "1", "--out", str(tmp_path / "run")]) == 2
    assert "there is less memory than this takes" in capsys.readouterr().err
    assert issubclass(RunError, Exception)


@pytest.mark.any_backend
def test_a_classifier_is_begun_anew_on_other_data(tmp_path):
    made = []

    def make():
        made.append(FineTuner(toy_backbone(), 3, views=toy_views(), seed=0))
        made[-1].compile("sgd", **QUICK)
        return made[-1]

    def number_made(images, labels):
        arguments = {"epochs": 1, "batch_size": 6}
        resumable_fit(make, tmp_path / "parts", {}, images, labels, **arguments)
        return len(made)

    assert number_made(IMAGES[:6], LABELS[:6]) == 1
    assert number_made(IMAGES[:6].copy(), LABELS[:6]) == 1
    # As many, of one shape.
    assert number_made(IMAGES[6:12], LABELS[:6]) == 2
    assert number_made(IMAGES[6:12], (LABELS[:6] + 1) % 3) == 3


@pytest.mark.any_backend
def test_a_file_of_the_same_size_and_time_is_another(tmp_path):
    path = tmp_path / "model.keras"
    digests = []
    for content in (b"one", b"two", b"one"):
        path.write_bytes(content)
        os.utime(path, ns=(0, 0))
        digests.append(file_digest(path))
    assert digests[0] == digests[2] != digests[1]
