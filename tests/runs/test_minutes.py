"""`--minutes`: how many steps fit, and what a run makes of it."""

import contextlib
import itertools
import json
import re

import numpy as np
import pytest
from tiny_runs import (
    assert_same_results,
    exit_status,
    interrupting,
    tiny_runs,
    write_archive,
)
from toys import toy_images, toy_model

from semppl_keras import runs
from semppl_keras.cli import main
from semppl_keras.recipes.ending import Combination, StudentEnding
from semppl_keras.runs import RunError, budget, network_training, training_stages
from semppl_keras.runs import ending as run_ending
from semppl_keras.runs.budget import Budget, TooShort, seconds_of, steps_that_fit
from semppl_keras.runs.finished import FinishedRun
from semppl_keras.runs.folder import recipe_of
from semppl_keras.runs.options.train import TrainOptions
from semppl_keras.runs.pace import Pace
from semppl_keras.runs.schedule import Schedule
from semppl_keras.runs.settings import schedule_of, settings_of
from semppl_keras.runs.speed import Speed, measured_speed

pytestmark = pytest.mark.any_backend


class Clock:
    """A clock that is asked as often as something is done, and goes on by so much."""

    def __init__(self, ticks=(0.0,)):
        self.now = 0.0
        self._ticks = itertools.chain(ticks, itertools.repeat(ticks[-1]))

    def __call__(self):
        self.now += next(self._ticks)
        return self.now


@pytest.mark.parametrize(
    ("steps", "most", "epochs", "each"),
    [(1800, 938, 2, 900), (1877, 938, 3, 625), (938, 938, 1, 938), (5, 938, 1, 5)],
)
def test_steps_are_shared_out_to_epochs(steps, most, epochs, each):
    schedule = Schedule.of_steps(steps, most)
    assert schedule == Schedule(epochs, each)
    assert schedule.to_dict() == {"epochs": epochs, "steps_per_epoch": each}


def test_every_number_of_steps_is_used_but_for_a_step_of_each_epoch():
    for steps in range(1, 200):
        schedule = Schedule.of_steps(steps, 7)
        assert schedule.steps_per_epoch <= 7
        made = schedule.epochs * schedule.steps_per_epoch
        assert steps - schedule.epochs < made <= steps
    assert Schedule(3).steps_in_epoch(11) == 11
    assert Schedule(3).to_dict() == {"epochs": 3}


def test_as_many_steps_fit_as_leave_a_share_for_the_rest():
    speed = Speed(first_seconds=20.0, seconds_per_step=0.1)
    # Of 100 s 20 are for compiling, and of the others 5% for what is no step.
    assert steps_that_fit(100.0, speed) == 760
    assert steps_that_fit(20.0, speed) == steps_that_fit(-5.0, speed) == 0
    for steps in (1, 50, 12345):
        assert steps_that_fit(seconds_of(steps, speed) + 1e-6, speed) == steps


@pytest.mark.parametrize(("minutes", "is_enough"), [(10, True), (4, False)])
def test_what_makes_no_steps_is_ended_as_soon_as_it_is_known_to_be_too_long(
    minutes, is_enough
):
    clock = Clock()
    pace = Pace("reading", Budget(minutes, 0.5, clock=clock), 0.5)
    # 20 s for the first ten, which are compiled, and half a second for each other.
    done = []
    with contextlib.nullcontext() if is_enough else pytest.raises(TooShort) as error:
        for clock.now, count in ((20.0, 10), (21.0, 12), (40.0, 50), (115.0, 200)):
            pace(count, 200)
            done.append(count)
    assert done == ([10, 12, 50, 200] if is_enough else [10, 12])
    if not is_enough:
        assert "time for reading, which takes 2 min" in str(error.value)
        assert "of which 2 min are left" in str(error.value)
        # Of as many it would be half of what is left.
        assert 7.6 < error.value.minutes < 8.0


def test_a_budget_keeps_a_share_for_measuring():
    clock = Clock([0.0])
    left = Budget(10, 0.2, clock=clock)
    assert left.seconds_to_train() == pytest.approx(480)
    assert left.seconds_to_train(0.5) == pytest.approx(240)
    clock.now += 100
    assert left.seconds_to_train() == pytest.approx(380)
    # With so many minutes just these seconds would have been left.
    minutes = left.least_minutes(76, share=0.5)
    other = Budget(minutes, 0.2, spent=100, clock=clock)
    assert other.seconds_to_train(0.5) == pytest.approx(76)


def test_the_first_steps_are_not_timed():
    images, labels = toy_images(12)
    model = toy_model()
    # Made, two steps of a minute and one, and then steps of half a second.
    clock = Clock([0.0, 60.0, 1.0, 0.5])
    speed = measured_speed(
        model, images, (images, labels), seconds=2.0, batch_size=6, clock=clock
    )
    assert speed.first_seconds == pytest.approx(61.0)
    assert speed.seconds_per_step == pytest.approx(0.5)
    assert int(model.step.numpy()) == 6


def test_too_few_minutes_say_how_many_are_needed(monkeypatch, capsys):
    monkeypatch.setattr(budget, "measured_speed", lambda *a, **k: Speed(30.0, 1.0))
    clock = Clock([0.0])

    def fitted(minutes, most=None):
        return Budget(minutes, 0.2, clock=clock).fitted(
            "SemPPL", lambda: None, steps_in_pass=400, least_steps=100, most=most
        )

    with pytest.raises(RunError, match="at least 100 steps of SemPPL, which") as error:
        fitted(2)
    message = str(error.value)
    assert "Received: --minutes 2, of which 1 min 40 s are left" in message
    needed = float(message.split("Give at least --minutes ")[1].rstrip("."))
    assert fitted(needed).steps_per_epoch >= 100
    with pytest.raises(RunError):
        fitted(needed - 0.3)
    capsys.readouterr()
    assert fitted(20) == Schedule(3, 294)
    assert "882 steps fit --minutes 20, 2.2 passes" in capsys.readouterr().out
    # What gains nothing by being longer takes what it needs, and less where it must.
    assert fitted(20, most=Schedule(2)) == Schedule(2, 400)
    assert "800 steps fit --minutes 20" in capsys.readouterr().out
    assert fitted(20, most=Schedule(3)) == Schedule(3, 294)


@pytest.fixture
def archive(tmp_path):
    return write_archive(tmp_path / "data.npz")


@pytest.fixture
def tiny(monkeypatch):
    """Tiny runs, whose steps take three seconds each, as far as anybody asks, of which
    there are 40."""
    asked = []

    def speed(*data, **arguments):
        asked.append(arguments)
        return Speed(1.0, 3.0)

    monkeypatch.setattr(budget, "measured_speed", speed)
    monkeypatch.setattr(budget, "LEAST_STEPS", 2)
    monkeypatch.setattr(Budget, "seconds_to_train", lambda self, share=1.0: 40.0)
    with tiny_runs():
        yield asked


def _settings(folder):
    return json.loads((folder / "run.json").read_text())


def test_a_run_goes_on_with_the_steps_that_were_found(
    archive, tiny, tmp_path, monkeypatch
):
    timed = budget.measured_speed

    def trained(model, *data, seconds, clock, **arguments):
        # A model is trained, and thrown away.
        measured_speed(model, *data, seconds=0.0, clock=Clock([1.0]), **arguments)
        return timed(**arguments)

    monkeypatch.setattr(budget, "measured_speed", trained)
    monkeypatch.setattr(budget, "LEAST_STEPS_IN_EPOCH", 7)
    options = ["train", *archive, "--minutes", "1", "--out"]
    parts = tmp_path / "parts"
    with monkeypatch.context() as patch:
        patch.setattr(network_training, "ScalarLogs", interrupting(epoch=1))
        assert main([*options, str(parts)]) == 130
    settings = _settings(parts)
    assert (settings["epochs"], settings["steps_per_epoch"]) == (2, 6)
    assert len(tiny) == 1
    # It goes on with these, however fast the machine is by now.
    monkeypatch.setattr(budget, "measured_speed", None)
    assert main(["train", "--resume", str(parts)]) == 0
    assert _settings(parts) == settings
    metrics = json.loads((parts / "metrics.json").read_text())
    for name in ("minutes", "epochs", "steps_per_epoch"):
        assert metrics[name] == settings[name]
    assert metrics["recipe"]["epochs"] == 2

    # All of it follows from the seed and from what was found.
    monkeypatch.setattr(budget, "measured_speed", lambda *a, **k: Speed(1.0, 3.0))
    assert main([*options, str(tmp_path / "whole")]) == 0
    assert_same_results(tmp_path / "whole", parts)

    (parts / "metrics.json").unlink()
    for asked, told in (
        ({"minutes": 2}, "was begun with --minutes 1.0. Received: --minutes 2"),
        ({"epochs": 2}, "was begun without --epochs"),
    ):
        with pytest.raises(RunError, match=told):
            runs.train(resume=parts, **asked, verbose=0)
    # As long as none have been found others may be asked for.
    del settings["steps_per_epoch"]
    (parts / "run.json").write_text(json.dumps(settings))
    begun = settings_of(parts, TrainOptions.of(resume=str(parts), minutes=2))
    assert begun == {**settings, "minutes": 2}


def test_minutes_and_epochs_exclude_each_other(archive, tmp_path, capsys):
    out = tmp_path / "run"
    for minutes, message in (
        (["--minutes", "5", "--epochs", "2"], "Received: --epochs 2 and --minutes 5.0"),
        (["--minutes", "0"], "--minutes must be a number above 0"),
        (["--minutes", "soon"], "must be a number; received 'soon'"),
    ):
        assert exit_status(["train", *archive, *minutes, "--out", str(out)]) == 2
        assert message in capsys.readouterr().err
        assert not out.exists()
    with pytest.raises(RunError, match="both say how long"):
        runs.finetune("run", epochs=1, minutes=1)


def test_a_run_that_is_too_short_has_what_needs_no_training(
    archive, tiny, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(budget, "LEAST_STEPS", 50)
    run = tmp_path / "run"
    combination = Combination(entries=8, directions=4, neighbours=5, rows=40)
    ending = StudentEnding("student", 4, 0.5, 12, combination=combination)

    def killed(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(run_ending, "ending_of", lambda *a, **k: ending)
    options = ["train", *archive, "--minutes", "1", "--out", str(run)]
    with monkeypatch.context() as patch:
        patch.setattr(training_stages, "save_model", killed)
        assert main(options) == 130
    told = capsys.readouterr().out
    assert "the run ends without a training of SemPPL, with what needs none" in told
    assert re.search("at least 50 .* Give at least --minutes [0-9]", told)
    assert f"semppl train --from {run} --minutes " in told
    # It is known by then: nothing is timed a second time.
    monkeypatch.setattr(training_stages, "fit_schedule", None)
    assert main(["train", "--resume", str(run)]) == 0
    told += capsys.readouterr().out
    assert "Measuring the untrained network" in told
    assert "untrained, propagation" in told
    assert "frozen" not in told

    finished = FinishedRun(run)
    metrics = finished.metrics
    names = {"frozen_propagation", "frozen_linear", "patches", "pixels"}
    assert (metrics["epochs"], metrics["minutes"]) == (0, 1)
    assert set(finished.classifier_names) == names
    assert set(metrics["classifier_cv_accuracies"]) == names
    # Each is of the network that is kept.
    for name in sorted(names - {"pixels"}):
        shares = finished.classifier(name)[0].predict(finished.test.images, verbose=0)
        accuracy = np.mean(shares.argmax(axis=1) == finished.test.labels)
        assert accuracy == pytest.approx(metrics[f"{name}_accuracy"])

    # It is gone on from, with a training and without.
    monkeypatch.undo()
    with tiny_runs():
        with monkeypatch.context() as patch:
            patch.setattr(run_ending, "ending_of", lambda *a, **k: ending)
            same = runs.train(from_run=run, epochs=0, out=tmp_path / "same", verbose=0)
        assert set(same["classifier_cv_accuracies"]) == names
        for name in names - {"pixels"}:
            assert same[f"{name}_accuracy"] == metrics[f"{name}_accuracy"]
        later = runs.train(from_run=run, epochs=1, out=tmp_path / "later", verbose=0)
    assert {"linear", "propagation"} <= set(later["classifier_cv_accuracies"])


def test_a_schedule_is_unknown_until_it_is_found():
    assert schedule_of({"epochs": 3}) == Schedule(3)
    assert schedule_of({"epochs": 1, "minutes": 5.0}) is None
    found = {"epochs": 2, "minutes": 5.0, "steps_per_epoch": 9}
    assert schedule_of(found) == Schedule(2, 9)
    np.testing.assert_equal(Schedule(2, 9).steps_in_epoch(50), 9)


def test_what_is_not_trained_has_a_model_by_any_recipe():
    recipe = recipe_of({"dataset": "digits", "epochs": 0})
    assert recipe.epochs == 0
    model = recipe.make_model(1, 10, steps_per_epoch=1, seed=0)
    assert model.embed(np.zeros((2, 16, 16, 1))).shape[0] == 2
