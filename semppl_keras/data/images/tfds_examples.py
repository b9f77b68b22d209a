"""The examples of a split of TensorFlow Datasets, each read alone where it can be."""

import collections.abc
import dataclasses
from typing import Any

from semppl_keras.data.images.record_index import NotRecords, find_records

# What data sets call the file that an image was.
_NAME = "file_name"


@dataclasses.dataclass(frozen=True)
class TfdsExamples:
    """The examples of a split.

    Args:
        count: How many there are.
        at: Gives the file of the image of one of them by its number, as bytes; None
            where they can only be read one after the other.
        told: Gives the number of the class and the name of the file of one after the
            other, None where it has none.
        all: Gives the files of all images, one after the other.
        named: Whether their files have names.
    """

    count: int
    at: collections.abc.Callable[[int], bytes] | None
    told: collections.abc.Callable[[], collections.abc.Iterator[tuple[int, str | None]]]
    all: collections.abc.Callable[[], collections.abc.Iterator[bytes]]
    named: bool

    def __len__(self) -> int:
        return self.count

    def labels_and_names(self, named: bool) -> list[tuple[int, str | None]]:
        """Of each the number of its class, and the name of its file.

        Args:
            named: Whether there have to be names.

        Raises:
            ValueError: There are none.
        """
        if named and not self.named:
            raise ValueError(
                f"Images are chosen by their names from a data set with the feature "
                f"{_NAME!r}. Received: one without it. Draw them with "
                "--labels-per-class instead."
            )
        return list(self.told())

    def contents(
        self, indices: collections.abc.Sequence[int]
    ) -> collections.abc.Iterator[bytes]:
        """The files of the images at some sorted indices."""
        if self.at is not None:
            return map(self.at, indices)
        wanted = set(indices)
        return (file for index, file in enumerate(self.all()) if index in wanted)


def examples_of(tfds: Any, builder: Any, split: str) -> TfdsExamples:
    """The examples of a split, in the order of its files.

    Args:
        tfds: The module.
        builder: A prepared data set, of images with labels.
        split: "train", or a part such as "train[:10%]".

    Raises:
        ValueError: Its files cannot be read.
    """
    named = _NAME in builder.info.features
    file_format = getattr(builder.info.file_format, "value", None)
    if file_format == "tfrecord":
        return _of_records(builder, split, named)
    decoders = {"image": tfds.decode.SkipDecoding()}
    if file_format == "array_record":
        source = builder.as_data_source(split, decoders=decoders)
        return _of_source(source, builder.info.name, named)

    def examples() -> collections.abc.Iterator[Any]:
        # As bytes: decoded here, as all the others are.
        return iter(tfds.as_numpy(builder.as_dataset(split=split, decoders=decoders)))

    return TfdsExamples(
        builder.info.splits[split].num_examples,
        None,
        lambda: (_told(example, named) for example in examples()),
        lambda: (example["image"] for example in examples()),
        named,
    )


def _of_source(source: Any, name: str, named: bool) -> TfdsExamples:
    """Those of a data set that reads any of its records itself."""

    def at(index: int) -> bytes:
        try:
            return source[index]["image"]
        except RuntimeError:
            # A damaged record: the others can be read.
            return b""

    def told() -> collections.abc.Iterator[tuple[int, str | None]]:
        try:
            for index in range(len(source)):
                yield _told(source[index], named)
        except RuntimeError as error:
            raise _damaged(name, error) from error

    return TfdsExamples(
        len(source), at, told, lambda: map(at, range(len(source))), named
    )


def _damaged(name: str, error: Exception) -> ValueError:
    return ValueError(
        f"The data set {name!r} must be whole. Received: {error}. Remove it, and "
        "prepare it again."
    )


def _of_records(builder: Any, split: str, named: bool) -> TfdsExamples:
    from semppl_keras.data.images.tf_records import encoded_in, values_in

    # A file comes up several times where a split joins several parts.
    instructions = builder.info.splits[split].file_instructions
    files = tuple(str(one.filename) for one in instructions)
    parts = [(one.skip, None if one.take < 0 else one.take) for one in instructions]
    try:
        records = find_records(files, parts)
    except NotRecords as error:
        raise _damaged(builder.info.name, error) from error
    text = _NAME if named else None
    return TfdsExamples(
        len(records),
        lambda index: encoded_in(records.read(index), "image"),
        lambda: (
            values_in(records.read(index), "label", text)
            for index in range(len(records))
        ),
        lambda: (
            encoded_in(records.read(index), "image") for index in range(len(records))
        ),
        named,
    )


def _told(example: Any, named: bool) -> tuple[int, str | None]:
    name = example[_NAME] if named else None
    if isinstance(name, bytes):
        name = name.decode("utf-8", "replace")
    return int(example["label"]), name
