"""Where images come from: folders, tables, archives, data sets, records.

An `ImageList` names its images and their labels; none is decoded before it is asked
for.
"""

import collections.abc
import dataclasses
import glob
import hashlib
import itertools
import os
import pathlib
import stat

import numpy as np

from semppl_keras.data.few_labels import UNKNOWN, as_images, as_labels
from semppl_keras.data.images.files import (
    ReadImage,
    UnreadableImage,
    by_ending,
    find_classes,
    find_images,
    image_header,
    read_whole,
    resize_image,
    value_extent,
)
from semppl_keras.data.images.label_tables import TABLE_ENDINGS, read_label_table
from semppl_keras.data.images.npz_archives import open_npz
from semppl_keras.data.images.table_options import (
    UNKNOWN_FOLDERS,
    UNKNOWN_LABELS,
    TableOptions,
    known_labels,
    plain_label,
)
from semppl_keras.data.images.tfds_builders import check_split, open_builder

# Headers that are read to tell the size of images.
_HEADERS = 50

_NPZ_KEYS = {
    "unlabelled": (("images",), ("x_train",), ("x",)),
    "labelled": (("images", "labels"), ("x_train", "y_train"), ("x", "y")),
    "test": (("x_test", "y_test"), ("images", "labels"), ("x", "y")),
}
_TFDS_SPLITS = {"unlabelled": "train", "labelled": "train", "test": "test"}


@dataclasses.dataclass(frozen=True, eq=False)
class ImageList:
    """Images that can be read, in an order.

    Args:
        names: tuple of str, what each is called in logs: its path, or its place.
        labels: tuple of str, or None where there are none; until it is known which
            stand for none, some of them may be None.
        contents: function without arguments that returns an iterator over what each
            is: a path, the `bytes` of a file, or an array.
        states: tuple, for each what would differ if it were another: what can be
            written as JSON.
        remarks: tuple of str, what is worth knowing about where they come from.
        class_names: tuple of str, names that the source itself gives its classes.
    """

    names: tuple
    labels: tuple | None
    contents: collections.abc.Callable
    states: tuple
    remarks: tuple = ()
    class_names: tuple = ()

    def __len__(self):
        return len(self.names)

    def __add__(self, other):
        """Those of both, without labels."""
        return ImageList(
            self.names + other.names,
            None,
            lambda: itertools.chain(self.contents(), other.contents()),
            self.states + other.states,
            tuple(dict.fromkeys(self.remarks + other.remarks)),
        )

    def coloured(self):
        """Whether one of the images that can be read has colours."""
        return any(coloured for _, _, coloured in self._headers())

    def usual_side(self):
        """The median of the shorter sides of the first images, None of none."""
        headers = itertools.islice(self._headers(), _HEADERS)
        sides = [min(width, height) for width, height, _ in headers]
        return int(np.median(sides)) if sides else None

    def _headers(self):
        for content in self.contents():
            try:
                yield _header(content)
            except UnreadableImage:
                # It is told, and counted, where it is to be decoded.
                continue


def decode(content, size, channels, ranges=None):
    """An image of an `ImageList` as an array.

    Args:
        content: what its `contents` give.
        size: int, the central square is resized to it.
        channels: 1 or 3.
        ranges: as `read_image` takes them.

    Returns:
        `ReadImage`, its pixels `(size, size, channels)` uint8.

    Raises:
        UnreadableImage: as `read_image`.
    """
    if isinstance(content, np.ndarray):
        return ReadImage(resize_image(content, size, channels))
    return read_whole(content, size, channels, ranges)


def extent(content):
    """What `value_extent` tells of an image of an `ImageList`."""
    return None if isinstance(content, np.ndarray) else value_extent(content)


def open_images(source, role, options=None, images_folder=None):
    """The images that a text names.

    Args:
        source: a folder; a table (`.csv`, `.tsv`); `"npz:FILE"` with `images` and
            `labels`, or the arrays of `load_npz`; `"tfds:NAME"` or `"tfds:NAME#SPLIT"`;
            `"tfrecord:FILES"`, where FILES may have wildcards, of examples with
            `image/encoded` and `image/class/label` or `image/class/text`.
        role: "unlabelled", "labelled" or "test": only the first needs no labels, and
            of a folder takes all images, however deep, where the others take those of
            a folder for each class.
        options: `TableOptions`, or None: how tables are read, and which labels are
            classes although they are spelled like an unknown one.
        images_folder: path of the folder in which images of a table are looked for that
            are not beside it, or None.

    Returns:
        `ImageList`; those with an unknown label (-1, an empty field, or what programs
        write in its place: `UNKNOWN_LABELS`) are left out of labelled ones, and told.

    Raises:
        ValueError, FileNotFoundError, ImportError: as there is no such source, or none
            of this kind, naming what was expected.
    """
    kind, _, rest = str(source).partition(":")
    readers = {"npz": _open_npz, "tfds": _open_tfds, "tfrecord": _open_tfrecord}
    options = options or TableOptions()
    spellings = UNKNOWN_LABELS
    if kind in readers and rest:
        images = readers[kind](rest, role)
    elif pathlib.Path(source).is_dir():
        images = _open_folder(pathlib.Path(source), role)
        spellings = UNKNOWN_FOLDERS
    elif is_table(source):
        # It has read its labels, whose lines it can name.
        spellings = None
        images = _open_table(source, role, options, images_folder)
    else:
        raise FileNotFoundError(
            f"The {role} images must be a folder, a table (.csv, .tsv), npz:FILE, "
            f"tfds:NAME or tfrecord:FILES. Received: {str(source)!r}, "
            + (
                "a file that is none of them."
                if os.path.exists(source)
                else "where nothing is."
            )
        )
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


def is_table(source):
    """Whether a source is a table, of those that `open_images` takes."""
    kind, _, rest = str(source).partition(":")
    if (kind in ("npz", "tfds", "tfrecord") and rest) or os.path.isdir(source):
        return False
    return pathlib.Path(source).suffix.lower() in TABLE_ENDINGS


def source_path(source):
    """The path that a source is, or names after its kind; None where it names none."""
    kind, _, rest = str(source).partition(":")
    if kind == "tfds" and rest:
        return None
    return rest if kind in ("npz", "tfrecord") and rest else str(source)


def resolved_source(source):
    """What names the same images from any working folder: paths in it absolute."""
    kind, colon, rest = str(source).partition(":")
    if kind == "tfds" and rest:
        return str(source)
    if kind in ("npz", "tfrecord") and rest:
        return kind + colon + os.path.abspath(rest)
    return os.path.abspath(source)


def _open_folder(folder, role):
    passed_over, unread, empty, loose, labels = [], [], {}, [], None
    if role == "unlabelled":
        paths = find_images(folder, passed_over, unread)
    else:
        classes = find_classes(folder, passed_over, unread, empty, loose)
        paths = [path for own in classes.values() for path in own]
        labels = tuple(
            plain_label(name) or name for name, own in classes.items() for _ in own
        )
    return image_list(
        paths, labels, remarks_on_folder(folder, passed_over, unread, empty, loose)
    )


def remarks_on_folder(folder, passed_over=(), unread=(), empty=(), loose=()):
    """What is worth knowing about a folder, beside the images that are read.

    Args:
        folder: path.
        passed_over, unread, empty, loose: as `find_classes` fills them.

    Returns:
        List of str.
    """
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
            f"{by_ending(unread)}."
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


def _open_table(path, role, options, images_folder):
    remarks = []
    rows = read_label_table(
        path,
        labelled=role != "unlabelled",
        options=options,
        role=role,
        images_folder=images_folder,
        remarks=remarks,
    )
    labels = None if role == "unlabelled" else tuple(row.label for row in rows)
    return image_list([row.path for row in rows], labels, remarks)


def _with_known_labels(images, source, role, options, spellings):
    """Those of which the label is known, all where none are asked for."""
    if images.labels is None:
        return images
    labels, remarks = images.labels, []
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
        states=tuple(itertools.compress(images.states, chosen)),
        remarks=(*remarks, *images.remarks),
    )


def image_list(paths, labels=None, remarks=()):
    """Files as an `ImageList`.

    Args:
        paths: iterable of paths.
        labels: tuple of str, or None.
        remarks: iterable of str.
    """
    paths = tuple(paths)
    return ImageList(
        tuple(map(str, paths)),
        labels,
        lambda: iter(paths),
        tuple((str(path), *file_state(path)) for path in paths),
        tuple(remarks),
    )


def file_state(path, tells_change=os.name != "nt"):
    """What differs where a file is another than before, its size and time or not.

    Copying and unpacking set the time to what it was elsewhere. What nobody can set is
    when a file was last changed in any way; Windows, where `st_ctime` is when it was
    made, leaves the content to go by.

    Args:
        path: path.
        tells_change: bool, whether the system tells when a file was changed.

    Returns:
        Tuple that can be written as JSON, empty where there is no file.
    """
    try:
        status = os.stat(path)
        changed = status.st_ctime_ns if tells_change else _digest_of(path, status)
    except (OSError, ValueError):
        return ()
    return status.st_size, status.st_mtime_ns, status.st_ino, changed


def _digest_of(path, status):
    # Reading a pipe might never end.
    if not stat.S_ISREG(status.st_mode):
        return ""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()[:32]


def _header(content):
    if isinstance(content, np.ndarray):
        coloured = content.ndim == 3 and content.shape[-1] == 3
        return content.shape[1], content.shape[0], coloured
    return image_header(content)


# -- arrays -----------------------------------------------------------------------


def _open_npz(text, role):
    path = pathlib.Path(text)
    arrays, names, _ = open_npz(path, *_NPZ_KEYS[role])
    images, *labels = arrays.values()
    images = as_images(images, f"images of {path.name}")
    labels = labels[0] if labels else None
    if labels is not None:
        if labels.dtype.kind == "S":
            labels = labels.astype("U")
        elif labels.dtype.kind != "U":
            labels = _whole(labels, f"labels of {path.name}")
        if labels.shape != images.shape[:1]:
            raise ValueError(
                f"{str(path)!r} must hold one label per image. Received: "
                f"{len(images)} images and labels of shape {labels.shape}."
            )
    source, state = f"npz:{path}", (str(path), *file_state(path))
    return ImageList(
        tuple(f"{source}[{index}]" for index in range(len(images))),
        None if labels is None else tuple(_label_text(one, names) for one in labels),
        lambda: iter(images),
        tuple((*state, index) for index in range(len(images))),
        class_names=() if names is None else tuple(map(str, names)),
    )


def _whole(labels, name):
    """Numbers of classes; of floats too where some are missing, as no integer is."""
    if labels.dtype.kind == "f" and np.isnan(labels).any():
        numbers = np.where(np.isnan(labels), UNKNOWN, labels)
        if np.all(numbers == np.rint(numbers)):
            labels = numbers.astype("int64")
    return as_labels(labels, name)


def _label_text(label, names):
    """The name of the class that a number or a name stands for, None for unknown."""
    if isinstance(label, str):
        return str(label)
    if label == UNKNOWN:
        return None
    if names is None:
        return str(label)
    if 0 <= label < len(names):
        return str(names[label])
    raise ValueError(
        f"Labels must number the {len(names)} class names from 0. Received: {label}."
    )


# -- records ----------------------------------------------------------------------


def _open_tfrecord(text, role):
    files = sorted(glob.glob(text))
    if not files:
        raise FileNotFoundError(
            f"There must be TFRecord files at {text!r}. Received: a path where "
            "nothing is."
        )
    try:
        from semppl_keras.data.images.tf_records import read_encoded, read_labels
    except ImportError as error:
        raise ImportError(
            f"Reading {text!r} needs TensorFlow, whichever backend trains. Received: "
            f"an installation without it ({error}). Install it with pip install "
            "'semppl_keras[tensorflow]'."
        ) from error

    labelled = role != "unlabelled"
    names, labels, states = [], [], []
    for file in files:
        for index, label in enumerate(read_labels(file, labelled)):
            names.append(f"tfrecord:{file}[{index}]")
            labels.append(label)
            states.append((file, *file_state(file), index))
    return ImageList(
        tuple(names),
        tuple(labels) if labelled else None,
        lambda: (content for file in files for content in read_encoded(file)),
        tuple(states),
    )


def _open_tfds(text, role):
    name, _, split = text.partition("#")
    split = split or _TFDS_SPLITS[role]
    tfds, builder = open_builder(name)
    check_split(builder, split, " Name another one with tfds:NAME#SPLIT.")
    label_names = getattr(builder.info.features["label"], "names", None)

    def examples():
        return tfds.as_numpy(
            builder.as_dataset(
                split=split,
                # As bytes: decoded here, as all the others are.
                decoders={"image": tfds.decode.SkipDecoding()},
            )
        )

    numbers = [int(example["label"]) for example in examples()]
    return ImageList(
        tuple(f"tfds:{text}[{index}]" for index in range(len(numbers))),
        None
        if role == "unlabelled"
        else tuple(_label_text(number, label_names) for number in numbers),
        lambda: (example["image"] for example in examples()),
        tuple(
            (text, split, str(builder.info.version), index)
            for index in range(len(numbers))
        ),
        class_names=tuple(label_names or ()),
    )
