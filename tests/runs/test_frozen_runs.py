"""Runs from a network with weights: frozen, trained, and what they label by."""

import json
import re
import shutil

import keras
import numpy as np
import pytest
from PIL import Image
from short_run import make_training_quick
from sketches import sketched_pictures
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny_runs import make_measuring_quick
from toys import toy_backbone, toy_images

from semppl_keras import runs
from semppl_keras.cli import main
from semppl_keras.evaluation.classifier_titles import TITLES
from semppl_keras.reports.run_table import format_run
from semppl_keras.runs import (
    RunError,
    budget,
    finetuning,
    training_stages,
    tuned,
)
from semppl_keras.runs.budget import Budget
from semppl_keras.runs.finished import FinishedRun
from semppl_keras.runs.going_on import copy_networks
from semppl_keras.runs.results.trained_run import TrainedRun
from semppl_keras.runs.run_models import head_path
from semppl_keras.runs.speed import Speed
from semppl_keras.runs.suspects import saw_labels

FROZEN = ["frozen_propagation", "frozen_linear", "pixels"]


@pytest.fixture(scope="module", autouse=True)
def short():
    """Trainings of a classifier of a few steps, each fitted once."""
    with sketched_pictures(), pytest.MonkeyPatch.context() as patch:
        make_training_quick(patch)
        make_measuring_quick(patch)
        yield


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """Options of `train` for images of stripes, a few labelled, and a network."""
    folder = tmp_path_factory.mktemp("job")
    images, labels = toy_images(60, channels=3)
    for part, rows in (("pictures", range(36)), ("test", range(36, 60))):
        (folder / part).mkdir()
        for row in rows:
            picture = Image.fromarray(images[row].astype("uint8"))
            picture.save(folder / part / f"{row}.png")
        lines = [f"{part}/{row}.png,{'abc'[labels[row]]}" for row in rows]
        lines = lines[:12] if part == "pictures" else lines
        (folder / f"{part}.csv").write_text("path,label\n" + "\n".join(lines))
    keras.utils.set_random_seed(0)
    toy_backbone(channels=3).save(folder / "network.keras")
    return {
        "unlabelled": folder / "pictures",
        "labelled": folder / "pictures.csv",
        "test": folder / "test.csv",
        "backbone": str(folder / "network.keras"),
        "image_size": 8,
        "verbose": 0,
    }


@pytest.fixture(scope="module")
def frozen(job, tmp_path_factory):
    folder = tmp_path_factory.mktemp("frozen") / "run"
    return runs.train(**job, epochs=0, log="tensorboard", out=folder)


@pytest.fixture(scope="module")
def trained(job, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / "run"
    return runs.train(**job, epochs=1, out=folder)


@pytest.mark.any_backend
def test_without_training_the_frozen_network_is_measured(frozen):
    assert set(frozen["classifier_cv_accuracies"]) == set(FROZEN)
    assert frozen["classifier"] in FROZEN
    for name in ("frozen_knn", "frozen_linear", "frozen_propagation", "supervised"):
        assert 0 <= frozen[f"{name}_accuracy"] <= 1
    for name in ("knn_accuracy", "linear_accuracy", "pseudo_label_accuracy"):
        assert frozen[name] is None
    assert frozen["train_seconds"] == 0
    table = frozen.table()
    assert "frozen, propagation" in table
    assert "SemPPL" not in table
    assert f"Classifier: {TITLES[frozen['classifier']]}" in table
    # Beside the copy of its file the network is kept once.
    files = {path.name for path in frozen.folder.iterdir()}
    assert {"model.keras", "report.png", "heads", "run.json"} <= files
    assert "frozen.keras" not in files
    # What follows a run has the figures of one that trains nothing, too.
    events = EventAccumulator(str(frozen.folder / "logs" / "final")).Reload()
    (accuracy,) = events.Scalars("final/frozen_linear_accuracy")
    assert accuracy.value == pytest.approx(frozen["frozen_linear_accuracy"])


@pytest.mark.any_backend
def test_a_frozen_classifier_says_what_was_measured(frozen):
    finished = FinishedRun(frozen.folder)
    assert finished.classifier_names == FROZEN
    tested = finished.test
    for name in FROZEN:
        classifier, how = finished.classifier(name)
        assert how == TITLES[name]
        shares = classifier.predict(tested.images, verbose=0)
        np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)
        accuracy = np.mean(shares.argmax(axis=1) == tested.labels)
        key = "supervised" if name == "pixels" else name
        assert accuracy == pytest.approx(frozen[f"{key}_accuracy"])
    assert finished.classifier()[1] == TITLES[frozen["classifier"]]
    with pytest.raises(RunError, match="must be one that .* has: frozen_propagation"):
        finished.classifier("memory")


@pytest.mark.any_backend
def test_images_are_labelled_by_a_frozen_classifier(frozen, job, tmp_path, capsys):
    labels = runs.label(
        frozen.folder, job["unlabelled"], out=tmp_path / "labels.csv", verbose=1
    )
    assert labels.probabilities.shape == (36, 3)
    told = capsys.readouterr().out
    assert f"Classifier: {TITLES[frozen['classifier']]}, " in told
    assert "by cross-validation on the labels" in told
    other = next(name for name in FROZEN if name != frozen["classifier"])
    others = runs.label(
        frozen.folder,
        job["unlabelled"],
        out=tmp_path / "others.csv",
        classifier=other,
        verbose=1,
    )
    assert np.abs(others.probabilities - labels.probabilities).max() > 1e-3
    told = capsys.readouterr().out
    assert f"Classifier: {TITLES[other]}, " in told
    assert "The labels would have chosen" in told


@pytest.mark.any_backend
def test_strangers_are_counted_where_asked_for(job, tmp_path, capsys):
    asked = {**job, "verbose": 1}
    found = runs.train(**asked, strangers=True, epochs=0, out=tmp_path / "run")
    assert "of 24 unlabelled images may show none of the classes" in (
        capsys.readouterr().out
    )
    assert json.loads((found.folder / "run.json").read_text())["strangers"] is True
    with pytest.raises(RunError, match="trained from nothing"):
        runs.train(strangers=True, out=tmp_path / "other", verbose=0)


@pytest.mark.any_backend
def test_a_frozen_run_is_evaluated(frozen, tmp_path):
    (evaluation,) = runs.evaluate(frozen.folder, out=tmp_path, verbose=0)
    rows = evaluation["rows"]
    assert "memory_knn" not in rows
    assert rows["classifier"]["classifier"] == TITLES[frozen["classifier"]]
    assert rows["classifier"]["top1"] == pytest.approx(frozen["classifier_accuracy"])
    assert rows["linear_probe"]["title"] == "frozen, linear probe"
    (evaluation,) = runs.evaluate(
        frozen.folder, out=tmp_path, classifier="frozen_linear", verbose=0
    )
    measured = evaluation["rows"]["classifier"]["top1"]
    assert measured == pytest.approx(frozen["frozen_linear_accuracy"])


def test_training_is_compared_with_the_frozen_network(trained, job):
    tuned = {"tuned_linear", "tuned_propagation"}
    names = {"propagation", "linear", "memory", *tuned, *FROZEN}
    assert set(trained["classifier_cv_accuracies"]) == names
    assert trained["classifier"] in names
    assert 0 <= trained["propagation_accuracy"] <= 1
    table = trained.table()
    rows = ["supervised only", "frozen, nearest", "frozen, propagation", "SemPPL, near"]
    places = [table.index(row) for row in rows]
    assert places == sorted(places)
    finished = FinishedRun(trained.folder)
    assert set(finished.classifier_names) == names
    tested = finished.test
    for name, key in (
        ("propagation", "propagation_accuracy"),
        ("memory", "knn_accuracy"),
        ("linear", "linear_accuracy"),
        ("tuned_linear", "tuned_linear_accuracy"),
        ("tuned_propagation", "tuned_propagation_accuracy"),
        ("frozen_linear", "frozen_linear_accuracy"),
    ):
        shares = finished.classifier(name)[0].predict(tested.images, verbose=0)
        accuracy = np.mean(shares.argmax(axis=1) == tested.labels)
        assert accuracy == pytest.approx(trained[key]), name
    # The network as it was before, from the copy of its file.
    network = keras.models.load_model(job["backbone"])
    first, last = finished.frozen.backbone, finished.model.backbone
    for array, weight in zip(first.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(array, weight)
    # Its lower part is left alone.
    changed = [
        np.any(array != other)
        for array, other in zip(first.get_weights(), last.get_weights(), strict=True)
    ]
    assert any(changed)
    assert not all(changed)


@pytest.mark.any_backend
def test_a_training_that_goes_on_need_not_measure_again(trained, job, tmp_path):
    from semppl_keras.runs import outcome

    again = tmp_path / "again"
    shutil.copytree(trained.folder, again)
    for name in ("metrics.json", "model.keras"):
        (again / name).unlink()
    with pytest.MonkeyPatch.context() as patch:
        # It would fail.
        patch.setattr(outcome, "measure_frozen", None)
        resumed = runs.train(resume=again, trust=True, verbose=0)
    for name in ("frozen_linear_accuracy", "frozen_propagation_accuracy"):
        assert resumed[name] == trained[name]
    by_name = resumed["classifier_cv_accuracies"]
    for name in ("frozen_linear", "frozen_propagation"):
        assert by_name[name] == trained["classifier_cv_accuracies"][name]
    # It began where the fine-tuning had ended, as it would have without a pause.
    models = [FinishedRun(folder).model for folder in (again, trained.folder)]
    for one, other in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.any_backend
def test_each_network_of_a_run_goes_on_with_more_labels(trained, job, tmp_path):
    labels = tmp_path / "more.csv"
    names = toy_images(60, channels=3)[1]
    rows = [f"{job['unlabelled']}/{row}.png,{'abc'[names[row]]}" for row in range(20)]
    labels.write_text("path,label\n" + "\n".join(rows))
    begun = []
    with pytest.MonkeyPatch.context() as patch:

        def noting(job, model, state, *arguments, **options):
            begun.append(model.online.get_weights())
            return state

        # The network is left as it begins.
        patch.setattr(training_stages, "train_network", noting)
        later = runs.train(
            from_run=trained.folder,
            labelled=labels,
            epochs=1,
            out=tmp_path / "later",
            verbose=0,
        )
    # It is cut in two, as any that is trained on kept features, and has what the
    # earlier training has made of its upper part and of its heads.
    before, after = (FinishedRun(run.folder).model for run in (trained, later))
    assert len(begun[0]) < len(before.online.get_weights())
    for one, other in ((before.online, after.online), (before.target, after.target)):
        for weight, value in zip(one.get_weights(), other.get_weights(), strict=True):
            np.testing.assert_array_equal(weight, value)
    assert later["num_labelled"] == 20
    by_name = later["classifier_cv_accuracies"]
    assert set(by_name) == set(trained["classifier_cv_accuracies"])
    copy = (later.folder / "backbone.keras").read_bytes()
    assert copy == (trained.folder / "backbone.keras").read_bytes()
    # The fine-tuning has begun where it began before, with the labels of now.
    tuned = [
        keras.models.load_model(folder / "tuned.keras").get_weights()
        for folder in (trained.folder, later.folder)
    ]
    same = [np.array_equal(one, other) for one, other in zip(*tuned, strict=True)]
    network = FinishedRun(later.folder).frozen.get_weights()
    alone = [np.array_equal(*pair) for pair in zip(tuned[0], network, strict=True)]
    assert same == alone
    assert not all(same)
    # Where nothing is trained it stays as it is.
    settings = {**FinishedRun(later.folder).settings, "epochs": 0}
    copy_networks(FinishedRun(trained.folder), settings, tmp_path)
    kept = (tmp_path / "tuned.keras").read_bytes()
    assert kept == (trained.folder / "tuned.keras").read_bytes()
    finished = FinishedRun(later.folder)
    for name in by_name:
        assert finished.classifier(name)[0].num_classes == 3


@pytest.mark.any_backend
def test_features_that_take_too_long_are_not_kept(job, tmp_path, monkeypatch, capsys):
    asked = {**job, "verbose": 1, "minutes": 5}
    monkeypatch.setattr(Budget, "timed_seconds", 0.0)
    monkeypatch.setattr(Budget, "seconds_to_train", lambda self, share=1.0: 1e-6)
    run = runs.train(**asked, out=tmp_path / "run")
    told = capsys.readouterr().out
    assert "must leave time for keeping what the lower part of the backbone" in told
    assert re.search(r"Give at least --minutes [0-9.]+", told)
    assert "Timing the first steps" not in told
    assert (run["epochs"], run["minutes"]) == (0, 5)
    assert set(run["classifier_cv_accuracies"]) == set(FROZEN)


@pytest.mark.any_backend
@pytest.mark.parametrize("for_tuning", [9.0, 999.0])
def test_too_few_minutes_end_in_a_run_without_semppl(
    for_tuning, job, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(budget, "measured_speed", lambda *a, **k: Speed(1.0, 3.0))
    # Fine-tuning has a share of the time, and SemPPL all that is left then.
    monkeypatch.setattr(
        Budget,
        "seconds_to_train",
        lambda self, share=1.0: 9.0 if share == 1.0 else for_tuning,
    )
    out = tmp_path / "run"

    def killed(*arguments):
        raise KeyboardInterrupt

    asked = {**job, "verbose": 1, "minutes": 1, "out": out}
    with monkeypatch.context() as patch:
        patch.setattr(training_stages, "save_model", killed)
        with pytest.raises(KeyboardInterrupt):
            runs.train(**asked)
    told = capsys.readouterr().out
    assert "Note: the run ends without a training of SemPPL" in told
    assert "at least 50 steps of SemPPL, which take" in told
    is_tuned = for_tuning > 9
    assert (" steps fit --minutes 1" in told) == is_tuned
    assert ("Note: the backbone is not fine-tuned by itself" in told) != is_tuned
    assert f"train --from {out} --minutes " in told
    # It is known by then: nothing is timed, or trained, a second time.
    monkeypatch.setattr(training_stages, "fit_schedule", None)
    monkeypatch.setattr(training_stages, "tune", None)
    assert main(["train", "--resume", str(out), "--trust"]) == 0
    finished = FinishedRun(out)
    metrics = finished.metrics
    assert (metrics["epochs"], metrics["minutes"]) == (0, 1)
    names = {*FROZEN, *(("tuned_linear", "tuned_propagation") if is_tuned else ())}
    assert set(finished.classifier_names) == names
    assert set(metrics["classifier_cv_accuracies"]) == names
    for name in sorted(names - {"pixels"}):
        shares = finished.classifier(name)[0].predict(finished.test.images, verbose=0)
        accuracy = np.mean(shares.argmax(axis=1) == finished.test.labels)
        assert accuracy == pytest.approx(metrics[f"{name}_accuracy"])
    network = keras.models.load_model(job["backbone"])
    kept = finished.model.backbone.get_weights()
    for array, weight in zip(kept, network.get_weights(), strict=True):
        np.testing.assert_array_equal(array, weight)


@pytest.mark.any_backend
def test_too_few_minutes_keep_what_an_earlier_run_has_learned(
    trained, tmp_path, monkeypatch, capsys
):
    # Nothing is timed, or trained.
    monkeypatch.setattr(training_stages, "fit_schedule", None)
    monkeypatch.setattr(training_stages, "tune", None)
    monkeypatch.setattr(Budget, "seconds_to_train", lambda self, share=1.0: -1.0)
    later = runs.train(
        from_run=trained.folder, minutes=0.1, out=tmp_path / "later", verbose=1
    )
    assert "are kept for the end: more than --minutes " in capsys.readouterr().out
    assert set(later["classifier_cv_accuracies"]) == {
        *FROZEN,
        "linear",
        "memory",
        "propagation",
    }
    pair = (FinishedRun(run.folder).model.online for run in (trained, later))
    for one, other in zip(*(model.get_weights() for model in pair), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.any_backend
def test_balance_reaches_each_training(trained, job, tmp_path, monkeypatch):
    given = {}

    def noting(name, stop):
        def train(*arguments, **keywords):
            given[name] = arguments, keywords
            raise stop

        return train

    monkeypatch.setattr(tuned, "self_train", noting("tuning", KeyboardInterrupt))
    lines = job["labelled"].read_text().splitlines()
    rows = [f"{job['unlabelled'].parent}/{line}" for line in lines[1:]]
    labels = tmp_path / "few.csv"
    labels.write_text("\n".join([lines[0], rows[0], *rows[1::2]]))
    asked = {**job, "labelled": labels, "balance": "classes", "epochs": 2}
    with pytest.raises(KeyboardInterrupt):
        runs.train(**asked, out=tmp_path / "run")
    (_, _, _, tuned_labels), keywords = given["tuning"]
    counts = np.bincount(tuned_labels)
    assert counts.min() == counts.max()
    assert keywords["depends_on"]["balance"] == "classes"
    # And that of a finished run, which has equally many labels, to its own classifier.
    for method, name, argument in (
        ("labels", "fine_tune", "class_weight"),
        ("freematch", "train_consistently", "class_prior"),
    ):
        monkeypatch.setattr(finetuning, name, noting(method, KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            runs.finetune(
                trained.folder,
                method=method,
                balance="estimated",
                out=tmp_path / method,
                verbose=0,
            )
        assert len(given[method][1][argument]) == 3
        assert given[method][1]["depends_on"]["balance"] == "estimated"
    with pytest.raises(RunError, match="--balance must be one of labels, classes, est"):
        runs.train(**job, balance="equal", out=tmp_path / "other")


@pytest.mark.any_backend
def test_a_new_network_is_untrained_without_a_training(job, tmp_path, capsys):
    asked = {**job, "backbone": "small", "verbose": 1}
    trained = runs.train(**asked, epochs=0, out=tmp_path / "run")
    told = capsys.readouterr().out
    assert "Note: the run is without a training of SemPPL, with what needs none" in told
    assert f"semppl train --from {tmp_path / 'run'} --out DIR" in told
    assert "untrained, nearest neighbours" in told
    assert trained["untrained"] is True
    assert (trained["epochs"], trained["train_seconds"]) == (0, 0)
    finished = FinishedRun(tmp_path / "run")
    names = {"frozen_linear", "frozen_propagation"}
    assert names < set(finished.classifier_names)
    for name in names:
        finished.tell_classifier(name)
        _, how = finished.classifier(name)
        assert "untrained features" in how
        assert not saw_labels(how)
    told += capsys.readouterr().out
    for chosen in names:
        told += TrainedRun(trained.folder, {**trained, "classifier": chosen}).table()
    (evaluated,) = runs.evaluate(tmp_path / "run", verbose=0)
    told += "".join(row["title"] for row in evaluated["rows"].values())
    without_tests = {**trained, "num_test": 0}
    told += format_run(without_tests, trained.folder)
    assert "untrained, linear probe" in told
    # The backbone is none, and nothing has been frozen.
    assert "frozen" not in told.replace(str(tmp_path), "")


@pytest.mark.any_backend
def test_a_network_with_weights_is_not_untrained(frozen):
    assert frozen["untrained"] is False


@pytest.mark.any_backend
def test_a_head_of_something_else_is_refused(frozen, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(frozen.folder, copy)
    other = keras.Sequential([keras.Input((5,)), keras.layers.Dense(3)])
    other.save(head_path(copy, "frozen_linear"))
    with pytest.raises(RunError, match=r"features \(None, 8\) to logits \(None, 3\)"):
        FinishedRun(copy, trust=True).classifier("frozen_linear")
    metrics = json.loads((copy / "metrics.json").read_text())
    metrics["classifier"] = "../elsewhere"
    (copy / "metrics.json").write_text(json.dumps(metrics))
    with pytest.raises(RunError, match="'classifier' that is one of combined"):
        FinishedRun(copy, trust=True).classifier()


@pytest.mark.slow
def test_a_frozen_run_goes_through_the_other_commands(frozen, job, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(frozen.folder, copy)
    exported = runs.export(
        copy, format="keras", out=tmp_path / "out.keras", trust=True, verbose=0
    )
    assert keras.models.load_model(exported).num_classes == 3
    assert runs.report(copy, trust=True, verbose=0).is_file()
    tuned = runs.finetune(copy, epochs=1, trust=True, verbose=0)
    assert tuned["settings"]["from_layer"] == 0
    student = runs.distil(
        copy,
        epochs=1,
        classifier="frozen_propagation",
        out=tmp_path / "student",
        trust=True,
        verbose=0,
    )
    assert student["settings"]["teacher"] == TITLES["frozen_propagation"]
