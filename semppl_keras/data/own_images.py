"""A person's own images: many without labels, a few with."""

import dataclasses
import hashlib
import os
import re
import unicodedata

import numpy as np

from semppl_keras.data.checks import listed
from semppl_keras.data.few_labels import UNKNOWN, FewLabels, choose_labelled
from semppl_keras.data.images.cache import decode_cached
from semppl_keras.data.images.decoding import (
    TooManyUnreadable,
    find_ranges,
    remarks_on_files,
)
from semppl_keras.data.images.sources import open_images
from semppl_keras.data.images.table_options import TableOptions

# Larger images are shrunk to it where nobody says another size.
LARGEST_USUAL_SIDE = 96
_SMALLEST_SIDE = 8

_IMBALANCE = 10


@dataclasses.dataclass(frozen=True, eq=False)
class OwnImages(FewLabels):
    """`FewLabels` from files, with what was found out about them.

    Args:
        train_names: tuple of str, for each training image its path or place.
        test_names: tuple of str, for each test image the same.
        skipped: tuple of `Skipped`, the images that could not be read.
        digest: str, which differs where another image, or another order, is trained on.
    """

    train_names: tuple = ()
    test_names: tuple = ()
    skipped: tuple = ()
    digest: str = ""


def load_own_images(
    unlabelled,
    labelled,
    test=None,
    labels_per_class=None,
    seed=0,
    *,
    image_size=None,
    value_range=None,
    max_skipped=0.05,
    cache_folder=None,
    cache="auto",
    progress=None,
    tables=None,
):
    """Loads images without labels, a few with labels, and some to test on.

    Each source is a folder, a table of paths and labels, or an archive: see
    `image_lists.open_images`. Of every image the central square is resized. What cannot
    be read is left out and told. So are copies, the very same pixels, of a labelled
    image or of another one among the unlabelled, since training would push an image
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
            median of the shorter sides), at most 96.
        value_range: (low, high), the values of images with more than 8 bits a channel
            that become 0 and 255; None for the range of all such images here, or of
            the usual ones the smallest that holds it; `ValueRanges` of a set that
            they are to be read like; "each" for each image by itself.
        max_skipped: float in [0, 1], the share of the images that may be unreadable.
        cache_folder, cache: where decoded images are kept, as `decode_cached` takes
            `folder` and `place`.
        progress: function of (what is read: str, images done, images in all).
        tables: `TableOptions`, or None: which columns of tables are read, and which
            spellings are classes, or none. What is a class of the labelled images is
            one of those to test on.

    Returns:
        `OwnImages`, the labelled images first.

    Raises:
        TooManyUnreadable: if too many images are unreadable, or all of a class; with
            all that are, among those to test on, too.
        ValueError, FileNotFoundError, ImportError: if a source is none, no unlabelled
            images are left, or fewer than two classes are labelled.

    Example:
        >>> data = load_own_images("photos", "labels.csv", image_size=96)
        >>> data.remarks
    """
    few, many = _opened(unlabelled, labelled, tables)
    class_names = _class_names(few.labels)
    tested = None
    if test is not None:
        tested = open_tested(test, class_names, tables, images_folder(unlabelled))
    if image_size is None:
        image_size = _usual_size(few)
    images = few + many
    channels = 3 if images.coloured() else 1
    ranges, remarks_on_ranges = find_ranges(
        images if tested is None else images + tested,
        value_range,
        _named_progress(progress, "deep images"),
    )
    options = {
        "ranges": ranges,
        "folder": cache_folder,
        "place": cache,
        "max_skipped": max_skipped,
    }

    def decode_tested():
        return decode_cached(
            tested,
            image_size,
            channels,
            progress=_named_progress(progress, "images to test on"),
            **options,
        )

    try:
        x_train, train = decode_cached(
            images,
            image_size,
            channels,
            num_first=len(few),
            progress=_named_progress(progress, "images to train on"),
            **options,
        )
        kept = np.array(train.kept)
        num_labelled = int(np.sum(kept < len(few)))
        labels = [few.labels[index] for index in kept[:num_labelled]]
        _check_classes_left(class_names, labels, train.skipped)
    except TooManyUnreadable as error:
        # Who repairs files wants to hear of all.
        others = [] if tested is None else _unreadable(decode_tested)
        raise TooManyUnreadable(str(error), [*error.skipped, *others]) from error
    if num_labelled == len(kept):
        raise ValueError(
            "There must be unlabelled images to learn from, other than the labelled "
            f"ones. Received: {len(many):,} images in {str(unlabelled)!r}, of which "
            f"{len(train.repeated):,} are labelled ones, too, and the others cannot be "
            "read. Add images."
        )
    y_train = np.full(len(kept), UNKNOWN, "int32")
    y_train[:num_labelled] = [class_names.index(label) for label in labels]
    train_names = tuple(images.names[index] for index in kept)

    remarks = [*images.remarks, *remarks_on_ranges]
    remarks += remarks_on_files(train, len(images), "images")
    remarks += _remarks_on_labels(labels, train_names, train.digests, class_names)
    if train.repeated:
        remarks.append(
            f"{len(train.repeated):,} of the unlabelled images are labelled ones, too: "
            "they count once, as labelled."
        )
    if train.duplicates:
        example = images.names[train.duplicates[0]]
        remarks.append(
            f"{len(train.duplicates):,} of the unlabelled images are copies of others, "
            f"the very same pixels, such as {example!r}: each counts once, since "
            "training would push it away from itself."
        )
    skipped = list(train.skipped)
    x_test = y_test = None
    test_names = ()
    if tested is not None:
        try:
            x_test, found = decode_tested()
        except TooManyUnreadable as error:
            raise TooManyUnreadable(str(error), [*skipped, *error.skipped]) from error
        remarks += [text for text in tested.remarks if text not in remarks]
        remarks += remarks_on_files(found, len(tested), "test images")
        skipped += found.skipped
        names = [tested.names[index] for index in found.kept]
        texts = [tested.labels[index] for index in found.kept]
        remarks += _leaks(names, found.digests, train.digests, num_labelled)
        known = np.array([text in class_names for text in texts])
        remarks += _remarks_on_test(texts, known, class_names)
        if not known.any():
            raise ValueError(
                "Test images must be of the labelled classes, "
                f"{listed(class_names)}. Received: {listed(sorted(set(texts)))}."
            )
        if not known.all():
            x_test = x_test[known]
        y_test = np.array(
            [class_names.index(text) for text in texts if text in class_names], "int32"
        )
        test_names = tuple(np.array(names, dtype=object)[known])
    if skipped:
        total = len(images) + (0 if tested is None else len(tested))
        remarks.append(f"{len(skipped):,} of {total:,} images cannot be read.")
    return OwnImages(
        x_train=x_train,
        y_train=y_train,
        labelled_indices=choose_labelled(
            y_train, labels_per_class, len(class_names), seed
        ),
        x_test=x_test,
        y_test=y_test,
        num_classes=len(class_names),
        class_names=class_names,
        name=own_name(unlabelled),
        train_names=train_names,
        test_names=test_names,
        skipped=tuple(skipped),
        remarks=tuple(remarks),
        value_ranges=ranges,
        digest=hashlib.blake2b("".join(train.digests).encode()).hexdigest()[:32],
    )


def survey_own_images(unlabelled, labelled, tables=None):
    """What can be told about images before they are decoded.

    Args:
        unlabelled, labelled, tables: as `load_own_images` takes them.

    Returns:
        int, the image size that it would choose, and int, how many unlabelled images
        there are, those included that may turn out to be unreadable.

    Raises:
        ValueError, FileNotFoundError, ImportError: as `load_own_images`.
    """
    few, many = _opened(unlabelled, labelled, tables)
    _class_names(few.labels)
    return _usual_size(few), len(many)


def open_tested(source, class_names, tables=None, folder=None):
    """The images to test on, whose classes are known.

    Args:
        source: as `load_own_images` takes `test`.
        class_names: sequence of str, of the labelled images: what is called so is of
            the class, however it is spelled.
        tables: `TableOptions`, or None.
        folder: as `open_images` takes `images_folder`.

    Returns:
        `ImageList`.
    """
    options = (tables or TableOptions()).keeping(class_names)
    return open_images(source, "test", options, folder)


def images_folder(unlabelled):
    """The folder that a source of unlabelled images is, None where it is another."""
    return unlabelled if os.path.isdir(unlabelled) else None


def _opened(unlabelled, labelled, tables):
    """The labelled images, and the unlabelled ones."""
    few = open_images(labelled, "labelled", tables, images_folder(unlabelled))
    return few, open_images(unlabelled, "unlabelled", tables)


def own_name(source):
    """What a source is called in reports and folders: the last part of its path."""
    kind, colon, rest = str(source).partition(":")
    if kind == "tfds" and colon:
        return rest.partition("#")[0]
    path = rest if kind in ("npz", "tfrecord") and colon else str(source)
    name = os.path.basename(os.path.abspath(path))
    return os.path.splitext(name)[0] if os.path.isfile(path) else name


def _usual_size(images):
    side = images.usual_side() or LARGEST_USUAL_SIDE
    return max(_SMALLEST_SIDE, min(side, LARGEST_USUAL_SIDE))


def _class_names(labels):
    names = set(labels)
    if len(names) < 2:
        raise ValueError(
            "The labelled images must be of at least two classes. Received: "
            f"{len(labels):,} images, all labelled {next(iter(names))!r}."
        )
    numbers = all(name.isascii() and name.isdigit() for name in names)
    return tuple(sorted(names, key=lambda name: (int(name), name) if numbers else name))


def _unreadable(decode):
    """The `Skipped` of a decoding, whether there are too many or not."""
    try:
        _, decoded = decode()
    except TooManyUnreadable as error:
        return error.skipped
    return decoded.skipped


def _check_classes_left(class_names, labels, skipped):
    lost = [name for name in class_names if name not in set(labels)]
    if lost:
        name, reason = skipped[0]
        raise TooManyUnreadable(
            "Every class must have a labelled image that can be read. Received: none "
            f"of {listed(lost)}; what cannot be read begins with {name!r} ({reason}). "
            "Replace the files, or remove the labels of these classes.",
            skipped,
        )


def _remarks_on_labels(labels, names, digests, class_names):
    remarks = []
    counts = {name: labels.count(name) for name in class_names}
    single = [name for name, count in counts.items() if count == 1]
    if single:
        remarks.append(
            f"One labelled image alone of {listed(single)}: the first pseudo-labels "
            "hang on it, and nothing can be held out to measure the class."
        )
    most, least = max(counts, key=counts.get), min(counts, key=counts.get)
    if counts[most] >= _IMBALANCE * counts[least]:
        remarks.append(
            f"The labels are far from balanced: {counts[most]:,} of {most!r}, "
            f"{counts[least]:,} of {least!r}. Rare classes will often be taken for "
            "frequent ones; label more of them, or train with --labels-per-class "
            f"{counts[least]}."
        )
    plain = {}
    for name in class_names:
        plain.setdefault(_alike(name), []).append(name)
    for alike in plain.values():
        if len(alike) > 1:
            remarks.append(
                "Labels that differ in spelling alone are different classes: "
                f"{listed(alike)} ({', '.join(f'{counts[name]:,}' for name in alike)} "
                "images). Where they are one, spell them alike."
            )
    seen = {}
    for label, name, digest in zip(labels, names, digests, strict=False):
        first_label, first_name = seen.setdefault(digest, (label, name))
        if first_label != label:
            remarks.append(
                f"One image has two labels: {first_name!r} is {first_label!r}, and "
                f"{name!r}, the same pixels, {label!r}."
            )
    return remarks


def _alike(name):
    """A label without what is spelled in several ways, or is not to be seen."""
    plain = unicodedata.normalize("NFKC", name.casefold())
    plain = "".join(one for one in plain if unicodedata.category(one) != "Cf")
    # Not at the end, where there are signs: CD4+ and CD4-.
    plain = re.sub(r"(?<=[^\W_])[\s_-]+(?=[^\W_])", " ", plain).strip()
    return re.sub(r"(?<![\d.])0+(?=\d)", "", plain)


def _spelled_otherwise(names, class_names):
    """A sentence about those that are classes in another spelling."""
    classes = {_alike(name): name for name in class_names}
    others = [name for name in names if _alike(name) in classes]
    if not others:
        return ""
    meant = [classes[_alike(name)] for name in others]
    return f" Spell {listed(others)} as the labelled ones: {listed(meant)}."


def _leaks(names, digests, train_digests, num_labelled):
    labelled, unlabelled = (
        set(train_digests[:num_labelled]),
        set(train_digests[num_labelled:]),
    )
    remarks = []
    for among, what, why in (
        (labelled, "labelled", "what was learned by heart counts as known"),
        (unlabelled, "unlabelled", "the network has seen them, without their labels"),
    ):
        copies = [
            name for name, digest in zip(names, digests, strict=True) if digest in among
        ]
        if copies:
            remarks.append(
                f"Leakage: {len(copies):,} of {len(names):,} test images are among the "
                f"{what} ones, too ({listed(copies)}): {why}."
            )
    return remarks


def _remarks_on_test(texts, known, class_names):
    remarks = []
    strange = sorted(
        {text for text, is_known in zip(texts, known, strict=True) if not is_known}
    )
    if strange:
        remarks.append(
            f"{np.sum(~known):,} test images are left out: no labelled image is one of "
            f"{listed(strange)}.{_spelled_otherwise(strange, class_names)}"
        )
    untested = [name for name in class_names if name not in set(texts)]
    if untested:
        remarks.append(f"There is no test image of {listed(untested)}.")
    return remarks


def _named_progress(progress, what):
    if progress is None:
        return None
    return lambda done, total: progress(what, done, total)
