"""A person's own images, decoded: those to train on, and those to test on."""

import dataclasses
import hashlib
from typing import Any

import numpy as np

from semppl_keras.checks import listed
from semppl_keras.data.datasets.own_remarks import (
    remarks_on_copies,
    remarks_on_labels,
    remarks_on_leaks,
    remarks_on_test,
)
from semppl_keras.data.few_labels import rows_of
from semppl_keras.data.image_arrays import UNKNOWN
from semppl_keras.data.images.cache import decode_cached
from semppl_keras.data.images.decoding import (
    DecodedRows,
    Skipped,
    TooManyUnreadable,
    find_ranges,
    remarks_on_files,
)
from semppl_keras.data.images.image_list import ImageList
from semppl_keras.data.images.progress import Progress, told_of
from semppl_keras.data.images.source_names import Source
from semppl_keras.data.images.streamed_images import StreamedImages
from semppl_keras.data.images.streaming import LOOKED_AT, REMARK, digest_of_names
from semppl_keras.data.images.value_ranges import ValueRanges


@dataclasses.dataclass(frozen=True)
class Decoding:
    """How all images of a set are decoded; the arguments are those of `decode_cached`.

    Args:
        progress: as `load_own_images` takes it.
    """

    size: int
    channels: int
    fit: str
    ranges: ValueRanges | None
    folder: Source | None
    place: str
    max_skipped: float
    progress: Progress | None

    def rows(
        self, images: ImageList, what: str, num_first: int | None = None
    ) -> tuple[Any, DecodedRows]:
        """As `decode_cached`.

        Args:
            images: `ImageList`.
            what: str, what they are, for `progress`.
            num_first: as `decode_cached` takes it.
        """
        return decode_cached(
            images,
            self.size,
            self.channels,
            fit=self.fit,
            folder=self.folder,
            place=self.place,
            ranges=self.ranges,
            num_first=num_first,
            max_skipped=self.max_skipped,
            progress=told_of(self.progress, what),
        )

    def test_rows(self, tested: ImageList) -> tuple[Any, DecodedRows]:
        """Those of the images to test on."""
        return self.rows(tested, "images to test on")


@dataclasses.dataclass(frozen=True, eq=False)
class TrainPart:
    """What an `OwnImages` has to train on, the labelled images first.

    Args:
        images: `(N, size, size, channels)` uint8, or `StreamedImages`.
        labels: `(N,)` int32, `UNKNOWN` of those without a label.
        num_labelled: int, how many have one.
        names: tuple of str, of each image.
        pixels: list of str, of each image, what tells its pixels from others.
        digest: str, of all of them in their order.
        skipped: list of `Skipped`, those that cannot be read.
        remarks: list of str, what is worth knowing.
    """

    images: Any
    labels: np.ndarray
    num_labelled: int
    names: tuple[str, ...]
    pixels: list[str]
    digest: str
    skipped: list[Skipped]
    remarks: list[str]


@dataclasses.dataclass(frozen=True, eq=False)
class TestPart:
    """What it has to test on; made without arguments where there is nothing.

    Args:
        images, labels, names, skipped, remarks: as in `TrainPart`.
    """

    images: Any = None
    labels: np.ndarray | None = None
    names: tuple[str, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    remarks: tuple[str, ...] = ()


def decoding_of(
    every: ImageList,
    trained: ImageList,
    *,
    image_size: int,
    fit: str,
    value_range: Any,
    max_skipped: float,
    cache_folder: Source | None,
    cache: str,
    progress: Progress | None,
) -> tuple[Decoding, list[str]]:
    """Looks at images for what they must have in common: channels and value ranges.

    Args:
        every: `ImageList`, all of the set.
        trained: `ImageList`, those of them that are trained on: grey images are of one
            channel where all of these are grey.
        image_size, fit, value_range, max_skipped, cache_folder, cache, progress: as
            `load_own_images` takes them. With cache "none" the first ones stand for
            all.

    Returns:
        `Decoding`; and what `find_ranges` remarks.
    """
    if cache == "none":
        every, trained = every.some(LOOKED_AT), trained.some(LOOKED_AT)
    channels = 3 if trained.coloured() else 1
    ranges, remarks = find_ranges(every, value_range, told_of(progress, "deep images"))
    decoding = Decoding(
        image_size, channels, fit, ranges, cache_folder, cache, max_skipped, progress
    )
    return decoding, remarks


def decode_train(
    decoding: Decoding,
    labelled: ImageList,
    unlabelled: ImageList,
    class_names: tuple[str, ...],
) -> TrainPart:
    """Decodes what is trained on.

    Raises:
        TooManyUnreadable: as `load_own_images`.
    """
    images = labelled + unlabelled
    rows, found = decoding.rows(images, "images to train on", len(labelled))
    num_labelled = sum(index < len(labelled) for index in found.kept)
    texts = labelled.labels_of(found.kept[:num_labelled])
    _check_classes_left(class_names, texts, found.skipped)
    labels = np.full(len(found.kept), UNKNOWN, "int32")
    labels[:num_labelled] = labelled.numbers_of(found.kept[:num_labelled], class_names)
    names = tuple(images.names[index] for index in found.kept)
    remarks = [
        *images.remarks,
        *remarks_on_files(found, len(images), "images"),
        *remarks_on_labels(texts, names, found.digests, class_names),
        *remarks_on_copies(found, images.names),
    ]
    digest = hashlib.blake2b("".join(found.digests).encode()).hexdigest()[:32]
    if isinstance(rows, StreamedImages):
        rows, digest = rows.labelled(labels), digest_of_names(names)
        remarks = [REMARK, *remarks]
    return TrainPart(
        rows, labels, num_labelled, names, found.digests, digest, found.skipped, remarks
    )


def decode_test(
    decoding: Decoding,
    tested: ImageList,
    train: TrainPart,
    class_names: tuple[str, ...],
) -> TestPart:
    """Decodes what is tested on, of which those of other classes are left out.

    Raises:
        TooManyUnreadable: as `load_own_images`.
        ValueError: if none is of the classes.
    """
    rows, found = decoding.test_rows(tested)
    names = [tested.names[index] for index in found.kept]
    texts = tested.labels_of(found.kept)
    labels = tested.numbers_of(found.kept, class_names)
    known = labels >= 0
    if not known.any():
        raise ValueError(
            "Test images must be of the labelled classes, "
            f"{listed(class_names)}. Received: {listed(sorted(set(texts)))}."
        )
    remarks = (
        *tested.remarks,
        *remarks_on_files(found, len(tested), "test images"),
        *remarks_on_leaks(names, found.digests, train.pixels, train.num_labelled),
        *remarks_on_test(texts, known, class_names),
    )
    rows = rows if known.all() else rows_of(rows, np.flatnonzero(known))
    if isinstance(rows, StreamedImages):
        rows = rows.labelled(labels[known])
    kept_names = tuple(name for name, one in zip(names, known, strict=True) if one)
    return TestPart(rows, labels[known], kept_names, tuple(found.skipped), remarks)


def unreadable(decoding: Decoding, tested: ImageList) -> list[Skipped]:
    """Those to test on that cannot be read, whether they are too many or not."""
    try:
        _, found = decoding.test_rows(tested)
    except TooManyUnreadable as error:
        return error.skipped
    return found.skipped


def _check_classes_left(
    class_names: tuple[str, ...], labels: list[str], skipped: list[Skipped]
) -> None:
    lost = [name for name in class_names if name not in set(labels)]
    if lost:
        name, reason = skipped[0]
        raise TooManyUnreadable(
            "Every class must have a labelled image that can be read. Received: none "
            f"of {listed(lost)}; what cannot be read begins with {name!r} ({reason}). "
            "Replace the files, or remove the labels of these classes.",
            skipped,
        )
