"""`semppl train` on a person's own images."""

import contextlib
import dataclasses
import hashlib
import io
import json
import shutil

import keras
import numpy as np
import pytest
from PIL import Image
from tiny_runs import (
    assert_same_results,
    exit_status,
    interrupting,
    tiny_recipe,
    tiny_runs,
)

import semppl_keras
from semppl_keras.backbones.registry import BACKBONES
from semppl_keras.cli import main, parser
from semppl_keras.data import dataset_name, read_image
from semppl_keras.reports.drawing import drawable
from semppl_keras.reports.run_picture import write_report
from semppl_keras.reports.run_table import format_run
from semppl_keras.runs import job, network_training, opening
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.finished import FinishedRun
from semppl_keras.runs.folder import dataset_of, load_data, recipe_of
from semppl_keras.runs.labelling import label_images
from semppl_keras.runs.options.evaluate import EvaluateOptions
from semppl_keras.runs.run_place import run_folder
from semppl_keras.runs.safety.own_runs import signed
from semppl_keras.runs.settings import with_data
from semppl_keras.runs.tasks import task_of_run

pytestmark = pytest.mark.any_backend

COLOURS = {"red": (200, 60, 60), "green": (60, 200, 60), "blue": (60, 60, 200)}


def _write(folder, colour, count, seed):
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    for index in range(count):
        noise = generator.normal(0, 50, (10, 12, 3))
        pixels = np.clip(COLOURS[colour] + noise, 0, 255).astype("uint8")
        Image.fromarray(pixels).save(folder / f"{colour}_{index}.png")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """36 images without labels and a broken one, 9 with, 6 to test on."""
    folder = tmp_path_factory.mktemp("photos")
    for seed, colour in enumerate(COLOURS):
        _write(folder / "many", colour, 12, seed)
        _write(folder / "few" / colour, colour, 3, 10 + seed)
        _write(folder / "held" / colour, colour, 2, 20 + seed)
    (folder / "many" / "broken.jpg").write_bytes(b"none")
    return folder


@pytest.fixture(scope="module")
def small():
    with tiny_runs(pictures=True):
        yield


def _options(photos, **changes):
    given = {
        "unlabelled": photos / "many",
        "labelled": photos / "few",
        "test": photos / "held",
        "epochs": 2,
        **changes,
    }
    return [
        text
        for name, value in given.items()
        if value is not None
        for text in (f"--{name.replace('_', '-')}", str(value))
    ]


def _snapshot(folder):
    return {
        path: (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def finished(small, photos, tmp_path_factory):
    """The folder of a run with test images, and what it printed."""
    folder = tmp_path_factory.mktemp("runs") / "finished"
    before, printed = _snapshot(photos), io.StringIO()
    with contextlib.redirect_stdout(printed):
        options = _options(photos, cache="disk")
        assert main(["train", *options, "--out", str(folder)]) == 0
    assert _snapshot(photos) == before
    return folder, printed.getvalue()


@pytest.fixture(scope="module")
def untested(small, photos, tmp_path_factory):
    """The folder of a run without test images, and what it printed."""
    folder = tmp_path_factory.mktemp("runs") / "untested"
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        options = _options(photos, test=None, epochs=1)
        assert main(["train", *options, "--out", str(folder)]) == 0
    return folder, printed.getvalue()


def test_a_run_on_own_images(finished, photos):
    folder, printed = finished
    assert "many: 36 unlabelled and 9 labelled images of 3 classes, 6 to" in printed
    assert "Note: 1 of 52 images cannot be read." in printed
    assert "many, 9 labels, seed 0" in printed
    assert f"Images that could not be read: 1, named in {folder}" in printed
    metrics = json.loads((folder / "metrics.json").read_text())
    for name in ("supervised", "knn", "linear"):
        assert 0 <= metrics[f"{name}_accuracy"] <= 1
    assert metrics["pseudo_label_accuracy"] is None
    assert metrics["pseudo_labels"]["num_images"] == 36
    assert sum(metrics["pseudo_labels"]["share_by_class"].values()) == pytest.approx(1)
    assert metrics["cross_validated"] is None
    assert (metrics["num_test"], metrics["num_skipped"]) == (6, 1)
    assert metrics["recipe"]["image_size"] == 12
    lines = (folder / "skipped.tsv").read_text().splitlines()
    assert lines[0] == "path\treason"
    assert lines[1].startswith(f"{photos / 'many' / 'broken.jpg'}\tit is none of")
    assert (folder / "report.png").stat().st_size > 10_000
    assert len(list((folder / "cache").glob("*.npy"))) == 2


def test_the_run_knows_its_data(finished, photos, tmp_path, monkeypatch):
    folder, _ = finished
    settings = json.loads((folder / "run.json").read_text())
    assert settings["class_names"] == ["blue", "green", "red"]
    assert settings["dataset"]["unlabelled"] == str(photos / "many")
    monkeypatch.chdir(tmp_path)
    recipe = recipe_of(settings)
    data = load_data(
        dataset_of(settings),
        settings["labels_per_class"],
        settings["seed"],
        recipe,
        folder=folder,
    )
    assert isinstance(data.x_train.base, np.memmap)
    assert data.digest == settings["images_digest"]
    assert dataset_name(settings["dataset"]) == "many"
    # What was measured can be had from the model that was saved.
    model = keras.models.load_model(folder / "model.keras")
    correct = model.predict(data.x_test, verbose=0).argmax(axis=1) == data.y_test
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["knn_accuracy"] == np.mean(correct)


def test_without_test_images_the_labels_are_cross_validated(untested):
    folder, printed = untested
    assert "cross-validation on 9 labelled images, without test images" in printed
    assert "without what knowing these labels flatters it by" in printed
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["linear_accuracy"] is None
    measured = metrics["cross_validated"]
    assert measured["num_labelled"] == 9
    assert 0.5 <= measured["supervised_logistic_regression_accuracy"] <= 1
    assert 0 <= measured["linear_accuracy"] <= 1
    # The folder says that it is finished, and how.
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert main(["train", "--resume", "--out", str(folder)]) == 0
    assert "cross-validation on 9 labelled images" in printed.getvalue()


def test_evaluating_a_run_on_own_images(finished, untested, capsys):
    assert main(["evaluate", str(finished[0])]) == 0
    printed = capsys.readouterr().out
    assert "many, all labels per class, run of seed 0" in printed
    assert main(["evaluate", str(untested[0])]) == 2
    assert "Name a data set that has some with --data" in capsys.readouterr().err


def test_classes_that_no_image_is_taken_for_are_told(untested):
    folder, _ = untested
    metrics = json.loads((folder / "metrics.json").read_text())
    shares = {"cat": 0.75, "dog": 0.0, "owl": 0.25}
    metrics["pseudo_labels"] = {
        "num_images": 36,
        "mean_confidence": 0.5,
        "share_by_class": shares,
    }
    metrics["cross_validated"] = metrics["classifier_cv_accuracies"] = None
    metrics["classifier"] = None
    table = format_run(metrics, folder)
    assert "none of them is taken for 'dog': there may be no such image" in table
    assert "of 36 of them: mean confidence 50.0%" in table
    assert "accuracy not measured: there are no test images, and too few" in table


def test_an_interrupted_run_goes_on_as_if_it_had_not_been(
    finished, photos, tmp_path, monkeypatch, capsys
):
    options = _options(photos)
    with monkeypatch.context() as patch:
        patch.setattr(network_training, "ScalarLogs", interrupting(epoch=1))
        assert main(["train", *options, "--out", str(tmp_path)]) == 130
    capsys.readouterr()
    resume = ["train", "--resume", "--out", str(tmp_path)]
    for wrong, told in (
        (("--image-size", "32"), "begun with --image-size 12. Received: --image-size"),
        (
            ("--backbone", "small"),
            "begun without --backbone. Received: --backbone small",
        ),
        (("--labelled", "elsewhere"), f"begun with --labelled {photos / 'few'}"),
        (("--dataset", "digits"), "begun without --dataset"),
    ):
        assert main([*resume, *wrong]) == 2
        assert told in capsys.readouterr().err

    settings = json.loads((tmp_path / "run.json").read_text())
    other = {**settings, "class_names": ["cat", "dog"]}
    (tmp_path / "run.json").write_text(json.dumps(other))
    assert main(resume) == 2
    assert "begun with the classes cat, dog" in capsys.readouterr().err
    (tmp_path / "run.json").write_text(json.dumps(settings))

    # From another cache than the run that was not interrupted.
    assert main([*resume, "--unlabelled", str(photos / "many")]) == 0
    printed = capsys.readouterr().out
    assert "Going on after epoch 1" in printed
    assert "not those that the run was begun with" not in printed
    assert_same_results(finished[0], tmp_path)


def test_images_that_have_changed_meanwhile_are_told(finished, capsys):
    settings = json.loads((finished[0] / "run.json").read_text())
    data = semppl_keras.data.load_own_images(
        settings["dataset"]["unlabelled"], settings["dataset"]["labelled"]
    )
    other = {**settings, "images_digest": "other"}
    changed = {"images_digest": settings["images_digest"]}
    noted = with_data(other, data, finished[0])
    assert noted == {**other, "changed_since": changed}
    assert "not those that the run was begun with" in capsys.readouterr().out


@pytest.fixture
def tables(photos, tmp_path):
    """A table of which must be said how it is read, and the options of a run on it."""
    rows = [
        f"{colour}_{index}.png,{index},{colour},{'test' if index > 5 else 'train'}"
        for colour in COLOURS
        for index in range(8)
    ]
    table = tmp_path / "labels.csv"
    table.write_text("\n".join(["file,target,label,split", *rows, ""]))
    return table, _options(photos, labelled=table, test=table, epochs=1)


def test_columns_of_tables_are_asked_for(small, tables, tmp_path, capsys):
    table, options = tables
    out = tmp_path / "run"
    assert main(["train", *options, "--out", str(out)]) == 2
    assert "'target' and 'label'. Say which it is with" in capsys.readouterr().err
    asked = ["--label-column", "label", "--keep-labels", "none,na"]
    assert main(["train", *options, *asked, "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "18 labelled images of 3 classes, 6 to test on" in printed
    assert "6 of 24 rows" in printed
    settings = json.loads((out / "run.json").read_text())
    assert settings["dataset"]["tables"] == {
        "path_column": None,
        "label_column": "label",
        "split_column": None,
        "keep_labels": ["none", "na"],
        "unknown_labels": [],
    }
    assert settings["labels"]["counts"] == dict.fromkeys(sorted(COLOURS), 6)

    # Later commands read it as the training did.
    run = FinishedRun(out)
    assert len(run.labelled.images) == 18
    assert len(run.test.images) == 6
    assert len(run.data.x_labelled) == 18
    resumed = ["train", "--resume", str(out)]
    assert main([*resumed, *asked]) == 0
    assert main([*resumed, "--label-column", "target"]) == 2
    assert "begun with --label-column label" in capsys.readouterr().err
    assert main([*resumed, "--split-column", "none"]) == 2
    assert "begun without --split-column" in capsys.readouterr().err
    arguments = ["evaluate", str(out), "--label-column", "target"]
    assert main(arguments) == 2
    assert "--label-column is for --test" in capsys.readouterr().err
    arguments = ["evaluate", str(out), "--test", str(table), "--out", str(tmp_path)]
    assert main([*arguments, "--label-column", "target"]) == 2
    assert "must be of the classes of the run" in capsys.readouterr().err
    assert main(arguments) == 0
    assert json.loads((tmp_path / "evaluation.json").read_text())["num_test"] == 6
    assert "18 of 24 rows" in capsys.readouterr().out

    # Labels that have changed since are told, whichever command reads them.
    table.write_text(table.read_text().replace("red_0.png,0,red", "red_0.png,0,blue"))
    for read in (lambda run: run.labelled, lambda run: run.data):
        run = FinishedRun(out)
        read(run)
        told = capsys.readouterr().out
        assert "Note: the labels are not those that the run was trained with" in told
        assert "('blue' 6 before, 7 now; 'red' 6 before, 5 now)" in told
    data = run.data
    assert capsys.readouterr().out == ""
    changed = with_data(settings, data, out)["changed_since"]["labels"]["counts"]
    assert changed == {"blue": 7, "green": 6, "red": 5}
    assert "the labels are not those that the run was begun with" in (
        capsys.readouterr().out
    )
    # Of another class the run knows nothing.
    table.write_text(table.read_text().replace("red_0.png,0,blue", "red_0.png,0,owl"))
    for read in (lambda run: run.labelled, lambda run: run.data):
        with pytest.raises(RunError, match="Bring the labels back"):
            read(FinishedRun(out))

    # A run from before there were such options.
    del settings["dataset"]["tables"]
    for name in ("class_names", "labels"):
        settings.pop(name)
    (out / "run.json").write_text(json.dumps(signed(settings)))
    assert FinishedRun(out).class_names == tuple(map(str, range(8)))
    settings["dataset"]["tables"] = {"label_column": 3}
    (out / "run.json").write_text(json.dumps(settings))
    with pytest.raises(ValueError, match="`label_column` must be the name of a"):
        FinishedRun(out)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--label-column", "a"), "Received: --label-column without --unlabelled"),
        (("--unlabelled", "a"), "Received: --unlabelled without --labelled"),
        (("--labelled", "a"), "Received: --labelled without --unlabelled"),
        (("--image-size", "32"), "without --unlabelled and --labelled"),
        (("--fit", "pad"), "without --unlabelled and --labelled"),
        (("--fit", "pad", "--dataset", "digits"), "Leave one of the two out"),
        (("--test", "a", "--dataset", "digits"), "Leave one of the two out"),
        (("--unlabelled", "a", "--labelled", "b"), "'b', where nothing is"),
    ],
)
def test_options_that_do_not_go_together(options, message, tmp_path, capsys):
    assert main(["train", *options, "--out", str(tmp_path / "new")]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--max-skipped", "x"), "a share such as 0.05 or 5%; received 'x'"),
        (("--max-skipped", "101%"), "from 0% to 100%. Received: 1.01."),
        (("--image-size", "7"), "at least 8"),
        (("--backbone", "vgg"), "Received: 'vgg'"),
        (("--fit", "squash"), "--fit must be one of pad, crop, stretch. Received"),
        (("--cache", "cloud"), "auto, memory, disk, none. Received: 'cloud'"),
    ],
)
def test_options_that_are_wrong(options, message, capsys):
    assert exit_status(["train", *options]) == 2
    assert message in capsys.readouterr().err


def test_too_few_steps_to_fill_the_memory_are_told_before_training(
    photos, tmp_path, monkeypatch, capsys
):
    recipe = tiny_recipe(8)
    recipe = dataclasses.replace(recipe, model={**recipe.model, "neighbours": 12})
    for module in (job, opening):
        monkeypatch.setattr(module, "recipe_of", lambda *arguments: recipe)
    sources = ["--unlabelled", photos / "held", "--labelled", photos / "few"]
    options = ["--epochs", "1", "--out", tmp_path / "run"]
    assert main(["train", *map(str, [*sources, *options])]) == 2
    message = capsys.readouterr().err
    assert "would leave 6 in the memory. Train longer: --epochs 2 or more" in message
    assert not (tmp_path / "run").exists()


def test_too_few_images_for_a_step_are_told_before_training(
    small, photos, tmp_path, capsys
):
    _write(tmp_path / "many", "red", 2, 70)
    _write(tmp_path / "few" / "red", "red", 2, 71)
    _write(tmp_path / "few" / "blue", "blue", 1, 72)
    out = tmp_path / "run"

    def told(folder, **changes):
        options = _options(folder, test=None, epochs=1, **changes)
        assert main(["train", *options, "--out", str(out)]) == 2
        assert not out.exists()
        return capsys.readouterr().err

    message = told(tmp_path)
    assert (
        "Every image is told from 10 others, so that a step needs at least" in message
    )
    assert "11. Received: 2 unlabelled image(s) and 3 labelled one(s)" in message
    assert "Add at least 6 more unlabelled image(s)" in message
    message = told(photos, batch_size=6)
    assert "6 unlabelled and 3 labelled ones per step" in message
    assert "Train with --batch-size 11 or more" in message
    # One fewer than it asks for.
    _write(tmp_path / "many", "green", 5, 73)
    assert "Add at least 1 more unlabelled" in told(tmp_path)


def test_shares():
    parse = parser().parse_args
    assert parse(["train", "--max-skipped", "5%"]).max_skipped == 0.05
    assert parse(["train", "--max-skipped", "0.1"]).max_skipped == 0.1


@pytest.mark.parametrize("name", BACKBONES)
def test_the_command_knows_the_backbones(name):
    parsed = parser().parse_args(["train", "--backbone", name])
    assert parsed.backbone == name
    assert semppl_keras.recipes.BACKBONES is BACKBONES
    assert callable(getattr(semppl_keras.backbones, BACKBONES[name]))


@pytest.mark.parametrize(
    ("options", "folder"),
    [
        ((), "runs/my_photos_own_labels_seed_0"),
        (
            ("--labels-per-class", "5", "--seed", "2"),
            "runs/my_photos_5_per_class_seed_2",
        ),
        (("--out", "here"), "here"),
    ],
)
def test_default_folder(options, folder):
    arguments = ["train", "--unlabelled", "a/my photos", "--labelled", "b", *options]
    parsed = parser().parse_args(arguments)
    assert run_folder(parsed).as_posix() == folder


def test_errors_in_the_data_leave_nothing_behind(small, photos, tmp_path, capsys):
    def told(**changes):
        options = _options(photos, **changes)
        assert main(["train", *options, "--out", str(tmp_path / "new")]) == 2
        message = capsys.readouterr().err
        assert message.startswith("semppl train: error: ")
        assert message.count("\n") == 1
        assert not (tmp_path / "new").exists()
        return message

    table = tmp_path / "labels.csv"
    table.write_text("a.png,cat\nb.png\n")
    assert "Line 2 of" in told(labelled=table)
    table.write_text("a.png,cat\nb.png,dog\n")
    assert "at most 3 label" in told(labels_per_class=4)
    assert "a subfolder of images for each class" in told(labelled=photos / "many")
    assert "other than the labelled ones" in told(unlabelled=photos / "few")


def test_too_many_unreadable_images_are_all_named_in_a_file(
    small, photos, tmp_path, capsys
):
    shutil.copytree(photos, tmp_path / "photos")
    photos, out = tmp_path / "photos", tmp_path / "run"
    broken = [photos / "many" / name for name in ("broken.jpg", "red_3.png")]
    broken += [photos / "many" / f"blue_{index}.png" for index in range(4)]
    broken += [photos / "held" / "red" / "red_0.png"]
    good = {path: path.read_bytes() for path in broken[1:]}
    for path in broken:
        path.write_bytes(b"none")
    command = ["train", *_options(photos, epochs=1), "--out", str(out)]
    for _ in range(2):
        assert main(command) == 2
        told = capsys.readouterr().err
        assert "At most 5% of 46 images may be unreadable" in told
        assert "Received: 6, such as" in told
        assert f"All of them are named in {out / 'skipped.tsv'}." in told
        assert told.count("\n") == 1
        lines = (out / "skipped.tsv").read_text().splitlines()
        assert {line.split("\t")[0] for line in lines[1:]} == set(map(str, broken))
        assert [path.name for path in out.iterdir() if path.is_file()] == [
            "skipped.tsv"
        ]
    # The same command once they are repaired.
    broken[0].unlink()
    for path, content in good.items():
        path.write_bytes(content)
    assert main(command) == 0
    assert not (out / "skipped.tsv").exists()
    assert (out / "metrics.json").exists()

    table = tmp_path / "labels.csv"
    table.write_text("a.png,cat\nb.png,dog\n")
    options = _options(photos, labelled=table, max_skipped="50%", image_size=16)
    assert main(["train", *options, "--out", str(tmp_path / "other")]) == 2
    told = capsys.readouterr().err
    assert "none of 'cat', 'dog'; what cannot be read" in told
    assert len((tmp_path / "other" / "skipped.tsv").read_text().splitlines()) == 3

    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "skipped.tsv").write_text("of someone else")
    assert main(["train", *options, "--out", str(tmp_path / "mine")]) == 2
    assert "where skipped.tsv would be overwritten" in capsys.readouterr().err


@pytest.fixture(scope="module")
def deep(small, photos, tmp_path_factory):
    """The folder of a run on 12-bit greys, those that it knows, and what it printed."""
    images = tmp_path_factory.mktemp("deep")
    for path in photos.rglob("*.png"):
        values = np.asarray(Image.open(path).convert("L")) / 255 * 4095
        target = images / path.relative_to(photos)
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.rint(values).astype("uint16")).save(target)
    folder, printed = images / "runs" / "deep", io.StringIO()
    with contextlib.redirect_stdout(printed):
        # Without the bars of pictures that are no squares, which are bright.
        options = _options(images, test=None, epochs=1, fit="crop")
        assert main(["train", *options, "--out", str(folder)]) == 0
    return folder, images, printed.getvalue()


def test_the_range_of_deep_images_is_the_runs(deep, tmp_path, capsys):
    folder, _, printed = deep
    assert "Note: 45 of 45 images hold integers of more than 8 bits" in printed
    settings = json.loads((folder / "run.json").read_text())
    assert settings["value_range"] == {"integers": [0, 4095], "floats": None}
    run = FinishedRun(folder)
    np.testing.assert_array_equal(run.labelled.images, run.data.x_labelled)
    assert run.labelled.images.max() > 200
    # Darker and brighter ones are read by it, too.
    classifier, _ = run.classifier()
    for index, most in enumerate((500, 1000, 60000)):
        values = np.full((10, 12), most, "uint16")
        Image.fromarray(values).save(tmp_path / f"{index}.png")
    labels = label_images(run, classifier, tmp_path)
    assert labels.images[:].max(axis=(1, 2, 3)).tolist() == [31, 62, 255]
    (remark,) = labels.remarks
    assert remark.startswith("1 of 3 images hold values beyond the range")
    capsys.readouterr()
    out = folder.parent / "out.keras"
    assert main(["export", str(folder), "--format", "keras", "--out", str(out)]) == 0
    told = "of more than 8 bits it was trained on round(255 * (value - 0) / 4095)"
    assert told in capsys.readouterr().out
    # What the run has seen none of is a set of its own.
    values = np.full((10, 12), 0.5, "float32")
    Image.fromarray(values).save(tmp_path / "3.tif")
    labels = label_images(run, classifier, tmp_path)
    assert labels.images[:].max(axis=(1, 2, 3)).tolist() == [31, 62, 255, 128]
    assert labels.remarks[0].startswith("1 of 4 images hold floats")


def test_a_run_without_a_range_reads_each_image_by_itself(deep, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(deep[0], folder)
    settings = json.loads((folder / "run.json").read_text())
    del settings["value_range"]
    (folder / "run.json").write_text(json.dumps(settings))
    run = FinishedRun(folder)
    assert run.labelled.images.max() < 17
    np.testing.assert_array_equal(run.labelled.images, run.data.x_labelled)
    noted = with_data(settings, run.data, folder)
    # The same files make other images.
    assert list(noted.pop("changed_since")) == ["images_digest"]
    assert noted == settings


def test_a_range_that_is_given(deep, tmp_path, capsys):
    folder, images, _ = deep
    options = _options(images, test=None, epochs=1, fit="crop")
    resume = ["train", "--resume", "--out", str(folder)]
    assert main([*resume, "--value-range", "0", "1023"]) == 2
    assert "was begun with --value-range" in capsys.readouterr().err
    given = ["--value-range", "-100", "9000"]
    out = tmp_path / "given"
    assert main(["train", *options, "--out", str(out), *given]) == 0
    settings = json.loads((out / "run.json").read_text())
    assert settings["value_range"] == {"integers": [-100, 9000], "floats": [-100, 9000]}
    assert main(["train", "--resume", "--out", str(out), *given]) == 0
    assert FinishedRun(out).labelled.images.max() < 120
    capsys.readouterr()
    assert main(["train", *options, "--value-range", "5", "5"]) == 2
    assert "the lower first. Received: [5.0, 5.0]" in capsys.readouterr().err
    assert main(["views", str(images), "--value-range", "9", "5"]) == 2
    assert "the lower first" in capsys.readouterr().err
    with pytest.raises(ValueError, match="the lower first"):
        semppl_keras.runs.views(images, value_range=(9, 5), out=tmp_path / "v.png")
    for value in ("12 bit", [1], {"integers": [4, 2], "floats": None}, -1):
        damaged = {**settings, "value_range": value}
        (out / "run.json").write_text(json.dumps(damaged))
        assert main(["label", str(out), str(images)]) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_pictures_become_squares_as_when_the_run_was_begun(
    finished, photos, tmp_path, capsys
):
    folder = finished[0]
    assert json.loads((folder / "run.json").read_text())["dataset"]["fit"] == "pad"
    path = photos / "few" / "red" / "red_0.png"

    def read(run, fit):
        """A picture as a run reads it, in training and later."""
        classifier, _ = run.classifier()
        expected = read_image(path, run.image_size, fit=fit)
        labels = label_images(run, classifier, str(path.parent))
        tested, _ = task_of_run(
            run, EvaluateOptions.of(runs=run.folder, test=photos / "few")
        )
        for images, names in (
            (run.labelled.images, run.labelled.names),
            (run.data.x_train, run.data.train_names),
            (labels.images, labels.names),
            (tested.x_test[6:7], [str(path)]),
        ):
            np.testing.assert_array_equal(images[names.index(str(path))], expected)
        return expected

    run = FinishedRun(folder)
    padded = read(run, "pad")
    assert run.model.views.fit == "pad"
    # Of a version in which the central square was all that was read.
    earlier = tmp_path / "earlier"
    shutil.copytree(folder, earlier)
    settings = json.loads((earlier / "run.json").read_text())
    del settings["dataset"]["fit"]
    (earlier / "run.json").write_text(json.dumps(signed(settings)))
    assert (read(FinishedRun(earlier), "crop") != padded).any()
    # It goes on as it was begun.
    for run, asked, begun in ((folder, "crop", "pad"), (earlier, "pad", "crop")):
        resume = ["train", "--resume", str(run), "--fit"]
        assert main([*resume, asked]) == 2
        told = f"was begun with --fit {begun}. Received: --fit {asked}"
        assert told in capsys.readouterr().err
        assert main([*resume, begun]) == 0
    settings["dataset"]["fit"] = "squash"
    (earlier / "run.json").write_text(json.dumps(settings))
    assert main(["label", str(earlier), str(photos)]) == 2
    assert "'fit' that is one of pad, crop, stretch" in capsys.readouterr().err


def test_class_names_that_are_hard_to_draw(tmp_path):
    names = ["$x_1", "a$b$", "_hidden", "two\nlines", "n" * 200, "犬", "\udcff"]
    write_report(
        tmp_path / "$report.png",
        history={"loss": [1.0]},
        embeddings=np.random.default_rng(0).normal(size=(14, 3)),
        labels=np.arange(14) % 7,
        predictions=np.arange(14) % 7,
        class_names=names,
        title="$title, unfinished",
    )
    assert max(map(len, drawable(names))) <= 26
    write_report(
        tmp_path / "none.png",
        history={},
        embeddings=np.zeros((2, 3)),
        labels=np.arange(2),
        predictions=None,
        class_names=names[:2],
        title="",
    )
    assert (tmp_path / "none.png").stat().st_size > 10_000
