"""`semppl evaluate`: its numbers, its files, what it refuses."""

import contextlib
import dataclasses
import io
import json
import shutil
import types

import keras
import numpy as np
import pytest
from short_run import move_sources, short_run, write_own_images
from tiny_runs import exit_status
from toys import slow_on_jax

import semppl_keras
from semppl_keras import recipes
from semppl_keras.cli import main
from semppl_keras.evaluation import (
    CORRUPTIONS,
    calibration_curve,
    expected_calibration_error,
)
from semppl_keras.reports.evaluation_plots import write_plots
from semppl_keras.runs import classifier_training, run_data, task_measures
from semppl_keras.runs import evaluating as evaluate_command
from semppl_keras.runs import tasks as evaluation_task
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.finished import FinishedRun
from semppl_keras.runs.results.evaluation import Evaluation

pytestmark = pytest.mark.any_backend

_PLOTS = ("confusion.png", "per_class.png", "reliability.png")


@pytest.fixture(scope="module")
def evaluated(run, tmp_path_factory):
    """A copy of that folder after an evaluation, what it printed and what it wrote."""
    folder = _copy(run, tmp_path_factory.mktemp("evaluated") / "run")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert main(["evaluate", str(folder)]) == 0
    return folder, printed.getvalue(), _evaluation(folder)


def _copy(run, folder, **settings):
    """A copy of a run, in which `settings` have another value."""
    shutil.copytree(run, folder)
    before = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**before, **settings}))
    return folder


def _evaluation(folder):
    return json.loads((folder / "evaluation.json").read_text())


def _archive(path, images, labels, **more):
    half = len(images) // 2
    np.savez(
        path,
        x_train=images[:half],
        y_train=labels[:half],
        x_test=images[half:],
        y_test=labels[half:],
        **more,
    )
    return f"npz:{path}"


def _greys(classes, channels=1, side=16):
    """Images that differ by class in their brightness."""
    labels = np.tile(np.arange(classes), 30)
    noise = np.random.default_rng(0).uniform(0, 40, (len(labels), side, side, channels))
    return noise + 200 / classes * labels[:, None, None, None], labels


def test_it_measures_what_the_run_measured(evaluated):
    folder, printed, evaluation = evaluated
    metrics = json.loads((folder / "metrics.json").read_text())
    rows = evaluation["rows"]
    assert list(rows) == [
        "logistic_regression",
        "memory_knn",
        "weighted_knn",
        "linear_probe",
        "classifier",
    ]
    for row, name in (
        ("logistic_regression", "supervised_logistic_regression_accuracy"),
        ("memory_knn", "knn_accuracy"),
        ("linear_probe", "linear_accuracy"),
        ("classifier", "classifier_accuracy"),
    ):
        assert rows[row]["top1"] == metrics[name]
        assert f"{metrics[name]:.1%}" in printed
    for row in rows.values():
        assert 0 <= row["top1"] <= row["top5"] <= 1
        assert 0 <= row["ece"] <= 1
        assert len(row["per_class"]) == 10
        assert np.shape(row["confusion"]) == (10, 10)
        assert np.sum(row["confusion"]) == 400
        assert sum(row["calibration"]["count"]) == 400
        assert row["title"] in printed
    assert rows["weighted_knn"]["k"] == 10
    assert rows["memory_knn"]["title"].startswith("SemPPL")
    assert evaluation["robustness"] is None
    assert evaluation["kind"] == "own"
    assert evaluation["data"] == "digits"
    assert evaluation["seed"] == 0
    assert evaluation["run_settings"]["epochs"] == 1
    assert (evaluation["num_labelled"], evaluation["num_test"]) == (100, 400)
    assert evaluation["backend"] == keras.backend.backend()
    assert "semppl_keras" in evaluation["versions"]
    assert "10 labels per class, run of seed 0" in printed


def test_it_writes_its_files_and_changes_no_other(run, evaluated):
    folder, printed, _ = evaluated
    new = {path.name for path in folder.iterdir()} - {
        path.name for path in run.iterdir()
    }
    assert new == {"evaluation.json", *_PLOTS}
    for path in run.rglob("*"):
        if path.is_file():
            copy = folder / path.relative_to(run)
            # The settings are written anew by `_copy`.
            if path.name != "run.json":
                assert copy.read_bytes() == path.read_bytes()
    for name in _PLOTS:
        assert (folder / name).stat().st_size > 10_000
    assert f"Written to {folder}" in printed


def test_fine_tuning_and_robustness(
    run, evaluated, quick, tmp_path, monkeypatch, capsys
):
    before = {path: path.stat().st_mtime_ns for path in run.iterdir()}
    options = ["--fine-tune", "--robustness", "--severities", "5,1,1"]
    options += ["--corruptions", "contrast,glass_blur", "--seed", "3"]
    assert main(["evaluate", str(run), *options, "--out", str(tmp_path)]) == 0
    assert before == {path: path.stat().st_mtime_ns for path in run.iterdir()}
    evaluation, printed = _evaluation(tmp_path), capsys.readouterr().out
    assert evaluation["seed"] == 3
    assert evaluation["rows"]["fine_tuned"]["epochs"] == 1
    assert 0 <= evaluation["rows"]["fine_tuned"]["top1"] <= 1

    robustness = evaluation["robustness"]
    assert robustness["severities"] == [1, 5]
    classifiers = ["logistic_regression", "linear_probe", "fine_tuned"]
    assert list(robustness["errors"]) == classifiers
    for name in classifiers:
        errors = robustness["errors"][name]
        assert list(errors) == ["contrast", "glass_blur"]
        assert np.shape(list(errors.values())) == (2, 2)
        assert np.mean(list(errors.values())) == robustness["mean_error"][name]
    # What the definition says, in a line of its own.
    baseline, probe = (robustness["errors"][name] for name in classifiers[:2])
    expected = 50 * sum(sum(probe[name]) / sum(baseline[name]) for name in probe)
    scores = robustness["mean_corruption_error"]
    assert scores["linear_probe"] == pytest.approx(expected)
    assert scores["logistic_regression"] == pytest.approx(100)
    assert f"{expected:.1f}" in printed
    words = "2 corruptions at 2 severities", "Fine-tuning", "mean corruption error"
    for said in words:
        assert said in printed
    assert (tmp_path / "robustness.png").stat().st_size > 10_000

    # An evaluation without it leaves no picture of an earlier one.
    measured = {name: evaluated[2][name] for name in ("rows", "robustness")}
    monkeypatch.setattr(evaluate_command, "measure", lambda *_, **__: measured)
    assert main(["evaluate", str(run), "--out", str(tmp_path)]) == 0
    assert _evaluation(tmp_path)["robustness"] is None
    assert not (tmp_path / "robustness.png").exists()


def test_other_labels_than_those_of_the_run(run, tmp_path, monkeypatch):
    tasks = []

    def measure_nothing(model, task, **options):
        tasks.append(task)
        raise RunError("enough")

    monkeypatch.setattr(evaluate_command, "measure", measure_nothing)
    for labels_per_class in ("2%", "10", "all"):
        arguments = ["evaluate", str(run), "--labels-per-class", labels_per_class]
        assert main(arguments) == 2
    share, same, every = tasks
    data = semppl_keras.data.load("digits", 10, 0)
    counts = np.bincount(data.y_train)
    np.testing.assert_array_equal(
        np.bincount(share.y_labelled), np.round(0.02 * counts)
    )
    np.testing.assert_array_equal(same.x_labelled, data.x_labelled)
    assert len(every.x_labelled) == 1397
    # The memory's votes are of the labels of the run alone.
    assert [task.labels_of_run for task in tasks] == [False, True, False]
    for task in tasks:
        np.testing.assert_array_equal(task.x_test, data.x_test)
    # Few labels are among more of the same seed.
    images = {image.tobytes() for image in data.x_labelled}
    assert {image.tobytes() for image in share.x_labelled} <= images


@pytest.mark.usefixtures("sketched")
def test_transfer_to_another_data_set(run, tmp_path, capsys):
    data = _archive(tmp_path / "greys.npz", *_greys(classes=3))
    options = ["--data", data, "--labels-per-class", "2", "--out", str(tmp_path)]
    assert main(["evaluate", str(run), *options]) == 0
    evaluation = _evaluation(tmp_path)
    assert evaluation["kind"] == "transfer"
    assert evaluation["data"] == data
    assert (evaluation["num_labelled"], evaluation["num_test"]) == (6, 45)
    assert list(evaluation["rows"]) == [
        "logistic_regression",
        "weighted_knn",
        "linear_probe",
    ]
    assert evaluation["rows"]["weighted_knn"]["k"] == 2
    assert evaluation["rows"]["linear_probe"]["top5"] is None
    assert "features learned on digits" in capsys.readouterr().out


@pytest.mark.usefixtures("sketched")
def test_a_test_out_of_distribution(run, evaluated, tmp_path, capsys):
    digits = semppl_keras.data.load("digits", None, 0)
    images, labels = digits.x_test, digits.y_test
    data = _archive(
        tmp_path / "same.npz",
        np.concatenate([images, images]),
        np.concatenate([labels, labels]),
    )
    options = ["--data", data, "--same-classes", "--out", str(tmp_path)]
    assert main(["evaluate", str(run), *options]) == 0
    # The images of the run's own test, read from elsewhere: nothing else may differ.
    assert _evaluation(tmp_path)["rows"] == evaluated[2]["rows"]
    assert _evaluation(tmp_path)["kind"] == "same_classes"
    assert "with 10 labels per class of digits" in capsys.readouterr().out


@pytest.mark.usefixtures("sketched")
def test_image_files_out_of_distribution(run, evaluated, tmp_path):
    from PIL import Image

    digits = semppl_keras.data.load("digits", None, 0)
    chosen = np.flatnonzero(digits.y_test < 7)
    for index in chosen:
        folder = tmp_path / "scanned" / str(digits.y_test[index])
        folder.mkdir(parents=True, exist_ok=True)
        pixels = np.round(digits.x_test[index, ..., 0]).astype("uint8")
        Image.fromarray(pixels).save(folder / f"{index}.png")
    options = ["--data", f"folder:{tmp_path / 'scanned'}", "--same-classes"]
    assert main(["evaluate", str(run), *options, "--out", str(tmp_path)]) == 0
    evaluation = _evaluation(tmp_path)
    assert evaluation["num_test"] == len(chosen)
    # Seven of the ten classes, of which the run knows which they are.
    own = evaluated[2]["rows"]["linear_probe"]["per_class"][:7]
    others = evaluation["rows"]["linear_probe"]["per_class"]
    np.testing.assert_allclose(others[:7], own, atol=0.1)


@pytest.mark.usefixtures("sketched")
def test_own_images_to_test_a_run_on_a_data_set(run, evaluated, tmp_path, capsys):
    from PIL import Image

    digits = semppl_keras.data.load("digits", None, 0)
    held = tmp_path / "held"
    for index, label in enumerate(digits.y_test):
        (held / str(label)).mkdir(parents=True, exist_ok=True)
        pixels = np.round(digits.x_test[index, ..., 0]).astype("uint8")
        Image.fromarray(pixels).save(held / str(label) / f"{index}.png")
    (held / "letters").mkdir()
    Image.new("L", (8, 8)).save(held / "letters" / "a.png")
    (held / "3" / "broken.png").write_bytes(b"none")
    out = tmp_path / "out"
    assert main(["evaluate", str(run), "--test", str(held), "--out", str(out)]) == 0
    evaluation, printed = _evaluation(out), capsys.readouterr().out
    assert (evaluation["kind"], evaluation["data"]) == ("test", str(held))
    assert evaluation["num_test"] == 400
    assert evaluation["num_left_out"] == 1
    ((skipped, _),) = evaluation["skipped"]
    assert skipped == str(held / "3" / "broken.png")
    for words in (
        "Note: 1 test images are left out: the run does not know 'letters'.",
        "Note: 1 of 402 test images cannot be read, such as",
        "held, with 10 labels per class of digits",
    ):
        assert words in printed
    # The images of the run's own test, rounded.
    assert evaluation["rows"].keys() == evaluated[2]["rows"].keys()
    for name, row in evaluation["rows"].items():
        assert row["top1"] == pytest.approx(
            evaluated[2]["rows"][name]["top1"], abs=0.05
        )


@slow_on_jax
@pytest.mark.usefixtures("sketched")
def test_own_images_to_test_a_run_on_own_images(tmp_path, quick, capsys):
    photos = tmp_path / "photos"
    options = write_own_images(photos)
    out = tmp_path / "out"
    with short_run(tmp_path / "run", *options) as folder:
        # Neither is needed: what was learned from them is in the model.
        shutil.rmtree(photos / "many")
        table = tmp_path / "held.csv"
        table.write_text("path,label\nphotos/few/dark/0.png,dark\n")
        arguments = ["evaluate", str(folder), "--test", str(table), "--out", str(out)]
        assert main([*arguments, "--fine-tune"]) == 0
        evaluation, printed = _evaluation(out), capsys.readouterr().out
        assert evaluation["class_names"] == ["bright", "dark"]
        assert (evaluation["num_labelled"], evaluation["num_test"]) == (6, 1)
        assert list(evaluation["rows"])[1:] == [
            "memory_knn",
            "weighted_knn",
            "linear_probe",
            "fine_tuned",
            "classifier",
        ]
        assert evaluation["rows"]["linear_probe"]["per_class"][0] is None
        assert "There is no test image of 'bright'." in printed

        # With labels, archives and test images of its own, the run is tested as then.
        images = np.full((2, 9, 12, 3), [[[[200] * 3]], [[[50] * 3]]], "uint8")
        np.savez(tmp_path / "held.npz", images=images, labels=["bright", "dark"])
        move_sources(folder, test=str(photos / "gone"))
        arguments[3] = f"npz:{tmp_path / 'held.npz'}"
        assert main(arguments) == 0
        assert _evaluation(out)["num_test"] == 2

        table.write_text("path,label\nphotos/few/dark/0.png,night\n")
        capsys.readouterr()
        assert main(["evaluate", str(folder), "--test", str(table)]) == 2
        assert "the run, 'bright', 'dark'. Received: 'night'" in capsys.readouterr().err


def test_classes_are_matched_by_name_or_by_number():
    def match(names, labels, of_run):
        tested = semppl_keras.data.LabelledTest(
            np.zeros((len(labels), 4, 4)), labels, names, "others"
        )
        data = types.SimpleNamespace(
            class_names=of_run, num_classes=len(of_run), name="run"
        )
        return evaluation_task.named_alike(tested, data).tolist()

    pets = ("cat", "dog", "owl")
    assert match(("owl", "cat"), [0, 1, 1], pets) == [2, 0, 0]
    assert match(None, [0, 2], pets) == [0, 2]
    assert match(("0", "1"), [0, 1], pets) == [0, 1]
    assert match(("cat", "dog"), [0, 1], ("0", "1", "2")) == [0, 1]
    with pytest.raises(RunError, match="with cow, which are none of cat, dog"):
        match(("cat", "cow"), [0, 1], pets)
    with pytest.raises(RunError, match="with 4 classes, where run has 3"):
        match(None, [0, 3], pets)


def test_nothing_is_chosen_on_test_labels(run, quick):
    arguments = semppl_keras.cli.parser().parse_args(["evaluate", str(run)])
    task, seed = evaluation_task.task_of_run(FinishedRun(run), arguments)
    wrong = dataclasses.replace(task, y_test=np.roll(task.y_test, 7))
    model = keras.models.load_model(run / "model.keras")
    own, other = (
        task_measures.measure(model, one, seed=seed, fine_tune=True)["rows"]
        for one in (task, wrong)
    )
    assert own.keys() == other.keys()
    assert own["linear_probe"]["top1"] > other["linear_probe"]["top1"]
    for name, row in own.items():
        # How often each class is predicted depends on no test label.
        np.testing.assert_array_equal(
            np.sum(row["confusion"], axis=0), np.sum(other[name]["confusion"], axis=0)
        )


@pytest.mark.usefixtures("sketched")
def test_fine_tuning_from_another_layer(run, quick, tmp_path, monkeypatch, capsys):
    received = []
    tune = classifier_training.FineTuner

    def recorded(*arguments, from_layer, **keywords):
        received.append(from_layer)
        return tune(*arguments, from_layer=from_layer, **keywords)

    monkeypatch.setattr(classifier_training, "FineTuner", recorded)
    options = ["--fine-tune", "--from-layer", "0", "--out", str(tmp_path)]
    assert main(["evaluate", str(run), *options]) == 0
    assert received == [0]
    assert main(["evaluate", str(run), "--from-layer", "1"]) == 2
    assert "--from-layer is for --fine-tune" in capsys.readouterr().err


def test_images_of_another_size_out_of_distribution(run, tmp_path, monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8), "uint8")
    larger = np.kron(images, np.ones((1, 3, 3), "uint8"))
    wider = np.pad(larger, ((0, 0), (0, 0), (4, 4)))
    data = _archive(tmp_path / "wider.npz", wider, np.arange(40) % 10)
    received = []

    def measure_nothing(model, task, **options):
        received.append(task.x_test)
        raise RunError("enough")

    monkeypatch.setattr(evaluate_command, "measure", measure_nothing)
    assert main(["evaluate", str(run), "--data", data, "--same-classes"]) == 2
    (resized,) = received
    assert resized.shape == (20, 8, 8, 1)
    # Of the central square, nearly the images that it was made from.
    assert np.corrcoef(resized.ravel(), images[20:].ravel())[0, 1] > 0.95


@pytest.mark.usefixtures("sketched")
def test_no_corruption_error_where_the_baseline_is_always_right(run, tmp_path):
    data = _archive(tmp_path / "greys.npz", *_greys(classes=2))
    options = ["--data", data, "--robustness", "--severities", "1"]
    options += ["--corruptions", "pixelate", "--out", str(tmp_path)]
    assert main(["evaluate", str(run), *options]) == 0
    robustness = _evaluation(tmp_path)["robustness"]
    assert robustness["errors"]["logistic_regression"] == {"pixelate": [0]}
    assert set(robustness["mean_corruption_error"].values()) == {None}


@pytest.mark.usefixtures("sketched")
def test_several_runs(run, evaluated, tmp_path, monkeypatch, capsys):
    folders = [_copy(run, tmp_path / f"seed_{seed}", seed=seed) for seed in (0, 1)]
    out = tmp_path / "mean"

    def measure_by_seed(model, task, *, seed, **options):
        measured = json.loads(json.dumps(evaluated[2]))
        measured["rows"]["linear_probe"]["top1"] = [0.9, 0.94][seed]
        errors = {
            name: {"fog": [0.1]} for name in ("logistic_regression", "linear_probe")
        }
        measured["robustness"] = {
            "severities": [1],
            "errors": errors,
            "mean_error": {name: 0.1 for name in errors},
            "mean_corruption_error": {
                "logistic_regression": 100,
                "linear_probe": 80 + seed,
            },
        }
        return {name: measured[name] for name in ("rows", "robustness")}

    monkeypatch.setattr(evaluate_command, "measure", measure_by_seed)
    assert main(["evaluate", *map(str, folders), "--out", str(out)]) == 0
    together = _evaluation(out)
    assert together["runs"] == [_evaluation(out / folder.name) for folder in folders]
    assert together["rows"]["memory_knn"]["top1"]["interval"] == 0
    # Student's t with one degree of freedom: 12.706 standard errors.
    top1 = together["rows"]["linear_probe"]["top1"]
    assert top1["mean"] == pytest.approx(0.92)
    assert top1["interval"] == pytest.approx(12.706 * 0.02, rel=1e-3)
    score = together["mean_corruption_error"]["linear_probe"]
    assert score["mean"] == pytest.approx(80.5)
    printed = capsys.readouterr().out
    assert "mean of 2 runs, seeds 0, 1, and its 95% interval" in printed
    for words in ("92.0 ± 25.4", "linear probe, mCE", "80.5 ± 6.4"):
        assert words in printed
    assert not (folders[0] / "evaluation.json").exists()


@pytest.mark.parametrize("name", ["evaluation.json", "confusion.png"])
def test_what_is_no_evaluation_is_not_replaced(run, tmp_path, capsys, name):
    out = tmp_path / "mine"
    out.mkdir()
    (out / name).write_text('{"rows": 1}')
    assert main(["evaluate", str(run), "--out", str(out)]) == 2
    assert f"in which {name} is something else" in capsys.readouterr().err
    assert (out / name).read_text() == '{"rows": 1}'
    assert len(list(out.iterdir())) == 1


def test_an_evaluation_prints_short_and_has_its_table(evaluated):
    folder, printed, entries = evaluated
    evaluation = Evaluation(folder, entries)
    assert evaluation == entries
    (shown,) = repr([evaluation]).splitlines()
    assert shown.startswith("[<Evaluation digits, 10 labels per class: supervised only")
    top1 = entries["rows"]["classifier"]["top1"]
    assert f"the run's classifier {top1:.1%}, in " in shown
    assert evaluation.table() in printed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--severities", "1,6"], "integers from 1 to 5"),
        (["--severities", ""], "integers with commas between; received ''"),
        (["--labels-per-class", "0"], "at least 1, a share or 'all'. Received: 0."),
        (["--labels-per-class", "0%"], "a share must lie above 0%"),
        (["--labels-per-class", "x%"], "Received: 'x%'"),
        (["--data", "folder"], "tfds:NAME or folder:DIR. Received: 'folder'"),
        (["--seed", "-1"], "at least 0"),
    ],
)
def test_arguments_that_are_wrong(options, message, capsys):
    assert exit_status(["evaluate", "run", *options]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1


def test_help(capsys):
    with pytest.raises(SystemExit) as error:
        main(["evaluate", "--help"])
    assert error.value.code == 0
    told = capsys.readouterr().out
    for words in ("examples:", "evaluation.json", "--same-classes", *CORRUPTIONS):
        assert words in told
    assert max(len(line) for line in told.splitlines()) <= 88


def test_errors_are_one_line_and_leave_nothing_behind(run, tmp_path, capsys):
    def told(*arguments):
        assert main(["evaluate", *map(str, arguments)]) == 2
        message = capsys.readouterr().err
        assert message.startswith("semppl evaluate: error: ")
        assert message.count("\n") == 1
        return message

    before = {path: path.stat().st_mtime_ns for path in run.iterdir()}
    assert "no folder" in told(tmp_path / "absent")
    assert "a folder without run.json" in told(tmp_path)
    unfinished = tmp_path / "unfinished"
    unfinished.mkdir()
    (unfinished / "run.json").write_text("{}")
    message = told(unfinished)
    assert "without metrics.json and model.keras" in message
    assert f"semppl train --resume {unfinished}" in message

    assert "--severities is for --robustness" in told(run, "--severities", "1")
    assert "--corruptions is for --robustness" in told(run, "--corruptions", "fog")
    assert "Received: rain." in told(run, "--robustness", "--corruptions", "rain,fog")
    assert "without --data" in told(run, "--same-classes")
    same_classes = ("--data", "npz:x.npz", "--same-classes")
    assert "with it" in told(run, *same_classes, "--labels-per-class", "1")
    assert "the run was trained on" in told(run, "--data", "digits", "--same-classes")
    message = told(run, "--labels-per-class", "999")
    assert "at least 999 training image(s)" in message
    assert "at most" in message
    # Nothing of the run is missing.
    assert "--photos" not in message
    assert "must be where it says" not in message

    for option in (("--data", "digits"), ("--same-classes",)):
        message = told(run, "--test", tmp_path, *option)
        assert f"Received: {option[0]} with it. Leave one of the two out." in message
    assert "where nothing is" in told(run, "--test", tmp_path / "absent")
    assert "absent.npz" in told(run, "--data", "npz:absent.npz")
    images, labels = _greys(classes=3, channels=3)
    data = _archive(tmp_path / "colour.npz", images, labels)
    assert "takes images with 1 channel(s)" in told(run, "--data", data)
    more = _archive(tmp_path / "more.npz", *_greys(classes=11))
    assert "with the classes of the run" in told(run, "--data", more, "--same-classes")
    data = _archive(tmp_path / "unknown.npz", images, np.where(labels == 2, -1, labels))
    assert "`y_test`" in told(run, "--data", data)
    np.savez(tmp_path / "half.npz", x_train=images, y_train=labels, x_test=images)
    assert "missing: y_test" in told(run, "--data", f"npz:{tmp_path / 'half.npz'}")

    other = _copy(run, tmp_path / "other", dataset="npz:other.npz", seed=1)
    assert "dataset digits" in told(run, other)
    again = _copy(run, tmp_path / "again")
    assert "different seeds" in told(run, again)
    assert "named once" in told(run, run)
    namesake = _copy(run, tmp_path / "elsewhere" / run.name, seed=1)
    assert "differ in their names" in told(run, namesake, "--out", tmp_path / "out")
    (tmp_path / "file").touch()
    assert "which is a file" in told(run, "--out", tmp_path / "file")
    assert not (tmp_path / "out").exists()
    assert before == {path: path.stat().st_mtime_ns for path in run.iterdir()}


def test_a_test_set_without_labels(run, monkeypatch, capsys):
    load = run_data.load_data

    def load_without_labels(*arguments, **options):
        data = load(*arguments, **options)
        object.__setattr__(data, "y_test", None)
        return data

    monkeypatch.setattr(run_data, "load_data", load_without_labels)
    assert main(["evaluate", str(run)]) == 2
    assert "labelled test images" in capsys.readouterr().err


def test_interruption(run, monkeypatch, capsys):
    def interrupt(*arguments, **keywords):
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluate_command, "measure", interrupt)
    assert main(["evaluate", str(run)]) == 130
    assert "Nothing was written." in capsys.readouterr().err


def test_calibration_curve():
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet(np.ones(4), size=200)
    labels = generator.integers(0, 4, 200)
    curve = calibration_curve(probabilities, labels)
    gaps = [
        count * abs(accuracy - confidence)
        for count, accuracy, confidence in zip(
            curve["count"], curve["accuracy"], curve["confidence"], strict=True
        )
        if count
    ]
    expected = expected_calibration_error(probabilities, labels)
    assert sum(gaps) / 200 == pytest.approx(expected)


def test_plots_of_many_classes_of_which_one_is_not_tested(evaluated, tmp_path):
    classes = 60
    row = {
        **evaluated[2]["rows"]["linear_probe"],
        "per_class": [None, *np.linspace(0, 1, classes - 1)],
        "confusion": np.eye(classes, dtype=int).tolist(),
    }
    write_plots(
        tmp_path,
        {
            "rows": {"linear_probe": row},
            "class_names": [f"class {label}" for label in range(classes)],
            "robustness": None,
        },
    )
    assert {path.name for path in tmp_path.iterdir()} == set(_PLOTS)


@pytest.mark.slow
def test_fine_tuning_learns_from_a_hundred_labels():
    data = semppl_keras.data.load("digits", 10, 0).enlarged(16)
    task = evaluation_task.Task(
        kind="transfer",
        dataset="digits",
        name=data.name,
        labels_per_class=10,
        x_labelled=data.x_labelled,
        y_labelled=data.y_labelled,
        x_test=data.x_test,
        y_test=data.y_test,
        class_names=data.class_names,
        labels_of_run=False,
    )
    # It was never trained: what it can do afterwards comes from the labels.
    model = recipes.RECIPES["digits"]().make_model(1, 10, steps_per_epoch=1, seed=0)
    rows = task_measures.measure(model, task, fine_tune=True)["rows"]
    assert rows["fine_tuned"]["epochs"] == 150
    assert rows["fine_tuned"]["top1"] > rows["linear_probe"]["top1"]
    assert rows["fine_tuned"]["top1"] > 0.8
