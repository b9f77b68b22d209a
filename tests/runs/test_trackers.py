"""`semppl train --log`, with stand-ins that take what the packages take.

What they are called with, and what they raise, is that of wandb 0.31 and mlflow 3.17,
with which the same was tried. Neither stands in here for its callback for Keras.
"""

import contextlib
import dataclasses
import json
import sys
import types

import keras
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny_runs import exit_status, tiny_runs, write_archive

from semppl_keras import runs
from semppl_keras.runs import RunError
from semppl_keras.runs.final_figures import final_figures
from semppl_keras.runs.followed_classifier import followed
from semppl_keras.runs.options.classifier import (
    DistillationOptions,
    FineTuningOptions,
)
from semppl_keras.runs.tracker import OF_CLASSIFIER, Place
from semppl_keras.runs.trackers import tracked

pytestmark = pytest.mark.any_backend


@pytest.fixture
def wandb(monkeypatch):
    """A package of the same API: `init`, which sets `run`, and what a run can do."""
    said = []
    module = types.ModuleType("wandb")
    module.run = None
    module.Error = type("Error", (Exception,), {})

    # WANDB_RUN_ID, or what wandb makes up.
    module.chosen = "abcd1234"

    class Run:
        summary = types.SimpleNamespace(
            update=lambda figures: said.append(("summary", figures))
        )

        def define_metric(self, name, step_metric=None):
            said.append(("metric", name, step_metric))

        def log(self, data, step=None):
            said.append(("log", step, data))

        def finish(self, exit_code=None):
            module.run = None
            said.append(("finish", exit_code))

    def init(**options):
        said.append(("init", options))
        module.run = Run()
        module.run.id = options.get("id") or module.chosen
        return module.run

    module.init = init
    monkeypatch.setitem(sys.modules, "wandb", module)
    module.said = said
    return module


@pytest.fixture
def mlflow(monkeypatch):
    """A package of the same API: `start_run`, `end_run`, `active_run` and `log_*`."""
    said = []
    module = types.ModuleType("mlflow")
    errors = types.ModuleType("mlflow.exceptions")
    errors.MlflowException = type("MlflowException", (Exception,), {})
    known = []
    active = []
    module.active_run = lambda: active[-1] if active else None

    def start_run(run_id=None, run_name=None):
        if active:
            raise Exception("Run with UUID is already active")
        if run_id is not None and run_id not in known:
            raise errors.MlflowException(f"Run with id={run_id} not found")
        said.append(("start", run_id, run_name))
        known.append(run_id or "0123456789abcdef")
        active.append(
            types.SimpleNamespace(info=types.SimpleNamespace(run_id=known[-1]))
        )
        return active[-1]

    def end_run(status="FINISHED"):
        active.pop()
        said.append(("end", status))

    def log_metrics(metrics, step=None, synchronous=None):
        said.append(("metrics", step, metrics))

    module.start_run, module.end_run, module.log_metrics = (
        start_run,
        end_run,
        log_metrics,
    )
    module.set_tags = lambda tags: said.append(("tags", tags))
    module.log_params = lambda params: said.append(("params", params))
    module.log_dict = lambda content, name: said.append(("log", name, len(content)))
    monkeypatch.setitem(sys.modules, "mlflow", module)
    monkeypatch.setitem(sys.modules, "mlflow.exceptions", errors)
    module.said, module.known, module.error = said, known, errors.MlflowException
    return module


def _fit(callbacks):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    rate = keras.optimizers.schedules.ExponentialDecay(0.5, 2, 0.5)
    model.compile(keras.optimizers.SGD(rate), "mse")
    ones = keras.ops.ones((4, 1))
    return model.fit(
        ones, ones, batch_size=2, epochs=2, callbacks=callbacks, verbose=0
    ).history


def test_a_training_is_followed(wandb, tmp_path):
    folder = tmp_path / "followed"
    options = (*write_archive(tmp_path / "data.npz"), "--epochs", "2")
    with tiny_runs():
        status = exit_status(
            ["-q", "train", *options, "--out", str(folder), "--log", "wandb"]
        )
    assert status == 0
    (_, init), *metrics, first, second, (_, summary), last = wandb.said
    assert last == ("finish", 0)
    measured = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    assert summary["final/classifier"] == measured["classifier"]
    assert summary["final/linear_accuracy"] == measured["linear_accuracy"]
    balanced = measured["balanced_accuracies"]["linear"]
    assert summary["final/balanced_accuracies/linear"] == balanced
    temperature = measured["classifier_temperatures"]["linear"]
    assert summary["final/classifier_temperatures/linear"] == temperature
    assert summary["final/num_labelled"] == measured["num_labelled"]
    assert metrics == [
        ("metric", "epoch/epoch", None),
        ("metric", "epoch/*", "epoch/epoch"),
    ]
    for number, (_, step, logs) in enumerate((first, second)):
        assert step == logs["epoch/epoch"] == number
        assert {"epoch/loss", "epoch/learning_rate"} <= set(logs)
    assert (init["project"], init["name"]) == ("semppl", "followed")
    assert (init["id"], init["resume"]) == (None, "allow")
    assert init["config"]["epochs"] == 2
    # It puts links there, which a run folder may not hold.
    assert "dir" not in init
    # What follows it is no part of the run.
    settings = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert "log" not in settings


def test_what_each_epoch_has(wandb, mlflow, tmp_path):
    for name in ("wandb", "mlflow"):
        with tracked(name, Place.of_run(tmp_path), {}) as tracker:
            losses = _fit(tracker.callbacks())["loss"]
        module = wandb if name == "wandb" else mlflow
        logged = [said[1:] for said in module.said if said[0] in ("log", "metrics")]
        logged = [(step, values) for step, values in logged if isinstance(values, dict)]
        prefix = "epoch/" if name == "wandb" else ""
        assert [step for step, _ in logged] == [0, 1]
        assert [values[prefix + "loss"] for _, values in logged] == losses
        rates = [values[prefix + "learning_rate"] for _, values in logged]
        assert rates == pytest.approx([0.25, 0.125])


def test_a_run_of_a_tracker_goes_on(wandb, mlflow, tmp_path, capsys):
    settings = {"epochs": 2, "minutes": None, "class_names": ["a"], "seed": 0}
    settings["versions"] = {"keras": "3.15"}
    for _ in range(2):
        for name in ("wandb", "mlflow"):
            with tracked(name, Place.of_run(tmp_path), settings, step=7) as tracker:
                assert len(tracker.callbacks()) == 1
    identifiers = [said[1]["id"] for said in wandb.said if said[0] == "init"]
    assert identifiers == [None, "abcd1234"]
    assert mlflow.said == [
        ("start", None, tmp_path.name),
        ("params", {"epochs": 2, "seed": 0, "versions.keras": "3.15"}),
        ("log", "run.json", 5),
        ("end", "FINISHED"),
        # Parameters that are said again must be the same for it.
        ("start", "0123456789abcdef", None),
        ("end", "FINISHED"),
    ]
    # Whatever else a folder of somebody else's says of it.
    (tmp_path / "logs" / "wandb.id").write_text("../../x", encoding="utf-8")
    with tracked("wandb", Place.of_run(tmp_path), {}):
        assert [one[1]["id"] for one in wandb.said if one[0] == "init"][-1] is None
    # Its runs are somewhere else.
    mlflow.known.clear()
    with tracked("mlflow", Place.of_run(tmp_path), settings):
        assert mlflow.said[6] == ("start", None, tmp_path.name)
    assert "no run 0123456789abcdef that could go on" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [(KeyboardInterrupt, 255, "KILLED"), (ValueError, 1, "FAILED")],
)
def test_how_it_ended_is_told(error, code, status, wandb, mlflow, tmp_path):
    for name in ("wandb", "mlflow"):
        with pytest.raises(error), tracked(name, Place.of_run(tmp_path), {}):
            raise error
    assert wandb.said[-1] == ("finish", code)
    assert mlflow.said[-1] == ("end", status)


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_run_that_is_open_is_left_open(name, wandb, mlflow, tmp_path):
    if name == "wandb":
        wandb.init(project="mine")
    else:
        mlflow.start_run()
    with tracked(name, Place.of_run(tmp_path), {}) as tracker:
        _fit(tracker.callbacks())
    assert wandb.run is not None or mlflow.active_run() is not None
    assert not (tmp_path / "logs").exists()
    # Its steps are its own.
    assert {said[1] for said in wandb.said if said[0] == "log"} <= {None}


def test_nothing_is_left_of_a_run_that_was_not_begun(
    wandb, tmp_path, capsys, monkeypatch
):
    def init(**options):
        raise wandb.Error("No API key configured. Use `wandb login` to log in.")

    monkeypatch.setattr(wandb, "init", init)
    folder = tmp_path / "run"
    options = (*write_archive(tmp_path / "data.npz"), "--epochs", "1", "--out", folder)
    with tiny_runs():
        assert exit_status(["-q", "train", *map(str, options), "--log", "wandb"]) == 2
        assert "WANDB_MODE=offline" in capsys.readouterr().err

        def interrupted(**options):
            (folder / "logs").mkdir(parents=True)
            raise KeyboardInterrupt

        monkeypatch.setattr(wandb, "init", interrupted)
        with pytest.raises(KeyboardInterrupt):
            runs.train(
                dataset=f"npz:{tmp_path / 'data.npz'}",
                epochs=1,
                out=folder,
                log="wandb",
                verbose=0,
            )
        # The same command does.
        assert exit_status(["-q", "train", *map(str, options)]) == 0


def test_steps_for_tensorboard(tmp_path):
    for step in (0, 3):
        with tracked("tensorboard", Place.of_run(tmp_path), {}, step=step) as tracker:
            losses = _fit(tracker.callbacks())["loss"]
    events = EventAccumulator(str(tmp_path / "logs" / "steps")).Reload()
    scalars = events.Scalars("batch_loss")
    # What came after step 3 before it went on from there is superseded.
    assert [event.step for event in scalars] == [0, 1, 2, 3, 4, 5, 6]
    assert scalars[-1].value == pytest.approx(losses[-1])
    with tracked(None, Place.of_run(tmp_path), {}) as tracker:
        assert tracker.callbacks() == []


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_what_is_missing_is_named(name, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    folder = tmp_path / "run"
    status = exit_status(["train", "--out", str(folder), "--log", name])
    assert status == 2
    assert f"pip install {name}" in capsys.readouterr().err
    assert not folder.exists()


def test_figures_are_those_of_the_files():
    figures = final_figures(
        {
            "classifier": "linear",
            "linear_accuracy": 0.5,
            "knn_accuracy": None,
            "classifier_cv_accuracies": {
                "linear": {"mean": 0.25, "std_error": 0.125},
                "memory": None,
            },
            "pseudo_labels": {"num_images": 3, "share_by_class": {"a/b": 1.0}},
            "confusion": [[1]],
            "num_test": 4,
            "seed": 0,
            "recipe": {"epochs": 1},
        }
    )
    assert figures == {
        "classifier": "linear",
        "linear_accuracy": 0.5,
        "classifier_cv_accuracies/linear/mean": 0.25,
        "classifier_cv_accuracies/linear/std_error": 0.125,
        "pseudo_labels/num_images": 3,
        "num_test": 4,
    }


def test_what_is_measured_in_the_end_is_told(wandb, mlflow, tmp_path):
    for name in ("wandb", "mlflow", "tensorboard"):
        with tracked(name, Place.of_run(tmp_path), {"seed": 1}) as tracker:
            tracker.conclude({"classifier": "linear", "linear_accuracy": 0.5})
    both = {"final/classifier": "linear", "final/linear_accuracy": 0.5}
    assert wandb.said[-2:] == [("summary", both), ("finish", 0)]
    assert mlflow.said[-3:] == [
        ("metrics", None, {"final/linear_accuracy": 0.5}),
        ("tags", {"final/classifier": "linear"}),
        ("end", "FINISHED"),
    ]
    events = EventAccumulator(str(tmp_path / "logs" / "final")).Reload()
    (accuracy,) = events.Scalars("final/linear_accuracy")
    assert (accuracy.step, accuracy.value) == (0, 0.5)
    # By which TensorBoard compares runs.
    assert "_hparams_/session_start_info" in events.PluginTagToContent("hparams")


def test_a_training_of_a_classifier_is_followed_by_itself(
    wandb, mlflow, tmp_path, monkeypatch
):
    finished = types.SimpleNamespace(folder=tmp_path)
    for name in ("wandb", "mlflow"):
        options = FineTuningOptions.of(run=tmp_path, epochs=2, log=name)
        module = wandb if name == "wandb" else mlflow
        # One that is interrupted goes on; one that is done, and another one, do not.
        for ends, epochs, goes_on in (
            (True, 2, False),
            (False, 2, True),
            (False, 2, False),
            (True, 3, False),
        ):
            options = dataclasses.replace(options, epochs=epochs)
            begun = len(module.said)
            with (
                contextlib.suppress(KeyboardInterrupt),
                followed("finetune", finished, options) as tracker,
            ):
                if ends:
                    raise KeyboardInterrupt
                _fit(tracker.callbacks(epochs_before=5))
                tracker.conclude({"test/top1": 0.5})
            said = module.said[begun:]
            if name == "mlflow":
                assert (said[0][1] is not None) == goes_on
                steps = [step for kind, step, *_ in said if kind == "metrics"]
                assert steps == ([] if ends else [5, 6, None])
                continue
            init = said[0][1]
            assert (init["id"] is not None) == goes_on
            assert init["name"].startswith(f"{tmp_path.name}_finetune_")
            assert (init["config"]["command"], init["config"]["epochs"]) == (
                "finetune",
                epochs,
            )
            steps = [one[1] for one in said if one[0] == "log"]
            assert steps == ([] if ends else [5, 6])
            assert ends or said[-2] == ("summary", {"final/test/top1": 0.5})


def test_a_training_anew_has_no_figures_of_the_one_before(tmp_path):
    finished = types.SimpleNamespace(folder=tmp_path)
    options = FineTuningOptions.of(run=tmp_path, epochs=2, log="tensorboard")
    with followed("finetune", finished, options) as tracker:
        _fit(tracker.callbacks())
        tracker.conclude({"test/top1": 0.5})
    (logs,) = (tmp_path / "logs").iterdir()
    assert {path.name for path in logs.iterdir()} == {"train", "final"}
    # Until it has an epoch of its own, all is of the one before.
    with followed("finetune", finished, options) as tracker:
        pass
    assert (logs / "final").is_dir()
    with (
        contextlib.suppress(KeyboardInterrupt),
        followed("finetune", finished, options) as tracker,
    ):
        _fit(tracker.callbacks())
        raise KeyboardInterrupt
    assert {path.name for path in logs.iterdir()} == {"train"}


def test_a_training_is_the_same_however_its_files_are_called(
    wandb, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    finished = types.SimpleNamespace(folder=tmp_path / "run")
    for run, teacher in (
        ("run", "one.keras"),
        ("./run", "./one.keras"),
        (tmp_path / "run", tmp_path / "one.keras"),
    ):
        for command, options in (
            ("finetune", FineTuningOptions.of(run=run, log="wandb")),
            (
                "distil",
                DistillationOptions.of(run=run, classifier=teacher, log="wandb"),
            ),
        ):
            with followed(command, finished, options):
                pass
    names = [said[1]["name"] for said in wandb.said if said[0] == "init"]
    assert len(names) == 6
    assert len(set(names)) == 2
    # What a run calls a classifier is no file.
    options = DistillationOptions.of(run="run", classifier="linear", log="wandb")
    with followed("distil", finished, options):
        pass
    assert wandb.said[-4][1]["config"]["classifier"] == "linear"


@pytest.mark.parametrize(
    "chosen", ["my-run_1", "abc", "2026-11-27-flowers", "x", "y" * 128]
)
def test_a_run_of_wandb_goes_on_by_the_name_that_a_user_gave(chosen, wandb, tmp_path):
    wandb.chosen = chosen
    for _ in range(2):
        with tracked("wandb", Place.of_run(tmp_path), {}):
            assert wandb.run.id == chosen
    assert [said[1]["id"] for said in wandb.said if said[0] == "init"] == [None, chosen]


def _raises(error):
    def raising(*args, **kwargs):
        raise error

    return raising


@contextlib.contextmanager
def _failing_later(name, folder, wandb, mlflow, monkeypatch):
    """A run of it is begun; what is said to it later, and its end, fail."""
    with tracked(name, Place.of_run(folder), {}) as tracker:
        if name == "wandb":
            error = wandb.Error("The server is gone.")
            monkeypatch.setattr(type(wandb.run), "log", _raises(error))
            monkeypatch.setattr(type(wandb.run), "finish", _raises(error))
        else:
            error = mlflow.error("The server is gone.")
            monkeypatch.setattr(mlflow, "log_metrics", _raises(error))
            monkeypatch.setattr(mlflow, "end_run", _raises(error))
        yield tracker


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_tracker_that_fails_ends_no_training(
    name, wandb, mlflow, tmp_path, capsys, monkeypatch
):
    with _failing_later(name, tmp_path, wandb, mlflow, monkeypatch) as tracker:
        assert len(_fit(tracker.callbacks())["loss"]) == 2
    told = capsys.readouterr().err
    assert told.count("Note:") == told.count("The server is gone.") == 1
    assert name in told


def test_what_there_is_without_a_tracker_is_told(
    wandb, mlflow, tmp_path, capsys, monkeypatch
):
    of_run = "the losses in logs and the final figures in metrics.json."
    of_classifier = Place(logs=tmp_path, title="x", kept=OF_CLASSIFIER)
    for place, all_of_it, file in (
        (Place.of_run(tmp_path), of_run, "metrics.json"),
        (of_classifier, "classifier.json has the final figures.", "classifier.json"),
    ):
        with tracked("mlflow", place, {}) as tracker, monkeypatch.context() as patch:
            patch.setattr(mlflow, "log_metrics", _raises(mlflow.error("Gone.")))
            tracker.conclude({"linear_accuracy": 0.5})
        assert capsys.readouterr().err.strip() == (
            "Note: mlflow may lack the final figures of this training (Gone.): "
            f"{file} has them."
        )
        with tracked("mlflow", place, {}) as tracker, monkeypatch.context() as patch:
            patch.setattr(mlflow, "log_metrics", _raises(mlflow.error("Gone.")))
            _fit(tracker.callbacks())
        told = capsys.readouterr().err.strip()
        assert told.endswith(all_of_it)
        assert ("logs" in told) == (file == "metrics.json")
        with monkeypatch.context() as patch:
            patch.setattr(wandb, "init", _raises(wandb.Error("No key.")))
            with pytest.raises(RunError) as caught, tracked("wandb", place, {}):
                pytest.fail("It was begun.")
            assert str(caught.value).endswith(all_of_it)
            patch.setitem(sys.modules, "wandb", None)
            with pytest.raises(RunError) as caught, tracked("wandb", place, {}):
                pytest.fail("It was begun.")
            assert str(caught.value).endswith(all_of_it)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_tracker_that_fails_hides_no_error(
    name, error, wandb, mlflow, tmp_path, monkeypatch
):
    raised = error("of the training")
    with (
        pytest.raises(error) as caught,
        _failing_later(name, tmp_path, wandb, mlflow, monkeypatch),
    ):
        raise raised
    assert caught.value is raised


@pytest.mark.parametrize("error", [None, PermissionError, ModuleNotFoundError])
@pytest.mark.parametrize("function", ["start_run", "log_params", "log_dict"])
def test_a_run_of_mlflow_that_cannot_be_begun_with_is_closed(
    function, error, mlflow, tmp_path, monkeypatch
):
    raising = _raises((error or mlflow.error)("There is no place for it."))
    monkeypatch.setattr(mlflow, function, raising)
    with (
        pytest.raises(RunError, match=r"no place for it.*MLFLOW_TRACKING_URI"),
        tracked("mlflow", Place.of_run(tmp_path), {}),
    ):
        pytest.fail("It was begun.")
    assert mlflow.active_run() is None
    assert [one for one in mlflow.said if one[0] == "end"] == (
        [] if function == "start_run" else [("end", "FAILED")]
    )


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_run_that_cannot_be_noted_is_closed(name, wandb, mlflow, tmp_path):
    (tmp_path / "logs").write_text("no folder", encoding="utf-8")
    with (
        pytest.raises(RunError, match=f"--log {name} must be able"),
        tracked(name, Place.of_run(tmp_path), {}),
    ):
        pytest.fail("It was begun.")
    assert wandb.run is None
    assert mlflow.active_run() is None


def test_logs_of_a_folder_that_is_no_run_are_kept(tmp_path):
    kept = tmp_path / "logs" / "x"
    kept.parent.mkdir()
    kept.write_text("mine", encoding="utf-8")
    with pytest.raises(RunError, match=r"no run\.json"):
        runs.train(resume=True, out=tmp_path, verbose=0)
    assert kept.read_text(encoding="utf-8") == "mine"
