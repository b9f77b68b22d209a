"""FiftyOne's FiftyOneImageClassificationDataset: `labels.json`, and the images.

Read for this: docs.voxel51.com, "FiftyOneImageClassificationDataset" of the pages on
exporting and on importing datasets (`data/<uuid>.<ext>`, `labels.json` with `classes`
and `labels`; a target is the number of a class, or without `classes` its name, null for
none; with confidences an object of `label` and `confidence`; a list of several), and of
fiftyone.utils.data.exporters `export_media="manifest"`: `data.json` with the path of
each uuid in place of the folder.
"""

import os
import pathlib
from typing import Any

from semppl_keras.data.images.table_options import TableOptions, plain_label
from semppl_keras.data.tables.guesses import Guesses
from semppl_keras.data.tables.json_content import (
    json_content,
    json_text,
    kind,
    shown,
    text_of,
)
from semppl_keras.data.tables.named_image import NamedImage, listed_in_part

LABELS = "labels.json"
MANIFEST = "data.json"
FOLDER = "data"


def is_fiftyone(content: Any) -> bool:
    """Whether the content of a JSON file is that of such a `labels.json`."""
    if not isinstance(content, dict) or not isinstance(content.get("labels"), dict):
        return False
    return isinstance(content.get("classes"), list | None)


def read_fiftyone(
    content: Any,
    path: pathlib.Path,
    options: TableOptions,
    role: str,
    remarks: list[str],
) -> list[NamedImage]:
    """The images, with the class of each.

    Args:
        content: what `is_fiftyone`.
        path: path of the file, beside which `data.json` or `data/` has the images;
            what neither has is the name of a file elsewhere.
        options: `TableOptions`; no column can be chosen.
        role: as `open_images` takes it.
        remarks: list, to which texts are appended: what was left out.

    Raises:
        ValueError: if a target is none of the classes, or an image has no place.
    """
    classes = content.get("classes")
    places = _manifest(path.with_name(MANIFEST))
    # An export without media (`export_media=False`) has neither of the two; a folder
    # that is called so may be another's.
    has_folder = places is None and path.with_name(FOLDER).is_dir()
    images: list[NamedImage] = []
    doubtful: list[str] = []
    for number, (name, target) in enumerate(content["labels"].items(), 1):
        where = f"The target of {shown(name)} in {str(path)!r}"
        targets = target if isinstance(target, list) else [target]
        labels = {_label(one, classes, where) for one in targets} - {None}
        if len(labels) > 1:
            doubtful.append(name)
        if places is not None and name not in places:
            raise ValueError(
                f"{str(path.with_name(MANIFEST))!r} must have a path for each image "
                f"of {str(path)!r}. Received: none for {shown(name)}."
            )
        readings: tuple[str, ...] = (name if places is None else places[name],)
        if has_folder:
            readings = (f"{FOLDER}/{name}", name)
        label = labels.pop() if len(labels) == 1 else None
        images.append(NamedImage(number, where, readings[0], label, readings=readings))
    if doubtful:
        remarks.append(
            f"{str(path)!r}: {listed_in_part(doubtful)}, have several labels, and are "
            "taken for images without."
        )
    return images


def _manifest(path: pathlib.Path) -> dict[str, str] | None:
    """The path of each image, None where they lie in a folder."""
    if not path.exists():
        return None
    content = json_content(path)
    if not isinstance(content, dict):
        raise ValueError(
            f"{str(path)!r} must be an object of paths. Received: {kind(content)}."
        )
    for name, place in content.items():
        if not isinstance(place, str) or not place.strip() or "\0" in place:
            raise ValueError(
                f"{str(path)!r} must have a path for {shown(name)}. Received: "
                f"{shown(place)}."
            )
    return content


def _label(target: Any, classes: list[Any] | None, where: str) -> str | None:
    if isinstance(target, dict):
        target = target.get("label")
    if target is None:
        return None
    if classes is not None and isinstance(target, int) and not isinstance(target, bool):
        if not 0 <= target < len(classes):
            raise ValueError(
                f"{where} must be the number of one of {len(classes):,} classes, from "
                f"0. Received: {shown(target)}."
            )
        target = classes[target]
    label = text_of(target)
    if label is None:
        raise ValueError(
            f"{where} must be the number or the name of a class, or null. Received: "
            f"{shown(target)}."
        )
    return plain_label(label)


def fiftyone_files(
    guesses: Guesses, table: pathlib.Path
) -> tuple[dict[pathlib.Path, bytes], list[str]]:
    """The files of labels and of the places of images; none of these is copied.

    Args:
        guesses: `Guesses`.
        table: path of `labels.json`.
    """
    classes = guesses.classes
    numbers = {name: number for number, name in enumerate(classes)}
    names = uuids(guesses.names)
    labels: dict[str, Any] = {}
    for index, name in enumerate(names):
        label, confidence = guesses.best(index)
        labels[name] = {"label": numbers[label]}
        if confidence is not None:
            labels[name]["confidence"] = confidence
    places = dict(zip(names, map(os.path.abspath, guesses.names), strict=True))
    content = {"classes": classes, "labels": labels}
    return {
        table.with_name(MANIFEST): json_text(places),
        table: json_text(content),
    }, []


def uuids(names: list[str]) -> list[str]:
    """For each image a name of its own: that of its file without the ending, with a
    number behind it where several files have one."""
    counts: dict[str, int] = {}
    found: dict[str, None] = {}
    for name in names:
        stem = os.path.splitext(os.path.basename(name))[0]
        uuid = stem
        while uuid in found:
            counts[stem] = counts.get(stem, 1) + 1
            uuid = f"{stem}-{counts[stem]}"
        found[uuid] = None
    return list(found)
