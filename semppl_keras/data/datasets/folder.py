"""Image files in folders, one for each class."""

import dataclasses
import os
import pathlib
from typing import Any

import numpy as np

from semppl_keras.data.datasets.arrays import from_arrays
from semppl_keras.data.defaults import LABELS_PER_CLASS, UNTOLD_FIT
from semppl_keras.data.few_labels import FewLabels
from semppl_keras.data.images.decoding import find_ranges, read_images
from semppl_keras.data.images.finding import find_classes
from semppl_keras.data.images.image_list import image_list
from semppl_keras.data.images.sources import classes_of
from semppl_keras.data.labelled_test import LabelledTest

# Of each class, where a folder does not say which images are for testing.
_TEST_SHARE = 0.2


def load_folder(
    path: str | os.PathLike[str],
    labels_per_class: int | str | None = LABELS_PER_CLASS,
    seed: int = 0,
    *,
    image_size: int | None = None,
    fit: str = UNTOLD_FIT,
    value_range: Any = None,
) -> FewLabels:
    """Loads image files from folders, one for each class.

    Args:
        path: A folder of folders `train/CLASS` and `test/CLASS`, or of folders
            `CLASS`, of each of which a fifth, drawn by seed, is to test on.
        labels_per_class: As for `choose_labelled`.
        seed: Chooses the labelled images, and those to test on.
        image_size: Integer, pixels of a side of the squares that images become. None
            for images that have one size.
        fit: How they become squares, as `read_image` takes it.
        value_range: As for `load_own_images`.

    Returns:
        `FewLabels`, named after the folder, its classes in the order of their names.

    Raises:
        FileNotFoundError: No such folder.
        ValueError: No images, fewer than two classes, classes to test on that there
            are none of to train on, or a file that is no image.

    Example:
        >>> data = load_folder("flowers", labels_per_class=10, image_size=64)
    """
    path = pathlib.Path(path)
    train: dict[str, list[pathlib.Path]] = {}
    test: dict[str, list[pathlib.Path]] = {}
    if (path / "train").is_dir() and (path / "test").is_dir():
        train, remarks = classes_of(path / "train")
        test, others = classes_of(path / "test")
        remarks += others
    else:
        classes, remarks = classes_of(path)
        generator = np.random.default_rng(seed)
        for name, paths in classes.items():
            order = generator.permutation(len(paths))
            count = round(_TEST_SHARE * len(paths))
            test[name] = [paths[index] for index in order[:count]]
            train[name] = [paths[index] for index in order[count:]]
    unknown = sorted(set(test) - set(train))
    if unknown:
        raise ValueError(
            f"The folder {str(path)!r} must have images to train on of every class. "
            f"Received: none in train/ of {', '.join(unknown)}."
        )
    names = tuple(sorted(train))
    every = [
        path for part in (train, test) for paths in part.values() for path in paths
    ]
    ranges, remarks_on_ranges = find_ranges(image_list(every), value_range)
    arrays = {}
    channels = None
    for part, of_part in (("train", train), ("test", test)):
        paths = [path for name in names for path in of_part.get(name, [])]
        if not paths:
            raise ValueError(
                f"The folder {str(path)!r} must hold images to {part} with. Received: "
                "none."
            )
        images = read_images(paths, image_size, channels, ranges, fit=fit)
        channels = images.shape[-1]
        arrays[f"x_{part}"] = images
        arrays[f"y_{part}"] = np.repeat(
            np.arange(len(names)), [len(of_part.get(name, [])) for name in names]
        )
    return dataclasses.replace(
        from_arrays(arrays, names, path.resolve().name, labels_per_class, seed),
        remarks=(*remarks, *remarks_on_ranges),
        value_ranges=ranges,
    )


def load_folder_test(
    path: str | os.PathLike[str],
    *,
    image_size: int | None = None,
    fit: str = UNTOLD_FIT,
    value_range: Any = None,
) -> LabelledTest:
    """Loads the test images of a folder, which needs no others.

    Args:
        path: As `load_folder` takes it; one without `test/` is to test on as a whole.
        image_size, fit, value_range: As for `load_folder`.

    Raises:
        ValueError, FileNotFoundError: As `load_folder`.
    """
    path = pathlib.Path(path)
    own = path / "test"
    classes = find_classes(own if own.is_dir() else path)
    paths = [path for of_class in classes.values() for path in of_class]
    ranges, _ = find_ranges(image_list(paths), value_range)
    return LabelledTest(
        read_images(paths, image_size, ranges=ranges, fit=fit),
        np.repeat(np.arange(len(classes)), [len(own) for own in classes.values()]),
        tuple(classes),
        path.resolve().name,
    )
