"""A person's own images from what lists them to what is trained on."""

import collections.abc
import dataclasses
import hashlib
from typing import Any, NamedTuple

import numpy as np

from semppl_keras.checks import listed
from semppl_keras.data.choosing import choose_labelled
from semppl_keras.data.datasets.own_images import OwnImages
from semppl_keras.data.datasets.own_remarks import (
    remarks_on_copies,
    remarks_on_labels,
    remarks_on_leaks,
    remarks_on_test,
)
from semppl_keras.data.defaults import CACHE, FIT, LARGEST_USUAL_SIDE, MAX_SKIPPED
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
from semppl_keras.data.images.source_names import Source, images_folder, own_name
from semppl_keras.data.images.sources import open_images
from semppl_keras.data.images.streamed_images import StreamedImages
from semppl_keras.data.images.streaming import LOOKED_AT, REMARK, digest_of_names
from semppl_keras.data.images.table_options import TableOptions

_SMALLEST_SIDE = 8


@dataclasses.dataclass(frozen=True, eq=False)
class OpenedImages:
    """A person's own images, listed and not decoded yet: as `open_own_images` opens.

    Args:
        source: what names the unlabelled ones.
        labelled: `ImageList`, with labels.
        unlabelled: `ImageList`.
        tables: `TableOptions`, or None.
        class_names: tuple of str, in their order.
        max_megapixels: as `open_images` takes it.
    """

    source: Source
    labelled: ImageList
    unlabelled: ImageList
    tables: TableOptions | None
    class_names: tuple[str, ...]
    max_megapixels: float | None = None

    def load(
        self,
        test: Source | None = None,
        labels_per_class: int | str | None = None,
        seed: int = 0,
        *,
        image_size: int | None = None,
        fit: str = FIT,
        value_range: Any = None,
        max_skipped: float = MAX_SKIPPED,
        cache_folder: Source | None = None,
        cache: str = CACHE,
        progress: Progress | None = None,
    ) -> OwnImages:
        """Decodes them, as `load_own_images`, which says what the arguments are."""
        few, class_names = self.labelled, self.class_names
        tested = None
        if test is not None:
            folder = images_folder(self.source)
            tested = open_tested(
                test, class_names, self.tables, folder, self.max_megapixels
            )
        if image_size is None:
            image_size = usual_size(few, fit)
        images = few + self.unlabelled
        looked_at = images if tested is None else images + tested
        if cache == "none":
            channels = 3 if images.some(LOOKED_AT).coloured() else 1
            looked_at = looked_at.some(LOOKED_AT)
        else:
            channels = 3 if images.coloured() else 1
        ranges, remarks_on_ranges = find_ranges(
            looked_at, value_range, told_of(progress, "deep images")
        )

        def decoded(
            listed: ImageList, what: str, num_first: int | None = None
        ) -> tuple[Any, DecodedRows]:
            return decode_cached(
                listed,
                image_size,
                channels,
                fit=fit,
                folder=cache_folder,
                place=cache,
                ranges=ranges,
                num_first=num_first,
                max_skipped=max_skipped,
                progress=told_of(progress, what),
            )

        def decoded_test(listed: ImageList) -> tuple[Any, DecodedRows]:
            return decoded(listed, "images to test on")

        try:
            x_train, train = decoded(images, "images to train on", len(few))
            kept = np.array(train.kept)
            num_labelled = int(np.sum(kept < len(few)))
            labels = few.labels_of(train.kept[:num_labelled])
            _check_classes_left(class_names, labels, train.skipped)
        except TooManyUnreadable as error:
            # Who repairs files wants to hear of all.
            others = [] if tested is None else _unreadable(decoded_test, tested)
            raise TooManyUnreadable(str(error), [*error.skipped, *others]) from error
        y_train = np.full(len(kept), UNKNOWN, "int32")
        y_train[:num_labelled] = few.numbers_of(train.kept[:num_labelled], class_names)
        digest = hashlib.blake2b("".join(train.digests).encode()).hexdigest()[:32]
        train_names = tuple(images.names[index] for index in kept)
        if isinstance(x_train, StreamedImages):
            x_train, digest = x_train.labelled(y_train), digest_of_names(train_names)
        remarks = [
            *([REMARK] if isinstance(x_train, StreamedImages) else []),
            *images.remarks,
            *remarks_on_ranges,
            *remarks_on_files(train, len(images), "images"),
            *remarks_on_labels(labels, train_names, train.digests, class_names),
            *remarks_on_copies(train, images.names),
        ]
        skipped, total = list(train.skipped), len(images)
        testing = _TestPart()
        if tested is not None:
            try:
                x_test, found = decoded_test(tested)
            except TooManyUnreadable as error:
                every = [*skipped, *error.skipped]
                raise TooManyUnreadable(str(error), every) from error
            remarks += [text for text in tested.remarks if text not in remarks]
            remarks += remarks_on_files(found, len(tested), "test images")
            names = [tested.names[index] for index in found.kept]
            remarks += remarks_on_leaks(
                names, found.digests, train.digests, num_labelled
            )
            testing, told = _test_part(tested, x_test, found, class_names)
            remarks += told
            skipped += found.skipped
            total += len(tested)
        if skipped:
            remarks.append(f"{len(skipped):,} of {total:,} images cannot be read.")
        return OwnImages(
            x_train=x_train,
            y_train=y_train,
            labelled_indices=choose_labelled(
                y_train, labels_per_class, len(class_names), seed
            ),
            x_test=testing.images,
            y_test=testing.labels,
            num_classes=len(class_names),
            class_names=class_names,
            name=own_name(self.source),
            train_names=train_names,
            test_names=testing.names,
            skipped=tuple(skipped),
            remarks=tuple(remarks),
            value_ranges=ranges,
            digest=digest,
            given_labels=tuple(zip(few.names, few.labels or (), strict=True)),
            given_names=self.unlabelled.names,
            given_test=()
            if tested is None
            else tuple(zip(tested.names, tested.labels or (), strict=True)),
        )


def open_own_images(
    unlabelled: Source,
    labelled: Source,
    tables: TableOptions | None = None,
    max_megapixels: float | None = None,
) -> OpenedImages:
    """Lists a person's own images.

    Args:
        unlabelled, labelled, tables, max_megapixels: as `load_own_images` takes them.

    Returns:
        `OpenedImages`.

    Raises:
        ValueError, FileNotFoundError, ImportError: as `load_own_images`.
    """
    folder = images_folder(unlabelled)
    few = open_images(labelled, "labelled", tables, folder, max_megapixels)
    many = open_images(unlabelled, "unlabelled", tables, max_megapixels=max_megapixels)
    class_names = classes_in(few.labels or (), few.remarks)
    return OpenedImages(unlabelled, few, many, tables, class_names, max_megapixels)


def load_own_images(
    unlabelled: Source,
    labelled: Source,
    test: Source | None = None,
    labels_per_class: int | str | None = None,
    seed: int = 0,
    *,
    image_size: int | None = None,
    fit: str = FIT,
    value_range: Any = None,
    max_skipped: float = MAX_SKIPPED,
    cache_folder: Source | None = None,
    cache: str = CACHE,
    progress: Progress | None = None,
    tables: TableOptions | None = None,
    max_megapixels: float | None = None,
) -> OwnImages:
    """Loads images without labels, a few with labels, and some to test on.

    Each source is a folder, a table of paths and labels, or an archive: see
    `open_images`. Every image becomes a square (`fit`). What cannot be read is
    left out and told. So are copies, the very same pixels, of a labelled image or of
    another one among the unlabelled, since training would push an image
    away from itself. Test images whose label no labelled image has are left out.
    Images are grey (one channel) where all are. No file is changed.

    Args:
        unlabelled: source of images.
        labelled: source of images with labels, of at least two classes.
        test: source of images with labels, or None.
        labels_per_class: as for `choose_labelled`: with fewer than there are, the
            other labelled images count as unlabelled, their labels serving to measure
            the pseudo-labels. None for all.
        seed: int, chooses them.
        image_size: int, pixels of a side; None for what the labelled images have (the
            median of the longer sides, with "crop" of the shorter ones), at most
            `defaults.LARGEST_USUAL_SIDE`.
        fit: how images become squares, as `read_image` takes it.
        value_range: (low, high), the values of images with more than 8 bits a channel
            that become 0 and 255; None for the range of all such images here, or of
            the usual ones the smallest that holds it; `ValueRanges` of a set that
            they are to be read like; "each" for each image by itself.
        max_skipped: float in [0, 1], the share of the images that may be unreadable.
        cache_folder, cache: where decoded images are kept, as `decode_cached` takes
            `folder` and `place`: with "none" they are `StreamedImages`.
        progress: function of (what is read: str, images done, images in all).
        tables: `TableOptions`, or None: which columns of tables are read, and which
            spellings are classes, or none. What is a class of the labelled images is
            one of those to test on.
        max_megapixels: float, millions of pixels of an image that may be decoded at
            once; None for as many as Pillow takes for safe. Four times as many may an
            image have that is decoded in parts: see `read_image`.

    Returns:
        `OwnImages`, the labelled images first.

    Raises:
        TooManyUnreadable: if too many images are unreadable, or all of a class; with
            all that are, among those to test on, too.
        ValueError, FileNotFoundError, ImportError: if a source is none, or fewer than
            two classes are labelled.

    Example:
        >>> data = load_own_images("photos", "labels.csv", image_size=96)
        >>> data.remarks
    """
    return open_own_images(unlabelled, labelled, tables, max_megapixels).load(
        test,
        labels_per_class,
        seed,
        image_size=image_size,
        fit=fit,
        value_range=value_range,
        max_skipped=max_skipped,
        cache_folder=cache_folder,
        cache=cache,
        progress=progress,
    )


def open_tested(
    source: Source,
    class_names: tuple[str, ...],
    tables: TableOptions | None = None,
    folder: Source | None = None,
    max_megapixels: float | None = None,
) -> ImageList:
    """The images to test on, whose classes are known.

    Args:
        source: as `load_own_images` takes `test`.
        class_names: tuple of str, of the labelled images: what is called so is of
            the class, however it is spelled.
        tables: `TableOptions`, or None.
        folder: as `open_images` takes `images_folder`.
        max_megapixels: as `open_images` takes it.

    Returns:
        `ImageList`.
    """
    options = (tables or TableOptions()).keeping(class_names)
    return open_images(source, "test", options, folder, max_megapixels)


def usual_size(images: ImageList, fit: str) -> int:
    """To how many pixels a side images are brought where nobody says it: those that
    they have, within bounds."""
    side = images.usual_side(fit) or LARGEST_USUAL_SIDE
    return max(_SMALLEST_SIDE, min(side, LARGEST_USUAL_SIDE))


class _TestPart(NamedTuple):
    """What an `OwnImages` has to test on."""

    images: Any = None
    labels: np.ndarray | None = None
    names: tuple[str, ...] = ()


def _test_part(
    tested: ImageList, images: Any, found: DecodedRows, class_names: tuple
) -> tuple[_TestPart, list[str]]:
    """Those of the classes that there are, and what is worth knowing about them."""
    texts = tested.labels_of(found.kept)
    labels = tested.numbers_of(found.kept, class_names)
    known = labels >= 0
    remarks = remarks_on_test(texts, known, class_names)
    if not known.any():
        raise ValueError(
            "Test images must be of the labelled classes, "
            f"{listed(class_names)}. Received: {listed(sorted(set(texts)))}."
        )
    images = images if known.all() else rows_of(images, np.flatnonzero(known))
    if isinstance(images, StreamedImages):
        images = images.labelled(labels[known])
    part = _TestPart(
        images,
        labels[known],
        tuple(tested.names[index] for index in np.array(found.kept)[known]),
    )
    return part, remarks


def classes_in(
    labels: collections.abc.Iterable[str],
    remarks: collections.abc.Iterable[str] = (),
) -> tuple[str, ...]:
    """The classes of labels, in their order: that of numbers, or of texts.

    Args:
        labels: iterable of str.
        remarks: iterable of str, what was made of where they come from: where they do
            not do, it may be the reason.

    Raises:
        ValueError: if they are of less than two classes.
    """
    labels = tuple(labels)
    names = set(labels)
    if len(names) < 2:
        raise ValueError(
            "The labelled images must be of at least two classes. Received: "
            f"{len(labels):,} images, all labelled {next(iter(names))!r}."
            + "".join(f" {remark}" for remark in remarks)
        )
    numbers = all(name.isascii() and name.isdigit() for name in names)
    return tuple(sorted(names, key=lambda name: (int(name), name) if numbers else name))


def _unreadable(
    decode: collections.abc.Callable[[ImageList], tuple[Any, DecodedRows]],
    images: ImageList,
) -> list[Skipped]:
    """The `Skipped` of a decoding, whether there are too many or not."""
    try:
        _, decoded = decode(images)
    except TooManyUnreadable as error:
        return error.skipped
    return decoded.skipped


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
