"""`semppl label`: the table, the sheet to review, the folders of classes."""

import csv
import json
import os
import pathlib
import re
import shutil

import numpy as np
import pytest
from short_run import move_sources, short_run, write_own_images
from toys import slow_on_jax

from semppl_keras.cli import main
from semppl_keras.data import TableOptions, load_own_images
from semppl_keras.data.images import cache
from semppl_keras.data.images.files import read_image
from semppl_keras.data.images.label_tables import read_label_table
from semppl_keras.evaluation.knn import nearest_others, nearest_rows
from semppl_keras.runs.finished import FinishedRun
from semppl_keras.runs.label_table import write_table
from semppl_keras.runs.results.labels import Labels
from semppl_keras.runs.reviewing import choose_for_review

pytestmark = pytest.mark.any_backend


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


def _asked_about(page):
    """The images of a page to review, without those that they are like."""
    shown = re.findall(r'<img[^>]* alt="([^"]*)"', page)
    return [name for name in shown if not name.startswith("labelled image")]


def _rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _label(run, photos, out, *options):
    return main(["label", str(run), str(photos), "--out", str(out), *options])


def test_a_table_is_read_as_its_ending_says(run, photos, tmp_path):
    read = []
    for ending in (".csv", ".tsv", ".TSV"):
        out = tmp_path / f"labels{ending}"
        assert _label(run, photos, out, "--classifier", "linear") == 0
        (tmp_path / "labels.skipped.tsv").unlink()
        rows = read_label_table(out)
        read.append([(row.path, row.label) for row in rows])
    assert read[0] == read[1] == read[2]
    assert len(read[0]) == 30


def test_images_of_long_names_are_sorted(run, photos, tmp_path):
    (tmp_path / "long").mkdir()
    name = "\u5b57" * 83 + ".png"
    shutil.copy(photos / "d\u00e9ep" / "01.png", tmp_path / "long" / name)
    options = ("--classifier", "linear", "--move-into", str(tmp_path / "sorted"))
    assert _label(run, tmp_path / "long", tmp_path / "labels.csv", *options) == 0
    (copied,) = (path for path in (tmp_path / "sorted").rglob("*") if path.is_file())
    assert copied.name == name


def _files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_table_says_what_the_classifier_says(run, photos, tmp_path, capsys):
    before = _files(photos)
    out = tmp_path / "new" / "labels.csv"
    assert _label(run, photos, out, "--classifier", "linear") == 0
    assert _files(photos) == before
    rows = _rows(out)
    assert len(rows) == 30
    classifier, _ = FinishedRun(run).classifier("linear")
    # Relative to the table, as `semppl train --labelled` reads them.
    paths = [os.path.normpath(out.parent / row["path"]) for row in rows]
    assert [os.path.relpath(path, photos) for path in paths] == sorted(
        name for name in before if name not in ("broken.jpg", "déep/empty.png")
    )
    images = np.stack([read_image(path, 8, 1, fit="crop") for path in paths])
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
    listed = tmp_path / "new" / "labels.skipped.tsv"
    skipped = listed.read_text().splitlines()
    assert skipped[0] == "path\treason"
    assert [line.split("\t")[1] for line in skipped[1:]][1] == "it is empty"
    # Where all can be read, an earlier list goes.
    assert _label(run, photos / "déep" / "01.png", out, "--overwrite") == 2
    assert listed.exists()
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "01.png").write_bytes(before["déep/01.png"])
    assert _label(run, tmp_path / "one", out, "--overwrite") == 0
    assert not listed.exists()
    assert "1 image is labelled" in capsys.readouterr().out


def test_uncertain_images_are_left_out_where_asked(run, photos, tmp_path, capsys):
    assert _label(run, photos, tmp_path / "all.csv") == 0
    confidences = sorted(float(r["confidence"]) for r in _rows(tmp_path / "all.csv"))
    least = (confidences[14] + confidences[15]) / 2
    out = tmp_path / "sure.csv"
    assert _label(run, photos, out, "--min-confidence", str(least)) == 0
    assert len(_rows(out)) == 15
    assert "15 others are less certain" in capsys.readouterr().out
    options = ("--min-confidence", "0.9995", "--overwrite")
    assert _label(run, photos, out, *options) == 0
    assert "less certain than 99.95% and left" in capsys.readouterr().out


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


def test_what_links_lead_to_is_never_moved(run, photos, tmp_path, capsys):
    import shutil

    own, elsewhere = tmp_path / "own", tmp_path / "elsewhere"
    for folder in (own, elsewhere / "sub"):
        folder.mkdir(parents=True)
    for number, place in (("00", own), ("02", elsewhere), ("04", elsewhere / "sub")):
        shutil.copy(photos / f"{number}.png", place)
    (own / "file.png").symlink_to(elsewhere / "02.png")
    (own / "folder").symlink_to(elsewhere / "sub")
    before = _files(elsewhere)
    # The folder itself may be called by a link.
    (tmp_path / "called").symlink_to(own)
    options = ("--move-into", str(tmp_path / "sorted"), "--move")
    assert _label(run, tmp_path / "called", tmp_path / "labels.csv", *options) == 0
    assert _files(elsewhere) == before
    assert sorted(os.listdir(own)) == ["file.png", "folder"]
    assert (own / "file.png").is_symlink()
    copies = {name.split("/", 1)[1] for name in _files(tmp_path / "sorted")}
    assert copies == {"00.png", "file.png", "folder/04.png"}
    told = capsys.readouterr().out
    assert "1 image is moved" in told
    assert "2 others are reached through links and copied" in told


def test_table_and_sheet_name_what_has_been_moved(run, photos, tmp_path):
    import shutil

    own = shutil.copytree(photos, tmp_path / "own")
    options = ("--move-into", str(tmp_path / "sorted"), "--move", "--review", "4")
    assert _label(run, own, tmp_path / "labels.csv", *options) == 0
    paths = [row["path"] for row in _rows(tmp_path / "labels.csv")]
    assert sorted(f"sorted/{name}" for name in _files(tmp_path / "sorted")) == sorted(
        paths
    )
    page = (tmp_path / "labels.review.html").read_text()
    shown = _asked_about(page)
    assert len(shown) == 4
    assert set(shown) <= set(paths)


def test_what_was_moved_before_an_error_is_found(run, photos, tmp_path, monkeypatch):
    import shutil

    own = shutil.copytree(photos, tmp_path / "own")
    copy, calls = shutil.copy2, []

    def full_disk(*arguments):
        calls.append(arguments)
        if len(calls) > 5:
            raise OSError("no room")
        return copy(*arguments)

    monkeypatch.setattr(shutil, "copy2", full_disk)
    options = ("--move-into", str(tmp_path / "sorted"), "--move")
    assert _label(run, own, tmp_path / "labels.csv", *options) == 2
    paths = [tmp_path / row["path"] for row in _rows(tmp_path / "labels.csv")]
    assert len(paths) == 30
    assert all(path.exists() for path in paths)
    assert sum(tmp_path / "sorted" in path.parents for path in paths) == 5


def test_images_in_a_class_folder_already_are_not_lost(run, photos, tmp_path, capsys):
    import shutil

    shutil.copytree(photos, tmp_path / "sorted" / "1")
    before = _files(tmp_path / "sorted")
    options = ("--move-into", str(tmp_path / "sorted"), "--move", "--overwrite")
    source = tmp_path / "sorted" / "1"
    assert _label(run, source, tmp_path / "labels.csv", *options) == 0
    assert sorted(before.values()) == sorted(_files(tmp_path / "sorted").values())


def test_a_file_name_that_is_no_text_is_not_on_the_sheet(run, photos, tmp_path, capsys):
    folder = tmp_path / "photos"
    folder.mkdir()
    content = (photos / "00.png").read_bytes()
    (folder / "a.png").write_bytes(content)
    with open(os.fsencode(folder) + b"/\xff.png", "wb") as file:
        file.write(content)
    assert _label(run, folder, tmp_path / "labels.csv", "--review", "5") == 0
    page = (tmp_path / "labels.review.html").read_text()
    assert _asked_about(page) == ["photos/a.png"]
    told = capsys.readouterr().out
    assert "1 image is not on the page to review" in told
    assert r"\udcff.png" in told


def test_names_that_spreadsheets_or_terminals_would_obey(run, photos, tmp_path, capsys):
    names = [
        "-1.png",
        "=1+1.png",
        "'=1.png",
        "@a.png",
        "+1.png",
        "\tb.png",
        "e\x1b[2J.png",
    ]
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in names:
        shutil.copy(photos / "00.png", folder / name)
    (folder / "=HYPERLINK(1).jpg").write_bytes(b"none")
    (folder / "e\x1b[2J\nall is well.jpg").write_bytes(b"none")
    out = folder / "labels.csv"
    assert _label(run, folder, out) == 0
    told = capsys.readouterr()
    assert "\x1b" not in told.out + told.err
    assert "e\\x1b[2J\\nall is well.jpg: it is" in told.err
    with out.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    cells = [cell for row in rows for cell in row]
    assert not any(cell.startswith(tuple("=+-@\t\r")) for cell in cells)
    # They are still the same files and labels.
    read = read_label_table(out)
    assert {row.path for row in read} == {folder / name for name in names}
    assert all(row.path.exists() for row in read)


def test_labels_that_spreadsheets_would_obey(tmp_path):
    class_names = ("=1+1", "-1", "'=a")
    labels = Labels(
        names=["=1.png", "npz:a[0]", "b.png"],
        images=np.zeros((3, 4, 4, 1), "uint8"),
        probabilities=np.eye(3),
        features=np.eye(3),
        labelled_features=np.eye(3),
        nearest=np.array([[-1], [0], [0]]),
        skipped=[],
        given=["-1", "", ""],
        remarks=[],
        ranges=None,
        class_names=class_names,
    )
    out = tmp_path / "labels.csv"
    write_table(out, labels, ["@x.png"])
    rows = _rows(out)
    assert [row["label"] for row in rows] == ["'=1+1", "'-1", "''=a"]
    assert (rows[0]["given_label"], rows[1]["nearest_1"]) == ("'-1", "./@x.png")
    options = TableOptions().keeping(class_names)
    read = read_label_table(out, options=options)
    assert [row.label for row in read] == list(class_names)
    assert [row.path.name for row in read] == ["=1.png", "npz:a[0]", "b.png"]


def test_the_sheet_shows_images_to_label(run, photos, tmp_path):
    out = tmp_path / "labels.csv"
    assert _label(run, photos, out, "--review", "7") == 0
    page = (tmp_path / "labels.review.html").read_text()
    assert page.count("<figure>") == len(_asked_about(page)) == 7
    # And beside each what it is most like, of which there is no file.
    assert page.count('src="data:image/') == page.count('alt="labelled image') + 7 == 14
    rows = {row["path"]: row for row in _rows(out)}
    shown = _asked_about(page)
    assert set(shown) <= set(rows)
    confidences = [float(rows[path]["confidence"]) for path in shown]
    assert confidences == sorted(confidences)
    # Nothing is fetched from anywhere.
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert "http" not in page.replace('http-equiv="Content', "")


def test_review_takes_typical_images_of_groups_without_labels():
    generator = np.random.default_rng(0)
    # Three groups without a label, the largest first, and one that has some.
    groups = np.repeat(np.arange(4), [30, 20, 10, 40])
    features = np.eye(4)[groups] + generator.normal(0, 0.05, (100, 4))
    labelled = np.eye(4)[[3, 3, 3]] + generator.normal(0, 0.05, (3, 4))
    confidences = generator.uniform(size=100)
    chosen = choose_for_review(confidences, features, labelled, 6)
    assert confidences[chosen].tolist() == sorted(confidences[chosen])
    assert {0, 1, 2} <= set(groups[chosen])
    # No more than there are, and copies of one image are no kinds.
    same = choose_for_review(confidences[:3], np.ones((3, 4)), labelled, 5)
    assert sorted(same) == [0, 1, 2]


def test_nearest_rows_are_nearest_by_angle():
    rows = np.array([[1.0, 0.0], [5.0, 5.0], [0.0, 0.1]])
    assert nearest_rows(rows, np.array([[0.1, 9.0]]), 3).tolist() == [[2, 1, 0]]


def test_nearest_others_leave_out_the_query():
    rows = np.array([[1.0, 0.0], [5.0, 5.0], [0.0, 0.1]])
    queries = np.array([[0.1, 9.0]] * 3)
    nearest = nearest_others(rows, queries, 2, [[], [2], [0, 2]])
    assert nearest.tolist() == [[2, 1], [1, 0], [1, -1]]
    assert nearest_others(rows, queries[:1], 3, [[1]]).tolist() == [[2, 0, -1]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--move"], "--move is for --move-into"),
        (["--review-out", "x.html"], "--review-out is for --review"),
        (["--move-into", "{photos}/sorted"], "outside of that with the images"),
        (["--out", "{photos}"], "must be a file. Received: a folder"),
        (["--out", "."], "must be a file. Received: a folder"),
        (["--move-into", "{taken}/sorted"], "--move-into must be a folder"),
        (["--out", "{taken}"], "exists already"),
        (["--out", "{taken.parent}/taken.csv"], "exists already"),
        (
            ["--review", "3", "--review-out", "{taken.parent}/labels.csv"],
            "must be different files",
        ),
        (["--classifier", "nowhere.keras"], "There must be a classifier"),
    ],
)
def test_what_cannot_be_done_is_told(run, photos, tmp_path, options, message, capsys):
    taken = tmp_path / "taken.skipped.tsv"
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
        own, data = FinishedRun(folder), load_own_images(many, few, image_size=12)
    np.testing.assert_array_equal(own.labelled.images, data.x_labelled)
    np.testing.assert_array_equal(own.labelled.labels, data.y_labelled)
    assert own.labelled.names == list(data.train_names[:6])
    rows = {row["path"]: row for row in _rows(out)}
    assert len(rows) == 46
    for row in rows.values():
        assert row["label"] in ("bright", "dark")
        assert row["nearest_1"].startswith("photos/few/")
        given = re.match(r"photos/few/(\w+)/", row["path"])
        assert row["given_label"] == (given.group(1) if given else "")
        assert row["path"] not in (row[f"nearest_{rank}"] for rank in (1, 2, 3))
    # What has its label already is not to be labelled again.
    page = (tmp_path / "labels.review.html").read_text()
    shown = _asked_about(page)
    assert len(shown) == 4
    assert all(path.startswith("photos/many/") for path in shown)
    # The table can be trained with.
    assert read_label_table(out)[0].path == few / "bright" / "0.png"


def test_images_that_are_decoded_on_disk_are_not_read_again(
    tmp_path, monkeypatch, capsys
):
    photos = tmp_path / "photos"
    options = (*write_own_images(photos), "--cache", "disk")
    many = photos / "many"
    with short_run(tmp_path / "run", *options) as folder:
        assert _label(folder, many, tmp_path / "a.csv") == 0
        told = capsys.readouterr().out
        # All but the one that is broken.
        assert f"40 of 41 images are decoded already, in {folder / 'cache'}." in told
        assert "6 of 6 images are decoded already" in told
        with monkeypatch.context() as patch:
            patch.setattr(cache, "readable_formats", lambda: ["others"])
            assert _label(folder, many, tmp_path / "b.csv") == 0
        assert "decoded already" not in capsys.readouterr().out
        assert _rows(tmp_path / "a.csv") == _rows(tmp_path / "b.csv")
        # One that has changed makes others of the whole list.
        (many / "dark_5.png").write_bytes((many / "bright_5.png").read_bytes())
        assert _label(folder, many, tmp_path / "c.csv") == 0
        assert "decoded already" not in capsys.readouterr().out


@slow_on_jax
def test_labels_that_a_person_gave_are_kept(tmp_path, capsys):
    import shutil

    photos = tmp_path / "photos"
    options = write_own_images(photos)
    # A person may see what no network does.
    few = photos / "few"
    shutil.copy(photos / "many" / "dark_9.png", few / "bright" / "odd.png")
    # Where copies have two labels, only what is labelled itself has one.
    shutil.copy(few / "bright" / "0.png", few / "dark" / "3.png")
    shutil.copy(few / "bright" / "0.png", photos / "many" / "doubtful.png")
    with short_run(tmp_path / "run", *options) as folder:
        out = tmp_path / "labels.csv"
        options = ("--move-into", str(tmp_path / "sorted"), "--move")
        assert _label(folder, photos, out, *options) == 0
        told = capsys.readouterr().out
        assert "9 of them have a label already" in told
        assert "8 others with labels are copied" in told
        sorted_ = set(_files(tmp_path / "sorted"))
        # The second of them is known by its pixels.
        assert {"bright/few/bright/odd.png", "bright/many/dark_9.png"} <= sorted_
        assert len(sorted_) == 49
        rows = {row["path"]: row["given_label"] for row in _rows(out)}
        assert rows["photos/few/bright/odd.png"] == "bright"
        assert rows["photos/few/dark/3.png"] == "dark"
        assert [path for path in rows if "doubtful" in path and not rows[path]]
        assert rows["sorted/bright/many/dark_9.png"] == "bright"
        assert all((tmp_path / path).exists() for path in rows)
        # The run can label more.
        assert len(_files(few)) == 8
        again = tmp_path / "again.csv"
        assert _label(folder, tmp_path / "sorted" / "dark", again) == 0


def _read_few_from_table(folder):
    """Makes a run's labelled images those of a table."""
    settings = json.loads((folder / "run.json").read_text())
    few = pathlib.Path(settings["dataset"]["labelled"])
    table = few.with_name("few.csv")
    images = sorted(few.glob("*/*.png"))
    lines = [
        f"few/{path.parent.name}/{path.name},{path.parent.name}" for path in images
    ]
    table.write_text("\n".join(["path,label", *lines, ""]))
    move_sources(folder, labelled=str(table))
    return table


def test_labels_of_a_person_are_never_replaced(tmp_path, monkeypatch, capsys):
    options = write_own_images(tmp_path)
    with short_run(tmp_path / "run", *options) as folder:
        table = _read_few_from_table(folder)
    before = table.read_text()
    (tmp_path / "link.csv").symlink_to(table)
    images = tmp_path / "many"
    monkeypatch.chdir(tmp_path)
    for options in (
        ["--out", "few.csv"],
        ["--out", "link.csv"],
        ["--out", "a.csv", "--review", "3", "--review-out", "many/../few.csv"],
    ):
        for overwrite in ([], ["--overwrite"]):
            arguments = ["label", str(folder), str(images), *options, *overwrite]
            assert main(arguments) == 2
            error = capsys.readouterr().err
            assert "must be another file" in error
            assert "names the labelled images" in error
            assert table.read_text() == before
    assert not (tmp_path / "a.csv").exists()
    # The table of the images to label is as dear, and so is what has the default name.
    listed = tmp_path / "labels.csv"
    listed.write_text("many/bright_3.png\n")
    assert main(["label", str(folder), str(listed), "--overwrite"]) == 2
    assert "the one that names the images to label" in capsys.readouterr().err
    assert listed.read_text() == "many/bright_3.png\n"
    move_sources(folder, test=str(tmp_path / "a.skipped.tsv"))
    assert _label(folder, images, tmp_path / "a.csv", "--overwrite") == 2
    assert "names the test images" in capsys.readouterr().err


def test_labels_that_the_run_does_not_know_are_told(tmp_path, capsys):
    options = write_own_images(tmp_path)
    few = tmp_path / "few"
    with short_run(tmp_path / "run", *options) as folder:
        (few / "dark").rename(few / "dim")
        assert _label(folder, tmp_path / "many", tmp_path / "labels.csv") == 2
    error = capsys.readouterr().err
    assert "must be of its classes, bright, dark, ... Received: others" in error
    assert "few/dim/0.png" in error
