"""A person's own images from what lists them to what is trained on."""

import collections.abc
import dataclasses
from typing import Any

from semppl_keras.data.choosing import choose_labelled
from semppl_keras.data.datasets.own_images import OwnImages
from semppl_keras.data.datasets.own_parts import (
    TestPart,
    decode_test,
    decode_train,
    decoding_of,
    unreadable,
)
from semppl_keras.data.defaults import CACHE, FIT, LARGEST_USUAL_SIDE, MAX_SKIPPED
from semppl_keras.data.images.decoding import TooManyUnreadable
from semppl_keras.data.images.image_list import ImageList
from semppl_keras.data.images.progress import Progress
from semppl_keras.data.images.source_names import Source, images_folder, own_name
from semppl_keras.data.images.sources import open_images
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
        names = self.class_names
        tested = None
        if test is not None:
            folder = images_folder(self.source)
            tested = open_tested(test, names, self.tables, folder, self.max_megapixels)
        if image_size is None:
            image_size = usual_size(self.labelled, fit)
        images = self.labelled + self.unlabelled
        decoding, remarks_on_ranges = decoding_of(
            images if tested is None else images + tested,
            images,
            image_size=image_size,
            fit=fit,
            value_range=value_range,
            max_skipped=max_skipped,
            cache_folder=cache_folder,
            cache=cache,
            progress=progress,
        )
        try:
            train = decode_train(decoding, self.labelled, self.unlabelled, names)
        except TooManyUnreadable as error:
            # Who repairs files wants to hear of all.
            others = [] if tested is None else unreadable(decoding, tested)
            raise TooManyUnreadable(str(error), [*error.skipped, *others]) from error
        testing = TestPart()
        if tested is not None:
            try:
                testing = decode_test(decoding, tested, train, names)
            except TooManyUnreadable as error:
                every = [*train.skipped, *error.skipped]
                raise TooManyUnreadable(str(error), every) from error
        told = [*remarks_on_ranges, *train.remarks]
        told += [text for text in testing.remarks if text not in told]
        skipped = (*train.skipped, *testing.skipped)
        if skipped:
            total = len(images) + (0 if tested is None else len(tested))
            told.append(f"{len(skipped):,} of {total:,} images cannot be read.")
        return OwnImages(
            x_train=train.images,
            y_train=train.labels,
            labelled_indices=choose_labelled(
                train.labels, labels_per_class, len(names), seed
            ),
            x_test=testing.images,
            y_test=testing.labels,
            num_classes=len(names),
            class_names=names,
            name=own_name(self.source),
            train_names=train.names,
            test_names=testing.names,
            skipped=skipped,
            remarks=tuple(told),
            value_ranges=decoding.ranges,
            digest=train.digest,
            given_labels=_given(self.labelled),
            given_names=self.unlabelled.names,
            given_test=() if tested is None else _given(tested),
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


def _given(images: ImageList) -> tuple[tuple[str, str], ...]:
    """The name and the label of each."""
    return tuple(zip(images.names, images.labels or (), strict=True))
