"""How far reading and measuring are: a line that is written over, or some in a file."""

import io

import keras
import numpy as np
import pytest
from tiny_runs import tiny_runs, write_archive

from semppl_keras import runs
from semppl_keras.runs import measures, outcome, task_measures
from semppl_keras.runs.prediction_progress import PredictionProgress
from semppl_keras.runs.progress import Progress
from semppl_keras.runs.telling import verbose_as

pytestmark = pytest.mark.any_backend


def _told(monkeypatch, *, terminal, steps=100, seconds=0.5, total=100, verbose=1):
    """What is written meanwhile, each step after so many seconds."""
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: terminal, raising=False)
    monkeypatch.setattr("sys.stdout", stream)
    now = 0.0
    progress = Progress("Measuring,", clock=lambda: now)
    with verbose_as(verbose):
        for step in range(1, steps + 1):
            now += seconds
            progress("folds", step, total)
    return stream.getvalue()


def test_a_file_gets_a_line_now_and_then(monkeypatch):
    told = _told(monkeypatch, terminal=False).splitlines()
    assert told[0] == "Measuring, folds: 10 of 100"
    assert told[-1] == "Measuring, folds: 100 of 100"
    assert len(told) == 10
    # From half a second on, when the first was done, one takes half a second.
    assert told[1] == "Measuring, folds: 20 of 100, 40 s left"
    # The last one is told where there was another.
    told = _told(monkeypatch, terminal=False, steps=13, total=13).splitlines()
    assert told == ["Measuring, folds: 10 of 13", "Measuring, folds: 13 of 13"]
    assert _told(monkeypatch, terminal=False, steps=5, total=5) == ""


def test_a_terminal_has_one_line_that_stays(monkeypatch):
    told = _told(monkeypatch, terminal=True)
    assert told.count("\n") == 1
    assert told.startswith("\rMeasuring, folds: 2 of 100\r")
    # What is shorter than the line before is as long as that.
    assert told.rstrip().endswith("\rMeasuring, folds: 100 of 100")
    # A few times a second.
    assert _told(monkeypatch, terminal=True, seconds=0.01, steps=300).count("\r") < 12
    assert _told(monkeypatch, terminal=True, seconds=0.001) == ""


@pytest.mark.parametrize("terminal", [True, False])
def test_what_has_no_known_end_is_counted(monkeypatch, terminal):
    told = _told(monkeypatch, terminal=terminal, steps=3000, total=None)
    assert "Measuring, folds: 2,990" in told
    assert " of " not in told
    assert _told(monkeypatch, terminal=terminal, verbose=0) == ""


def test_a_network_tells_of_its_images():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    told = []
    progress = PredictionProgress(lambda *counts: told.append(counts), "images", 70)
    model.predict(np.zeros((70, 3)), verbose=0, callbacks=[progress])
    assert told == [("images", 23, 70), ("images", 46, 70), ("images", 70, 70)]


def test_measuring_is_told_for_each_kind_of_images(tmp_path, monkeypatch):
    told = set()

    def recorded(doing):
        return lambda what, done, total: told.add((doing, what, done, total))

    for module in (measures, outcome, task_measures):
        monkeypatch.setattr(module, "Progress", recorded)
    archive = write_archive(tmp_path / "images.npz")
    with tiny_runs():
        trained = runs.train(
            dataset=archive[1],
            labels_per_class=4,
            epochs=1,
            out=tmp_path / "run",
            verbose=0,
        )
    done = {("labelled images", 12), ("unlabelled images", 24)}
    done |= {("images to test on", 12)}
    for what, number in done:
        assert ("Measuring,", what, number, number) in told
    assert trained["num_test"] == 12
    told.clear()
    runs.evaluate(tmp_path / "run", verbose=0)
    for what in ("labelled images", "images to test on"):
        assert ("Measuring,", what, 12, 12) in told
