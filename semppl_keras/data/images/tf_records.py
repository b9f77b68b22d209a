"""Images in files of examples, which TensorFlow reads on every backend."""

import collections.abc
import itertools
from typing import Any, Protocol

import google.protobuf.message
import numpy as np
import tensorflow as tf

from semppl_keras.data.image_arrays import UNKNOWN
from semppl_keras.data.images.record_index import NotRecords, find_records

_FORMAT = (
    "examples with the features image/encoded (a file's bytes) and, where labels are "
    "needed, image/class/text or image/class/label"
)


class Records(Protocol):
    """The records of some files, one after the other.

    Attributes:
        counts: how many each file has.
    """

    counts: list[int]

    def at(self, number: int) -> bytes:
        """One of them, of all files."""

    def of(self, path: str) -> collections.abc.Iterator[bytes]:
        """Those of a file."""


class TFRecords:
    """Those of TFRecord files.

    Args:
        files: Paths.

    Raises:
        ValueError: if a file is none.
    """

    def __init__(self, files: tuple[str, ...]) -> None:
        try:
            self._places = find_records(files)
        except NotRecords as error:
            raise _unreadable(", ".join(files), error) from error
        self.counts: list[int] = np.diff(self._places.ends, prepend=0).tolist()

    def at(self, number: int) -> bytes:
        """One of them, of all files."""
        return self._places.read(number)

    def of(self, path: str) -> collections.abc.Iterator[bytes]:
        """Those of a file."""
        return (record.numpy() for record in tf.data.TFRecordDataset(path))


def read_labels(path: str, records: Records) -> list[str | None]:
    """The labels of a file's examples.

    Args:
        path: of the file.
        records: `Records` with it.

    Returns:
        list of str: the class's text, or its number where there is none. None where
        that number is -1, which stands for unknown.

    Raises:
        ValueError: if a record cannot be read, or lacks a feature.
    """
    labels: list[str | None] = []
    for index, features in enumerate(_features(path, records)):
        _check_encoded(path, index, features, labelled=True)
        text = features["image/class/text"].bytes_list.value
        number = features["image/class/label"].int64_list.value
        if text and text[0]:
            labels.append(text[0].decode("utf-8", "replace"))
        else:
            # Beside a text that is empty there need be no number.
            known = number and number[0] != UNKNOWN
            labels.append(str(number[0]) if known else None)
    return labels


def check_first(path: str, records: Records) -> None:
    """Raises a ValueError if the first example of a file has no image.

    Args:
        path, records: As for `read_labels`.
    """
    for features in itertools.islice(_features(path, records), 1):
        _check_encoded(path, 0, features, labelled=False)


def encoded_in(record: bytes, feature: str = "image/encoded") -> bytes:
    """The file of an image within a record: empty, which no image is, where there is
    none."""
    try:
        features = tf.train.Example.FromString(record).features.feature
    except google.protobuf.message.DecodeError:
        return b""
    values = features[feature].bytes_list.value
    return values[0] if values else b""


def values_in(record: bytes, label: str, text: str | None) -> tuple[int, str | None]:
    """The number of a record's class, and what a feature of text says, None for none.

    Args:
        record: bytes.
        label, text: names of features.

    Raises:
        ValueError: if it is no example with such a number.
    """
    try:
        features = tf.train.Example.FromString(record).features.feature
    except google.protobuf.message.DecodeError as error:
        raise ValueError(f"no example: {error}") from error
    numbers = features[label].int64_list.value
    if not numbers:
        raise ValueError(f"an example without the number {label!r}")
    values = features[text].bytes_list.value if text is not None else ()
    return numbers[0], values[0].decode("utf-8", "replace") if values else None


def read_encoded(path: str, records: Records) -> collections.abc.Iterator[bytes]:
    """The files within a file, as `bytes`, one after the other; empty where there is
    none."""
    for features in _features(path, records):
        values = features["image/encoded"].bytes_list.value
        yield values[0] if values else b""


def _check_encoded(path: str, index: int, features: Any, *, labelled: bool) -> None:
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


def _features(path: str, records: Records) -> collections.abc.Iterator[Any]:
    try:
        for record in records.of(path):
            yield tf.train.Example.FromString(record).features.feature
    # TensorFlow's own for what is cut off, protocol buffers' for what is no example.
    except (tf.errors.OpError, google.protobuf.message.DecodeError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: str, error: Exception) -> ValueError:
    return ValueError(
        f"{path!r} must hold {_FORMAT}. Received a file that cannot be read: "
        f"{str(error).splitlines()[0]}"
    )
