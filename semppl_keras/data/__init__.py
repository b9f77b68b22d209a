"""Images with labels for a few of them."""

from semppl_keras.data.datasets import (
    load,
    load_digits,
    load_folder,
    load_npz,
    load_test,
    load_tfds,
)
from semppl_keras.data.few_labels import FewLabels, LabelledTest, choose_labelled

__all__ = [
    "FewLabels",
    "LabelledTest",
    "choose_labelled",
    "load",
    "load_digits",
    "load_folder",
    "load_npz",
    "load_test",
    "load_tfds",
]
