"""The command line: what it says, what it writes, how it goes on."""

import dataclasses
import json
import zipfile

import keras
import numpy as np
import pytest

import semppl_keras
from semppl_keras import recipes
from semppl_keras.cli import _parser, main
from semppl_keras.cli import train as train_command
from semppl_keras.cli.report import embed_in_plane, write_report

_FILES = ("metrics.json", "model.keras", "history.json", "report.png", "run.json")


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A data set and a recipe of which an epoch takes a moment; runs `semppl train`."""
    generator = np.random.default_rng(0)
    labels = np.tile(np.arange(3), 16)
    images = 80 * labels[:, None, None] + generator.uniform(0, 90, (48, 8, 8))
    archive = tmp_path / "tiny.npz"
    np.savez(
        archive,
        x_train=images[:36],
        y_train=labels[:36],
        x_test=images[36:],
        y_test=labels[36:],
    )

    def get(name, epochs=None):
        recipe = dataclasses.replace(
            recipes.RECIPES[name](),
            batch_size=12,
            labelled_batch_size=6,
            image_size=None,
            backbone=("SmallResNet", {"widths": (4,)}),
            model={
                "views": semppl_keras.views.MultiCrop(1, 1, 8, 6),
                "projection_dim": 4,
                "hidden_dim": 8,
                "memory_size": 12,
            },
            optimizer=(
                "adamw",
                {"learning_rate": 1e-3, "warmup_epochs": 0, "weight_decay": 0.0},
            ),
        )
        return dataclasses.replace(recipe, epochs=epochs or 4)

    monkeypatch.setattr(recipes, "get", get)
    make_model = recipes.Recipe.make_model

    def make_uncompiled_model(*arguments, **keywords):
        model = make_model(*arguments, **keywords)
        # XLA would take longer to compile the few steps than they take.
        model.compile(model.optimizer, jit_compile=keras.backend.backend() == "jax")
        return model

    monkeypatch.setattr(recipes.Recipe, "make_model", make_uncompiled_model)
    # The views are no part of what this file tests, and no plain container.
    monkeypatch.setattr(recipes.Recipe, "to_dict", lambda self: {"name": self.name})
    monkeypatch.setattr(train_command, "_SECONDS_BETWEEN_CHECKPOINTS", 0)
    supervised = train_command.supervised_accuracy
    monkeypatch.setattr(
        train_command,
        "supervised_accuracy",
        lambda *arguments, **keywords: supervised(*arguments, **keywords, steps=2),
    )
    folder = tmp_path / "run"

    def run(*options):
        return main(["train", "--out", str(folder), *options])

    run.folder = folder
    run.new = ("--dataset", f"npz:{archive}", "--labels-per-class", "2")
    return run


def _weights(path):
    model = keras.models.load_model(path)
    return [keras.ops.convert_to_numpy(variable) for variable in model.variables]


class _Stop(keras.callbacks.Callback):
    """Ctrl-C in the middle of an epoch."""

    def __init__(self, *arguments):
        super().__init__()
        self._epoch = 0

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self._epoch == 2:
            raise KeyboardInterrupt


def test_a_run_writes_its_folder_and_prints_the_table(tiny, capsys):
    assert tiny(*tiny.new, "--epochs", "1", "--seed", "3") == 0
    assert all((tiny.folder / name).exists() for name in _FILES)
    metrics = json.loads((tiny.folder / "metrics.json").read_text())
    for name in ("supervised", "knn", "linear", "pseudo_label"):
        assert 0 <= metrics[f"{name}_accuracy"] <= 1
    assert metrics["train_seconds"] > 0
    assert metrics["backend"] == keras.backend.backend()
    assert metrics["seed"] == 3
    assert metrics["recipe"] == {"name": "small_images"}
    assert metrics["supervised_accuracy"] == max(
        metrics["supervised_logistic_regression_accuracy"],
        metrics["supervised_network_accuracy"],
    )
    history = json.loads((tiny.folder / "history.json").read_text())
    assert {"loss", "pseudo_label_accuracy", "memory_fill"} <= set(history)
    assert {len(values) for values in history.values()} == {1}
    assert list((tiny.folder / "logs" / "train").iterdir())
    printed = capsys.readouterr().out
    assert "30 unlabelled and 6 labelled images of 3 classes" in printed
    for words in ("supervised only", "nearest in its memory", "linear probe"):
        assert words in printed

    # What was measured can be had from the model that was saved.
    data = semppl_keras.data.load(tiny.new[1], 2, 3)
    model = keras.models.load_model(tiny.folder / "model.keras")
    correct = model.predict(data.x_test, verbose=0).argmax(axis=1) == data.y_test
    assert metrics["knn_accuracy"] == np.mean(correct)

    # A finished run is neither overwritten nor repeated.
    assert tiny(*tiny.new) == 2
    assert "--resume --out" in capsys.readouterr().err
    before = (tiny.folder / "metrics.json").stat().st_mtime_ns
    assert tiny("--resume") == 0
    printed = capsys.readouterr().out
    assert "finished" in printed
    assert "linear probe" in printed
    assert (tiny.folder / "metrics.json").stat().st_mtime_ns == before


def test_an_interrupted_run_goes_on_as_if_it_had_not_been(
    tiny, tmp_path, monkeypatch, capsys
):
    # Measured in the test above.
    names = ("supervised", "supervised_logistic_regression", "supervised_network")
    names = (*names, "knn", "linear", "pseudo_label")
    measured = {f"{name}_accuracy": 0.0 for name in names}
    monkeypatch.setattr(
        train_command,
        "measure",
        lambda model, data, recipe, seed: (
            measured,
            np.zeros((12, 2)),
            np.zeros(12, int),
        ),
    )
    with monkeypatch.context() as patch:
        patch.setattr(train_command, "ScalarLogs", _Stop)
        assert tiny(*tiny.new, "--epochs", "4") == 130
    captured = capsys.readouterr()
    assert f"semppl train --resume --out {tiny.folder}" in captured.err
    assert not (tiny.folder / "metrics.json").exists()
    # The checkpoint is one file: weights and history cannot be of different epochs.
    with zipfile.ZipFile(tiny.folder / "checkpoint.keras") as archive:
        progress = json.loads(archive.read("semppl_progress.json"))
    assert progress["epochs_done"] == len(progress["history"]["loss"]) == 2

    assert tiny("--resume", "--seed", "1") == 2
    assert "begun with --seed 0. Received: --seed 1" in capsys.readouterr().err

    assert tiny("--resume") == 0
    assert "Going on after epoch 2" in capsys.readouterr().out
    assert not list(tiny.folder.glob("*partial*"))
    resumed = json.loads((tiny.folder / "history.json").read_text())

    other = tmp_path / "uninterrupted"
    assert main(["train", "--out", str(other), *tiny.new, "--epochs", "4"]) == 0
    expected = json.loads((other / "history.json").read_text())
    assert resumed.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(resumed[name], values, rtol=1e-5, atol=1e-6)
    for one, two in zip(
        _weights(tiny.folder / "model.keras"),
        _weights(other / "model.keras"),
        strict=True,
    ):
        if keras.backend.backend() == "torch":
            np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)
        else:
            np.testing.assert_array_equal(one, two)


@pytest.mark.slow
def test_a_run_interrupted_before_its_first_checkpoint_starts_again(
    tiny, monkeypatch, capsys
):
    class StopAtOnce(_Stop):
        def on_epoch_begin(self, epoch, logs=None):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(train_command, "ScalarLogs", StopAtOnce)
        assert tiny(*tiny.new, "--epochs", "1") == 130
    assert not (tiny.folder / "checkpoint.keras").exists()
    assert tiny("--resume") == 0
    assert (tiny.folder / "metrics.json").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--epochs", "0"], "--epochs: must be an integer of at least 1; received '0'"),
        (["--epochs", "x"], "received 'x'"),
        (["--labels-per-class", "-1"], "or 'all'; received '-1'"),
        (["--seed", "-1"], "at least 0"),
        (["--dataset", "mnist"], "digits, npz:FILE or tfds:NAME; received 'mnist'"),
        (["--dataset", "npz:"], "received 'npz:'"),
        (["--colour"], "unrecognized arguments: --colour"),
    ],
)
def test_arguments_that_cannot_be_parsed(options, message, capsys):
    with pytest.raises(SystemExit) as error:
        main(["train", *options])
    assert error.value.code == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1


def test_no_command(capsys):
    with pytest.raises(SystemExit) as error:
        main([])
    assert error.value.code == 2
    assert "COMMAND" in capsys.readouterr().err


def test_help(capsys):
    with pytest.raises(SystemExit) as error:
        main(["train", "--help"])
    assert error.value.code == 0
    told = capsys.readouterr().out
    for words in ("default: digits", "examples:", "metrics.json", "--resume"):
        assert words in told
    assert max(len(line) for line in told.splitlines()) <= 88


def test_errors_are_one_line_and_leave_nothing_behind(tiny, tmp_path, capsys):
    def told(*arguments):
        assert main(["train", *arguments]) == 2
        message = capsys.readouterr().err
        assert message.startswith("semppl train: error: ")
        assert message.count("\n") == 1
        return message

    out = str(tmp_path / "new")
    assert "absent.npz" in told("--dataset", "npz:absent.npz", "--out", out)
    assert "at most" in told("--labels-per-class", "999", "--out", out)
    dataset = tiny.new[:2]
    assert "unlabelled images to learn from" in told(
        *dataset, "--labels-per-class", "all", "--out", out
    )
    assert "no run.json" in told("--resume", "--out", out)
    assert not (tmp_path / "new").exists()

    file = tmp_path / "file"
    file.touch()
    assert "which is a file" in told("--out", str(file))
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "model.keras").touch()
    assert "model.keras would be overwritten" in told("--out", str(taken))


def test_resume_on_another_backend(tmp_path, capsys):
    settings = {
        "dataset": "digits",
        "labels_per_class": 10,
        "epochs": 1,
        "seed": 0,
        "backend": "another",
    }
    (tmp_path / "run.json").write_text(json.dumps(settings))
    assert main(["train", "--resume", "--out", str(tmp_path)]) == 2
    assert "KERAS_BACKEND=another" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "folder"),
    [
        ([], "runs/digits_10_per_class_seed_0"),
        (["--labels-per-class", "1", "--seed", "2"], "runs/digits_1_per_class_seed_2"),
        (["--dataset", "npz:data/a b.npz"], "runs/a_b_10_per_class_seed_0"),
        (["--dataset", "tfds:mnist:3.0.1"], "runs/mnist_3.0.1_10_per_class_seed_0"),
        (["--out", "here"], "here"),
    ],
)
def test_default_folder(options, folder):
    arguments = _parser().parse_args(["train", *options])
    assert train_command.run_folder(arguments).as_posix() == folder


@pytest.mark.parametrize("count", [1, 3, 40])
def test_embedding_plot(count):
    features = np.random.default_rng(0).normal(size=(count, 5))
    points, method = embed_in_plane(features)
    assert points.shape == (count, 2)
    assert method == ("t-SNE" if count >= 10 else "PCA")
    assert np.isfinite(points).all()
    collapsed, _ = embed_in_plane(np.ones((count, 5)))
    assert np.isfinite(collapsed).all()


def test_report_with_many_classes_and_little_history(tmp_path):
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 30, 600)
    write_report(
        tmp_path / "report.png",
        history={"loss": [1.0]},
        embeddings=generator.normal(size=(600, 1)),
        labels=labels,
        predictions=labels[::-1],
        class_names=[f"class {label}" for label in range(30)],
        title="many",
    )
    assert (tmp_path / "report.png").stat().st_size > 10_000


def test_report_of_parts_that_do_not_fit(tmp_path):
    with pytest.raises(ValueError, match="Received: 3, 3 and 2"):
        write_report(
            tmp_path / "report.png",
            history={},
            embeddings=np.zeros((3, 2)),
            labels=np.zeros(3, int),
            predictions=np.zeros(2, int),
            class_names=["a"],
            title="short",
        )
