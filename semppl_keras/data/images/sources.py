"""Where images come from: folders, tables, archives, data sets, records."""

import collections.abc
import dataclasses
import itertools
import os
import pathlib
from typing import Any

from semppl_keras.data.images.array_sources import npz_images
from semppl_keras.data.images.finding import (
    by_ending,
    find_classes,
    find_images,
    missing_for,
)
from semppl_keras.data.images.image_list import ImageList, image_list
from semppl_keras.data.images.label_tables import read_json_table, read_label_table
from semppl_keras.data.images.record_sources import (
    array_record_images,
    tfds_images,
    tfrecord_images,
)
from semppl_keras.data.images.source_names import (
    JSON_ENDING,
    is_table,
    kind_and_rest,
)
from semppl_keras.data.images.table_options import (
    UNKNOWN_FOLDERS,
    UNKNOWN_LABELS,
    TableOptions,
    known_labels,
    plain_label,
)


def pixels_of(megapixels: float) -> int:
    """So many millions of pixels."""
    return round(1e6 * megapixels)


def open_images(
    source: str | os.PathLike[str],
    role: str,
    options: TableOptions | None = None,
    images_folder: str | os.PathLike[str] | None = None,
    max_megapixels: float | None = None,
) -> ImageList:
    """The images that a text names.

    Args:
        source: a folder; a table (`.csv`, `.tsv`), or a `.json` of Label Studio, COCO
            or FiftyOne; `"npz:FILE"` with `images` and `labels`, or the arrays of
            `load_npz`; `"tfds:NAME"` or `"tfds:NAME#SPLIT"`; `"tfrecord:FILES"` or
            `"arrayrecord:FILES"`, where FILES may have wildcards, of examples with
            `image/encoded` and `image/class/label` or `image/class/text`.
        role: "unlabelled", "labelled" or "test": only the first needs no labels, and
            of a folder takes all images, however deep, where the others take those of
            a folder for each class.
        options: `TableOptions`, or None: how tables are read, and which labels are
            classes although they are spelled like an unknown one.
        images_folder: path of the folder in which images of a table are looked for that
            are not beside it, or None.
        max_megapixels: float, millions of pixels of an image that may be decoded at
            once; None for as many as Pillow takes for safe.

    Returns:
        `ImageList`; those with an unknown label (-1, an empty field, or what programs
        write in its place: `UNKNOWN_LABELS`) are left out of labelled ones, and told.

    Raises:
        ValueError, FileNotFoundError, ImportError: as there is no such source, or none
            of this kind, naming what was expected.
    """
    check_source(source, role)
    kind, rest = kind_and_rest(source)
    options = options or TableOptions()
    spellings: tuple[str, ...] | None = UNKNOWN_LABELS
    if kind is not None:
        images = _READERS[kind](rest, role)
    elif pathlib.Path(source).is_dir():
        images = _open_folder(pathlib.Path(source), role)
        spellings = UNKNOWN_FOLDERS
    else:
        # It has read its labels, whose lines it can name.
        spellings = None
        images = _open_table(source, role, options, images_folder)
    if max_megapixels is not None:
        images = dataclasses.replace(images, max_pixels=pixels_of(max_megapixels))
    images = _with_known_labels(images, str(source), role, options, spellings)
    if not len(images):
        raise ValueError(
            " ".join(
                [
                    f"There must be {role} images in {str(source)!r}. Received: none.",
                    *images.remarks,
                ]
            )
        )
    return images


def check_source(source: str | os.PathLike[str], role: str) -> None:
    """Raises a FileNotFoundError for a text that names no source of images.

    Args:
        source, role: as `open_images` takes them.
    """
    kind, path = kind_and_rest(source)
    if kind is None and not os.path.isdir(path) and not is_table(path):
        raise FileNotFoundError(
            f"The {role} images must be a folder, a table (.csv, .tsv), a .json of "
            "Label Studio, COCO or FiftyOne, npz:FILE, tfds:NAME, tfrecord:FILES or "
            "arrayrecord:FILES. "
            f"Received: {str(source)!r}, "
            + (
                "a file that is none of them."
                if os.path.exists(path)
                else "where nothing is."
            )
        )


def _open_folder(folder: pathlib.Path, role: str) -> ImageList:
    if role == "unlabelled":
        passed_over: list[pathlib.Path] = []
        unread: list[pathlib.Path] = []
        paths = find_images(folder, passed_over, unread)
        return image_list(
            paths, None, _remarks_on_folder(folder, passed_over, unread, {}, [])
        )
    classes, remarks = classes_of(folder)
    paths = [path for own in classes.values() for path in own]
    labels = [plain_label(name) or name for name, own in classes.items() for _ in own]
    return image_list(paths, tuple(labels), remarks)


def classes_of(
    folder: pathlib.Path,
) -> tuple[dict[str, list[pathlib.Path]], list[str]]:
    """The image files of each class, as `find_classes` finds them, and what is worth
    knowing about the folder beside them, as a list of str."""
    passed_over: list[pathlib.Path] = []
    unread: list[pathlib.Path] = []
    empty: dict[str, list[pathlib.Path]] = {}
    loose: list[pathlib.Path] = []
    classes = find_classes(folder, passed_over, unread, empty, loose)
    return classes, _remarks_on_folder(folder, passed_over, unread, empty, loose)


def _remarks_on_folder(
    folder: pathlib.Path,
    passed_over: list[pathlib.Path],
    unread: list[pathlib.Path],
    empty: dict[str, list[pathlib.Path]],
    loose: list[pathlib.Path],
) -> list[str]:
    remarks = []
    if passed_over:
        remarks.append(
            f"Folders of runs and pictures that semppl has written are passed over in "
            f"{str(folder)!r}: {len(passed_over):,}, such as {str(passed_over[0])!r}."
        )
    if unread:
        remarks.append(
            f"{len(unread):,} files in {str(folder)!r} are not read, since they are no "
            "images by ending, or where there is none by content: "
            f"{by_ending(unread)}.{missing_for(unread)}"
        )
    if empty:
        names = ", ".join(
            f"{name!r} ({by_ending(others) if others else 'empty'})"
            for name, others in empty.items()
        )
        remarks.append(
            f"Folders in {str(folder)!r} without an image that is read are no classes: "
            f"{names}."
        )
    if loose:
        remarks.append(
            f"{len(loose):,} images in {str(folder)!r} lie in the folder of no class, "
            f"and are left out, such as {str(loose[0])!r}."
        )
    return remarks


def _open_table(
    path: str | os.PathLike[str],
    role: str,
    options: TableOptions,
    images_folder: str | os.PathLike[str] | None,
) -> ImageList:
    remarks: list[str] = []
    is_json = pathlib.Path(path).suffix.lower() == JSON_ENDING
    rows = (read_json_table if is_json else read_label_table)(
        path,
        labelled=role != "unlabelled",
        options=options,
        role=role,
        images_folder=images_folder,
        remarks=remarks,
    )
    labels = None if role == "unlabelled" else tuple(row.label for row in rows)
    return image_list([row.path for row in rows], labels, remarks)


def _with_known_labels(
    images: ImageList,
    source: str,
    role: str,
    options: TableOptions,
    spellings: tuple[str, ...] | None,
) -> ImageList:
    """Those of which the label is known, all where none are asked for."""
    if images.labels is None:
        return images
    labels: collections.abc.Sequence[str | None] = images.labels
    remarks: list[str] = []
    if spellings is not None:
        labels, remarks = known_labels(
            labels, options.keeping(images.class_names), spellings=spellings
        )
    chosen = [label is not None for label in labels]
    remarks = [f"In {source!r}: {text}" for text in remarks]
    if left_out := chosen.count(False):
        remarks.insert(
            0,
            f"{left_out:,} of {len(images):,} images in {source!r} have no label, and "
            f"are left out of the {role} ones.",
        )
    return dataclasses.replace(
        images,
        names=tuple(itertools.compress(images.names, chosen)),
        labels=tuple(itertools.compress(labels, chosen)),
        contents=lambda: itertools.compress(images.contents(), chosen),
        states=lambda: tuple(itertools.compress(images.states(), chosen)),
        at=_at_chosen(images, chosen),
        remarks=(*remarks, *images.remarks),
    )


def _at_chosen(
    images: ImageList, chosen: list[bool]
) -> collections.abc.Callable[[int], Any] | None:
    at = images.at
    if at is None or all(chosen):
        return at
    indices = list(itertools.compress(range(len(images)), chosen))
    return lambda n: at(indices[n])


_READERS = {
    "npz": npz_images,
    "tfds": tfds_images,
    "tfrecord": tfrecord_images,
    "arrayrecord": array_record_images,
}
