"""How far reading and measuring are: a line that is written over, or some in a file."""

import io

import pytest

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
    # The last one is told where there was another.
    told = _told(monkeypatch, terminal=False, steps=13, total=13).splitlines()
    assert told == ["Measuring, folds: 10 of 13", "Measuring, folds: 13 of 13"]
    assert _told(monkeypatch, terminal=False, steps=5, total=5) == ""


def test_a_terminal_has_one_line_that_stays(monkeypatch):
    told = _told(monkeypatch, terminal=True)
    assert told.count("\n") == 1
    assert told.startswith("\rMeasuring, folds: 2 of 100\r")
    assert told.endswith("\rMeasuring, folds: 100 of 100\n")
    # A few times a second.
    assert _told(monkeypatch, terminal=True, seconds=0.01, steps=300).count("\r") < 12
    assert _told(monkeypatch, terminal=True, seconds=0.001) == ""


@pytest.mark.parametrize("terminal", [True, False])
def test_what_has_no_known_end_is_counted(monkeypatch, terminal):
    told = _told(monkeypatch, terminal=terminal, steps=3000, total=None)
    assert "Measuring, folds: 2,990" in told
    assert " of " not in told
    assert _told(monkeypatch, terminal=terminal, verbose=0) == ""
