"""`semppl label`: the table, the sheet to review, the folders of classes."""

import csv
import os
import re

import numpy as np
import pytest
from short_run import short_run, write_own_images

from semppl_keras.cli import main
from semppl_keras.cli.finished_run import FinishedRun
from semppl_keras.cli.label import choose_for_review, nearest_rows
from semppl_keras.data import load_own_images
from semppl_keras.data.image_files import read_image
from semppl_keras.data.label_tables import read_label_table


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    with short_run(tmp_path_factory.mktemp("runs") / "short") as folder:
        yield folder


@pytest.fixture(scope="module")
def photos(run, tmp_path_factory):
    """A folder of digits as files, two of which are none."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("photos")
    (folder / "déep").mkdir()
    for index, image in enumerate(FinishedRun(run).data.x_test[:30]):
        place = "déep" if index % 2 else "."
        picture = Image.fromarray(image[..., 0].astype("uint8"))
        picture.resize((20, 24)).save(folder / place / f"{index:02}.png")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 nothing follows")
    (folder / "déep" / "empty.png").write_bytes(b"")
    return folder


def _rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _label(run, photos, out, *options):
    return main(["label", str(run), str(photos), "--out", str(out), *options])


def _files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_table_says_what_the_classifier_says(run, photos, tmp_path, capsys):
    before = _files(photos)
    out = tmp_path / "new" / "labels.csv"
    assert _label(run, photos, out) == 0
    assert _files(photos) == before
    rows = _rows(out)
    assert len(rows) == 30
    classifier, _ = FinishedRun(run).classifier()
    # Relative to the table, as `semppl train --labelled` reads them.
    paths = [os.path.normpath(out.parent / row["path"]) for row in rows]
    assert [os.path.relpath(path, photos) for path in paths] == sorted(
        name for name in before if name not in ("broken.jpg", "déep/empty.png")
    )
    images = np.stack([read_image(path, 8, 1) for path in paths])
    probabilities = classifier.predict(images, verbose=0)
    for row, shares in zip(rows, probabilities, strict=True):
        best, second = np.argsort(-shares)[:2]
        assert (row["label"], row["second"]) == (str(best), str(second))
        assert float(row["confidence"]) == pytest.approx(shares[best], abs=1e-3)
        assert float(row["second_share"]) == pytest.approx(shares[second], abs=1e-3)
        assert all(
            re.fullmatch(r"labelled image \d+", row[f"nearest_{rank}"])
            for rank in (1, 2, 3)
        )
    told = capsys.readouterr()
    assert "30 images are labelled" in told.out
    assert "2 files could not be read" in told.out
    assert "not read: " in told.err
    assert "broken.jpg" in told.err
    skipped = (tmp_path / "new" / "labels.skipped.tsv").read_text().splitlines()
    assert skipped[0] == "path\treason"
    assert [line.split("\t")[1] for line in skipped[1:]][1] == "it is empty"


def test_uncertain_images_are_left_out_where_asked(run, photos, tmp_path, capsys):
    assert _label(run, photos, tmp_path / "all.csv") == 0
    confidences = sorted(float(r["confidence"]) for r in _rows(tmp_path / "all.csv"))
    least = (confidences[14] + confidences[15]) / 2
    out = tmp_path / "sure.csv"
    assert _label(run, photos, out, "--min-confidence", str(least)) == 0
    assert len(_rows(out)) == 15
    assert "15 others are less certain" in capsys.readouterr().out


def test_images_are_copied_into_folders_of_their_classes(run, photos, tmp_path, capsys):
    before, into = _files(photos), tmp_path / "sorted"
    options = ("--move-into", str(into))
    assert _label(run, photos, tmp_path / "labels.csv", *options) == 0
    assert _files(photos) == before
    found = _files(into)
    for row in _rows(tmp_path / "labels.csv"):
        name = os.path.relpath(tmp_path / row["path"], photos)
        assert found.pop(f"{row['label']}/{name}") == before[name]
    assert not found
    # A second time nothing is replaced, unless told.
    some = next(path for path in into.rglob("*.png"))
    some.write_text("mine")
    assert _label(run, photos, tmp_path / "again.csv", *options) == 0
    assert "30 were left where they are" in capsys.readouterr().out
    assert some.read_text() == "mine"
    assert _label(run, photos, tmp_path / "again.csv", *options, "--overwrite") == 0
    assert some.read_bytes() != b"mine"
    assert sorted(_files(into)) == sorted(
        f"{row['label']}/{os.path.relpath(tmp_path / row['path'], photos)}"
        for row in _rows(tmp_path / "again.csv")
    )


def test_images_are_moved_only_where_told(run, photos, tmp_path):
    import shutil

    own = shutil.copytree(photos, tmp_path / "own")
    into = tmp_path / "sorted"
    options = ("--move-into", str(into), "--move")
    assert _label(run, own, tmp_path / "labels.csv", *options) == 0
    assert sorted(_files(own)) == ["broken.jpg", "déep/empty.png"]
    assert len(_files(into)) == 30


def test_the_sheet_shows_images_to_label(run, photos, tmp_path):
    out = tmp_path / "labels.csv"
    assert _label(run, photos, out, "--review", "7") == 0
    page = (tmp_path / "labels.review.html").read_text()
    assert page.count("<figure>") == page.count('src="data:image/') == 7
    rows = {row["path"]: row for row in _rows(out)}
    shown = re.findall(r'<img[^>]* alt="([^"]*)"', page)
    assert set(shown) <= set(rows)
    confidences = [float(rows[path]["confidence"]) for path in shown]
    assert confidences == sorted(confidences)
    # Nothing is fetched from anywhere.
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert "http" not in page.replace('http-equiv="Content', "")


def test_review_takes_uncertain_images_unlike_each_other():
    generator = np.random.default_rng(0)
    # Three groups of uncertain images, and a crowd of certain ones.
    centres = np.repeat(np.eye(4), [10, 10, 10, 70], axis=0)
    features = centres + generator.normal(0, 0.01, centres.shape)
    confidences = np.concatenate(
        [np.linspace(0.3, 0.4, 10), np.linspace(0.5, 0.6, 10)] * 2
        + [generator.uniform(0.9, 1, 60)]
    )
    confidences[20:30] = np.linspace(0.61, 0.7, 10)
    confidences[30:] = 0.95
    chosen = choose_for_review(confidences, features, 3)
    # The pool is the least certain fifteen: the first two groups.
    assert confidences[chosen].tolist() == sorted(confidences[chosen])
    assert chosen[0] == 0
    assert set(chosen // 10) == {0, 1}
    chosen = choose_for_review(confidences, features, 6)
    assert {0, 10, 20} <= set(chosen)
    # Copies of one image are not taken for several kinds.
    same = choose_for_review(confidences, np.ones_like(features), 4)
    assert same.tolist() == [0, 1, 2, 3]
    everything = choose_for_review(confidences[:3], features[:3], 5)
    assert everything.tolist() == [0, 1, 2]


def test_nearest_rows_are_nearest_by_angle():
    rows = np.array([[1.0, 0.0], [5.0, 5.0], [0.0, 0.1]])
    assert nearest_rows(rows, np.array([[0.1, 9.0]]), 3).tolist() == [[2, 1, 0]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--move"], "--move is for --move-into"),
        (["--review-out", "x.html"], "--review-out is for --review"),
        (["--move-into", "{photos}/sorted"], "outside of that with the images"),
        (["--out", "{photos}"], "must be a file. Received: a folder"),
        (["--out", "{taken}"], "exists already"),
        (["--classifier", "nowhere.keras"], "There must be a classifier"),
    ],
)
def test_what_cannot_be_done_is_told(run, photos, tmp_path, options, message, capsys):
    taken = tmp_path / "taken.csv"
    taken.write_text("mine")
    options = [option.format(photos=photos, taken=taken) for option in options]
    arguments = ["label", str(run), str(photos)]
    if "--out" not in options:
        arguments += ["--out", str(tmp_path / "labels.csv")]
    assert main([*arguments, *options]) == 2
    assert message in capsys.readouterr().err
    assert taken.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [taken]


@pytest.mark.parametrize("content", [None, "nothing", "broken"])
def test_a_folder_without_images_is_told(run, tmp_path, content, capsys):
    folder = tmp_path / "photos"
    if content is not None:
        folder.mkdir()
    if content == "broken":
        (folder / "a.png").write_bytes(b"")
    assert _label(run, folder, tmp_path / "labels.csv") == 2
    assert "error: " in capsys.readouterr().err
    assert not (tmp_path / "labels.csv").exists()


def test_own_images_are_named_by_their_paths(tmp_path, monkeypatch):
    photos = tmp_path / "photos"
    options = write_own_images(photos)
    few, many = photos / "few", photos / "many"
    with short_run(tmp_path / "run", *options) as folder:
        # The labelled images alone are needed.
        monkeypatch.setattr(FinishedRun, "data", None)
        out = tmp_path / "labels.csv"
        assert _label(folder, photos, out, "--review", "4") == 0
        own, data = FinishedRun(folder), load_own_images(many, few, image_size=9)
    np.testing.assert_array_equal(own.labelled.images, data.x_labelled)
    np.testing.assert_array_equal(own.labelled.labels, data.y_labelled)
    assert own.labelled.names == list(data.train_names[:6])
    rows = {row["path"]: row for row in _rows(out)}
    assert len(rows) == 46
    for row in rows.values():
        assert row["label"] in ("bright", "dark")
        assert row["nearest_1"].startswith("photos/few/")
    # What has its label already is not to be labelled again.
    page = (tmp_path / "labels.review.html").read_text()
    shown = re.findall(r'<img[^>]* alt="([^"]*)"', page)
    assert len(shown) == 4
    assert all(path.startswith("photos/many/") for path in shown)
    # The table can be trained with.
    assert read_label_table(out)[0].path == few / "bright" / "0.png"


def test_labels_that_the_run_does_not_know_are_told(tmp_path, capsys):
    options = write_own_images(tmp_path)
    few = tmp_path / "few"
    with short_run(tmp_path / "run", *options) as folder:
        (few / "dark").rename(few / "dim")
        assert _label(folder, tmp_path / "many", tmp_path / "labels.csv") == 2
    error = capsys.readouterr().err
    assert "must be of its classes, bright, dark, ... Received: others" in error
    assert "few/dim/0.png" in error
