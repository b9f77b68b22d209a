"""NumPy archives of images and integer labels."""

import os

from semppl_keras.data.datasets.arrays import from_arrays
from semppl_keras.data.defaults import LABELS_PER_CLASS
from semppl_keras.data.few_labels import FewLabels
from semppl_keras.data.images.npz_archives import open_npz
from semppl_keras.data.labelled_test import LabelledTest

# What such an archive holds.
KEYS = ("x_train", "y_train", "x_test", "y_test")


def load_npz(
    path: str | os.PathLike[str],
    labels_per_class: int | str | None = LABELS_PER_CLASS,
    seed: int = 0,
) -> FewLabels:
    """Loads a NumPy archive of images and integer labels.

    Args:
        path: An `.npz` file with `x_train`, `y_train`, `x_test`, `y_test`, and
            optionally `class_names`. Images `(N, h, w)`, `(N, h, w, 1)` or
            `(N, h, w, 3)`, integer or float in [0, 255]. Labels `(N,)`, integers
            from 0 without gaps; -1 in `y_train` where the label is unknown.
        labels_per_class: Labelled training images of each class; None for every
            image whose label is known.
        seed: Chooses the labelled images.

    Returns:
        `FewLabels`, named after the file.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Not an `.npz` file, or not the arrays described above.

    Example:
        >>> data = load_npz("fashion_mnist.npz", labels_per_class=10)
    """
    arrays, names, name = open_npz(path, KEYS)
    return from_arrays(arrays, names, name, labels_per_class, seed)


def load_npz_test(path: str | os.PathLike[str]) -> LabelledTest:
    """Loads the test images of a NumPy archive, which needs no others.

    Args:
        path: As `load_npz` takes it, with `x_test` and `y_test`.

    Raises:
        ValueError, FileNotFoundError: As `load_npz`.
    """
    arrays, names, name = open_npz(path, ("x_test", "y_test"))
    return LabelledTest(
        arrays["x_test"],
        arrays["y_test"],
        None if names is None else tuple(str(one) for one in names),
        name,
    )
