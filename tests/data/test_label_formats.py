"""Labels in the forms of other programs: each alone, and all of them alike.

The files that are read here are written by hand from the documentation of the forms,
which the docstrings of `semppl_keras.data.tables` name.
"""

import dataclasses
import json
import os
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from semppl_keras.data import TableOptions
from semppl_keras.data.defaults import LABEL_FORMATS
from semppl_keras.data.images.label_tables import read_json_table, read_label_table
from semppl_keras.data.images.sources import open_images
from semppl_keras.data.tables.formats import FORMATS
from semppl_keras.data.tables.guesses import Guesses
from semppl_keras.runs.label_formats import OUT

pytestmark = pytest.mark.any_backend

NAMES = ("a.png", "sub/b.png", "sub/ü 1%.png")


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    for index, name in enumerate(NAMES):
        Image.new("RGB", (4 + index, 3)).save(folder / name)
    return folder


@pytest.fixture
def guesses(photos):
    names = [str(photos / name) for name in NAMES]
    return Guesses(
        names=names,
        paths=[f"photos/{name}" for name in NAMES],
        labels=["cat", "dog", "dog"],
        confidences=np.array([0.91, 0.62, 0.55]),
        given=["", "cat", "big, black"],
        class_names=("cat", "dog"),
        features=np.arange(6.0).reshape(3, 2),
    )


def _write(name, guesses, folder):
    table = folder / ("labels.json" if FORMATS[name].read else OUT[name])
    files, _ = FORMATS[name].files(guesses, table)
    assert table in files
    for path, content in files.items():
        assert path.parent == folder
        path.write_bytes(content)
    return table


def _read(path, **options):
    remarks = []
    rows = read_json_table(path, remarks=remarks, **options)
    return [(row.path, row.label) for row in rows], remarks


def test_all_of_them_are_named():
    assert set(FORMATS) == set(LABEL_FORMATS) - {"csv"}
    assert set(OUT) == set(LABEL_FORMATS)


READ = [name for name, form in FORMATS.items() if form.read]


@pytest.mark.parametrize("name", READ)
def test_what_is_written_is_read_back(name, guesses, photos, tmp_path):
    table = _write(name, guesses, tmp_path)
    content = json.loads(table.read_text(encoding="utf-8"))
    # By its content each is known, and no other.
    assert [one for one in READ if FORMATS[one].knows(content)] == [name]
    rows, _ = _read(table)
    assert [os.path.realpath(path) for path, _ in rows] == list(
        map(os.path.realpath, guesses.names)
    )
    # In Label Studio guesses are no labels before a person has looked at them.
    first = None if name == "label-studio" else "cat"
    assert [label for _, label in rows] == [first, "cat", "big, black"]
    opened = open_images(table, "labelled")
    assert opened.labels == ("cat", "cat", "big, black")[first is None :]
    assert len(open_images(table, "unlabelled")) == 3


@pytest.mark.parametrize("name", READ)
def test_no_image_is_nothing_to_read(name, guesses, tmp_path):
    none = Guesses([], [], [], np.zeros(0), [], ("cat", "dog"), np.zeros((0, 2)))
    table = _write(name, none, tmp_path)
    with pytest.raises(ValueError, match="must"):
        read_json_table(table)


def test_label_studio_of_images_elsewhere(guesses, photos, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    table = elsewhere / "tasks.json"
    files, remarks = FORMATS["label-studio"].files(guesses, table)
    # It serves no storage that is the document root itself.
    assert f"DOCUMENT_ROOT={tmp_path}, " in remarks[0]
    assert remarks[0].endswith(f"(local files) {photos}")
    tasks = json.loads(files[table])
    address = "/data/local-files/?d=photos/sub/%C3%BC%201%25.png"
    assert tasks[2]["data"] == {"image": address}
    choice = {"from_name": "choice", "to_name": "image", "type": "choices"}
    assert tasks[1]["predictions"] == [
        {
            "model_version": "semppl",
            "score": 0.62,
            "result": [{**choice, "value": {"choices": ["dog"]}, "score": 0.62}],
        }
    ]
    assert "annotations" not in tasks[0]
    # Imported without it, it would count for more than what is said there.
    assert tasks[1]["annotations"] == [
        {
            "was_cancelled": False,
            "ground_truth": False,
            "result": [{**choice, "value": {"choices": ["cat"]}}],
        }
    ]
    table.write_bytes(files[table])
    rows, _ = _read(table, images_folder=photos)
    assert [path for path, _ in rows] == [photos / name for name in NAMES]


@pytest.mark.parametrize(
    ("place", "root", "storage"),
    [("", "", "photos"), ("photos", "", "photos"), ("photos/sub", "", "photos")],
)
def test_no_image_is_in_the_document_root(
    place, root, storage, guesses, photos, tmp_path
):
    found = guesses.folders(tmp_path / place / "tasks.json")
    assert found == (tmp_path / root, tmp_path / storage)


def test_images_of_no_common_folder_need_several_storages(guesses, tmp_path):
    root = tmp_path.anchor
    names = [os.path.join(root, name) for name in ("a/1.png", "b/2.png", "b/3.png")]
    guesses = dataclasses.replace(guesses, names=names)
    _, remarks = FORMATS["label-studio"].files(guesses, tmp_path / "tasks.json")
    assert f"DOCUMENT_ROOT={root}, " in remarks[0]
    assert f"(local files) for each folder in {root} that has" in remarks[0]


def test_label_studios_interface_has_all_classes(guesses, tmp_path):
    names = ("a & b", '"q" <x>', "it's")
    guesses = dataclasses.replace(guesses, class_names=names)
    files, _ = FORMATS["label-studio"].files(guesses, tmp_path / "tasks.json")
    view = ElementTree.fromstring(files[tmp_path / "tasks.interface.xml"])
    choices = [choice.get("value") for choice in view.iter("Choice")]
    assert choices == [*names, "cat", "big, black"]
    assert view.find("Image").get("value") == "$image"
    assert view.find("Choices").attrib == {"name": "choice", "toName": "image"}


def _task(image, *choices, **annotation):
    """A task as the page on the format of tasks has it."""
    result = {
        "id": "Dx_aB91ISN",
        "from_name": "choice",
        "to_name": "image",
        "type": "choices",
        "source": "$image",
        "value": {"choices": list(choices)},
    }
    return {
        "id": 1,
        "created_at": "2021-03-09T21:52:49.513742Z",
        "project": 83,
        "data": {"image": image},
        "annotations": [
            {"id": 1001, "was_cancelled": False, "result": [result], **annotation}
        ],
        "predictions": [{"score": 0.9, "result": [result]}],
    }


def test_an_export_of_label_studio(photos, tmp_path):
    export = [
        _task("/data/local-files/?d=photos/a.png", "cat"),
        _task("http://localhost:8080/data/upload/3/0a1b2c3d-b.png", "dog"),
        _task("photos/c.png", "dog", was_cancelled=True),
        _task("photos/d.png", "dog", "cat"),
        {**_task("photos/e.png", "cat"), "annotations": []},
        _task("photos/f.png", "cat"),
        _task("photos/g.png", "unlabelled"),
    ]
    disagrees = _task("", "dog", ground_truth=True)["annotations"]
    export[5]["annotations"] += disagrees
    path = tmp_path / "export.json"
    path.write_text(json.dumps(export), encoding="utf-8")
    rows, remarks = _read(path, images_folder=photos / "sub")
    assert rows == [
        (tmp_path / "photos" / "a.png", "cat"),
        (photos / "sub" / "b.png", "dog"),
        (tmp_path / "photos/c.png", None),
        (tmp_path / "photos/d.png", None),
        (tmp_path / "photos/e.png", None),
        (tmp_path / "photos/f.png", "dog"),
        (tmp_path / "photos/g.png", None),
    ]
    told = " ".join(remarks)
    assert "1 images, such as 'photos/d.png', have several labels" in told
    assert "1 images were uploaded" in told
    assert "1 'unlabelled'" in told


@pytest.mark.parametrize(
    ("address", "found"),
    [
        # As Label Studio 1.23 has them at LABEL_STUDIO_HOST=http://host/label-studio.
        ("http://host:8085/label-studio/data/local-files/?d=photos/a.png", "a.png"),
        ("/label-studio/data/local-files/?d=photos/a.png", "a.png"),
        ("https://host/x/y/data/local-files/?d=photos/sub/b.png", "sub/b.png"),
        ("/label-studio/data/upload/1/6a9feff3-b.png", "sub/b.png"),
        # Earlier ones.
        ("http://host/a/8080//data/upload/12/6a9feff3-b.png", "sub/b.png"),
    ],
)
@pytest.mark.parametrize("ending", ["json", "csv"])
def test_label_studio_below_a_path(address, found, ending, photos, tmp_path):
    path = tmp_path / f"export.{ending}"
    if ending == "json":
        path.write_text(json.dumps([_task(address, "cat")]), encoding="utf-8")
        rows, _ = _read(path, images_folder=photos)
    else:
        path.write_text(f"image,choice\n{address},cat\n", encoding="utf-8")
        read = read_label_table(path, images_folder=photos)
        rows = [(row.path, row.label) for row in read]
    assert rows == [(photos / found, "cat")]


@pytest.mark.parametrize(
    "address",
    [
        "http://host/site/data/upload/b.png",
        "http://host/site/data/upload/1/b.png",
        "http://host/site/data/local-files/b.png",
        "http://host/site?x=/data/local-files/?d=photos/a.png",
        "http://host/site/data/local-files/?d=",
    ],
)
def test_what_others_serve_is_not_taken_for_label_studios(address, photos, tmp_path):
    path = tmp_path / "export.json"
    path.write_text(json.dumps([_task(address, "cat")]), encoding="utf-8")
    with pytest.raises(ValueError, match="Nothing is fetched"):
        _read(path, images_folder=photos)


@pytest.mark.parametrize(
    ("host", "served"),
    [
        ("http://host:8080/label-studio/", "/label-studio"),
        ("/a/b", "/a/b"),
        ("http://host:8080", ""),
        ("host/label-studio", ""),
        ("", ""),
    ],
)
def test_tasks_for_label_studio_below_a_path(
    host, served, guesses, photos, tmp_path, monkeypatch
):
    monkeypatch.setenv("LABEL_STUDIO_HOST", host)
    table = tmp_path / "tasks.json"
    files, remarks = FORMATS["label-studio"].files(guesses, table)
    address = json.loads(files[table])[0]["data"]["image"]
    assert address.startswith(f"{served}/data/local-files/?d=")
    assert any("LABEL_STUDIO_HOST" in remark for remark in remarks) == bool(served)
    table.write_bytes(files[table])
    rows, _ = _read(table, images_folder=photos)
    assert [path for path, _ in rows] == [photos / name for name in NAMES]


def test_two_questions_of_label_studio(tmp_path):
    task = _task("a.png", "cat")
    other = {**task["annotations"][0]["result"][0], "from_name": "quality"}
    other["value"] = {"choices": ["sharp"]}
    task["annotations"][0]["result"].append(other)
    path = tmp_path / "export.json"
    path.write_text(json.dumps([task]), encoding="utf-8")
    with pytest.raises(ValueError, match="'choice', 'quality'.*--label-column"):
        read_json_table(path)
    rows, _ = _read(path, options=TableOptions(label_column="quality"))
    assert rows == [(tmp_path / "a.png", "sharp")]


def test_cocos_form(tmp_path):
    """As cocodataset.org has it, and with texts for ids, as camera traps do."""
    content = {
        "info": {"year": 2017, "version": "1.0"},
        "licenses": [],
        "images": [
            {"id": "x", "width": 4, "height": 3, "file_name": "x.jpg"},
            {"id": 7, "width": 4, "height": 3, "file_name": "deep/7.jpg"},
            {"id": 8, "width": 4, "height": 3, "file_name": "8.jpg"},
            {"id": 9, "width": 4, "height": 3, "file_name": "9.jpg"},
        ],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 18, "bbox": [0, 0, 2, 2]},
            {"id": 2, "image_id": 7, "category_id": 18, "bbox": [1, 0, 2, 2]},
            {"id": 3, "image_id": "x", "category_id": 2},
            {"id": 4, "image_id": 8, "category_id": 2},
            {"id": 5, "image_id": 8, "category_id": 18},
        ],
        "categories": [
            {"id": 2, "name": "cat", "supercategory": "animal"},
            {"id": 18, "name": "dog"},
        ],
    }
    path = tmp_path / "instances.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    rows, remarks = _read(path)
    assert rows == [
        (tmp_path / "x.jpg", "cat"),
        (tmp_path / "deep/7.jpg", "dog"),
        (tmp_path / "8.jpg", None),
        (tmp_path / "9.jpg", None),
    ]
    assert "1 images, such as '8.jpg', have annotations of several" in remarks[0]


def test_coco_is_written_as_others_read_it(guesses, tmp_path):
    content = json.loads(_write("coco", guesses, tmp_path).read_bytes())
    assert content["images"][1] == {
        "id": 2,
        "file_name": "photos/sub/b.png",
        "width": 5,
        "height": 3,
    }
    names = {one["id"]: one["name"] for one in content["categories"]}
    assert names == {1: "cat", 2: "dog", 3: "big, black"}
    # Programs leave out what has no box. A person's label has no score.
    first = {"bbox": [0, 0, 4, 3], "area": 12, "iscrowd": 0, "score": 0.91}
    second = {"bbox": [0, 0, 5, 3], "area": 15, "iscrowd": 0}
    assert content["annotations"][:2] == [
        {"id": 1, "image_id": 1, "category_id": 1, **first},
        {"id": 2, "image_id": 2, "category_id": 1, **second},
    ]


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ({"a": 0, "sub/b": 1, "c": None}, ["cat", "dog"]),
        ({"a": "cat", "sub/b": "dog", "c": None}, None),
        (
            {"a": {"label": 0, "confidence": 0.5}, "sub/b": {"label": 1}, "c": []},
            ["cat", "dog"],
        ),
        ({"a": [0], "sub/b": [{"label": 1}], "c": [0, 1]}, ["cat", "dog"]),
    ],
)
def test_fiftyones_folder(labels, classes, photos, tmp_path):
    photos.rename(tmp_path / "data")
    content = {"classes": classes, "labels": labels}
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    rows, remarks = _read(path)
    assert rows == [
        (tmp_path / "data/a.png", "cat"),
        (tmp_path / "data/sub/b.png", "dog"),
        (tmp_path / "data/c", None),
    ]
    assert any("several labels" in remark for remark in remarks) == (
        labels["c"] == [0, 1]
    )


def test_fiftyone_tells_names_apart(guesses, tmp_path):
    guesses.names[2] = os.path.join(os.path.dirname(guesses.names[1]), "a.png")
    table = _write("fiftyone", guesses, tmp_path)
    content = json.loads(table.read_bytes())
    assert content == {
        "classes": ["cat", "dog", "big, black"],
        "labels": {
            "a": {"label": 0, "confidence": 0.91},
            "b": {"label": 0},
            "a-2": {"label": 2},
        },
    }
    places = json.loads((tmp_path / "data.json").read_bytes())
    assert places == dict(zip(("a", "b", "a-2"), guesses.names, strict=True))


def test_features_for_viewers(guesses, tmp_path):
    with np.load(_write("npz", guesses, tmp_path), allow_pickle=False) as arrays:
        npz = {name: arrays[name].tolist() for name in arrays}
    assert npz["paths"] == guesses.paths
    assert npz["embeddings"] == guesses.features.tolist()
    assert npz["labels"] == guesses.labels
    assert npz["given_labels"] == guesses.given
    assert npz["class_names"] == ["cat", "dog"]
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(_write("parquet", guesses, tmp_path)).to_pydict()
    assert table["path"] == guesses.paths
    assert table["label"] == guesses.labels
    assert table["embedding"] == guesses.features.tolist()
    assert table["given_label"] == [None, "cat", "big, black"]
    np.testing.assert_allclose(table["confidence"], guesses.confidences, rtol=1e-6)


def test_columns_are_of_one_kind_whatever_is_in_them(guesses, tmp_path):
    """Files of several folders are one data set, though nobody has labelled in one."""
    parquet = pytest.importorskip("pyarrow.parquet")
    schemas = []
    for name, rows in (("all", [0, 1, 2]), ("ungiven", [0]), ("none", [])):
        some = dataclasses.replace(
            guesses,
            names=[guesses.names[row] for row in rows],
            paths=[guesses.paths[row] for row in rows],
            labels=[guesses.labels[row] for row in rows],
            given=[guesses.given[row] for row in rows],
            confidences=guesses.confidences[rows],
            features=guesses.features[rows],
        )
        (tmp_path / name).mkdir()
        file = _write("parquet", some, tmp_path / name)
        schemas.append(parquet.read_table(file).schema)
    assert schemas[0] == schemas[1] == schemas[2]


def test_what_parquet_takes_is_named(guesses, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ImportError, match="pip install pyarrow"):
        _write("parquet", guesses, tmp_path)


COCO = {"images": [], "annotations": [], "categories": []}
ONE = {"id": 1, "file_name": "a.png"}
CAT = {"id": 1, "name": "cat"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "must hold JSON"),
        ("[" * 100_000, "must hold JSON|nested deeper"),
        ("[" * 40 + "]" * 40, "nested deeper than 32"),
        ([], "Label Studio.*COCO.*FiftyOne.*Received: a list"),
        ({"image": "a.png", "label": "cat"}, "Received: an object with 'image, label'"),
        ([{"image": "a.png", "choice": "cat"}], "its exports called JSON"),
        ([{"data": 1}], "Task 1 .*object `data`. Received: a number"),
        ([{"data": {"text": "no image"}}], "--path-column NAME"),
        ([_task("https://example.com/a.png", "cat")], "Nothing is fetched"),
        ([_task("s3://bucket/a.png", "cat")], "Nothing is fetched"),
        ([_task("a\0.png", "cat")], "must name its image"),
        ([_task("a.png", ["cat"])], "texts for `choices`"),
        (
            [_task("a.png", "cat"), _task("a.png", "dog")],
            "Task 2 .*label of image 1, 'cat'",
        ),
        ([{"data": {"image": "a.png"}, "annotations": 1}], "list `annotations`"),
        ([{"data": {"image": "a.png"}}], "must have labels. Received: 1 row"),
        ({**COCO, "images": [ONE, ONE]}, "Entry 2 .*id of its own"),
        ({**COCO, "images": [{"id": 1}]}, "Entry 1 of `images`.*'file_name'"),
        ({**COCO, "images": [1]}, "must be an object. Received: a number"),
        ({**COCO, "images": [{**ONE, "id": True}]}, "text or an integer 'id'"),
        (
            {**COCO, "annotations": [{"image_id": 1, "category_id": 1}]},
            "must have the id of a category",
        ),
        (
            {
                **COCO,
                "annotations": [{"image_id": 1, "category_id": 1}],
                "categories": [CAT],
            },
            "must have the id of an image",
        ),
        ({"labels": {"a": 1}, "classes": ["cat"]}, "number of one of 1 classes"),
        ({"labels": {"a": -1}, "classes": ["cat"]}, "number of one of 1 classes"),
        ({"labels": {"a": 0.5}, "classes": ["cat"]}, "number or the name of a class"),
        ({"labels": {"a": {"label": {}}}}, "number or the name of a class"),
    ],
)
def test_what_is_refused(content, message, tmp_path):
    path = tmp_path / "labels.json"
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        read_json_table(path)


@pytest.mark.parametrize("place", [1, "", "a\0"])
def test_a_list_of_places_is_checked(place, tmp_path):
    path = tmp_path / "labels.json"
    path.write_text(json.dumps({"labels": {"a": "cat"}}), encoding="utf-8")
    (tmp_path / "data.json").write_text(json.dumps({"a": place}), encoding="utf-8")
    with pytest.raises(ValueError, match="must have a path for 'a'"):
        read_json_table(path)
    (tmp_path / "data.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ValueError, match="Received: none for 'a'"):
        read_json_table(path)


def test_columns_are_for_what_has_some(tmp_path):
    path = tmp_path / "labels.json"
    path.write_text(json.dumps({"labels": {"a": "cat"}}), encoding="utf-8")
    options = TableOptions(label_column="species")
    with pytest.raises(ValueError, match="--label-column is for tables"):
        read_json_table(path, options=options)
    # Those of the labelled images, not of these.
    assert read_json_table(path, options=options, role="test")[0].label == "cat"


def test_no_file_larger_than_can_be_meant(tmp_path):
    path = tmp_path / "labels.json"
    with path.open("wb") as file:
        file.truncate(2**28 + 1)
    with pytest.raises(ValueError, match="at most 268,435,456 bytes"):
        read_json_table(path)
    with pytest.raises(FileNotFoundError, match="Received: a folder"):
        read_json_table(tmp_path)
