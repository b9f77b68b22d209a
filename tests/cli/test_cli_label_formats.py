"""`semppl label --format`: what goes to other programs, and comes back."""

import json
import shutil

import numpy as np
import pytest

from semppl_keras.cli import main
from semppl_keras.data.images.label_tables import read_json_table
from semppl_keras.runs.finished import FinishedRun

pytestmark = pytest.mark.any_backend


@pytest.fixture(scope="module")
def photos(run, tmp_path_factory):
    from PIL import Image

    folder = tmp_path_factory.mktemp("photos")
    for index, image in enumerate(FinishedRun(run).data.x_test[:6]):
        picture = Image.fromarray(image[..., 0].astype("uint8"))
        picture.save(folder / f"{index}.png")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 nothing follows")
    return folder


def _label(run, source, *options):
    return main(["label", str(run), str(source), "--classifier", "linear", *options])


def test_fiftyones_folder_with_its_images(run, photos, tmp_path, capsys):
    out = tmp_path / "set"
    options = ("--format", "fiftyone", "--out", str(out), "--copy-images")
    assert _label(run, photos, *options) == 0
    assert "6 images are copied into" in capsys.readouterr().out
    assert sorted(path.name for path in out.iterdir()) == [
        "data",
        "labels.json",
        "labels.skipped.tsv",
    ]
    for index in range(6):
        copied = out / "data" / f"{index}.png"
        assert copied.read_bytes() == (photos / f"{index}.png").read_bytes()
    # Nobody's pictures are replaced, and none is copied onto itself.
    (out / "labels.json").unlink()
    (out / "labels.skipped.tsv").unlink()
    assert _label(run, photos, *options) == 2
    assert f"{out / 'data'} exists already" in capsys.readouterr().err
    assert _label(run, out / "data", *options, "--overwrite") == 2
    assert "which is in it" in capsys.readouterr().err
    shutil.rmtree(out / "data")
    assert _label(run, photos, *options) == 0
    shutil.rmtree(out / "data")
    capsys.readouterr()
    # A second time without the images, beside what is there.
    assert _label(run, photos, *options[:-1]) == 2
    assert "exists already" in capsys.readouterr().err
    assert _label(run, photos, *options[:-1], "--overwrite") == 0
    rows = read_json_table(out / "labels.json")
    assert sorted(row.path for row in rows) == sorted(photos.glob("*.png"))


def test_the_ending_says_the_form(run, photos, tmp_path, capsys):
    assert _label(run, photos, "--out", str(tmp_path / "features.npz")) == 0
    with np.load(tmp_path / "features.npz", allow_pickle=False) as arrays:
        assert arrays["embeddings"].shape[0] == len(arrays["paths"]) == 6
        assert set(arrays["labels"]) <= set(arrays["class_names"])
    tasks = tmp_path / "tasks.json"
    options = ("--format", "label-studio", "--min-confidence", "0", "--out", str(tasks))
    capsys.readouterr()
    assert _label(run, photos, *options) == 0
    assert len(json.loads(tasks.read_text(encoding="utf-8"))) == 6
    # What a person has to know of Label Studio, and nothing of columns it has none of.
    out = capsys.readouterr().out
    assert f"(local files) {photos}" in out
    assert "see none_of_these" not in out
    interface = tmp_path / "tasks.interface.xml"
    assert str(interface) in out
    # Nothing of somebody else's is replaced.
    tasks.unlink()
    (tmp_path / "tasks.skipped.tsv").unlink()
    assert _label(run, photos, *options) == 2
    assert f"{interface.name} exists already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--out", "labels.json"), "--format must say which.*label-studio, coco"),
        (("--out", "a.json", "--format", "npz"), "--out must end as --format says"),
        (("--out", "a.parquet", "--format", "csv"), "such as labels.csv. Received"),
        (("--out", "a.CSV", "--format", "parquet"), "such as labels.parquet"),
        (("--format", "word"), "--format must be one of csv, label-studio"),
        (("--copy-images",), "--copy-images is for --format fiftyone"),
        (("--format", "coco"), "--format coco names image files"),
    ],
)
def test_what_cannot_be_written(run, options, message, tmp_path, capsys, monkeypatch):
    import re

    monkeypatch.chdir(tmp_path)
    assert _label(run, "npz:images.npz", *options) == 2
    assert re.search(message, capsys.readouterr().err)
