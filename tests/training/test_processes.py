"""Two processes that share a model: what they do together, and one that is lost."""

import os
import pathlib
import signal
import socket
import subprocess
import sys

import keras
import numpy as np
import processes_training
import pytest
from processes_training import EPOCHS

from semppl_keras.training.agreement import Agreement
from semppl_keras.training.backends import processes

BACKEND = keras.backend.backend()
SCRIPT = pathlib.Path(processes_training.__file__)


def start_two(folder):
    """The script in two processes on the loopback interface."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    command = [sys.executable, SCRIPT, "--port", str(port), "--folder", str(folder)]
    return [
        subprocess.Popen(
            [*command, "--process", str(index)],
            env={**os.environ, "PYTHONPATH": str(SCRIPT.parent.parent)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for index in range(2)
    ]


def outputs_of(started):
    try:
        return [process.communicate(timeout=900)[0] for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()


# On torch `test_distribution` has two processes in every run.
@(pytest.mark.slow if BACKEND == "torch" else lambda test: test)
def test_two_processes_are_one_and_one_that_is_killed_is_told(tmp_path):
    started = start_two(tmp_path)
    expected = processes_training.uninterrupted()
    first, second = outputs_of(started)
    for process in range(2):
        path = tmp_path / f"uninterrupted_{process}.npz"
        assert path.is_file(), (first, second)[process][-4000:]
        with np.load(path) as actual:
            assert_near(expected, dict(actual))
        # One of them was asked to stop, and both went on from what the first wrote.
        path = tmp_path / f"interrupted_{process}.npz"
        assert path.is_file(), (first, second)[process][-4000:]
        with np.load(path) as actual:
            actual = dict(actual)
        assert 0 < actual.pop("stopped_at") < 3 * EPOCHS
        last = {name: expected[name] for name in actual if name in expected}
        assert len(last) == len(actual)
        assert any("/trained/" in name for name in last)
        assert_near(last, actual)
    assert started[1].returncode == -signal.SIGKILL
    assert started[0].returncode == 3, first[-4000:]
    assert "Another of the 2 processes of this training has ended" in first
    assert "go on from the newest checkpoint" in first
    assert len([*(tmp_path / "killed").iterdir()]) == 1


def assert_near(expected, actual):
    assert set(expected) == set(actual)
    for name, value in expected.items():
        atol = 1e-5 + 1e-4 * np.abs(value).max(initial=0.0)
        np.testing.assert_allclose(actual[name], value, rtol=0, atol=atol, err_msg=name)


class Told:
    """What processes tell each other, played by one."""

    num_processes = 2

    def __init__(self, monkeypatch, others):
        self.asked = []

        def gathered(model, values):
            model.asked.append(list(values))
            return np.stack([others(list(values)), values])

        monkeypatch.setattr(processes, "gathered", gathered)
        monkeypatch.setattr(processes, "index", lambda model: 1)


def test_processes_ask_each_other_about_once_a_second(monkeypatch):
    model = Told(monkeypatch, lambda own: [0, 0, 5])
    together = Agreement(model)
    assert not together.is_first
    decided = [together.at_step(stop=step == 2, due=True) for step in range(7)]
    # The first one's count holds; a signal between two questions is not lost, and what
    # is due is for the first one to say.
    assert len(model.asked) == 2
    assert decided == [(False, False)] * 5 + [(True, False), (False, False)]


def test_one_process_decides_at_once():
    together = Agreement(processes_training.compiled())
    assert together.is_first
    assert together.at_step(stop=True, due=False) == (True, False)
    assert together.decide(stop=False, due=True) == (False, True)


def test_what_is_no_other_process_end_is_left_alone():
    assert not processes.is_lost(ValueError("`images` must be finite."))


if BACKEND == "jax":

    def test_errors_of_collectives_tell_of_a_lost_process():
        error = ValueError("UNKNOWN: Gloo AllReduce failed: Connection closed by peer")
        assert processes.is_lost(error)


if BACKEND == "torch":

    def test_errors_of_collectives_tell_of_a_lost_process():
        error = RuntimeError("[gloo/transport/tcp/pair.cc:547] Connection closed")
        assert processes.is_lost(error)


if BACKEND == "tensorflow":
    import tensorflow as tf

    def test_errors_of_collectives_tell_of_a_lost_process():
        error = tf.errors.UnavailableError(None, None, "Connection reset by peer")
        assert processes.is_lost(error)


@pytest.mark.skipif(BACKEND != "jax", reason="these are JAX' processes")
def test_the_own_value_of_a_variable_is_a_copy():
    from semppl_keras.training.backends.jax_processes import own_value

    value = keras.ops.ones((2, 3))
    own = own_value(value)
    assert own is not value
    np.testing.assert_array_equal(own, value)
