"""Runs that were moved, or packed, and whose pictures are elsewhere or nowhere."""

import csv
import errno
import gc
import json
import os
import pathlib
import shutil
import tempfile
import warnings
import zipfile

import numpy as np
import pytest
from PIL import Image
from short_run import make_training_quick, move_sources, short_run, write_own_images
from sketches import sketched_pictures

from semppl_keras import runs
from semppl_keras.cli import main
from semppl_keras.data import FewLabels, NamedDataset, OwnDataset
from semppl_keras.runs import kept_images, packing
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.finished import FinishedRun
from semppl_keras.runs.kept_images import IMAGES, keep_images, read_kept
from semppl_keras.runs.picture_places import is_plain_name, moved, root_of, short_name
from semppl_keras.runs.safety import packed_runs
from semppl_keras.runs.safety.packed_runs import unpack

pytestmark = pytest.mark.any_backend


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run that was moved after training, its pictures too, and what it said before.

    Returns:
        Folder of the run; folder of the pictures of now; rows of `label` before.
    """
    place = tmp_path_factory.mktemp("portable")
    options = write_own_images(place / "photos")
    shutil.copytree(place / "photos" / "few", place / "photos" / "held")
    test = ("--test", str(place / "photos" / "held"))
    with sketched_pictures(), pytest.MonkeyPatch.context() as patch:
        make_training_quick(patch)
        with short_run(place / "run", *options, *test) as folder:
            before = runs.label(
                folder, place / "photos" / "many", out=place / "a.csv", verbose=0
            )
            (place / "elsewhere").mkdir()
            folder = pathlib.Path(shutil.move(folder, place / "elsewhere" / "run"))
            photos = pathlib.Path(shutil.move(place / "photos", place / "now"))
            yield folder, photos, before


@pytest.fixture
def gone(trained, tmp_path):
    """A copy of the run, whose pictures are not where it says."""
    return pathlib.Path(shutil.copytree(trained[0], tmp_path / "copy"))


@pytest.fixture(scope="module")
def packed(trained, tmp_path_factory):
    return runs.pack(
        trained[0], tmp_path_factory.mktemp("packed") / "run.zip", verbose=0
    )


def _told(capsys, *words):
    """The one line that a command fails with."""
    assert main([str(word) for word in words]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def test_labels_are_the_same_without_the_pictures(trained, gone, tmp_path, capsys):
    _, photos, before = trained
    labels = runs.label(gone, photos / "many", out=tmp_path / "labels.csv")
    np.testing.assert_array_equal(labels.probabilities, before.probabilities)
    np.testing.assert_array_equal(labels.nearest, before.nearest)
    told = capsys.readouterr().out
    assert f"nothing at {photos.parent / 'photos' / 'few'} (labelled)." in told
    assert told.count("What the run keeps is used: 6 of 6 labelled images.") == 1
    with (tmp_path / "labels.csv").open(encoding="utf-8", newline="") as file:
        (row, *_) = csv.DictReader(file)
    assert row["nearest_1"].startswith("kept:few/")
    # A labelled picture is known again, wherever it is.
    labels = runs.label(gone, photos / "few", out=tmp_path / "few.csv", verbose=0)
    assert labels.given == ["bright"] * 3 + ["dark"] * 3


def test_a_kept_image_is_no_picture_of_the_same_name(gone, tmp_path, monkeypatch):
    kept = FinishedRun(gone).labelled.names[-1]
    picture = tmp_path / kept.removeprefix("kept:")
    picture.parent.mkdir(parents=True)
    Image.fromarray(np.full((9, 9), 77, "uint8")).save(picture)
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "labels.csv"
    labels = runs.label(gone, "few", out=out, verbose=0)
    assert labels.given == [""]


def test_other_commands_work_without_the_pictures(trained, gone, tmp_path, capsys):
    photos = trained[1]
    assert runs.report(gone).is_file()
    told = capsys.readouterr().out
    kept = "6 of 6 labelled images, 40 of 40 unlabelled images and 6 of 6 test images"
    assert f"What the run keeps is used: {kept}." in told
    assert kept in (gone / "report.html").read_text()
    (own,) = runs.evaluate(gone, out=tmp_path / "own", verbose=0)
    (other,) = runs.evaluate(
        gone, test=photos / "held", out=tmp_path / "other", verbose=0
    )
    assert own["num_test"] == other["num_test"] == 6
    assert own["rows"]["linear_probe"] == other["rows"]["linear_probe"]
    exported = runs.export(gone, format="keras", out=tmp_path / "out.keras", verbose=0)
    assert exported.is_file()
    tuned = runs.finetune(gone, epochs=1, out=tmp_path / "tuned", verbose=0)
    assert (tuned["settings"]["num_labelled"], tuned["num_test"]) == (6, 6)
    distilled = runs.distil(gone, epochs=1, out=tmp_path / "distilled", verbose=0)
    assert distilled["settings"]["num_images"] == 46


def test_what_needs_the_pictures_says_which_and_where(
    trained, gone, tmp_path, monkeypatch, capsys
):
    photos = trained[1]
    data = FinishedRun(gone, photos=photos).data
    most = {"labelled": 6, "unlabelled": 9, "test": 4}
    monkeypatch.setattr(kept_images, "MOST_IMAGES", most)
    keep_images(gone, json.loads((gone / "run.json").read_text()), data)
    told = _told(capsys, "evaluate", gone)
    for where in ("many (unlabelled)", "few (labelled)", "held (test)"):
        assert str(photos.parent / "photos" / where) in told
    assert "6 of 6 labelled images, 9 of 40 unlabelled images and 4 of 6 test" in told
    assert "If they are elsewhere: --photos DIR." in told
    out = ("--out", tmp_path / "out")
    told = _told(capsys, "evaluate", gone, "--labels-per-class", 1, *out)
    assert "--photos DIR" in told
    # What can do with some does.
    distilled = runs.distil(gone, epochs=1, out=tmp_path / "distilled", verbose=0)
    assert (distilled["settings"]["num_images"], distilled["num_test"]) == (15, 4)
    # A run of a version that kept none.
    (gone / IMAGES).unlink()
    for command in ("report", "export", "distil"):
        words = ()
        if command == "export":
            # That of propagation is kept, and this one made anew of the pictures.
            words = ("--format", "keras", "--classifier", "linear")
        told = _told(capsys, command, gone, *words)
        assert f"{photos.parent / 'photos' / 'few'} (labelled)" in told
        assert "If they are elsewhere: --photos DIR." in told
    assert runs.report(gone, photos=photos, verbose=0).is_file()


def test_pictures_of_now_are_those_of_then(trained, gone, tmp_path, capsys):
    photos = pathlib.Path(shutil.copytree(trained[1], tmp_path / "photos"))
    assert main(["evaluate", str(gone), "--photos", str(photos)]) == 0
    # A broken file that training left out is no news.
    assert "Note" not in capsys.readouterr().out
    # However deep they are, and whatever has come to them.
    shutil.copy(photos / "many" / "dark_9.png", photos / "many" / "new.png")
    assert len(FinishedRun(gone, photos=tmp_path).data.x_train) == 46
    (tmp_path / "none").mkdir()
    told = _told(capsys, "report", gone, "--photos", tmp_path / "none")
    assert "are called as they were" in told
    assert "41 of 41 unlabelled images are not found" in told
    assert "which is none" in _told(capsys, "report", gone, "--photos", gone / "x")

    image, few = photos / "many" / "dark_9.png", photos / "few"
    content = image.read_bytes()
    image.write_bytes((photos / "many" / "bright_9.png").read_bytes())
    # The same pixels a second time are left out.
    assert "39 unlabelled images, where there were 40" in (
        _told(capsys, "report", gone, "--photos", photos)
    )
    Image.fromarray(np.full((9, 12, 3), 200, "uint8")).save(image)
    assert "another image for 'many/dark_9.png'" in (
        _told(capsys, "report", gone, "--photos", photos)
    )
    image.write_bytes(content)
    out = ("--out", tmp_path / "labels.csv")
    label = ("label", gone, photos / "many", "--photos", photos, *out)
    content = (few / "dark" / "0.png").read_bytes()
    (few / "dark" / "0.png").write_bytes((few / "bright" / "0.png").read_bytes())
    assert "another image for 'few/dark/0.png'" in _told(capsys, *label)
    (few / "dark" / "0.png").write_bytes(content)
    # A run that has not noted its files is looked for as it lay.
    (gone / "labelled.csv").unlink()
    told = _told(capsys, "report", gone, "--photos", tmp_path)
    assert str(tmp_path / "many") in told
    (few / "dark" / "0.png").rename(few / "bright" / "x.png")
    assert "Received: other labels" in _told(capsys, *label)


def test_a_run_is_packed_and_taken_as_it_is(trained, packed, tmp_path, capsys):
    folder, photos, before = trained
    again = runs.pack(folder, tmp_path / "again.zip")
    assert again.read_bytes() == packed.read_bytes()
    told = capsys.readouterr().out
    assert "left out, which no later command needs: " in told
    assert "there are images of the run in it, 6 of 6 labelled images" in told
    with zipfile.ZipFile(packed) as archive:
        names = archive.namelist()
    assert f"{again}: {len(names)} files of {folder}, 0." in told
    assert {"labelled.csv", "unlabelled.csv", "images.npz"} <= set(names)
    assert names == [name for name in packed_runs.FILES if name in names]
    assert not [name for name in names if name.startswith(("logs", "checkpoints"))]
    for name in names:
        with zipfile.ZipFile(packed) as archive:
            assert archive.read(name) == (folder / name).read_bytes()

    labels = runs.label(packed, photos / "many", out=tmp_path / "a.csv", verbose=0)
    np.testing.assert_array_equal(labels.probabilities, before.probabilities)
    # Nothing that is written goes to where nobody finds it.
    for command in ("report", "finetune", "distil", "evaluate", "export"):
        words = ()
        if command == "export":
            # That of propagation is kept, and this one made anew of the pictures.
            words = ("--format", "keras", "--classifier", "linear")
        told = _told(capsys, command, packed, *words)
        assert "Nothing is written to a packed run." in told
    assert runs.report(packed, out=tmp_path / "page.html", verbose=0).is_file()
    (own,) = runs.evaluate(packed, out=tmp_path / "own", verbose=0)
    assert own["run"] == str(packed)
    tuned = runs.finetune(packed, epochs=1, out=tmp_path / "tuned", verbose=0)
    assert tuned["num_test"] == 6
    # Once more, of the file.
    runs.pack(packed, tmp_path / "third.zip", verbose=0)
    assert (tmp_path / "third.zip").read_bytes() == packed.read_bytes()


@pytest.mark.parametrize("filename", [None, "a.zip"])
def test_a_full_disk_is_told_with_what_to_do(
    trained, tmp_path, capsys, monkeypatch, filename
):
    def write(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), filename)

    monkeypatch.setattr(shutil, "copyfileobj", write)
    assert main(["pack", str(trained[0]), str(tmp_path / "a.zip")]) == 2
    told = capsys.readouterr().err
    assert "There must be room for what is written. Received: No space left" in told
    assert ("('a.zip'). Make room" in told) == (filename is not None)
    assert not list(tmp_path.iterdir())


def test_a_page_to_review_shows_what_a_packed_run_keeps(trained, packed, tmp_path):
    out = tmp_path / "labels.csv"
    labels = runs.label(packed, trained[1] / "many", out=out, review=5, verbose=0)
    page = (tmp_path / "labels.review.html").read_text(encoding="utf-8")
    assert len(labels.review) == 5
    # Of each image, and of the labelled one that it is like, which is no file here.
    assert page.count("<img") == 10
    assert page.count('alt="kept:few/') == 5
    # With these the run goes on, whose labels need not stand in the page's table.
    assert "The table has the labels of this page; the run has its own" in page
    assert f"train --from {packed} --labelled" in page
    assert "--epochs 0 --out" in page


def test_a_packed_run_is_a_strangers(trained, gone, tmp_path, capsys):
    photos = trained[1]
    sources = {"unlabelled": "many", "labelled": "few", "test": "held"}
    move_sources(gone, **{role: str(photos / one) for role, one in sources.items()})
    assert len(FinishedRun(gone).labelled.images) == 6
    assert capsys.readouterr().out == ""
    file = runs.pack(gone, tmp_path / "run.zip", verbose=0)
    assert len(FinishedRun(file).labelled.images) == 6
    told = capsys.readouterr().out
    assert f"Received: {str(file)!r}, which was not" in told
    assert "If these may be read: --trust. What the run keeps is used" in told
    run = FinishedRun(file, trust=True)
    assert run.labelled.names[0] == str(photos / "few" / "bright" / "0.png")
    assert capsys.readouterr().out == ""
    # Where a person says it, nothing has to be trusted.
    run = FinishedRun(file, photos=photos)
    assert run.labelled.names[0] == str(photos / "few" / "bright" / "0.png")
    place = run.folder
    assert place.is_dir()
    del run
    gc.collect()
    assert not place.exists()


def test_a_file_is_written_whole_or_not_at_all(trained, tmp_path, monkeypatch, capsys):
    folder = trained[0]
    file = tmp_path / "run.zip"

    def interrupted(source, target, length):
        target.write(source.read(7))
        raise KeyboardInterrupt

    monkeypatch.setattr(packing.shutil, "copyfileobj", interrupted)
    with pytest.raises(KeyboardInterrupt):
        runs.pack(folder, file, verbose=0)
    assert list(tmp_path.iterdir()) == []
    file.write_text("mine")
    assert "exists already" in _told(capsys, "pack", folder, file)
    assert "FILE must end in .zip" in _told(capsys, "pack", folder, tmp_path / "run")
    assert file.read_text() == "mine"
    assert "cannot be read" in _told(capsys, "report", file)


def _link(name):
    entry = zipfile.ZipInfo(name)
    entry.external_attr = 0o120777 << 16
    return entry


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        ({"../run.json": b"{}"}, "nothing else. Received: '../run.json'"),
        ({"/etc/passwd": b""}, "'/etc/passwd'"),
        ({"heads/../../x.keras": b""}, "'heads/../../x.keras'"),
        ({"heads\\linear.keras": b""}, r"'heads\\linear.keras'"),
        ({"C:/run.json": b""}, "'C:/run.json'"),
        ({"run.json\0.png": b""}, r"'run.json\x00.png'"),
        ({"checkpoints/a.keras": b""}, "'checkpoints/a.keras'"),
        ({"run.json": b"{}", "weights.pkl": b""}, "'weights.pkl'"),
        ({"photos/run.json": b"{}"}, "'photos/run.json'"),
        ({_link("model.keras"): b"/etc/passwd"}, "'model.keras', which is a link"),
        ({"history.json": b" " * 2**16}, "that would become 65,536"),
        ([("run.json", b"{}"), ("run.json", b"[]")], "'run.json' more than once"),
    ],
)
def test_hostile_files_are_refused_by_name(
    tmp_path, monkeypatch, capsys, entries, told
):
    file, place = tmp_path / "run.zip", tmp_path / "place"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    monkeypatch.setattr(packed_runs, "FREE_BYTES", 0)
    pairs = entries.items() if isinstance(entries, dict) else entries
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w") as archive:
        # Of what stands there twice.
        warnings.simplefilter("ignore", UserWarning)
        for entry, content in pairs:
            name = entry if isinstance(entry, str) else entry.filename
            if isinstance(entry, str):
                entry = zipfile.ZipInfo()
                entry.filename = name
                entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    error = _told(capsys, "report", file)
    assert error.startswith(f"semppl report: error: {str(file)!r} must ")
    assert told in error
    assert "It was not unpacked." in error
    assert not [path for path in place.rglob("*") if path.is_file()]


def test_what_is_damaged_or_too_large_is_not_unpacked(
    packed, tmp_path, monkeypatch, capsys
):
    content = bytearray(packed.read_bytes())
    file = tmp_path / "run.zip"
    file.write_bytes(content[: len(content) // 2])
    assert "It was not unpacked." in _told(capsys, "report", file)
    # Other bytes than were packed.
    place = content.index(b"\x89PNG") + 200
    content[place] ^= 255
    file.write_bytes(content)
    with pytest.raises(RunError, match="cannot be read"):
        unpack(file, tmp_path / "unpacked")
    monkeypatch.setattr(packed_runs, "MOST_BYTES", 1000)
    with pytest.raises(RunError, match="must have at most 1,000 bytes"):
        unpack(packed, tmp_path / "large")
    monkeypatch.undo()
    usage = shutil.disk_usage(tmp_path)._replace(free=10)
    monkeypatch.setattr(packed_runs.shutil, "disk_usage", lambda place: usage)
    with pytest.raises(RunError, match="bytes of room to be unpacked. Received: 10"):
        unpack(packed, tmp_path / "full")


def _few_labels(count, classes, size=4):
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (count, size, size, 1), dtype="uint8")
    labels = np.concatenate([np.arange(classes), np.zeros(count - classes, "int64")])
    return FewLabels(
        x_train=images,
        y_train=labels,
        labelled_indices=np.arange(count - 4),
        x_test=images[:3],
        y_test=None,
        num_classes=classes,
        class_names=tuple(map(str, range(classes))),
        name="random",
    )


def test_what_is_kept_is_bounded(tmp_path, monkeypatch, capsys):
    data, settings = _few_labels(30, 3), {"dataset": "npz:a.npz", "seed": 1}
    # Of sixteen bytes each.
    monkeypatch.setitem(kept_images.MOST_BYTES, "labelled", 10 * 16 + 15)
    monkeypatch.setitem(kept_images.MOST_IMAGES, "unlabelled", 2)
    keep_images(tmp_path, settings, data)
    assert "Note: the run keeps 10 of its 26 labelled images" in capsys.readouterr().out
    kept = read_kept(tmp_path, 3)
    few, many, tested = (kept.parts[r] for r in ("labelled", "unlabelled", "test"))
    assert (few.total, many.total, tested.total) == (26, 4, 3)
    assert (len(few.images), len(many.images), len(tested.images)) == (10, 2, 3)
    # Of every class as many as there are.
    assert np.bincount(few.labels).tolist() == [8, 1, 1]
    rows = [int(name.rsplit(" ", 1)[1]) for name in few.names]
    np.testing.assert_array_equal(few.images, data.x_labelled[rows])
    np.testing.assert_array_equal(few.labels, data.y_labelled[rows])
    assert kept.test() is None
    assert kept.data("random", data.class_names).num_classes == 3
    # Digits are never gone.
    (tmp_path / IMAGES).unlink()
    keep_images(tmp_path, {**settings, "dataset": "digits"}, data)
    assert read_kept(tmp_path, 3) is None


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("labelled_images", np.zeros((26, 4, 4, 2), "uint8"), "images (n, h, w, 1"),
        ("labelled_images", np.full((26, 4, 4, 1), np.nan), "from 0 to 255"),
        ("labelled_images", np.array([{}] * 26), "plain numbers"),
        ("labelled_labels", np.full(26, 3, "int32"), "labels from 0 to 2"),
        ("labelled_labels", np.zeros(26, "int32"), "an image of each class"),
        ("labelled_labels", np.zeros(25, "int32"), "a label for each"),
        ("test_labels", np.full(3, -2, "int32"), "labels from -1 to 2"),
        ("labelled_total", np.array(25), "the number of all images"),
        ("labelled_names", b"[" * 100_000, "names that cannot be read"),
        ("labelled_names", b"[3]", "names that are no texts"),
        ("labelled_names", json.dumps(["../x"] * 26).encode(), "leads nowhere else"),
    ],
)
def test_hostile_images_are_refused(tmp_path, name, value, told):
    keep_images(tmp_path, {"dataset": "npz:a.npz", "seed": 1}, _few_labels(30, 3))
    with np.load(tmp_path / IMAGES) as archive:
        arrays = dict(archive)
    if isinstance(value, bytes):
        value = np.frombuffer(value, "uint8")
    np.savez_compressed(tmp_path / IMAGES, **{**arrays, name: value})
    with pytest.raises(RunError, match="images.npz.*Received") as error:
        read_kept(tmp_path, 3)
    assert told in str(error.value)


@pytest.mark.parametrize("lost", ["labelled_names", "unlabelled_names", "test_total"])
def test_images_that_lack_a_part_are_refused(tmp_path, lost):
    keep_images(tmp_path, {"dataset": "npz:a.npz", "seed": 1}, _few_labels(30, 3))
    with np.load(tmp_path / IMAGES) as archive:
        arrays = dict(archive)
    del arrays[lost]
    np.savez_compressed(tmp_path / IMAGES, **arrays)
    with pytest.raises(RunError, match="images.npz.*Received"):
        read_kept(tmp_path, 3)


def test_more_images_than_are_kept_are_refused(tmp_path, monkeypatch):
    keep_images(tmp_path, {"dataset": "npz:a.npz", "seed": 1}, _few_labels(30, 3))
    monkeypatch.setattr(kept_images, "MOST_BYTES", {"labelled": 100})
    monkeypatch.setattr(kept_images, "FREE_BYTES", 28)
    with pytest.raises(RunError, match="must have at most 128 bytes of arrays"):
        read_kept(tmp_path, 3)


def test_names_that_lead_elsewhere():
    for name in ("/a", "\\\\server\\a", "C:a", "a/../../b", "..", "a\\..\\b", "", "\0"):
        assert not is_plain_name(name)
    for name in ("few/a.png", "labelled image 3", "a..b", "\udcff.png"):
        assert is_plain_name(name)
    assert short_name("/data/x/few/a.png", "/data/x") == "few/a.png"
    assert short_name("/data/xy/a.png", "/data/x") == "a.png"
    assert short_name("C:\\data\\few\\a.png", "C:\\data") == "few/a.png"
    assert short_name("npz image 3", "/data") == "npz image 3"


def test_sources_are_found_in_another_folder(tmp_path):
    for folder in ("many", "tables", "flat/many"):
        (tmp_path / folder).mkdir(parents=True)
    for folder in ("tables", "flat"):
        (tmp_path / folder / "few.csv").write_text("path,label\n")
    (tmp_path / "set.npz").write_bytes(b"")
    for root, slash in (("/home/a", "/"), ("D:\\a", "\\")):
        many, few = f"{root}{slash}many", f"{root}{slash}tables{slash}few.csv"
        dataset = OwnDataset(many, few)
        assert root_of(dataset) == root
        found = moved(dataset, tmp_path)
        assert found.unlabelled == str(tmp_path / "many")
        assert found.labelled == str(tmp_path / "tables" / "few.csv")
        # Or beside each other, wherever they were.
        apart = OwnDataset(f"{root}{slash}x{slash}many", f"{root}{slash}few.csv")
        assert moved(apart, tmp_path / "flat").labelled == str(
            tmp_path / "flat" / "few.csv"
        )
        # A folder itself.
        assert moved(OwnDataset(many, many), tmp_path / "many").labelled == str(
            tmp_path / "many"
        )
        named = NamedDataset(f"npz:{root}{slash}set.npz")
        assert moved(named, tmp_path).spec == f"npz:{tmp_path / 'set.npz'}"
        folder = NamedDataset(f"folder:{root}{slash}flowers")
        assert moved(folder, tmp_path).spec == f"folder:{tmp_path}"
    with pytest.raises(RunError, match="looked for .*gone"):
        moved(OwnDataset("/a/many", "/a/gone"), tmp_path)
    # Nothing leads out of the folder.
    outside = OwnDataset("../many", "../../tables/few.csv")
    with pytest.raises(RunError):
        moved(outside, tmp_path / "tables")
