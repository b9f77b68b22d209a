"""Images of TFRecord files and of TensorFlow Datasets."""

import collections.abc
import glob
from typing import Any

from semppl_keras.data.images.array_sources import label_text
from semppl_keras.data.images.image_list import ImageList, file_state
from semppl_keras.data.images.tfds_builders import check_split, open_builder

_TFDS_SPLITS = {"unlabelled": "train", "labelled": "train", "test": "test"}


def tfrecord_images(text: str, role: str) -> ImageList:
    """The images of TFRecord files.

    Args:
        text: path, which may have wildcards.
        role: as `open_images` takes it.

    Raises:
        FileNotFoundError, ImportError: as `open_images`.
    """
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
        lambda: tuple(states),
    )


def tfds_images(text: str, role: str) -> ImageList:
    """The images of a data set of TensorFlow Datasets.

    Args:
        text: "NAME" or "NAME#SPLIT".
        role: as `open_images` takes it.

    Raises:
        ValueError, ImportError: as `open_images`.
    """
    name, _, split = text.partition("#")
    split = split or _TFDS_SPLITS[role]
    tfds, builder = open_builder(name)
    check_split(builder, split, " Name another one with tfds:NAME#SPLIT.")
    label_names = getattr(builder.info.features["label"], "names", None)

    def examples() -> collections.abc.Iterator[Any]:
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
        else tuple(label_text(number, label_names) for number in numbers),
        lambda: (example["image"] for example in examples()),
        lambda: tuple(
            (text, split, str(builder.info.version), index)
            for index in range(len(numbers))
        ),
        class_names=tuple(label_names or ()),
    )
