"""`semppl train --log`: each through the callback that it comes with."""

import contextlib
import json
import sys
import types

import keras
import pytest
from tiny_runs import exit_status, tiny_runs, write_archive

from semppl_keras import runs
from semppl_keras.runs import RunError
from semppl_keras.runs.trackers import tracked

pytestmark = pytest.mark.any_backend


class Logger(keras.callbacks.Callback):
    """Stands in for those of the packages: it notes what `fit` tells it."""

    said = None

    def __init__(self, **options):
        super().__init__()
        self.said.append(("logger", options))

    def on_epoch_end(self, epoch, logs=None):
        self.said.append(("epoch", epoch, sorted(logs)))


@pytest.fixture
def wandb(monkeypatch):
    """A package of the same API: `init`, which sets `run`, and `finish` of a run."""
    said = []
    module = types.ModuleType("wandb")
    module.run = None

    class Run:
        def finish(self):
            module.run = None
            said.append(("finish",))

    def init(**options):
        said.append(("init", options))
        module.run = Run()
        return module.run

    module.init = init
    module.util = types.SimpleNamespace(generate_id=lambda: "abcd1234")
    for name in ("wandb.integration", "wandb.integration.keras"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    sys.modules["wandb.integration.keras"].WandbMetricsLogger = type(
        "WandbMetricsLogger", (Logger,), {"said": said}
    )
    monkeypatch.setitem(sys.modules, "wandb", module)
    module.said = said
    return module


@pytest.fixture
def mlflow(monkeypatch):
    """A package of the same API: runs as contexts, `active_run`, `log_dict`."""
    said = []
    module = types.ModuleType("mlflow")
    module.active_run = lambda: None

    @contextlib.contextmanager
    def start_run(**options):
        said.append(("start", options))
        run_id = options["run_id"] or "0123456789abcdef"
        yield types.SimpleNamespace(info=types.SimpleNamespace(run_id=run_id))
        said.append(("end",))

    module.start_run = start_run
    module.log_dict = lambda content, name: said.append(("log", name, len(content)))
    keras_module = types.ModuleType("mlflow.keras")
    keras_module.MlflowCallback = type("MlflowCallback", (Logger,), {"said": said})
    monkeypatch.setitem(sys.modules, "mlflow", module)
    monkeypatch.setitem(sys.modules, "mlflow.keras", keras_module)
    module.said = said
    return module


def test_a_training_is_followed(wandb, tmp_path):
    folder = tmp_path / "followed"
    options = (*write_archive(tmp_path / "data.npz"), "--epochs", "2")
    with tiny_runs():
        status = exit_status(
            ["-q", "train", *options, "--out", str(folder), "--log", "wandb"]
        )
    assert status == 0
    (_, init), (_, logger), *epochs, last = wandb.said
    assert last == ("finish",)
    assert [said[:2] for said in epochs] == [("epoch", 0), ("epoch", 1)]
    assert "loss" in epochs[0][2]
    assert logger == {"initial_global_step": 0}
    assert (init["project"], init["name"]) == ("semppl", "followed")
    assert (init["id"], init["resume"]) == ("abcd1234", "allow")
    assert init["config"]["epochs"] == 2
    # What follows it is no part of the run.
    settings = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert "log" not in settings


def test_a_run_of_a_tracker_goes_on(wandb, mlflow, tmp_path):
    for _ in range(2):
        for name in ("wandb", "mlflow"):
            with tracked(name, tmp_path, {"epochs": 2}, step=7) as callbacks:
                assert len(callbacks) == 1
    first, _, _, second, *_ = wandb.said
    assert first == second
    assert mlflow.said == [
        ("start", {"run_id": None, "run_name": tmp_path.name}),
        ("log", "run.json", 1),
        ("logger", {}),
        ("end",),
        ("start", {"run_id": "0123456789abcdef", "run_name": tmp_path.name}),
        ("logger", {}),
        ("end",),
    ]
    # Whatever else a folder of somebody else's says of it.
    (tmp_path / "logs" / "wandb.id").write_text("../../x", encoding="utf-8")
    with tracked("wandb", tmp_path, {}):
        assert wandb.said[-2][1]["id"] == "abcd1234"


def test_a_run_that_is_open_is_left_open(wandb, tmp_path):
    wandb.init(project="mine")
    with tracked("wandb", tmp_path, {}):
        assert [said[0] for said in wandb.said] == ["init", "logger"]
    assert wandb.run is not None
    assert not (tmp_path / "logs").exists()


def test_steps_for_tensorboard(tmp_path):
    pytest.importorskip("tensorflow")
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    with tracked("tensorboard", tmp_path, {}, step=5) as callbacks:
        model.fit(
            keras.ops.ones((4, 1)),
            keras.ops.ones((4, 1)),
            batch_size=2,
            callbacks=callbacks,
            verbose=0,
        )
    assert list((tmp_path / "logs" / "steps_from_5" / "train").glob("events.*"))
    with tracked(None, tmp_path, {}) as callbacks:
        assert callbacks == []


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_what_is_missing_is_named(name, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    folder = tmp_path / "run"
    status = exit_status(["train", "--out", str(folder), "--log", name])
    assert status == 2
    assert f"pip install {name}" in capsys.readouterr().err
    assert not folder.exists()


def test_a_run_that_trains_nothing_is_not_followed(tmp_path):
    with pytest.raises(RunError, match="--log tensorboard with --epochs 0"):
        runs.train(log="tensorboard", epochs=0, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
