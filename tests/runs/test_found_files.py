"""Images of a run that are in another folder, found by what they are called."""

import os
import pathlib
import unicodedata

import pytest

from semppl_keras.data import OwnDataset
from semppl_keras.data.images.label_tables import read_label_table
from semppl_keras.runs import RunError, train
from semppl_keras.runs.found_files import are_noted, find_files, found_again
from semppl_keras.runs.noted_files import TABLES, with_own_tables, write_files

pytestmark = pytest.mark.any_backend

LABELS = {"/old/a/1.png": "x", "/old/b/1.png": "y", "/old/b/c/2.png": "x"}


@pytest.fixture
def run(tmp_path):
    """The folder of a run with tables of three labelled images and four others."""
    folder = tmp_path / "run"
    folder.mkdir()
    dataset = OwnDataset("/old", "/old/few.csv")
    write_files(folder / TABLES["labelled"], list(LABELS.items()), dataset.tables)
    others = [(f"/other/{row}.png", None) for row in range(3, 7)]
    write_files(folder / TABLES["unlabelled"], others, dataset.tables)
    return folder


def _touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return str(folder)


def _found(run, photos):
    out = run / "found"
    out.mkdir(exist_ok=True)
    return find_files(OwnDataset("/old", "/old/few.csv"), run, photos, out)


def test_files_are_found_however_deep(run, tmp_path, capsys):
    names = ("p/a/1.png", "p/b/1.png", "2.png", "q/3.png", "q/4.png", "q/5.png")
    photos = _touch(tmp_path / "new", *names, "q/9.png")
    found = _found(run, photos)
    told = capsys.readouterr().out
    assert "1 file of the unlabelled images is not found in" in told
    assert "/other/6.png" in told
    rows = read_label_table(pathlib.Path(found.dataset.labelled))
    labels = {str(row.path.relative_to(photos)): row.label for row in rows}
    assert labels == {"p/a/1.png": "x", "p/b/1.png": "y", "2.png": "x"}
    assert found.before[f"{photos}/2.png"] == "/old/b/c/2.png"
    assert len(found.before) == 6
    assert found.dataset.test is None


def test_names_are_found_whose_letters_are_spelled_apart(tmp_path):
    """As macOS does, and copies from there; beside one another each is itself."""
    composed, apart = (
        unicodedata.normalize(form, "caf\u00e9.png") for form in ("NFC", "NFD")
    )
    own, run = OwnDataset("/old", "/old/few.csv"), tmp_path / "run"
    run.mkdir()
    labels = [(f"/old/a/{composed}", "x"), ("/old/b/1.png", "y")]
    write_files(run / TABLES["labelled"], labels, own.tables)
    write_files(run / TABLES["unlabelled"], [(f"/old/b/{apart}", None)], own.tables)
    photos = _touch(tmp_path / "new", f"a/{apart}", "b/1.png", f"b/{composed}")
    before = {
        f"{photos}/a/{apart}": f"/old/a/{composed}",
        f"{photos}/b/1.png": "/old/b/1.png",
        f"{photos}/b/{composed}": f"/old/b/{apart}",
    }
    assert _found(run, photos).before == before
    _touch(tmp_path / "new", f"b/{apart}")
    del before[f"{photos}/b/{composed}"]
    before[f"{photos}/b/{apart}"] = f"/old/b/{apart}"
    assert _found(run, photos).before == before


def _paths(run):
    rows = read_label_table(run / TABLES["unlabelled"], labelled=False)
    return [str(row.path) for row in rows]


def test_the_run_knows_them_once_they_were_read(run, tmp_path, capsys):
    own = OwnDataset("/old", "/old/few.csv")
    noted = _paths(run)
    few = _touch(tmp_path / "few", "a/1.png", "b/1.png", "2.png", "3.png", "q/4.png")
    with pytest.raises(ValueError, match="of others"), found_again(own, run, few):
        raise ValueError("images of others")
    assert _paths(run) == noted
    with found_again(own, run, few) as found:
        assert _paths(run) == noted
    assert "2 files of the unlabelled images are not found" in capsys.readouterr().out
    # Those that are not found are told later, too, but not looked for where they were.
    lost = [f"{few}/other/5.png", f"{few}/other/6.png"]
    assert _paths(run) == [f"{few}/3.png", f"{few}/q/4.png", *lost]
    own = with_own_tables(found, run)
    assert own.sources == {role: str(run / TABLES[role]) for role in found.sources}
    # In the right folder all of them are there again.
    others = [f"{place}/{row}.png" for row in (5, 6) for place in ("other", "q")]
    names = ("a/1.png", "b/1.png", "2.png", "3.png", "4.png", *others)
    photos = _touch(tmp_path / "right", *names)
    with found_again(own, run, photos):
        pass
    right = ("3.png", "4.png", "other/5.png", "other/6.png")
    assert _paths(run) == [f"{photos}/{name}" for name in right]
    assert "not found" not in capsys.readouterr().out


def test_what_is_lost_is_below_the_folder(run, tmp_path):
    """Somebody else's run names files that are no business of its own."""
    named = ("/old/3.png", "/etc/passwd", "/../../etc/a.png", r"C:\etc\..\a.png")
    table = run / TABLES["unlabelled"]
    table.write_text("\n".join(["path", *named, "../../etc/b.png"]))
    photos = _touch(tmp_path / "few", "a/1.png", "b/1.png", "2.png", "3.png")
    with found_again(OwnDataset("/old", "/old/few.csv"), run, photos):
        pass
    assert len(_paths(run)) == 5
    for path in _paths(run):
        assert os.path.normpath(path).startswith(f"{photos}{os.sep}")


def test_what_cannot_be_told_apart_is_not_guessed(run, tmp_path):
    others = [f"{row}.png" for row in range(3, 7)]
    photos = _touch(tmp_path / "alike", "x/1.png", "z/1.png", "2.png", *others)
    with pytest.raises(RunError, match="'/old/a/1.png' may be '.*' or '.*'. Name a"):
        _found(run, photos)
    photos = _touch(tmp_path / "one", "1.png", "2.png", *others)
    with pytest.raises(RunError, match="would be both '/old/a/1.png' and"):
        _found(run, photos)
    photos = _touch(tmp_path / "few", "a/1.png", "b/1.png", *others)
    with pytest.raises(RunError, match="1 of 3 labelled images are not found, such as"):
        _found(run, photos)
    photos = _touch(tmp_path / "none", "a/1.png", "b/1.png", "2.png")
    with pytest.raises(RunError, match="4 of 4 unlabelled images are not found"):
        _found(run, photos)


def test_a_run_that_has_not_noted_all_is_looked_for_as_it_lay(run, tmp_path):
    own = OwnDataset("/old", "/old/few.csv")
    assert are_noted(own, run)
    assert not are_noted(OwnDataset("/old", "/old/few.csv", "/old/test"), run)
    assert not are_noted(OwnDataset("npz:/old/a.npz", "/old/few.csv"), run)
    photos = _touch(tmp_path / "new", "few.csv", "test/a.png")
    with found_again(
        OwnDataset("/old", "/old/few.csv", "/old/test"), run, photos
    ) as tested:
        assert tested.test == f"{photos}/test"


def test_a_packed_run_has_nothing_to_resume(tmp_path):
    packed = tmp_path / "run.zip"
    packed.write_bytes(b"")
    with pytest.raises(RunError, match="nothing to resume. .*--from .*run.zip --out"):
        train(resume=packed)
