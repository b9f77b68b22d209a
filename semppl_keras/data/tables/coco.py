"""COCO's form: lists of images, categories and annotations that join the two.

Read for this: cocodataset.org/#format-data ("Data format": `info`, `images` with `id`,
`width`, `height` and `file_name`; `annotations` with `image_id` and `category_id`;
`categories` with `id` and `name`; `score` as in its "Results format"). An annotation
without a `bbox` is one of a whole image, as in the data sets of iNaturalist and of COCO
Camera Traps, which also have texts for ids. What is written has one around all of it,
as FiftyOne writes labels of images: it leaves out what has none (tried with 1.22, and
with pycocotools 2.0.11).
"""

import pathlib
from typing import Any

from semppl_keras.data.images.files import image_header
from semppl_keras.data.images.opening import UnreadableImage
from semppl_keras.data.images.table_options import TableOptions, plain_label
from semppl_keras.data.tables.guesses import Guesses
from semppl_keras.data.tables.json_content import json_text, kind, shown, text_of
from semppl_keras.data.tables.named_image import NamedImage, listed_in_part

_PARTS = ("images", "annotations", "categories")


def is_coco(content: Any) -> bool:
    """Whether the content of a JSON file is of COCO's form."""
    return isinstance(content, dict) and all(
        isinstance(content.get(name), list) for name in _PARTS
    )


def read_coco(
    content: Any,
    path: pathlib.Path,
    options: TableOptions,
    role: str,
    remarks: list[str],
) -> list[NamedImage]:
    """The images, with the category of what is annotated in each.

    Args:
        content: what `is_coco`.
        path: path of the file, for messages.
        options: `TableOptions`; no column can be chosen.
        role: as `open_images` takes it.
        remarks: list, to which texts are appended: what was left out.

    Raises:
        ValueError: if an entry lacks what it must have, or two have one id.
    """
    where = {name: f"of `{name}` in {str(path)!r}" for name in _PARTS}
    names = {
        key: _text(entry, "name", place)
        for key, entry, place in _by_id(content["categories"], where["categories"])
    }
    said: dict[str, list[str]] = {}
    for number, entry in enumerate(content["annotations"], 1):
        place = f"Entry {number} {where['annotations']}"
        category = _text(entry, "category_id", place)
        if category not in names:
            raise ValueError(
                f"{place} must have the id of a category. Received: {category!r}."
            )
        labels = said.setdefault(_text(entry, "image_id", place), [])
        label = plain_label(names[category])
        if label not in labels:
            labels.append(label)
    images: list[NamedImage] = []
    doubtful: list[str] = []
    for key, entry, place in _by_id(content["images"], where["images"]):
        file = _text(entry, "file_name", place)
        labels = said.pop(key, [])
        if len(labels) > 1:
            doubtful.append(file)
        one = labels[0] if len(labels) == 1 else None
        images.append(NamedImage(len(images) + 1, place, file, one))
    if said:
        raise ValueError(
            f"Each entry {where['annotations']} must have the id of an image. "
            f"Received: {next(iter(said))!r}."
        )
    if doubtful:
        remarks.append(
            f"{str(path)!r}: {listed_in_part(doubtful)}, have annotations of several "
            "categories, and are taken for images without a label."
        )
    return images


def _by_id(entries: list[Any], where: str) -> list[tuple[str, dict[str, Any], str]]:
    """(id, entry, its place) of each."""
    found: dict[str, tuple[str, dict[str, Any], str]] = {}
    for number, entry in enumerate(entries, 1):
        place = f"Entry {number} {where}"
        key = _text(entry, "id", place)
        if key in found:
            raise ValueError(
                f"{place} must have an id of its own. Received: {key!r}, which "
                "another one has."
            )
        found[key] = (key, entry, place)
    return list(found.values())


def _text(entry: Any, name: str, place: str) -> str:
    if not isinstance(entry, dict):
        raise ValueError(f"{place} must be an object. Received: {kind(entry)}.")
    text = text_of(entry.get(name))
    if text is None or not text.strip():
        raise ValueError(
            f"{place} must have a text or an integer {name!r}. Received: "
            f"{shown(entry.get(name))}."
        )
    return text


def coco_files(
    guesses: Guesses, table: pathlib.Path
) -> tuple[dict[pathlib.Path, bytes], list[str]]:
    """The file of images, annotations and categories, and what is worth knowing of it.

    Args:
        guesses: `Guesses`.
        table: path of the file.
    """
    ids = {name: number for number, name in enumerate(guesses.classes, 1)}
    images, annotations = [], []
    for index in range(len(guesses)):
        label, confidence = guesses.best(index)
        # Numbers of one image and of its annotation are the same: there is one.
        number = index + 1
        image = {"id": number, "file_name": guesses.paths[index]}
        sides = _sides(guesses.names[index])
        images.append({**image, **sides})
        annotation: dict[str, Any] = {
            "id": number,
            "image_id": number,
            "category_id": ids[label],
            **_box(**sides),
        }
        if confidence is not None:
            annotation["score"] = confidence
        annotations.append(annotation)
    content = {
        "info": {"description": "Labels of images by semppl"},
        "images": images,
        "annotations": annotations,
        "categories": [{"id": number, "name": name} for name, number in ids.items()],
    }
    return {table: json_text(content)}, []


def _box(width: int = 0, height: int = 0) -> dict[str, Any]:
    """A box around all of an image, none where its sides are not known."""
    if not width or not height:
        return {}
    return {"bbox": [0, 0, width, height], "area": width * height, "iscrowd": 0}


def _sides(name: str) -> dict[str, int]:
    try:
        width, height, _ = image_header(name)
    except UnreadableImage:
        # Moved or gone since it was labelled: its name is known all the same.
        return {}
    return {"width": width, "height": height}
