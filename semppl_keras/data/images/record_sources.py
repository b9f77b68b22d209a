"""Images of TFRecord and ArrayRecord files and of TensorFlow Datasets."""

import collections.abc
import glob
import pathlib
from typing import Any

from semppl_keras.data.images.array_sources import label_text
from semppl_keras.data.images.image_list import ImageList, file_state
from semppl_keras.data.images.tfds_builders import check_split, open_builder
from semppl_keras.data.images.tfds_examples import examples_of

_NEEDED = {"tfrecord": "TensorFlow", "arrayrecord": "TensorFlow and array_record"}
_INSTALLED = {
    "tfrecord": "'semppl_keras[tensorflow]'",
    "arrayrecord": "'semppl_keras[tensorflow]' array_record",
}

_TFDS_SPLITS = {"unlabelled": "train", "labelled": "train", "test": "test"}


def tfrecord_images(text: str, role: str) -> ImageList:
    """The images of TFRecord files.

    Args:
        text: path, which may have wildcards.
        role: as `open_images` takes it.

    Raises:
        FileNotFoundError, ImportError, ValueError: as `open_images`.
    """

    def opened(files: tuple[str, ...]) -> Any:
        from semppl_keras.data.images.tf_records import TFRecords

        return TFRecords(files)

    return _images_of_examples("tfrecord", "TFRecord", text, role, opened)


def array_record_images(text: str, role: str) -> ImageList:
    """The images of ArrayRecord files; all else as of `tfrecord_images`."""

    def opened(files: tuple[str, ...]) -> Any:
        from semppl_keras.data.images.array_records import ArrayRecords

        return ArrayRecords(files)

    return _images_of_examples("arrayrecord", "ArrayRecord", text, role, opened)


def _images_of_examples(
    kind: str,
    title: str,
    text: str,
    role: str,
    opened: collections.abc.Callable[[tuple[str, ...]], Any],
) -> ImageList:
    """The images of files of examples.

    Args:
        kind, title: what the files are called in sources, and in messages.
        text, role: as for `tfrecord_images`.
        opened: function of the paths that gives `tf_records.Records`.
    """
    files = tuple(sorted(glob.glob(text)))
    if not files:
        raise FileNotFoundError(
            f"There must be {title} files at {text!r}. Received: a path where "
            "nothing is."
        )
    try:
        from semppl_keras.data.images.tf_records import (
            check_first,
            encoded_in,
            read_encoded,
            read_labels,
        )

        records = opened(files)
    except ImportError as error:
        raise ImportError(
            f"Reading {text!r} needs {_NEEDED[kind]}, whichever backend trains. "
            f"Received: an installation without it ({error}). Install it with pip "
            f"install {_INSTALLED[kind]}."
        ) from error

    names, labels, counts = [], [], records.counts
    for file in files:
        if role == "unlabelled":
            check_first(file, records)
        else:
            labels += read_labels(file, records)
    for file, count in zip(files, counts, strict=True):
        names += [f"{kind}:{file}[{index}]" for index in range(count)]

    def states() -> tuple[Any, ...]:
        known = [(file, *file_state(file)) for file in files]
        pairs = zip(known, counts, strict=True)
        return tuple((*one, index) for one, count in pairs for index in range(count))

    return ImageList(
        tuple(names),
        None if role == "unlabelled" else tuple(labels),
        lambda: (content for file in files for content in read_encoded(file, records)),
        states,
        at=lambda number: encoded_in(records.at(number)),
    )


def tfds_images(text: str, role: str) -> ImageList:
    """The images of a data set of TensorFlow Datasets.

    Args:
        text: "NAME", "NAME#SPLIT" or "NAME#SPLIT@FILE": of the split those alone whose
            `file_name` is in a file, one a line.
        role: as `open_images` takes it.

    Raises:
        ValueError, ImportError: as `open_images`; where the file names others.
    """
    whole, _, names_file = text.partition("@")
    name, _, split = whole.partition("#")
    split = split or _TFDS_SPLITS[role]
    tfds, builder = open_builder(name)
    check_split(builder, split, " Name another one with tfds:NAME#SPLIT.")
    examples = examples_of(tfds, builder, split)
    label_names = getattr(builder.info.features["label"], "names", None)
    labels: tuple[str | None, ...] | None = None
    indices: collections.abc.Sequence[int] = range(len(examples))
    if role != "unlabelled" or names_file:
        told = examples.labels_and_names(bool(names_file))
        if names_file:
            indices = listed_rows(names_file, [name for _, name in told], text)
        if role != "unlabelled":
            labels = tuple(label_text(told[n][0], label_names) for n in indices)
    version, at = str(builder.info.version), examples.at
    return ImageList(
        # The same of an image in whichever list of the split it is.
        tuple(f"tfds:{name}#{split}[{index}]" for index in indices),
        labels,
        lambda: examples.contents(indices),
        lambda: tuple((name, split, version, "by file", index) for index in indices),
        class_names=tuple(label_names or ()),
        at=None if at is None else lambda n: at(indices[n]),
    )


def listed_rows(
    path: str, names: collections.abc.Sequence[str | None], source: str
) -> list[int]:
    """Where the images are that a file names, one a line, of which folders count not.

    Args:
        path: Of the file.
        names: Of all images.
        source: What they are called in messages.

    Raises:
        ValueError: It names others, or none.
    """
    text = pathlib.Path(path).read_text(encoding="utf-8-sig", errors="replace")
    paths = text.replace("\\", "/").splitlines()
    wanted = {line.strip().rpartition("/")[2] for line in paths} - {""}
    rows = [row for row, name in enumerate(names) if name in wanted]
    missing = sorted(wanted - {names[row] for row in rows})
    if missing or not wanted:
        raise ValueError(
            f"{path!r} must name images of {source!r}, one a line. Received: "
            f"{len(wanted):,} names, {len(missing):,} of which it has not"
            f"{f', such as {missing[0]!r}' if missing else ''}."
        )
    return rows
