"""Runs that go on from finished ones: with more labels, classes and images."""

import contextlib
import dataclasses
import io
import json
import os
import pathlib
import re
import shutil
import tempfile

import keras
import numpy as np
import pytest
from PIL import Image
from tiny_runs import tiny_runs, write_archive

from semppl_keras import runs
from semppl_keras.data.images.label_tables import read_label_table
from semppl_keras.runs import RunError, budget, kept_files, training_stages
from semppl_keras.runs.finished import FinishedRun
from semppl_keras.runs.going_on import check_channels, going_on
from semppl_keras.runs.joined_sources import joined
from semppl_keras.runs.noted_files import with_own_tables
from semppl_keras.runs.options.train import TrainOptions
from semppl_keras.runs.speed import Speed

# Which images and labels, and whose weights; on every backend test_frozen_runs trains.
pytestmark = pytest.mark.any_backend

CLASSES = "abc"


def _write(folder, rows):
    folder.mkdir(exist_ok=True)
    for row in rows:
        pixels = np.random.default_rng(row).integers(0, 50, (9, 12, 3))
        pixels += (20, 110, 200)[row % 3]
        Image.fromarray(pixels.astype("uint8")).save(folder / f"{row}.png")


def _table(path, rows, **changed):
    """Labels of rows: a, b, c in turn, but for those that are changed."""
    lines = [f"photos/{row}.png,{CLASSES[row % 3]}" for row in rows]
    lines += [f"photos/{name[1:]}.png,{label}" for name, label in changed.items()]
    path.write_text("path,label\n" + "\n".join(lines) + "\n")
    return path


def _weights(path):
    return keras.models.load_model(path).online.get_weights()


def _settings(folder):
    return json.loads((folder / "run.json").read_text())


def _begun(out, **options):
    """What a run that goes on is to be trained with; nothing is trained."""
    return going_on(TrainOptions.of(**options, epochs=0, out=str(out)), out)


def _listed(begun):
    images = begun.dataset.images.labelled
    stems = (int(pathlib.Path(name).stem) for name in images.names)
    return dict(zip(stems, images.labels, strict=True))


def _labels(folder):
    rows = read_label_table(folder / "labelled.csv")
    return {int(row.path.stem): row.label for row in rows}


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """A folder of photographs, of which six are labelled, a and b."""
    folder = tmp_path_factory.mktemp("job")
    _write(folder / "photos", range(30))
    _table(folder / "labels.csv", [0, 1, 3, 4, 6, 7])
    return folder


@pytest.fixture(scope="module")
def recipes():
    with tiny_runs():
        yield


@pytest.fixture(scope="module")
def one(job, recipes):
    return runs.train(
        unlabelled=job / "photos",
        labelled=job / "labels.csv",
        image_size=8,
        epochs=1,
        out=job / "one",
        verbose=0,
    ).folder


@pytest.fixture(scope="module")
def more(job, one):
    """Further labels: of a third class, too, and of one image another than before."""
    _write(job / "photos", range(30, 34))
    _write(job / "new", range(34, 39))
    return _table(job / "more.csv", range(8, 18), _0="b")


@pytest.fixture(scope="module")
def quick(job, one, more):
    """The run goes on without training."""
    return runs.train(
        from_run=one, labelled=more, epochs=0, out=job / "quick", verbose=0
    )


def test_a_run_notes_which_files_it_is_trained_with(job, one):
    assert _labels(one) == {row: CLASSES[row % 3] for row in (0, 1, 3, 4, 6, 7)}
    rows = read_label_table(one / "unlabelled.csv", labelled=False)
    assert {row.path for row in rows} == {
        job / "photos" / f"{row}.png" for row in range(30)
    }


def test_the_classifiers_alone_are_made_anew(one, quick):
    # Neither has the network changed, nor has anything been trained.
    networks = (_weights(folder / "model.keras") for folder in (one, quick.folder))
    for before, now in zip(*networks, strict=True):
        np.testing.assert_array_equal(before, now)
    assert quick["train_seconds"] == 0
    assert quick["supervised_network_accuracy"] is None
    finished = FinishedRun(quick.folder)
    assert finished.class_names == tuple(CLASSES)
    names = ["propagation", "linear", "memory", "pixels"]
    assert finished.classifier_names == names
    assert set(quick["classifier_cv_accuracies"]) == set(names)
    images = finished.labelled.images
    for name in names:
        shares = finished.classifier(name)[0].predict(images, verbose=0)
        assert shares.shape == (16, 3)
        np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)
    # What was remembered under a label that holds no more is forgotten, and each of
    # the labelled images is remembered under its own.
    model = finished.model
    labels = model.memory.stored_labels()
    assert model.num_classes == 3
    length = model.memory_size // 3
    given = np.bincount(finished.labelled.labels)
    np.testing.assert_array_equal(
        np.bincount(labels[labels >= 0]), np.minimum(given, length)
    )


def test_labels_are_merged_and_what_is_new_is_noted(job, one, quick):
    expected = {row: CLASSES[row % 3] for row in (0, 1, 3, 4, 6, 7, *range(8, 18))}
    assert _labels(quick.folder) == {**expected, 0: "b"}
    settings = _settings(quick.folder)
    assert settings["class_names"] == list(CLASSES)
    earlier = settings["from"]
    assert earlier["run"] == str(one)
    assert re.fullmatch("[0-9a-f]{32}", earlier["signature"])
    assert earlier["labels"] == {
        "added": 10,
        "changed": 1,
        "removed": 0,
        "such_as": [[str(job / "photos" / "0.png"), "a", "b"]],
    }
    assert earlier["labels_behind"]["added"] == 0
    assert earlier["images"] == {"added": 4, "removed": 0}
    # The folder is still where they are.
    assert settings["dataset"]["unlabelled"] == str(job / "photos")
    assert not (quick.folder / "earlier.keras").exists()


@pytest.fixture(scope="module")
def trained_on(job, one, more):
    """A run that goes on, the weights that it began with, and what it said."""
    begun = []
    train = training_stages.train_network

    def noting(job, model, *arguments, **options):
        begun.append((model.online.get_weights(), model.target.get_weights()))
        return train(job, model, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training_stages, "train_network", noting)
        with contextlib.redirect_stdout(io.StringIO()) as told:
            two = runs.train(
                from_run=one,
                labelled=more,
                unlabelled=job / "new",
                epochs=1,
                out=job / "two",
            )
    return two, begun, told.getvalue()


def test_a_training_goes_on_with_what_was_learned(job, one, trained_on):
    two, begun, told = trained_on
    for line in (
        f"Labels: 6 of the run in {one}, 16 now: 10 added, 1 changed, 0 removed.",
        f"1 image has another class than the run was trained with, and the later one "
        f"counts: {job}/photos/0.png a before, b now.",
        "New classes: 'c'.",
        "Unlabelled images: 30 of the run, 39 now: 9 added, 0 removed.",
    ):
        assert line.replace("/", os.sep) in told.replace("/", os.sep)
    before = keras.models.load_model(one / "model.keras")
    ((online, target),) = begun
    for weights, network in ((online, before.online), (target, before.target)):
        for weight, value in zip(weights, network.get_weights(), strict=True):
            np.testing.assert_array_equal(weight, value)
    after = _weights(two.folder / "model.keras")
    assert any(np.any(a != b) for a, b in zip(online, after, strict=True))
    assert two["num_labelled"] + two["num_unlabelled"] == 39
    finished = FinishedRun(two.folder)
    assert len(finished.data.x_train) == 39
    assert finished.model.num_classes == 3


def test_nothing_has_changed_since(job, trained_on, capsys):
    """The next one knows what it goes on from by name."""
    two, *_ = trained_on
    again = runs.train(from_run=two.folder, epochs=0, out=job / "again")
    told = capsys.readouterr().out
    assert "Labels: 16 of the run" in told
    assert "39 now: 0 added, 0 removed" in told
    assert _settings(again.folder)["from"]["same_labels"]
    memories = [FinishedRun(each.folder).model.memory for each in (two, again)]
    for variable, value in zip(*(memory.state for memory in memories), strict=True):
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(variable), keras.ops.convert_to_numpy(value)
        )


def test_another_seed_draws_other_labels(job, one, tmp_path, capsys):
    """Of as many labels of a class, which a classifier of before does not know."""
    run = shutil.copytree(one, tmp_path / "one")
    settings = _settings(run)
    (run / "run.json").write_text(json.dumps({**settings, "labels_per_class": 2}))
    options = {"from_run": str(run), "labels_per_class": 2, "trust": True}
    for number, seed in enumerate((None, settings["seed"], settings["seed"] + 1)):
        begun = _begun(tmp_path / f"{number}", **options, seed=seed)
        told = "draws other images that count as labelled" in capsys.readouterr().out
        assert begun.settings["from"]["same_labels"] is not told
        assert told is (number == 2)
    # Where all labels count nothing is drawn.
    begun = _begun(tmp_path / "all", from_run=str(one), seed=settings["seed"] + 1)
    assert begun.settings["from"]["same_labels"] is True


def test_where_every_image_has_a_label_classifiers_are_fitted(job, one, more, tmp_path):
    """To train there would have to be others. Its own images serve where the files are
    not there."""
    every = _table(job / "every.csv", range(34))
    anew = {"unlabelled": job / "photos", "image_size": 8}
    for asked in (anew, {"from_run": one, "epochs": 2}):
        with pytest.raises(RunError, match="of all 34 training .*--epochs 0"):
            runs.train(labelled=every, **asked, out=tmp_path / "none", verbose=0)
    all_known = runs.train(
        from_run=one, labelled=every, epochs=0, out=tmp_path / "all", verbose=0
    )
    assert (all_known["num_labelled"], all_known["num_unlabelled"]) == (34, 0)
    assert all_known["cross_validated"]["num_labelled"] == 34
    with pytest.raises(RunError, match="all of whose images are labelled.*labels"):
        runs.finetune(all_known.folder, method="fixmatch", epochs=1)
    os.rename(job / "photos", job / "away")
    try:
        page = runs.report(all_known.folder).read_text()
        begun = _begun(tmp_path / "again", from_run=all_known.folder)
    finally:
        os.rename(job / "away", job / "photos")
    assert "Augmented views" in page
    assert "least certain" not in page
    assert len(begun.dataset.images.labelled) == 34


def test_a_run_that_goes_on_is_resumed_without_the_other(
    job, one, more, tmp_path, monkeypatch
):
    copy, out = tmp_path / "one", tmp_path / "two"
    shutil.copytree(one, copy)

    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(training_stages, "train_network", interrupted)
        with pytest.raises(KeyboardInterrupt):
            runs.train(
                from_run=copy, labelled=more, epochs=1, out=out, trust=True, verbose=0
            )
    shutil.rmtree(copy)
    assert (out / "earlier.keras").is_file()
    assert "changed_since" not in _settings(out)
    table = out / "labelled.csv"
    table.write_text(table.read_text().replace("/8.png,c", "/8.png,a"))
    # The photographs are elsewhere, too, and stay there.
    photos = tmp_path / "disk"
    shutil.copytree(job / "photos", photos / "moved")
    # Not all of them are in a wrong folder, which the run forgets.
    few = shutil.copytree(photos / "moved", tmp_path / "few")
    for row in range(20, 30):
        (few / f"{row}.png").unlink()
    noted = [(out / name).read_text() for name in ("unlabelled.csv", "run.json")]
    with pytest.raises(runs.RunError, match="may be unreadable.*it is not there"):
        runs.train(resume=out, photos=few, verbose=0)
    for name, text in zip(("unlabelled.csv", "run.json"), noted, strict=True):
        assert (out / name).read_text() == text
    resumed = runs.train(resume=out, photos=photos, verbose=0)
    assert resumed["num_labelled"] == 16
    assert _settings(out)["dataset"]["unlabelled"] == str(out / "unlabelled.csv")
    for row in read_label_table(out / "labelled.csv"):
        assert row.path.parent == photos / "moved"
    assert "images_digest" not in _settings(out)["changed_since"]
    # What has changed meanwhile is told and noted.
    begun = _settings(out)["labels"]["counts"]
    changed = _settings(out)["changed_since"]["labels"]["counts"]
    assert changed == {**begun, "a": begun["a"] + 1, "c": begun["c"] - 1}
    assert _settings(out)["from"]["run"] == str(copy)


def test_with_too_few_minutes_the_network_stays_as_it_is(
    one, more, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(budget, "measured_speed", lambda *a, **k: Speed(1.0, 3.0))
    out = tmp_path / "out"
    later = runs.train(from_run=one, labelled=more, minutes=0.1, out=out, verbose=1)
    told = capsys.readouterr().out
    assert "Note: the run ends without a training of SemPPL" in told
    assert f"train --from {out} --minutes " in told
    assert (later["epochs"], later["num_labelled"]) == (0, 16)
    assert {"linear", "memory", "propagation"} <= {*later["classifier_cv_accuracies"]}
    models = [FinishedRun(folder).model.backbone for folder in (one, out)]
    for before, now in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(before, now)


def test_what_changed_behind_a_run_is_told(job, one, tmp_path, capsys):
    labels = job / "labels.csv"
    before = labels.read_text()
    try:
        _table(labels, [0, 1, 3, 4, 9], _7="a")
        behind = _begun(tmp_path / "behind", from_run=str(one))
    finally:
        labels.write_text(before)
    told = capsys.readouterr().out
    changed = "1 added, 1 changed, 1 removed."
    assert f"In {labels}, since the run in {one} was trained: {changed}" in told
    photos = job / "photos"
    assert f"counts: {photos / '7.png'} b before, a now." in told
    assert f"labels have none any more: {photos / '6.png'}." in told
    noted = behind.settings["from"]
    for name in ("labels", "labels_behind"):
        numbers = [noted[name][kind] for kind in ("added", "changed", "removed")]
        assert numbers == [1, 1, 1]
    assert _listed(behind) == {0: "a", 1: "b", 3: "a", 4: "b", 9: "a", 7: "a"}


def test_photographs_of_all_rounds_are_found_below_one_folder(
    job, quick, more, tmp_path, capsys
):
    disk, out = tmp_path / "disk", tmp_path / "out"
    shutil.copytree(job / "photos", disk / "2026" / "photos")
    (disk / "labels.csv").write_text("path,label\n2026/photos/20.png,c\n")
    finished = FinishedRun(quick.folder, photos=disk)
    assert {pathlib.Path(name).parent for name in finished.labelled.names} == {
        disk / "2026" / "photos"
    }
    assert len(finished.data.x_train) == 34
    begun = _begun(
        out, from_run=str(quick.folder), photos=str(disk), labelled=disk / "labels.csv"
    )
    told = capsys.readouterr().out
    assert f"16 of the run in {quick.folder}, 17 now: 1 added, 0 changed" in told
    assert "34 of the run, 34 now: 0 added, 0 removed" in told
    # Nothing of it names the tables that go with the command.
    sources = begun.settings["dataset"]
    assert sources["labelled"] == str(out / "labelled.csv")
    assert sources["unlabelled"] == str(out / "unlabelled.csv")
    images = begun.dataset.images
    names = (*images.labelled.names, *images.unlabelled.names)
    assert {pathlib.Path(name).parent for name in names} == {disk / "2026" / "photos"}


@pytest.fixture
def away(job, one, tmp_path):
    """The run in one file, on a machine where its photographs are not."""
    packed = runs.pack(one, tmp_path / "run.zip", verbose=0)
    os.rename(job / "photos", job / "away")
    yield packed
    os.rename(job / "away", job / "photos")


def test_a_packed_run_goes_on_with_the_images_that_it_keeps(
    job, away, tmp_path, capsys
):
    out = tmp_path / "out"
    # One of the run has another label, one that was unlabelled has one, and one is new.
    _write(tmp_path / "new", [34])
    more = _table(job / "of_kept.csv", [8], _0="b")
    with more.open("a") as file:
        file.write(f"{tmp_path / 'new' / '34.png'},b\n")
    later = runs.train(from_run=away, labelled=more, epochs=0, out=out)
    told = capsys.readouterr().out
    assert "If these may be read: --trust. The run goes on with what there is: " in told
    assert "30 of 30 unlabelled, 6 of 6 labelled, of which 30 are kept" in told
    assert "6 of the run in" in told
    assert "8 now: 2 added, 1 changed, 0 removed." in told
    assert "30 of the run, 30 now: 0 added, 0 removed." in told
    # It is called by the run, and not by the table that this has of its images.
    assert "\nout: 23 unlabelled and 8 labelled images" in told
    assert later["num_labelled"] == 8
    assert later["num_unlabelled"] == 23
    assert later["num_skipped"] == 0
    labels = {0: "b", 1: "b", 3: "a", 4: "b", 6: "a", 7: "b", 8: "c", 34: "b"}
    assert _labels(out) == labels
    # They are the squares that the network saw, and it needs the file no more.
    images = FinishedRun(out).data.x_train
    before = FinishedRun(away).images.kept
    for part in before.parts.values():
        for image in part.images:
            assert np.any(np.all(images == image, axis=(1, 2, 3)))
    away.unlink()
    again = runs.train(from_run=out, epochs=0, out=tmp_path / "again", verbose=0)
    assert _settings(again.folder)["from"]["same_labels"]


def test_what_needs_the_photographs_of_a_packed_run_says_how_many(
    job, away, tmp_path, capsys, monkeypatch
):
    out = tmp_path / "out"
    missing = r"30 files, of which 30|it names .*photos.* A training needs them; the "
    for trust in (False, True):
        with pytest.raises(RunError, match=missing) as told:
            runs.train(from_run=away, epochs=1, out=out, trust=trust, verbose=0)
        assert "6 of 6 labelled images and 24 of 24 unlabelled" in str(told.value)
        assert "--epochs 0. If the images are elsewhere: --photos" in str(told.value)
    # Of two that are called alike none is taken for the other.
    monkeypatch.setattr(kept_files, "short_name", lambda name, root: "alike.png")
    with pytest.raises(RunError, match="keeps too little of them: 6 of 6 labelled"):
        runs.train(from_run=away, epochs=0, out=out, verbose=0)
    assert not out.exists()


def test_tables_of_a_packed_run_that_went_on_are_not_followed(quick, tmp_path, capsys):
    packed = runs.pack(quick.folder, tmp_path / "run.zip", verbose=0)
    out = tmp_path / "out"
    os.rename(quick.folder, tmp_path / "away")
    try:
        begun = _begun(out, from_run=str(packed), trust=True)
    finally:
        os.rename(tmp_path / "away", quick.folder)
    told = capsys.readouterr().out
    assert f"Labels: 16 of the run in {packed}, 16 now" in told
    assert tempfile.gettempdir() + "/semppl_" not in told
    assert begun.settings["dataset"]["labelled"] == str(out / "labelled.csv")
    assert begun.settings["from"]["run"] == str(packed)


def test_a_network_is_not_fetched_for_a_stranger(job, quick, tmp_path):
    """Which a run that was never trained would have made again."""
    copy = pathlib.Path(shutil.copytree(quick.folder, tmp_path / "copy"))
    settings = _settings(copy)
    settings["dataset"]["backbone"] = "hub:dinov2_small"
    (copy / "run.json").write_text(json.dumps(settings))
    with pytest.raises(runs.RunError, match="it names hub:dinov2_small. If"):
        runs.train(from_run=copy, photos=job, epochs=0, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_labels_that_are_gone_are_those_that_were_noted(job, one, tmp_path, capsys):
    labels = job / "labels.csv"
    os.rename(labels, job / "away.csv")
    try:
        gone = _begun(tmp_path / "gone", from_run=str(one))
    finally:
        os.rename(job / "away.csv", labels)
    told = capsys.readouterr().out
    assert f"{labels} is not there any more; the labels are those that" in told
    assert _listed(gone) == _labels(one)
    assert gone.settings["from"]["same_labels"]


def test_images_in_another_place_take_those_that_are_gone(job, one, tmp_path, capsys):
    moved = job / "moved"
    os.rename(job / "photos", moved)
    try:
        begun = _begun(tmp_path / "o", from_run=str(one), unlabelled=str(moved))
    finally:
        os.rename(moved, job / "photos")
    told = capsys.readouterr().out
    assert f"{job / 'photos'} is not there any more; {moved} takes its place." in told
    assert begun.settings["dataset"]["unlabelled"] == str(moved)


def test_a_test_table_that_names_images_in_the_folder_still_does(job, one, tmp_path):
    _write(tmp_path / "others", range(40, 42))
    (tmp_path / "tables").mkdir()
    table = tmp_path / "tables" / "test.csv"
    table.write_text("path,label\n20.png,none\n21.png,a\n")
    own = FinishedRun(one).dataset
    own = dataclasses.replace(own.knowing("ab"), test=str(table))
    options = TrainOptions.of(
        from_run=str(one), out="out", unlabelled=str(tmp_path / "others")
    )
    found = joined(one, own, options, tmp_path / "out", one).dataset
    assert found.unlabelled == str(tmp_path / "out" / "unlabelled.csv")
    # Its images are not beside it, but in a folder that is one of two by now.
    assert found.test == str(tmp_path / "out" / "test.csv")
    assert found.part("test").names == (str(job / "photos" / "21.png"),)


def test_tables_of_a_run_that_was_moved_are_in_it(one, tmp_path):
    own = dataclasses.replace(
        FinishedRun(one).dataset, labelled=str(tmp_path / "before" / "labelled.csv")
    )
    assert with_own_tables(own, tmp_path) == own
    now = tmp_path / "labelled.csv"
    now.write_text("path,label\n")
    assert with_own_tables(own, tmp_path) == dataclasses.replace(own, labelled=str(now))
    # What is where it was stays, and so does every other table.
    for source in (str(now), str(tmp_path / "before" / "mine.csv")):
        other = dataclasses.replace(own, labelled=source)
        assert with_own_tables(other, tmp_path) == other


def test_merged_labels_are_read_as_large_as_the_others(one, more, tmp_path):
    options = {"from_run": str(one), "labelled": str(more), "max_megapixels": 300.0}
    images = _begun(tmp_path / "o", **options).dataset.images
    assert images.labelled.max_pixels == images.unlabelled.max_pixels == 300_000_000


def test_a_run_that_cannot_begin_leaves_nothing(job, one, more, tmp_path, monkeypatch):
    def refused(*arguments):
        raise RunError("It does not fit.")

    monkeypatch.setattr(training_stages, "begin_training", refused)
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(RunError, match="It does not fit"):
        runs.train(from_run=one, labelled=more, epochs=1, out=out, verbose=0)
    assert {path.name for path in out.iterdir()} <= {"training.lock", "cache"}
    # What a person has there is never replaced, nor removed.
    for name in ("labelled.csv", "test.csv", "classifier.keras"):
        (out / name).write_text("mine")
        with pytest.raises(RunError, match=f"where {name} would be overwritten"):
            runs.train(from_run=one, labelled=more, epochs=1, out=out, verbose=0)
        assert (out / name).read_text() == "mine"
        (out / name).unlink()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"out": None}, "--from is for --out"),
        ({"resume": True}, "--resume goes on with an interrupted run"),
        ({"from_run": None, "photos": "x"}, "it without --resume or --from"),
        ({"photos": "nowhere"}, "--photos must be a folder with the images"),
        ({"image_size": 16}, "--image-size with --from"),
        ({"backbone": "small"}, "--backbone with --from"),
        ({"dataset": "digits"}, "--dataset with --from"),
        ({"labelled": "npz:a.npz"}, "must be a folder or a table.*npz:a.npz"),
        ({"unlabelled": "tfds:mnist"}, "must be a folder or a table.*tfds:mnist"),
        ({"labelled": "nowhere"}, "'.*nowhere', where nothing is"),
        ({"from_run": "nowhere"}, "must be a folder that semppl train has written"),
    ],
)
def test_what_cannot_be_gone_on_with_is_told(one, tmp_path, options, expected):
    given = {"from_run": one, "epochs": 0, "out": tmp_path / "out", "verbose": 0}
    with pytest.raises(RunError, match=expected):
        runs.train(**{**given, **options})
    assert not (tmp_path / "out" / "run.json").exists()


def test_grey_images_are_not_gone_on_with_where_all_had_colours(one):
    check_channels(FinishedRun(one), 3)
    with pytest.raises(RunError, match="takes coloured images. Received: grey ones"):
        check_channels(FinishedRun(one), 1)


def test_a_data_set_with_a_name_is_gone_on_with_more_labels(recipes, tmp_path):
    _, archive, *_ = write_archive(tmp_path / "tiny.npz")
    run = runs.train(
        dataset=archive, labels_per_class=2, epochs=1, out=tmp_path / "one", verbose=0
    ).folder
    two = runs.train(
        from_run=run, labels_per_class=4, epochs=0, out=tmp_path / "two", verbose=0
    )
    assert two["num_labelled"] == 12
    assert two["num_test"] == 12
    for asked, expected in (
        ({"labelled": "labels.csv"}, "--labelled is for a run on your own images"),
        ({"seed": 3}, "it is that of the run, 0. Received: --seed 3"),
    ):
        with pytest.raises(RunError, match=expected):
            runs.train(
                from_run=run, **asked, epochs=0, out=tmp_path / "three", verbose=0
            )


def test_the_table_of_the_review_page_is_gone_on_with(job, one, quick, tmp_path):
    runs.label(quick.folder, job / "photos", out=job / "g.csv", review=3, verbose=0)
    page = (job / "g.review.html").read_text(encoding="utf-8")
    (command,) = re.findall(r"<pre>(.*?)</pre>", page)
    assert command == (
        f"semppl train --from {quick.folder} --labelled {job / 'g.review_labels.csv'} "
        f"--out {quick.folder}_2"
    )
    (given,) = re.findall(r"const given = (\[.*?\]), evaluated", page)
    given = json.loads(given)
    assert {
        int(re.findall(r"(\d+)\.png", path)[0]): label for path, label in given
    } == _labels(quick.folder)
    # As the page saves it, one more label with those that there were.
    (paths,) = re.findall(r"const paths = (\[.*?\]), names", page)
    rows = [*given, [json.loads(paths)[0], "c"]]
    saved = job / "g.review_labels.csv"
    lines = ["path,label", *(",".join(row) for row in rows)]
    saved.write_text("\n".join(lines))
    later = _begun(tmp_path, from_run=str(quick.folder), labelled=str(saved))
    noted = later.settings["from"]["labels"]
    assert [noted[kind] for kind in ("added", "changed", "removed")] == [1, 0, 0]
    assert len(_listed(later)) == 17
