"""Scikit-learn's handwritten digits."""

import numpy as np

from semppl_keras.data.choosing import choose_labelled
from semppl_keras.data.defaults import LABELS_PER_CLASS
from semppl_keras.data.few_labels import FewLabels

_TEST_IMAGES = 400


def load_digits(
    labels_per_class: int | str | None = LABELS_PER_CLASS, seed: int = 0
) -> FewLabels:
    """Loads scikit-learn's 1,797 handwritten digits, 8 x 8 pixels.

    The images come with scikit-learn: nothing is downloaded. Their 17 grey levels
    become multiples of 15.9375, which float32 holds exactly.

    Args:
        labels_per_class: Labelled training images of each digit; None for all.
        seed: Chooses the 400 test images and the labelled ones.

    Returns:
        `FewLabels` of 1,397 training and 400 test images, `(8, 8, 1)` float32.

    Raises:
        ValueError: Fewer images of a digit than `labels_per_class`.

    Example:
        >>> load_digits(labels_per_class=1, seed=2).y_labelled.shape
        (10,)
    """
    from sklearn.datasets import load_digits as load_sklearn_digits

    digits = load_sklearn_digits()
    images = (digits.images[..., None] * (255 / 16)).astype("float32")
    labels = digits.target.astype("int32")
    order = np.random.default_rng(seed).permutation(len(images))
    test, train = order[:_TEST_IMAGES], order[_TEST_IMAGES:]
    return FewLabels(
        x_train=images[train],
        y_train=labels[train],
        labelled_indices=choose_labelled(labels[train], labels_per_class, 10, seed),
        x_test=images[test],
        y_test=labels[test],
        num_classes=10,
        class_names=tuple(str(digit) for digit in range(10)),
        name="digits",
    )
