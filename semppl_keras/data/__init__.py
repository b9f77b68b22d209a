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
from semppl_keras.data.images.files import UnreadableImage, find_images, read_image
from semppl_keras.data.images.table_options import TableOptions
from semppl_keras.data.own_images import OwnImages, load_own_images

__all__ = [
    "FewLabels",
    "LabelledTest",
    "OwnImages",
    "TableOptions",
    "UnreadableImage",
    "choose_labelled",
    "find_images",
    "load",
    "load_digits",
    "load_folder",
    "load_npz",
    "load_own_images",
    "load_test",
    "load_tfds",
    "read_image",
]
