"""`semppl finetune` and `semppl distil`: what they write, and who takes it."""

import json
import shutil

import keras
import numpy as np
import pytest
from short_run import move_sources, short_run, write_own_images
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny_runs import interrupting
from toys import slow_on_jax

from semppl_keras import backbones, recipes
from semppl_keras.callbacks import TrainingState, latest_checkpoint
from semppl_keras.cli import main
from semppl_keras.distillation import ImageClassifier
from semppl_keras.evaluation.classifier_titles import TITLES
from semppl_keras.runs import budget, classifier_files, classifier_training, distilling
from semppl_keras.runs import resuming as safe_training
from semppl_keras.runs.budget import Budget
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.finished import FinishedRun
from semppl_keras.runs.kept_images import IMAGES
from semppl_keras.runs.speed import Speed

pytestmark = pytest.mark.any_backend


def _note(folder):
    return json.loads((folder / "classifier.json").read_text())


def test_fine_tuning_then_distillation(run, quick, tmp_path, capsys):
    folder = shutil.copytree(run, tmp_path / "run")
    assert main(["finetune", str(folder)]) == 0
    printed = capsys.readouterr().out
    note = _note(folder)
    assert note["how"] == "fine-tuned"
    assert note["num_test"] == 400
    assert f"  fine-tuned      {note['test']['top1']:>8.1%}" in printed
    linear = json.loads((run / "metrics.json").read_text())["linear_accuracy"]
    assert f"  linear probe    {linear:>8.1%}" in printed

    finished = FinishedRun(folder)
    classifier, how = finished.classifier()
    assert how == "fine-tuned"
    assert classifier.class_names == tuple("0123456789")
    predicted = classifier.predict(finished.data.x_test, verbose=0).argmax(axis=1)
    accuracy = np.mean(predicted == finished.data.y_test)
    assert note["test"]["top1"] == pytest.approx(accuracy)

    # The teacher is what was fine-tuned, which is kept under another name.
    first = (folder / "classifier.keras").read_bytes()
    assert main(["distil", str(folder), "--temperature", "0.5"]) == 0
    note = _note(folder)
    assert note["how"] == "distilled"
    assert note["settings"]["teacher"] == "fine-tuned"
    assert note["settings"]["temperature"] == 0.5
    assert note["settings"]["num_images"] == 1397
    assert (folder / "classifier_1.keras").read_bytes() == first
    assert json.loads((folder / "classifier_1.json").read_text())["how"] == "fine-tuned"
    # And so is what comes after it.
    classifier_files.set_aside(folder / "classifier.keras")
    assert (folder / "classifier_1.keras").read_bytes() == first
    assert (folder / "classifier_2.json").exists()
    (folder / "classifier_2.keras").rename(folder / "classifier.keras")
    (folder / "classifier_2.json").rename(folder / "classifier.json")

    out = tmp_path / "served.keras"
    assert main(["export", str(folder), "--format", "keras", "--out", str(out)]) == 0
    assert "distilled: images" in capsys.readouterr().out
    np.testing.assert_array_equal(
        keras.models.load_model(out).predict(finished.data.x_test[:5], verbose=0),
        FinishedRun(folder)
        .classifier()[0]
        .predict(finished.data.x_test[:5], verbose=0),
    )


@slow_on_jax
@pytest.mark.parametrize(
    "command", ["finetune", pytest.param("distil", marks=pytest.mark.slow)]
)
def test_an_interrupted_classifier_goes_on(run, quick, command, tmp_path, monkeypatch):
    options = [command, str(run), "--epochs", "2", "--out"]
    assert main([*options, str(tmp_path / "whole")]) == 0
    assert not (tmp_path / "whole" / "classifier_checkpoints").exists()
    parts = tmp_path / "parts"
    monkeypatch.setattr(safe_training, "SECONDS_BETWEEN_CHECKPOINTS", 0)
    with monkeypatch.context() as patch:
        patch.setattr(safe_training, "TrainingHealth", interrupting(epoch=1))
        assert main([*options, str(parts)]) == 130
    assert not (parts / "classifier.keras").exists()
    first = latest_checkpoint(parts / "classifier_checkpoints")
    assert TrainingState.read(first).epoch == 1

    with monkeypatch.context() as patch:
        # With other settings it begins anew.
        patch.setattr(safe_training, "TrainingHealth", interrupting(epoch=0))
        assert main([*options, str(parts), "--seed", "1"]) == 130
        assert latest_checkpoint(parts / "classifier_checkpoints") is None
        patch.setattr(safe_training, "TrainingHealth", interrupting(epoch=1))
        assert main([*options, str(parts)]) == 130
    assert main([*options, str(parts)]) == 0
    assert not (parts / "classifier_checkpoints").exists()
    one, two = (
        keras.models.load_model(folder / "classifier.keras")
        for folder in (tmp_path / "whole", parts)
    )
    for first, second in zip(one.weights, two.weights, strict=True):
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(first), keras.ops.convert_to_numpy(second)
        )


def test_options_of_noisy_student_arrive(run, tmp_path, monkeypatch):
    received = {}

    def recorded(student, teacher, images, **keywords):
        received.update(keywords)
        raise RunError("Enough.")

    monkeypatch.setattr(distilling, "teach_in_rounds", recorded)
    options = ["distil", str(run), "--rounds", "2", "--balance", "--minutes", "3"]
    options += ["--student-views", "rand_augment", "--min-confidence", "30%"]
    assert main([*options, "--out", str(tmp_path)]) == 2
    expected = {
        "rounds": 2,
        "balance": True,
        "minutes": 3.0,
        "student_views": "rand_augment",
        "min_confidence": 0.3,
        "goes_on": True,
    }
    assert {name: received[name] for name in expected} == expected
    assert received["depends_on"]["rounds"] == 2


def test_options_of_fine_tuning_arrive(run, quick, tmp_path, monkeypatch):
    received = {}
    tune = classifier_training.FineTuner

    def recorded(*arguments, **keywords):
        received.update(keywords)
        return tune(*arguments, **keywords)

    monkeypatch.setattr(classifier_training, "FineTuner", recorded)
    options = ["--from-layer", "0", "--freeze-backbone", "--seed", "5"]
    options += ["--epochs", "1", "--learning-rate", "0.01", "--out", str(tmp_path)]
    options += ["--log", "tensorboard"]
    before = {path: path.stat().st_mtime_ns for path in run.iterdir()}
    assert main(["finetune", str(run), *options]) == 0
    assert {path: path.stat().st_mtime_ns for path in run.iterdir()} == before
    assert received == {"from_layer": 0, "freeze_backbone": True, "seed": 5}
    settings = _note(tmp_path)["settings"]
    assert settings["learning_rate"] == 0.01
    assert settings["epochs"] == 1
    assert settings["num_labelled"] == 100
    (logs,) = (tmp_path / "logs").glob("finetune_*")
    (loss,) = EventAccumulator(str(logs / "train")).Reload().Scalars("epoch_loss")
    assert loss.step == 0
    final = EventAccumulator(str(logs / "final")).Reload()
    (accuracy,) = final.Scalars("final/test/top1")
    assert accuracy.value == pytest.approx(_note(tmp_path)["test"]["top1"])
    assert final.Scalars("final/probe_accuracy")
    # Frozen, it is the run's own backbone.
    tuned = keras.models.load_model(tmp_path / "classifier.keras")
    for given, own in zip(
        tuned.backbone.weights, FinishedRun(run).model.backbone.weights, strict=True
    ):
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(given), keras.ops.convert_to_numpy(own)
        )


def test_a_classifier_that_fits_the_minutes_goes_on_with_what_was_found(
    run, tmp_path, monkeypatch
):
    asked = []

    def speed(*data, **arguments):
        asked.append(arguments)
        return Speed(1.0, 1.0)

    monkeypatch.setattr(budget, "measured_speed", speed)
    monkeypatch.setattr(budget, "LEAST_STEPS", 2)
    monkeypatch.setattr(budget, "LEAST_STEPS_IN_EPOCH", 3)
    monkeypatch.setattr(Budget, "seconds_to_train", lambda self, share=1.0: 6.0)
    monkeypatch.setattr(safe_training, "SECONDS_BETWEEN_CHECKPOINTS", 0)
    options = ["finetune", str(run), "--minutes", "2", "--out", str(tmp_path)]
    with monkeypatch.context() as patch:
        patch.setattr(safe_training, "TrainingHealth", interrupting(epoch=1))
        assert main(options) == 130
    assert len(asked) == 1
    monkeypatch.setattr(budget, "measured_speed", None)
    assert main(options) == 0
    settings = _note(tmp_path)["settings"]
    # Four steps fit, of which an epoch has three at most.
    assert (settings["epochs"], settings["steps_per_epoch"]) == (2, 2)
    assert settings["minutes"] == 2


def test_a_network_is_trained_on_all_images_by_a_recipe(run, tmp_path, capsys):
    options = ["--method", "fixmatch", "--epochs", "1", "--learning-rate", "0.01"]
    out = ["--out", str(tmp_path)]
    assert main(["finetune", str(run), *options, *out]) == 0
    assert "  trained by fixmatch" in capsys.readouterr().out
    note = _note(tmp_path)
    assert note["how"] == "trained by fixmatch"
    settings = note["settings"]
    assert (settings["method"], settings["learning_rate"]) == ("fixmatch", 0.01)
    assert (settings["num_labelled"], settings["num_unlabelled"]) == (100, 1297)
    assert settings["labelled_batch_size"] <= 100
    classifier, how = FinishedRun(run).classifier(tmp_path / "classifier.keras")
    assert how == "trained by fixmatch"
    assert classifier.class_names == tuple("0123456789")


def test_another_method_refuses_what_it_has_no_use_for(run, tmp_path, capsys):
    for options, message in (
        (["--method", "guessing"], "--method must be one of labels, fixmatch, uda"),
        (
            ["--method", "uda", "--freeze-backbone"],
            "--freeze-backbone is for --method labels",
        ),
    ):
        assert main(["finetune", str(run), *options, "--out", str(tmp_path)]) == 2
        assert message in capsys.readouterr().err


def test_another_network_learns_from_the_linear_probe(
    run, quick, tmp_path, monkeypatch
):
    def tiny(image_size, backbone):
        assert (image_size, backbone) == (8, "resnet18")
        return recipes.get("digits")

    monkeypatch.setattr(recipes, "own_images", tiny)
    options = ["--student", "resnet18", "--epochs", "1", "--out", str(tmp_path)]
    assert main(["distil", str(run), "--classifier", "linear", *options]) == 0
    settings = _note(tmp_path)["settings"]
    assert (settings["teacher"], settings["student"]) == ("linear probe", "resnet18")
    student = keras.models.load_model(tmp_path / "classifier.keras")
    assert student.backbone.name == backbones.SmallResNet(widths=(4,)).name
    assert student.num_classes == 10
    # Used where it is named.
    finished = FinishedRun(run)
    _, how = finished.classifier(tmp_path / "classifier.keras")
    assert how == "distilled"


def test_own_images_with_and_without_a_test_set(quick, tmp_path, capsys):
    options = write_own_images(tmp_path / "photos")
    with short_run(tmp_path / "run", *options) as folder:
        assert main(["finetune", str(folder)]) == 0
        assert "Not measured" in capsys.readouterr().out
        assert _note(folder)["test"] is None
        # A class that the run does not know is left out.
        shutil.copytree(tmp_path / "photos" / "few", tmp_path / "tested")
        (tmp_path / "tested" / "dark").rename(tmp_path / "tested" / "new")
        move_sources(folder, test=str(tmp_path / "tested"))
        assert main(["finetune", str(folder)]) == 0
        note = _note(folder)
        assert note["num_test"] == 3
        assert note["class_names"] == ["bright", "dark"]


def test_a_classifier_that_is_worse_is_told(run, quick, tmp_path, monkeypatch, capsys):
    folder = shutil.copytree(run, tmp_path / "run")
    finished, summarize = FinishedRun(folder), classifier_files.summarize
    classifier = finished.linear_classifier()
    path = folder / "classifier.keras"

    def keep(out=None):
        kept = classifier_files.keep_classifier(
            out, classifier, finished, "tuned", {}, 0
        )
        accuracies = f"{kept['test']['top1']:.1%} of 400 test images, linear probe"
        assert f"<TrainedClassifier tuned: {accuracies} " in repr(kept)
        assert len(repr(kept)) < 300
        return capsys.readouterr().out

    assert "Warning" not in keep()
    monkeypatch.setattr(
        classifier_files,
        "summarize",
        lambda *arguments: {**summarize(*arguments), "top1": 0.01},
    )
    printed = keep()
    assert "Warning: the tuned classifier is less accurate than the linear" in printed
    assert f"To go back to the linear probe: remove or rename {path}." in printed
    earlier = folder / "classifier_1.keras"
    assert f"the classifier before: rename {earlier} to {path}." in printed
    # And so one does.
    path.rename(tmp_path / "worse.keras")
    finished = FinishedRun(folder)
    assert finished.classifier()[1] == TITLES[finished.metrics["classifier"]]
    printed = keep(tmp_path / "elsewhere")
    assert "which semppl label, semppl export and semppl report use" in printed
    assert "To go back" not in printed


@pytest.mark.parametrize("command", ["finetune", "distil"])
def test_a_file_in_the_place_of_the_folder_is_told_before_training(
    run, tmp_path, command, capsys
):
    file = tmp_path / "file"
    file.write_text("mine")
    for out in (file, file / "below"):
        assert main([command, str(run), "--out", str(out)]) == 2
        told = capsys.readouterr()
        assert "--out must be a folder" in told.err
        assert told.out == ""
    assert file.read_text() == "mine"


def _save(backbone, views, names, num_classes, path):
    head = keras.Sequential(
        [keras.Input(backbone.output_shape[1:]), keras.layers.Dense(num_classes)]
    )
    ImageClassifier(backbone, head, views, names).save(path)
    return path


def test_a_classifier_of_another_run_is_refused(run, tmp_path):
    finished = FinishedRun(run)
    backbone, views = finished.model.backbone, finished.model.views
    digits, path = "0123456789", tmp_path / "other.keras"
    told = r"10 classes of .*, in their order: 0, 1, .*, 9\. Received: "
    for names in (digits[::-1], digits[:9] + "x", digits[:9]):
        _save(backbone, views, names, len(names), path)
        with pytest.raises(RunError, match=told + ", ".join(names)):
            finished.classifier(path)
    _save(backbone, views, None, 9, path)
    with pytest.raises(RunError, match=told + "9 without names"):
        finished.classifier(path)
    coloured = backbones.SmallResNet(widths=(4,), input_shape=(8, 8, 3))
    _save(coloured, views, digits, 10, path)
    with pytest.raises(RunError, match=r"with 1 channel.* Received: one for 3"):
        finished.classifier(path)
    # Without names there is nothing to compare.
    _save(backbone, views, None, 10, path)
    assert finished.classifier(path)[1] == "other"


def test_labelled_images_that_are_gone_are_told(tmp_path, capsys):
    photos = tmp_path / "photos"
    options = dict(zip(*[iter(write_own_images(photos))] * 2, strict=True))
    few, table = photos / "few", tmp_path / "few.csv"
    paths = sorted(few.rglob("*.png"))
    rows = [f"{path},{path.parent.name}" for path in [*paths, few / "never.png"]]
    rows[-1] = f"{few / 'never.png'},dark"
    table.write_text("\n".join(["path,label", *rows]))

    def labelled(folder):
        labels = FinishedRun(folder).labelled.labels
        return labels.tolist(), capsys.readouterr().out

    for number, source in enumerate((few, table)):
        of_run = {**options, "--labelled": str(source), "--max-skipped": "0.5"}
        listed = [text for option in of_run.items() for text in option]
        with short_run(tmp_path / f"run_{number}", *listed) as folder:
            # What could not be read in training, either, is no news.
            assert labelled(folder) == ([0, 0, 0, 1, 1, 1], "")
            gone = few / "dark" / "0.png"
            content = gone.read_bytes()
            gone.unlink()
            labels, printed = labelled(folder)
            assert labels == [0, 0, 0, 1, 1]
            assert "Note: 1 of the 6 labelled images" in printed
            # A folder does not list what is gone.
            assert (str(gone) in printed) == (source == table)
            for path in (few / "dark").iterdir():
                path.rename(tmp_path / path.name)
            labels, printed = labelled(folder)
            assert labels == [0, 0, 0, 1, 1, 1]
            assert "What the run keeps is used: 6 of 6 labelled images." in printed
            (folder / IMAGES).unlink()
            assert main(["label", str(folder), str(photos / "many")]) == 2
            error = capsys.readouterr().err
            assert f"Received: 0 of 'dark' in {source}" in error
            assert (str(gone) in error) == (source == table)
            for name in ("1.png", "2.png"):
                (tmp_path / name).rename(few / "dark" / name)
            gone.write_bytes(content)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["finetune", "{run}", "--from-layer", "9"], "`from_layer` must be at most"),
        (["distil", "{run}", "--classifier", "x.keras"], "must be a classifier at"),
        (["finetune", "nowhere"], "no folder"),
    ],
)
def test_what_cannot_be_done_is_told(run, quick, arguments, message, capsys):
    assert main([argument.format(run=run) for argument in arguments]) == 2
    assert message in capsys.readouterr().err
    assert not (run / "classifier.keras").exists()
