"""Runs whose images are decoded for each batch anew, `semppl train --cache none`."""

import json

import numpy as np
import pytest
from short_run import write_own_images
from tiny_runs import assert_same_results, interrupting, tiny_runs

from semppl_keras import runs
from semppl_keras.data import OwnDataset, StreamedImages
from semppl_keras.runs import network_training, streaming
from semppl_keras.runs.finished import FinishedRun

pytestmark = pytest.mark.any_backend


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    write_own_images(folder)
    return folder


def _train(photos, out, **options):
    return runs.train(
        unlabelled=photos / "many",
        labelled=photos / "few",
        test=photos / "few",
        image_size=8,
        max_skipped=0.1,
        cache="none",
        epochs=2,
        out=out,
        **options,
    )


@pytest.fixture(scope="module")
def finished(photos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "run"
    with tiny_runs():
        _train(photos, folder)
    return folder


def test_what_cannot_be_read_is_found_out_and_told(photos, finished):
    settings = json.loads((finished / "run.json").read_text())
    assert settings["dataset"]["cache"] == "none"
    assert not (finished / "cache").exists()
    metrics = json.loads((finished / "metrics.json").read_text())
    # Before it was met it counted as one.
    assert (metrics["num_skipped"], metrics["num_unlabelled"]) == (1, 41)
    assert "broken.png\tit is empty" in (finished / "skipped.tsv").read_text()


def test_what_the_run_is_asked_afterwards_reads_them_in_pieces(finished):
    with tiny_runs():
        run = FinishedRun(str(finished))
        assert isinstance(run.data.x_train, StreamedImages)
        assert isinstance(run.labelled.images, StreamedImages)
        (measured,) = runs.evaluate(str(finished))
    metrics = json.loads((finished / "metrics.json").read_text())
    accuracy = measured["rows"]["linear_probe"]["top1"]
    assert accuracy == pytest.approx(metrics["linear_accuracy"])


def test_an_interrupted_run_goes_on_as_if_it_had_not_been(photos, finished, tmp_path):
    with tiny_runs():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(network_training, "ScalarLogs", interrupting(epoch=1))
            with pytest.raises(KeyboardInterrupt):
                _train(photos, tmp_path / "run")
        runs.train(resume=tmp_path / "run")
    assert_same_results(finished, tmp_path / "run")


@pytest.mark.parametrize(
    ("memory", "disk", "cache", "words"),
    [
        (10**9, 10**9, "auto", ""),
        (10**3, 10**9, "auto", "kept on the disk. --cache none decodes them for each"),
        (10**3, 10**3, "none", "kept nowhere, and decoded for each batch anew"),
    ],
)
def test_without_room_they_are_kept_nowhere(
    photos, tmp_path, monkeypatch, capsys, memory, disk, cache, words
):
    monkeypatch.setattr(streaming, "free_memory", lambda: memory)
    monkeypatch.setattr(streaming, "free_disk", lambda folder: disk)
    data = OwnDataset(photos / "many", photos / "few", image_size=8).opened()
    assert streaming.with_place(data, tmp_path).cache == cache
    told = capsys.readouterr().out
    assert words in told
    assert bool(told) == bool(words)
    if words:
        assert "47 images take 0.0 GB" in told
        assert str(tmp_path) in told


def testfree_disk_is_that_of_the_folder_that_is_to_hold_one(tmp_path):
    assert streaming.free_disk(tmp_path / "not" / "there") > 0
    assert np.isscalar(streaming.free_disk(tmp_path))
