"""Images with labels for a few of them."""

from semppl_keras.data.datasets import (
    FewLabels,
    choose_labelled,
    load,
    load_digits,
    load_npz,
    load_tfds,
)

__all__ = [
    "FewLabels",
    "choose_labelled",
    "load",
    "load_digits",
    "load_npz",
    "load_tfds",
]
