"""What Label Studio 1.23 and FiftyOne 1.22 export, in short, read from elsewhere.

The texts have the shape of what the two wrote of images that `semppl label` had named:
the entries that count here as they were, and some of the others.
"""

import json

import pytest
from PIL import Image

from semppl_keras.data import TableOptions
from semppl_keras.data.images.label_tables import read_json_table, read_label_table
from semppl_keras.data.images.sources import open_images

pytestmark = pytest.mark.any_backend

LOCAL = "/data/local-files/?d=photos/"
NAMES = ("plain/a.png", "plain/b.png", "sub folder/c.png", "sub folder/ü 1%+#.png")
ADDRESSES = (
    LOCAL + "plain/a.png",
    LOCAL + "plain/b.png",
    LOCAL + "sub%20folder/c.png",
    LOCAL + "sub%20folder/%C3%BC%201%25%2B%23.png",
)


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "work" / "photos"
    for name in NAMES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(folder / name)
    return folder


@pytest.fixture
def downloads(tmp_path):
    folder = tmp_path / "Downloads"
    folder.mkdir()
    return folder


def _annotation(number, *choices, skipped=False, truth=False):
    return {
        "id": number,
        "completed_by": 1,
        "result": [
            {
                "from_name": "choice",
                "to_name": "image",
                "type": "choices",
                "value": {"choices": list(choices)},
            }
        ],
        "was_cancelled": skipped,
        "ground_truth": truth,
        "created_at": "2026-11-27T03:49:24.180612Z",
        "lead_time": None,
        "prediction": {},
        "result_count": 0,
        "parent_prediction": None,
    }


def _export(*annotations):
    return [
        {
            "id": number,
            "annotations": list(own),
            "drafts": [],
            # The numbers of these alone.
            "predictions": [number],
            "data": {"image": ADDRESSES[number - 1]},
            "meta": {},
            "allow_skip": True,
            "inner_id": number,
        }
        for number, own in enumerate(annotations, 1)
    ]


def _minimal(number, choice=None, annotation=1):
    said = {} if choice is None else {"choice": choice}
    return {
        "image": ADDRESSES[number - 1],
        "id": number,
        **said,
        "annotator": annotation and 1,
        "annotation_id": annotation,
        "created_at": annotation and "2026-11-27T03:50:08.382426Z",
        "updated_at": annotation and "2026-11-27T03:50:08.382470Z",
        "lead_time": None,
    }


def _read(path, photos, **options):
    reader = read_label_table if path.suffix == ".csv" else read_json_table
    remarks = []
    rows = reader(path, images_folder=photos, remarks=remarks, **options)
    found = {row.path.relative_to(photos).as_posix(): row.label for row in rows}
    return found, " ".join(remarks)


def test_label_studios_json_in_another_folder(photos, downloads):
    path = downloads / "project-1-at-2026-11-27-03-50.json"
    tasks = _export(
        # What was imported, and what somebody has said of it.
        [_annotation(1, "cat"), _annotation(5, "dog")],
        [_annotation(2, "dog")],
        [_annotation(3, skipped=True)],
        [],
    )
    path.write_text(json.dumps(tasks).replace("/", "\\/"), encoding="utf-8")
    found, told = _read(path, photos)
    assert found == dict(zip(NAMES, (None, "dog", None, None), strict=True))
    assert "are not relative to it but to" in told
    assert "have several labels" in told
    assert open_images(path, "labelled", images_folder=photos).labels == ("dog",)


def test_images_that_were_uploaded_to_label_studio(photos, downloads):
    Image.new("RGB", (4, 4)).save(photos / "plain" / "digit 000.png")
    path = downloads / "uploaded.json"
    tasks = _export([_annotation(1, "cat")], [_annotation(2, "dog")], [])
    names = ("aeb185ef-digit_000.png", "fe068fea-a.png", "15de5f02-%C3%BC_1.png")
    for task, name in zip(tasks, names, strict=True):
        task["data"]["image"] = f"/data/upload/6/{name}"
    path.write_text(json.dumps(tasks), encoding="utf-8")
    found, told = _read(path, photos)
    assert found == {
        "plain/digit 000.png": "cat",
        "plain/a.png": "dog",
        "sub folder/ü 1%+#.png": None,
    }
    assert "3 images were uploaded" in told


@pytest.mark.parametrize("ending", ["csv", "json"])
def test_paths_that_only_look_like_addresses(tmp_path, ending):
    folder = tmp_path / "work" / "http:" / "host" / "data" / "upload" / "6"
    others = tmp_path / "work" / "data" / "upload" / "cats"
    for place in (folder, others, tmp_path / "data" / "upload"):
        place.mkdir(parents=True)
        Image.new("RGB", (4, 4)).save(place / "0a1b2c3d-cat.png")
    # What would be taken for them.
    Image.new("RGB", (4, 4)).save(tmp_path / "work" / "cat.png")
    paths = {
        str(others / "0a1b2c3d-cat.png"): others,
        "./data/upload/cats/0a1b2c3d-cat.png": others,
        "../data/upload/0a1b2c3d-cat.png": tmp_path / "data" / "upload",
        # An address, of which there is a file of the very name.
        "http://host/data/upload/6/0a1b2c3d-cat.png": folder,
        "http://host/data/upload/7/0a1b2c3d-cat.png": None,
    }
    table = tmp_path / "work" / f"labels.{ending}"
    for path, place in paths.items():
        if ending == "csv":
            table.write_text(f"path,label\n{path},cat\n", encoding="utf-8")
            (row,) = read_label_table(table)
        else:
            task = {"data": {"image": path}, "annotations": [_annotation(1, "cat")]}
            table.write_text(json.dumps([task]), encoding="utf-8")
            (row,) = read_json_table(table)
        expected = tmp_path / "work" / "cat.png"
        if place is not None:
            expected = place / "0a1b2c3d-cat.png"
        assert row.path.resolve() == expected.resolve()


@pytest.mark.parametrize(
    ("entry", "asked"),
    [("kind", None), ("kind", "kind"), ("kind", "label"), ("choice", "label")],
)
def test_label_studios_json_min_to_test_on(entry, asked, photos, downloads):
    path = downloads / "test.json"
    rows = [{**_minimal(1), entry: "cat"}, {**_minimal(2), entry: "dog"}]
    path.write_text(json.dumps(rows), encoding="utf-8")
    options = TableOptions(label_column=asked)
    found, _ = _read(path, photos, options=options, role="test")
    assert found == {NAMES[0]: "cat", NAMES[1]: "dog"}


@pytest.mark.parametrize("asked", ["mood", "label", None])
def test_label_studios_json_to_test_on(asked, photos, downloads):
    path = downloads / "test.json"
    tasks = _export([_annotation(1, "cat")], [_annotation(2, "dog")])
    mood = {**_annotation(3, "good")["result"][0], "from_name": "mood"}
    tasks[0]["annotations"][0]["result"].append(mood)
    path.write_text(json.dumps(tasks), encoding="utf-8")
    options = TableOptions(label_column=asked)
    if asked == "mood":
        found, _ = _read(path, photos, options=options, role="test")
        assert found == {NAMES[0]: "good", NAMES[1]: None}
        return
    with pytest.raises(ValueError, match="'choice', 'mood'.*--label-column NAME"):
        _read(path, photos, options=options, role="test")
    # Of the one name that there is, whatever the labelled images are asked for.
    tasks[0]["annotations"][0]["result"].pop()
    path.write_text(json.dumps(tasks), encoding="utf-8")
    found, _ = _read(path, photos, options=options, role="test")
    assert found == {NAMES[0]: "cat", NAMES[1]: "dog"}


def test_which_of_several_json_min_is_tested_on_is_asked_for(photos, downloads):
    path = downloads / "test.json"
    rows = [{**_minimal(1), "kind": "cat", "mood": "good"}]
    path.write_text(json.dumps(rows), encoding="utf-8")
    with pytest.raises(ValueError, match="'kind', 'mood'.*--label-column NAME"):
        _read(path, photos, role="test")
    options = TableOptions(label_column="mood")
    found, _ = _read(path, photos, options=options, role="test")
    assert found == {NAMES[0]: "good"}


def test_label_studios_json_min(photos, downloads):
    path = downloads / "min.json"
    rows = [
        _minimal(1, "cat", 7),
        _minimal(2, "dog", 9),
        _minimal(2, "cat", 8),
        _minimal(3, {"choices": ["cat", "dog"]}),
        _minimal(4, annotation=None),
    ]
    path.write_text(json.dumps(rows), encoding="utf-8")
    found, told = _read(path, photos)
    assert found == dict(zip(NAMES, ("cat", None, None, None), strict=True))
    assert "2 images, such as 'photos/plain/b.png', have several labels" in told
    other = TableOptions(label_column="animal")
    with pytest.raises(ValueError, match="name 'animal'.*'image', 'choice'"):
        read_json_table(path, options=other)
    path.write_text(json.dumps([_minimal(4, annotation=None)]), encoding="utf-8")
    assert len(open_images(path, "unlabelled", images_folder=photos)) == 1


def test_label_studios_csv(photos, downloads):
    path = downloads / "export.csv"
    names = "annotation_id,annotator,choice,created_at,id,image,lead_time,updated_at"
    header = ",".join(f'"{name}"' for name in names.split(","))
    rows = [
        f'{number},"1","{label}","2026-11-27T04:26:33Z",{number},"{address}","",""'
        for number, (label, address) in enumerate(
            zip(("cat", "big, black", "dog", ""), ADDRESSES, strict=True), 1
        )
    ]
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    found, _ = _read(path, photos)
    assert found == dict(zip(NAMES, ("cat", "big, black", "dog", None), strict=True))
    rows[0] = rows[0].replace("cat", '{""choices"":[""cat"",""dog""]}')
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    with pytest.raises(ValueError, match="Line 2 .* one choice.*as JSON"):
        _read(path, photos)


@pytest.mark.parametrize(
    ("places", "data"),
    [
        # export_media=False, which has neither data.json nor data/.
        (("a", "b", "c"), None),
        # The same with rel_dir=..., above the images.
        (("photos/plain/a", "photos/plain/b", "photos/sub folder/c"), None),
        # Beside a folder of something else that is called so.
        (("photos/plain/a", "b", "photos/sub folder/c.png"), "data"),
        # data_path="data.json".
        (("a", "b", "c"), True),
    ],
)
def test_fiftyones_labels_without_images(places, data, photos, downloads):
    path = downloads / "labels.json"
    labels = dict(zip(places, ("cat", None, "dog"), strict=True))
    path.write_text(json.dumps({"classes": None, "labels": labels}), encoding="utf-8")
    if data == "data":
        (downloads / "data").mkdir()
    elif data:
        files = {
            key: str(photos / name) for key, name in zip("abc", NAMES, strict=False)
        }
        (downloads / "data.json").write_text(json.dumps(files), encoding="utf-8")
    found, _ = _read(path, photos)
    assert found == dict(zip(NAMES[:3], ("cat", None, "dog"), strict=True))


def test_names_that_two_files_have(photos, downloads):
    Image.new("RGB", (4, 4)).save(photos / "sub folder" / "a.png")
    path = downloads / "labels.json"
    labels = {"a": "cat", "b": "dog"}
    path.write_text(json.dumps({"labels": labels}), encoding="utf-8")
    rows = read_json_table(path, images_folder=photos)
    # It is as if there was none.
    assert [row.path for row in rows] == [downloads / "a", photos / "plain/b.png"]


def test_fiftyones_tree_of_classes(tmp_path):
    for name in ("_unlabeled", "cat", "dog"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (4, 4)).save(tmp_path / name / "x.png")
    assert open_images(tmp_path, "labelled").labels == ("cat", "dog")
