"""Image classification data sets of TensorFlow Datasets."""

import os
from typing import Any

import numpy as np

from semppl_keras.data.datasets.arrays import from_arrays
from semppl_keras.data.datasets.npz import KEYS
from semppl_keras.data.few_labels import LABELS_PER_CLASS, FewLabels
from semppl_keras.data.images.tfds_builders import check_split, open_builder


def load_tfds(
    name: str,
    data_dir: str | os.PathLike[str] | None = None,
    labels_per_class: int | str | None = LABELS_PER_CLASS,
    seed: int = 0,
    *,
    train_split: str = "train",
    test_split: str = "test",
) -> FewLabels:
    """Loads an image classification data set of TensorFlow Datasets.

    Needs `tensorflow-datasets` and TensorFlow, whichever backend trains.

    Args:
        name: For example `"fashion_mnist"` or `"cifar10:3.0.2"`.
        data_dir: The folder of the prepared data sets; None for TensorFlow Datasets'
            own (`~/tensorflow_datasets`, or the variable `TFDS_DATA_DIR`). What is
            not there is downloaded.
        labels_per_class: Labelled training images of each class; None for every
            image whose label is known.
        seed: Chooses the labelled images.
        train_split: Split to train on.
        test_split: Split to test on, for example `"validation"` where the labels of
            `"test"` are secret.

    Returns:
        `FewLabels`; everything is held in memory.

    Raises:
        ImportError: `tensorflow-datasets` is not installed.
        ValueError: An unknown data set, one without images and integer labels or
            without one of the splits, or one whose images differ in size.

    Example:
        >>> data = load_tfds("fashion_mnist", labels_per_class=10)
    """
    tfds, builder = open_builder(name, data_dir)
    features = builder.info.features
    for argument, split in (("train_split", train_split), ("test_split", test_split)):
        check_split(builder, split, f" Choose among them with `{argument}`.")
    arrays = {}
    for part, split in (("train", train_split), ("test", test_split)):
        arrays[f"x_{part}"], arrays[f"y_{part}"] = _read_split(
            tfds, builder, split, name
        )
    label = features["label"]
    names = getattr(label, "names", None)
    return from_arrays(arrays, names, builder.info.name, labels_per_class, seed)


def _read_split(
    tfds: Any, builder: Any, split: str, name: str
) -> tuple[np.ndarray, np.ndarray]:
    count = builder.info.splits[split].num_examples
    images, labels = None, np.empty(count, "int64")
    for index, example in enumerate(tfds.as_numpy(builder.as_dataset(split=split))):
        image = example["image"]
        if images is None:
            images = np.empty((count, *image.shape), image.dtype)
        if image.shape != images.shape[1:]:
            raise ValueError(
                f"The images of {name!r} must all have one size. Received: "
                f"{images.shape[1:]} and {image.shape} in the split {split!r}. Resize "
                "them to one size, write them with numpy.savez_compressed "
                f"({', '.join(KEYS)}) and load that file with `load_npz`."
            )
        if np.ndim(example["label"]) != 0:
            raise ValueError(
                f"The labels of {name!r} must be single integers. Received one of "
                f"shape {np.shape(example['label'])}."
            )
        images[index], labels[index] = image, example["label"]
    if images is None:
        raise ValueError(
            f"The split {split!r} of {name!r} must hold images. Received: none."
        )
    return images, labels
