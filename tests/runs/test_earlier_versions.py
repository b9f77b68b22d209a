"""Models and run folders that version 0.1 wrote are loaded, used and trained further.

`data/version_0_1` was written on TensorFlow: `toy_model` after three epochs, a
`FineTuner` of it after two, and what `semppl train --epochs 6` leaves with a small
network, without logs and picture; `expected.npz` is what they answered there.

`data/before_the_move` was written on torch by the last commit in which the commands
held all that is in `semppl_keras.runs` now (19dfbbe), within `tiny_runs` and with
`--dataset digits --labels-per-class 1 --batch-size 128`: `run` with `--epochs 2`, then
`semppl finetune`; `unfinished` with `--epochs 3` and Ctrl-C in step 5 of epoch 2, of
which the last checkpoint is kept. `expected.npz`: for 40 test images what the two
models of `run` answered, and the losses of the three epochs without Ctrl-C.
"""

import csv
import json
import pathlib
import shutil

import keras
import numpy as np
import pytest
from short_run import make_training_quick
from tiny_runs import tiny_runs
from toys import toy_images

from semppl_keras.cli import main
from semppl_keras.reports.run_table import format_run
from semppl_keras.runs.finished import FinishedRun
from semppl_keras.runs.folder import read_metrics

FOLDER = pathlib.Path(__file__).parents[1] / "data" / "version_0_1"
BEFORE_THE_MOVE = FOLDER.with_name("before_the_move")

# Sums of float32 have another order on every backend and processor.
CLOSE = {"rtol": 1e-3, "atol": 1e-4}


@pytest.fixture(scope="module")
def expected():
    with np.load(FOLDER / "expected.npz") as arrays:
        return dict(arrays)


@pytest.fixture
def run(tmp_path):
    """A copy of the run folder, to be written to."""
    return pathlib.Path(shutil.copytree(FOLDER / "run", tmp_path / "run"))


def _uncompiled(model):
    # XLA would take longer to compile the few steps than they take.
    model.jit_compile = keras.backend.backend() == "jax"
    return model


def _assert_mostly_equal(shares, expected):
    """Votes are whole: one that is about to tip may do so by a rounding error."""
    differing = np.abs(shares - expected).max(axis=1) > 1e-3
    assert differing.mean() <= 0.1


def test_a_model_answers_as_before_and_trains_on(expected):
    model = _uncompiled(keras.models.load_model(FOLDER / "semppl.keras"))
    test, _ = toy_images(9, seed=1)
    np.testing.assert_allclose(model.embed(test), expected["semppl_features"], **CLOSE)
    _assert_mostly_equal(model.predict(test, verbose=0), expected["semppl"])

    images, labels = toy_images(24)
    step, memory = int(model.step), model.memory.labels.numpy()
    assert step == 6
    assert (memory >= 0).all()
    history = model.fit(
        images,
        (images[:9], labels[:9]),
        batch_size=12,
        labelled_batch_size=6,
        verbose=0,
    ).history
    assert np.isfinite(history["loss"]).all()
    assert int(model.step) == step + 2
    # Two batches of six take the place of all that it held: it is a queue of twelve.
    assert history["memory_fill"] == [1.0]


@pytest.mark.any_backend
def test_a_fine_tuner_answers_as_before_and_trains_on(expected):
    tuner = _uncompiled(keras.models.load_model(FOLDER / "fine_tuner.keras"))
    test, _ = toy_images(9, seed=1)
    np.testing.assert_allclose(
        tuner.predict(test, verbose=0), expected["fine_tuner"], **CLOSE
    )
    images, labels = toy_images(9)
    history = tuner.fit(images, labels, epochs=1, verbose=0).history
    assert np.isfinite(history["loss"]).all()


@pytest.mark.any_backend
@pytest.mark.usefixtures("sketched")
def test_a_run_is_evaluated(run, expected):
    finished = FinishedRun(run)
    images = finished.data.x_test[:40]
    np.testing.assert_allclose(
        finished.model.embed(images), expected["run_features"], **CLOSE
    )
    _assert_mostly_equal(finished.model.predict(images, verbose=0), expected["run"])

    assert main(["evaluate", str(run)]) == 0
    rows = json.loads((run / "evaluation.json").read_text())["rows"]
    metrics = json.loads((run / "metrics.json").read_text())
    for row, name in (
        ("memory_knn", "knn_accuracy"),
        ("linear_probe", "linear_accuracy"),
    ):
        assert rows[row]["top1"] == pytest.approx(metrics[name], abs=0.02)


@pytest.mark.any_backend
def test_a_run_labels_pictures(run, tmp_path):
    from PIL import Image

    (tmp_path / "photos").mkdir()
    finished = FinishedRun(run)
    for index, image in enumerate(finished.data.x_test[:6]):
        picture = Image.fromarray(image[..., 0].round().astype("uint8"))
        picture.save(tmp_path / "photos" / f"{index}.png")
    out = tmp_path / "labels.csv"
    assert main(["label", str(run), str(tmp_path / "photos"), "--out", str(out)]) == 0
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    assert {row["label"] for row in rows} <= set(finished.class_names)


@pytest.mark.any_backend
def test_a_finished_run_has_its_table(run):
    table = format_run(read_metrics(run), run)
    assert "SemPPL, linear probe                  70.0%" in table


# -- before the move ----------------------------------------------------------


@pytest.mark.any_backend
def test_an_unfinished_run_goes_on(tmp_path, capsys):
    folder = shutil.copytree(BEFORE_THE_MOVE / "unfinished", tmp_path / "unfinished")
    with tiny_runs():
        code = main(["train", "--resume", str(folder)])
    told = capsys.readouterr()
    if keras.backend.backend() != "torch":
        assert code == 2
        assert "was begun on torch" in told.err
        assert (folder / "checkpoints").exists()
        return
    assert code == 0
    assert "Going on after step 4 of epoch 2." in told.out
    assert not (folder / "checkpoints").exists()
    losses = json.loads((folder / "history.json").read_text())["loss"]
    with np.load(BEFORE_THE_MOVE / "expected.npz") as arrays:
        # A vote that tips changes what follows.
        np.testing.assert_allclose(losses, arrays["unfinished_loss"], rtol=1e-2)
    assert json.loads((folder / "metrics.json").read_text())["epochs"] == 3


@pytest.fixture
def moved_run(tmp_path):
    return pathlib.Path(shutil.copytree(BEFORE_THE_MOVE / "run", tmp_path / "run"))


@pytest.mark.any_backend
def test_a_run_of_before_the_move_answers(moved_run):
    finished = FinishedRun(moved_run)
    images = finished.data.x_test[:40]
    classifier, how = finished.classifier()
    assert how == "fine-tuned"
    with np.load(BEFORE_THE_MOVE / "expected.npz") as expected:
        np.testing.assert_allclose(
            finished.model.embed(images), expected["embedding"], **CLOSE
        )
        _assert_mostly_equal(
            finished.model.predict(images, verbose=0), expected["labels"]
        )
        np.testing.assert_allclose(
            classifier.predict(images, verbose=0), expected["classifier"], **CLOSE
        )


@pytest.mark.any_backend
def test_a_run_of_before_the_move_labels_and_is_fine_tuned(
    moved_run, tmp_path, monkeypatch
):
    from PIL import Image

    (tmp_path / "photos").mkdir()
    digits = FinishedRun(moved_run).data.x_test[:6, ..., 0].round().astype("uint8")
    for index, pixels in enumerate(digits):
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{index}.png")
    label = ["label", str(moved_run), str(tmp_path / "photos"), "--out"]
    assert main([*label, str(tmp_path / "one.csv")]) == 0

    make_training_quick(monkeypatch)
    before = (moved_run / "classifier.keras").read_bytes()
    assert main(["finetune", str(moved_run), "--epochs", "1"]) == 0
    assert (moved_run / "classifier_1.keras").read_bytes() == before
    assert main([*label, str(tmp_path / "two.csv")]) == 0
    for name in ("one.csv", "two.csv"):
        with (tmp_path / name).open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 6
        assert {row["label"] for row in rows} <= set("0123456789")
