"""The command line: what it says, what it writes, how it goes on."""

import contextlib
import io
import json

import keras
import numpy as np
import pytest
from tiny_runs import (
    assert_same_results,
    exit_status,
    interrupting,
    tiny_runs,
    write_archive,
)

import semppl_keras
from semppl_keras.callbacks import TrainingState, latest_checkpoint
from semppl_keras.cli import main, parser
from semppl_keras.reports.run_picture import write_report
from semppl_keras.runs import network_training
from semppl_keras.runs.run_place import run_folder

_FILES = ("metrics.json", "model.keras", "history.json", "report.png", "run.json")


@pytest.fixture(scope="module")
def new(tmp_path_factory):
    """Options for a run of which an epoch takes a moment."""
    with tiny_runs(pictures=True):
        yield write_archive(tmp_path_factory.mktemp("data") / "tiny.npz")


@pytest.fixture(scope="module")
def finished(new, tmp_path_factory):
    """The folder of a run that was not interrupted, and what it printed."""
    folder = tmp_path_factory.mktemp("runs") / "finished"
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert main(["train", *new, "--out", str(folder)]) == 0
    return folder, printed.getvalue()


@pytest.mark.any_backend
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
    assert metrics["recipe"]["batch_size"] == 12
    # All of it is in the model.
    assert not (folder / "checkpoints").exists()
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


@pytest.mark.any_backend
def test_a_finished_run_is_neither_overwritten_nor_repeated(new, finished, capsys):
    folder, _ = finished
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert main(["train", *new, "--out", str(folder)]) == 2
    assert f"--resume {folder}" in capsys.readouterr().err
    assert main(["train", "--resume", "--out", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert "finished" in printed
    assert "linear probe" in printed
    assert before == {path: path.stat().st_mtime_ns for path in folder.iterdir()}


@pytest.mark.any_backend
def test_a_run_that_is_interrupted_twice_goes_on_where_it_was_saved(
    new, finished, tmp_path, monkeypatch, capsys
):
    with monkeypatch.context() as patch:
        patch.setattr(network_training, "ScalarLogs", interrupting(epoch=2))
        assert main(["train", *new, "--out", str(tmp_path)]) == 130
    told = capsys.readouterr().err
    assert f"semppl train --resume {tmp_path}" in told
    assert not (tmp_path / "metrics.json").exists()
    state = TrainingState.read(latest_checkpoint(tmp_path / "checkpoints"))
    assert (state.epoch, state.batch) == (2, 0)
    assert len(state.history["loss"]) == 2

    resume = ["train", "--resume", str(tmp_path)]
    assert main([*resume, "--seed", "1"]) == 2
    told = capsys.readouterr().err
    assert "begun with --seed 0. Received: --seed 1" in told
    assert main([*resume, "--batch-size", "8"]) == 2
    assert "begun without --batch-size" in capsys.readouterr().err
    assert main([*resume, "--out", "elsewhere"]) == 2
    assert "and --out elsewhere. Leave one" in capsys.readouterr().err

    # The folder can be named by --out, too.
    assert main(["train", "--resume", "--out", str(tmp_path)]) == 0
    assert "Going on after epoch 2." in capsys.readouterr().out
    assert_same_results(finished[0], tmp_path)


@pytest.mark.slow
def test_a_run_interrupted_before_its_first_checkpoint_starts_again(
    new, tmp_path, monkeypatch
):
    with monkeypatch.context() as patch:
        patch.setattr(network_training, "ScalarLogs", interrupting(epoch=0))
        assert main(["train", *new, "--epochs", "1", "--out", str(tmp_path)]) == 130
    assert latest_checkpoint(tmp_path / "checkpoints") is None
    assert main(["train", "--resume", str(tmp_path)]) == 0
    assert (tmp_path / "metrics.json").exists()


@pytest.mark.any_backend
def test_batch_size_and_learning_rate(new, tmp_path, monkeypatch):
    seen = {}

    def fit(self, unlabelled, labelled, **arguments):
        seen.update(arguments, rate=self.optimizer.learning_rate)
        raise KeyboardInterrupt

    monkeypatch.setattr(semppl_keras.SemPPL, "fit", fit)
    options = ["--batch-size", "8", "--learning-rate", "0.25"]
    assert main(["train", *new, *options, "--out", str(tmp_path)]) == 130
    assert (seen["batch_size"], seen["labelled_batch_size"]) == (8, 4)
    assert float(seen["rate"]) == 0.25


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--epochs", "-1"], "--epochs must be an integer of at least 0. Received: -1"),
        (["--epochs", "x"], "--epochs: must be an integer; received 'x'"),
        (["--labels-per-class", "-1"], "or 'all'. Received: -1."),
        (["--labels-per-class", "x"], "or 'all'. Received: 'x'."),
        (["--seed", "-1"], "at least 0"),
        (["--dataset", "mnist"], "tfds:NAME or folder:DIR. Received: 'mnist'"),
        (["--dataset", "npz:"], "Received: 'npz:'"),
        (["--colour"], "unrecognized arguments: --colour"),
    ],
)
def test_arguments_that_are_wrong(options, message, capsys):
    assert exit_status(["train", *options]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1


@pytest.mark.any_backend
def test_no_command(capsys):
    with pytest.raises(SystemExit) as error:
        main([])
    assert error.value.code == 2
    assert "COMMAND" in capsys.readouterr().err


@pytest.mark.any_backend
def test_help(capsys):
    with pytest.raises(SystemExit) as error:
        main(["train", "--help"])
    assert error.value.code == 0
    told = capsys.readouterr().out
    for words in ("default: digits", "examples:", "metrics.json", "--resume"):
        assert words in told
    assert max(len(line) for line in told.splitlines()) <= 88


@pytest.mark.any_backend
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
    assert "so that a step needs at least 11" in told(
        "--dataset", f"npz:{few}", "--labels-per-class", "1", "--out", out
    )
    assert not (tmp_path / "new").exists()

    file = tmp_path / "file"
    file.touch()
    assert "which is a file" in told("--out", str(file))
    assert "is a file. Choose another" in told(*dataset, "--out", str(file / "sub"))
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "model.keras").touch()
    assert "model.keras would be overwritten" in told("--out", str(taken))


@pytest.mark.any_backend
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


@pytest.mark.any_backend
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
    arguments = parser().parse_args(["train", *options])
    assert run_folder(arguments).as_posix() == folder


@pytest.mark.any_backend
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


@pytest.mark.any_backend
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
