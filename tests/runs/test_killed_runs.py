"""Runs that are killed, at any moment, and go on as if they had not been."""

import contextlib
import io
import json
import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest
from tiny_runs import assert_same_results, tiny_runs, write_archive

from semppl_keras.cli import main

SCRIPT = pathlib.Path(__file__).parents[1] / "killed_run.py"


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    # Three steps an epoch.
    return write_archive(tmp_path_factory.mktemp("data") / "tiny.npz")


@pytest.fixture(scope="module")
def finished(options, tmp_path_factory):
    """The folder of a run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("runs") / "finished"
    with tiny_runs(), contextlib.redirect_stdout(io.StringIO()):
        assert main(["train", *options, "--out", str(folder)]) == 0
    return folder


def _started(when, *arguments):
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), when, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _run(when, *arguments):
    """What a run printed; it ends as it was told to."""
    process = _started(when, *arguments)
    printed, _ = process.communicate(timeout=300)
    expected = 0 if when == "never" else -signal.SIGKILL
    assert process.returncode == expected, printed
    return printed


@pytest.mark.any_backend
def test_a_run_that_is_killed_three_times(options, finished, tmp_path, capsys):
    folder = tmp_path / "run"
    # A checkpoint after every step.
    often = ("--checkpoint-minutes", "1e-9")
    # In the second epoch, of which one step is in a checkpoint.
    _run("step:6", *options, *often, "--out", folder)
    steps = sorted(path.name for path in (folder / "checkpoints").iterdir())
    assert steps == ["checkpoint_000000003.keras", "checkpoint_000000004.keras"]
    # While a checkpoint is written: the last one is still there.
    printed = _run("save:2", "--resume", folder, *often)
    assert "Going on after step 1 of epoch 2." in printed
    names = {path.name for path in (folder / "checkpoints").iterdir()}
    assert names == {*steps[1:], "checkpoint_000000005.keras", "partial.keras"}
    # Right after one was written, before older ones are removed.
    _run("saved:3", "--resume", folder, *often)
    assert len(list((folder / "checkpoints").glob("checkpoint_*"))) == 3

    # The last time in the process that trained the one without interruption.
    with tiny_runs():
        assert main(["train", "--resume", str(folder)]) == 0
    assert "Going on after step 2 of epoch 3." in capsys.readouterr().out
    assert not (folder / "checkpoints").exists()
    assert not list(folder.rglob("*partial*"))
    assert_same_results(finished, folder)


@pytest.mark.slow
def test_a_run_that_is_killed_twenty_times_at_random(options, tmp_path):
    epochs = ("--epochs", "100")
    uninterrupted, folder = tmp_path / "uninterrupted", tmp_path / "run"
    _run("never", *options, *epochs, "--out", uninterrupted)

    # How long a process takes before the first step differs: the clock begins with it.
    generator = random.Random(0)
    often = ("--checkpoint-minutes", "1e-9")
    arguments = (*options, *epochs, *often, "--out", folder)
    kills = 0
    while kills < 20:
        process = _started("never", *arguments)
        lines = iter(process.stdout.readline, "")
        for line in lines:
            if line.startswith("Epoch "):
                break
        assert not (folder / "metrics.json").exists(), "the run is too short"
        time.sleep(generator.uniform(0.0, 0.6))
        process.kill()
        process.communicate()
        kills += process.returncode == -signal.SIGKILL
        # There may be no run yet.
        if (folder / "run.json").exists():
            arguments = ("--resume", folder, *often)
    _run("never", "--resume", folder)
    assert_same_results(uninterrupted, folder)
    history = json.loads((folder / "history.json").read_text())
    assert {len(values) for values in history.values()} == {100}
