"""What follows a run whose images were streamed: every later command, on new images."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from short_run import write_own_images
from tiny_runs import tiny_runs

from semppl_keras import runs
from semppl_keras.data import StreamedImages
from semppl_keras.data.images import cache
from semppl_keras.data.images.blocks import decoded_in_blocks, joined
from semppl_keras.data.images.cache import decode_cached
from semppl_keras.data.images.decoding import decode_into
from semppl_keras.data.images.sources import open_images

pytestmark = pytest.mark.any_backend


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Images, and `run`, which has streamed them."""
    folder = tmp_path_factory.mktemp("followers")
    write_own_images(folder)
    for name in ("bright", "dark"):
        for role, indices in (("more", (3, 4)), ("tested", range(5, 11))):
            (folder / role / name).mkdir(parents=True)
            for index in indices:
                image = folder / "many" / f"{name}_{index}.png"
                shutil.copy(image, folder / role / name / image.name)
    (folder / "tested" / "dark" / "broken.png").write_bytes(b"")
    with tiny_runs():
        runs.train(
            unlabelled=folder / "many",
            labelled=folder / "few",
            test=folder / "few",
            image_size=8,
            max_skipped=0.1,
            cache="none",
            epochs=1,
            out=folder / "run",
        )
    return folder


def joined_blocks(images):
    """The pixels of images that are decoded in blocks, and what is known of them."""
    blocks = [*decoded_in_blocks(images, 8, 3, fit="pad", at_once=7)]
    return np.concatenate([pixels for pixels, _ in blocks]), joined(
        decoded for _, decoded in blocks
    )


@pytest.fixture
def never_decoded_before(monkeypatch):
    """No command is to hold all images decoded, or to write them to a disk."""
    monkeypatch.setattr(
        cache, "decode_into", lambda *args, **kwargs: pytest.fail("all were decoded")
    )


def test_new_images_are_never_held_all_at_once(place, never_decoded_before, tmp_path):
    run, new = place / "run", place / "many"
    with tiny_runs():
        labels = runs.label(run, new, out=tmp_path / "new.csv", review=2)
        assert isinstance(labels.images, StreamedImages)
        assert labels.images.shape == (40, 8, 8, 3)
        assert len(labels.features) == len(labels.names) == 40
        # By their names the classes of all can be told.
        right = [
            labels.class_names[row] in name
            for name, row in zip(labels.names, labels.predicted, strict=True)
        ]
        assert np.mean(right) > 0.9
        assert [one.reason for one in labels.skipped] == ["it is empty"]
        assert (tmp_path / "new.review.html").is_file()

        (other,) = runs.evaluate(run, test=place / "tested", out=tmp_path / "tested")
        broken = str(place / "tested" / "dark" / "broken.png")
        assert other["skipped"] == [[broken, "it is empty"]]
        assert other["num_test"] == 13
        assert other["rows"]["classifier"]["top1"] == 1
        options = {"robustness": True, "corruptions": ["fog"], "severities": [1]}
        (own,) = runs.evaluate(run, out=tmp_path / "own", **options)
        assert (own["skipped"], own["num_test"]) == ([], 6)


@pytest.mark.parametrize("kept", ["memory", "disk"])
def test_nor_are_those_for_a_run_that_was_decoded(place, monkeypatch, tmp_path, kept):
    few, many = place / "few", place / "many"
    with tiny_runs():
        runs.train(
            unlabelled=many,
            labelled=few,
            image_size=8,
            max_skipped=0.1,
            cache=kept,
            epochs=1,
            out=tmp_path / "run",
        )

        def decode_few(rows, images, **options):
            assert len(images) <= 6
            return decode_into(rows, images, **options)

        # Its own labelled images, and no more.
        monkeypatch.setattr(cache, "decode_into", decode_few)
        labels = runs.label(tmp_path / "run", many, out=tmp_path / "new.csv", review=2)
    found = open_images(many, "unlabelled")
    pixels, decoded = joined_blocks(found)
    assert isinstance(labels.images, StreamedImages)
    assert labels.names == [found.names[row] for row in decoded.kept]
    np.testing.assert_array_equal(labels.images[:], pixels)
    np.testing.assert_array_equal(labels.images[1], pixels[1])
    assert [one.reason for one in labels.skipped] == ["it is empty"]


@pytest.mark.parametrize("review", [None, 2])
def test_images_that_were_moved_are_read_where_they_are(place, tmp_path, review):
    new = tmp_path / "new"
    shutil.copytree(place / "tested", new)
    with tiny_runs():
        before = runs.label(place / "run", new, out=tmp_path / "before.csv").images[:]
        labels = runs.label(
            place / "run",
            new,
            out=tmp_path / "new.csv",
            review=review,
            move_into=tmp_path / "sorted",
            move=True,
        )
    assert all(str(tmp_path / "sorted") in name for name in labels.names)
    np.testing.assert_array_equal(labels.images[:], before)
    assert labels.images.skipped == []


@pytest.mark.slow
def test_all_else_that_follows_a_streamed_run(place, never_decoded_before, tmp_path):
    run, new = place / "run", place / "many"
    with tiny_runs():
        checked = runs.check(run, out=tmp_path / "suspects.csv")
        assert len(checked.found.order) == 6
        runs.report(run, out=tmp_path / "report.html")
        runs.export(run, format="keras", out=tmp_path / "classifier.keras")
        for train in (runs.finetune, runs.distil):
            train(run, epochs=1, out=tmp_path / train.__name__)
            runs.label(
                run,
                new,
                classifier=tmp_path / train.__name__ / "classifier.keras",
                out=tmp_path / f"{train.__name__}.csv",
            )
        runs.train(
            from_run=run, labelled=place / "more", epochs=1, out=tmp_path / "later"
        )
        settings = json.loads((tmp_path / "later" / "run.json").read_text())
        assert settings["dataset"]["cache"] == "none"
        runs.pack(run, tmp_path / "run.zip")
        labels, packed = (
            runs.label(one, new, out=tmp_path / f"{one.name}.csv", trust=True)
            for one in (run, tmp_path / "run.zip")
        )
        np.testing.assert_allclose(
            packed.probabilities, labels.probabilities, atol=1e-5
        )


def write_images(folder, count):
    """Images of one colour each, and every fifth empty."""
    folder.mkdir()
    for index in range(count):
        path = folder / f"{index:03}.png"
        if index % 5 == 3:
            path.write_bytes(b"")
        else:
            Image.new("RGB", (9, 9), (index, 2 * index, 50)).save(path)


def test_blocks_hold_what_decoding_all_at_once_gives(tmp_path):
    write_images(tmp_path / "new", 23)
    listed = open_images(tmp_path / "new", "unlabelled")
    options = {"fit": "pad", "max_skipped": 1.0}
    pixels, decoded = decode_cached(listed, 8, 3, **options)
    in_blocks = decoded_in_blocks(listed, 8, 3, fit="pad", at_once=4)
    found, parts = zip(*in_blocks, strict=True)
    # Of each block what can be read.
    assert [len(one) for one in found] == [3, 4, 3, 3, 3, 3]
    np.testing.assert_array_equal(np.concatenate(found), pixels)
    assert joined(parts) == decoded
