"""The command line: what it says, what it writes, how it goes on."""

import contextlib
import dataclasses
import io
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
from semppl_keras.evaluation import supervised_accuracy

_FILES = ("metrics.json", "model.keras", "history.json", "report.png", "run.json")


@pytest.fixture(scope="module")
def new(tmp_path_factory):
    """Options for a run of which an epoch takes a moment."""
    generator = np.random.default_rng(0)
    labels = np.tile(np.arange(3), 16)
    images = 80 * labels[:, None, None] + generator.uniform(0, 90, (48, 8, 8))
    archive = tmp_path_factory.mktemp("data") / "tiny.npz"
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
            optimizer=("adam", {"learning_rate": 1e-3, "warmup_epochs": 0}),
        )
        return dataclasses.replace(recipe, epochs=epochs or 4)

    make_model = recipes.Recipe.make_model

    def make_uncompiled_model(*arguments, **keywords):
        model = make_model(*arguments, **keywords)
        # XLA would take longer to compile the few steps than they take.
        model.compile(model.optimizer, jit_compile=keras.backend.backend() == "jax")
        return model

    def train_network_for_a_moment(*arguments, **keywords):
        return supervised_accuracy(*arguments, **keywords, steps=2)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recipes, "get", get)
        patch.setattr(recipes.Recipe, "make_model", make_uncompiled_model)
        # The views are no part of what this file tests, and no plain container.
        patch.setattr(recipes.Recipe, "to_dict", lambda self: {"name": self.name})
        patch.setattr(train_command, "supervised_accuracy", train_network_for_a_moment)
        patch.setattr(train_command, "_SECONDS_BETWEEN_CHECKPOINTS", 0)
        yield ("--dataset", f"npz:{archive}", "--labels-per-class", "2")


@pytest.fixture(scope="module")
def finished(new, tmp_path_factory):
    """The folder of a run that was not interrupted, and what it printed."""
    folder = tmp_path_factory.mktemp("runs") / "finished"
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert main(["train", *new, "--out", str(folder)]) == 0
    return folder, printed.getvalue()


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


def test_a_run_writes_its_folder_and_prints_the_table(new, finished):
    folder, printed = finished
    assert all((folder / name).exists() for name in _FILES)
    assert not list(folder.glob("*partial*"))
    metrics = json.loads((folder / "metrics.json").read_text())
    for name in ("supervised", "knn", "linear", "pseudo_label"):
        assert 0 <= metrics[f"{name}_accuracy"] <= 1
    assert metrics["train_seconds"] > 0
    assert metrics["backend"] == keras.backend.backend()
    assert metrics["seed"] == 0
    assert metrics["recipe"] == {"name": "small_images"}
    assert metrics["supervised_accuracy"] == max(
        metrics["supervised_logistic_regression_accuracy"],
        metrics["supervised_network_accuracy"],
    )
    history = json.loads((folder / "history.json").read_text())
    assert {"loss", "pseudo_label_accuracy", "memory_fill"} <= set(history)
    assert {len(values) for values in history.values()} == {4}
    assert list((folder / "logs" / "train").iterdir())
    assert "30 unlabelled and 6 labelled images of 3 classes" in printed
    for words in ("supervised only", "nearest in its memory", "linear probe"):
        assert words in printed

    # What was measured can be had from the model that was saved.
    data = semppl_keras.data.load(new[1], 2, 0)
    model = keras.models.load_model(folder / "model.keras")
    correct = model.predict(data.x_test, verbose=0).argmax(axis=1) == data.y_test
    assert metrics["knn_accuracy"] == np.mean(correct)


def test_a_finished_run_is_neither_overwritten_nor_repeated(new, finished, capsys):
    folder, _ = finished
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert main(["train", *new, "--out", str(folder)]) == 2
    assert "--resume --out" in capsys.readouterr().err
    assert main(["train", "--resume", "--out", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert "finished" in printed
    assert "linear probe" in printed
    assert before == {path: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_an_interrupted_run_goes_on_as_if_it_had_not_been(
    new, finished, tmp_path, monkeypatch, capsys
):
    with monkeypatch.context() as patch:
        patch.setattr(train_command, "ScalarLogs", _Stop)
        assert main(["train", *new, "--out", str(tmp_path)]) == 130
    told = capsys.readouterr().err
    assert f"semppl train --resume --out {tmp_path}" in told
    assert not (tmp_path / "metrics.json").exists()
    # The checkpoint is one file: weights and history cannot be of different epochs.
    with zipfile.ZipFile(tmp_path / "checkpoint.keras") as archive:
        progress = json.loads(archive.read("semppl_progress.json"))
    assert progress["epochs_done"] == len(progress["history"]["loss"]) == 2

    resume = ["train", "--resume", "--out", str(tmp_path)]
    assert main([*resume, "--seed", "1"]) == 2
    told = capsys.readouterr().err
    assert "begun with --seed 0. Received: --seed 1" in told

    # What comes after the training is measured in the test above.
    measured = json.loads((finished[0] / "metrics.json").read_text())
    monkeypatch.setattr(
        train_command,
        "measure",
        lambda model, data, recipe, seed: (measured, data.x_test[:, 0, 0], data.y_test),
    )
    assert main(resume) == 0
    assert "Going on after epoch 2" in capsys.readouterr().out
    expected, resumed = (
        json.loads((folder / "history.json").read_text())
        for folder in (finished[0], tmp_path)
    )
    assert resumed == expected
    expected, resumed = (
        _weights(folder / "model.keras") for folder in (finished[0], tmp_path)
    )
    for one, two in zip(expected, resumed, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.slow
def test_a_run_interrupted_before_its_first_checkpoint_starts_again(
    new, tmp_path, monkeypatch
):
    class StopAtOnce(_Stop):
        def on_epoch_begin(self, epoch, logs=None):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(train_command, "ScalarLogs", StopAtOnce)
        assert main(["train", *new, "--epochs", "1", "--out", str(tmp_path)]) == 130
    assert not (tmp_path / "checkpoint.keras").exists()
    assert main(["train", "--resume", "--out", str(tmp_path)]) == 0
    assert (tmp_path / "metrics.json").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--epochs", "0"], "--epochs: must be an integer of at least 1; received '0'"),
        (["--epochs", "x"], "received 'x'"),
        (["--labels-per-class", "-1"], "or 'all'; received '-1'"),
        (["--seed", "-1"], "at least 0"),
        (["--dataset", "mnist"], "tfds:NAME or folder:DIR; received 'mnist'"),
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


def test_errors_are_one_line_and_leave_nothing_behind(new, tmp_path, capsys):
    def told(*arguments):
        assert main(["train", *arguments]) == 2
        message = capsys.readouterr().err
        assert message.startswith("semppl train: error: ")
        assert message.count("\n") == 1
        return message

    out = str(tmp_path / "new")
    assert "absent.npz" in told("--dataset", "npz:absent.npz", "--out", out)
    assert "at most" in told("--labels-per-class", "999", "--out", out)
    dataset = new[:2]
    assert "unlabelled images to learn from" in told(
        *dataset, "--labels-per-class", "all", "--out", out
    )
    assert "no run.json" in told("--resume", "--out", out)
    few = tmp_path / "few.npz"
    images, labels = np.zeros((6, 8, 8), "uint8"), np.arange(6) % 2
    np.savez(few, x_train=images, y_train=labels, x_test=images, y_test=labels)
    assert "`batch_size` is too small" in told(
        "--dataset", f"npz:{few}", "--labels-per-class", "1", "--out", out
    )
    assert not (tmp_path / "new").exists()

    file = tmp_path / "file"
    file.touch()
    assert "which is a file" in told("--out", str(file))
    assert "Not a directory" in told(*dataset, "--out", str(file / "sub"))
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
