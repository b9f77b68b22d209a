"""`FewLabels` of plain arrays."""

import collections.abc

import numpy as np

from semppl_keras.checks import listed
from semppl_keras.data.choosing import choose_labelled
from semppl_keras.data.few_labels import FewLabels
from semppl_keras.data.image_arrays import as_images, as_labels, check_same_length


def from_arrays(
    arrays: collections.abc.Mapping[str, np.ndarray],
    names: collections.abc.Iterable[object] | None,
    name: str,
    labels_per_class: int | str | None,
    seed: int,
) -> FewLabels:
    """A data set of four arrays, once they are checked.

    Args:
        arrays: By name `x_train`, `y_train`, `x_test` and `y_test`, as `load_npz` reads
            them.
        names: One for each class, or None for their numbers.
        name: Of the data set.
        labels_per_class, seed: As for `choose_labelled`.

    Raises:
        ValueError: They are none of a data set of few labels.
    """
    names = None if names is None else tuple(str(one) for one in names)
    x_train = as_images(arrays["x_train"], "x_train")
    y_train = as_labels(arrays["y_train"], "y_train")
    check_same_length(x_train, y_train, "train")
    y_test = as_labels(arrays["y_test"], "y_test")
    num_classes = len(names) if names is not None else int(y_train.max()) + 1
    if num_classes < 2:
        raise ValueError(
            "`y_train` must hold at least two classes. Received: labels between "
            f"{y_train.min()} and {y_train.max()}."
        )
    if num_classes > len(y_train):
        # A name for each, and more, would be made.
        raise ValueError(
            f"Every class must have training images. Received: {len(y_train):,} "
            f"image(s) for {num_classes:,} classes, by the largest label or the names. "
            "Number the classes 0, 1, 2, ... without gaps."
        )
    if names is None:
        names = tuple(str(number) for number in range(num_classes))
    if len(set(names)) < len(names) or "" in names:
        raise ValueError(
            "`class_names` must be different texts, one for each class. Received: "
            f"{listed([*names])}."
        )
    return FewLabels(
        x_train=x_train,
        y_train=y_train,
        labelled_indices=choose_labelled(y_train, labels_per_class, num_classes, seed),
        x_test=arrays["x_test"],
        y_test=y_test,
        num_classes=num_classes,
        class_names=names,
        name=name,
    )
