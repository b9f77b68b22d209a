"""Encoded images in TFRecord files, which TensorFlow reads on every backend."""

import collections.abc
from typing import Any

import google.protobuf.message
import tensorflow as tf

from semppl_keras.data.image_arrays import UNKNOWN

_FORMAT = (
    "examples with the features image/encoded (a file's bytes) and, where labels are "
    "needed, image/class/text or image/class/label"
)


def read_labels(path: str, labelled: bool = True) -> list[str | None]:
    """The labels of a file's examples.

    Args:
        path: str.
        labelled: bool, whether each example must have one.

    Returns:
        list of str: the class's text, or its number where there is none. None where
        that number is -1, which stands for unknown, or labels are not needed.

    Raises:
        ValueError: if the file is no TFRecord, or lacks a feature.
    """
    labels: list[str | None] = []
    for index, features in enumerate(_features(path)):
        encoded = features["image/encoded"].bytes_list.value
        text = features["image/class/text"].bytes_list.value
        number = features["image/class/label"].int64_list.value
        if not encoded or (labelled and not (text or number)):
            # Asking for a feature has made it one, of no kind.
            there = sorted(n for n in features if features[n].WhichOneof("kind"))
            raise ValueError(
                f"{path!r} must hold {_FORMAT}. Received: example {index} with "
                f"{', '.join(there) or 'no feature'}."
            )
        if not labelled:
            labels.append(None)
        elif text and text[0]:
            labels.append(text[0].decode("utf-8", "replace"))
        else:
            # Beside a text that is empty there need be no number.
            known = number and number[0] != UNKNOWN
            labels.append(str(number[0]) if known else None)
    return labels


def read_encoded(path: str) -> collections.abc.Iterator[bytes]:
    """The files within a file, as `bytes`, one after the other."""
    for features in _features(path):
        yield features["image/encoded"].bytes_list.value[0]


def _features(path: str) -> collections.abc.Iterator[Any]:
    try:
        for record in tf.data.TFRecordDataset(path):
            example = tf.train.Example.FromString(record.numpy())
            yield example.features.feature
    # TensorFlow's own for what is cut off, protocol buffers' for what is no example.
    except (tf.errors.OpError, google.protobuf.message.DecodeError) as error:
        raise ValueError(
            f"{path!r} must hold {_FORMAT}. Received a file that cannot be read: "
            f"{str(error).splitlines()[0]}"
        ) from error
