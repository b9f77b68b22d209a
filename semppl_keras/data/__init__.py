"""Images with labels for a few of them."""

from semppl_keras.data.datasets.base import Dataset
from semppl_keras.data.datasets.digits import load_digits
from semppl_keras.data.datasets.entries import dataset, dataset_name
from semppl_keras.data.datasets.folder import load_folder
from semppl_keras.data.datasets.named import NamedDataset, load, load_test
from semppl_keras.data.datasets.npz import load_npz
from semppl_keras.data.datasets.opened_images import load_own_images
from semppl_keras.data.datasets.own import OwnDataset
from semppl_keras.data.datasets.own_images import OwnImages
from semppl_keras.data.datasets.tfds import load_tfds
from semppl_keras.data.few_labels import FewLabels, LabelledTest, choose_labelled
from semppl_keras.data.images.files import UnreadableImage, read_image
from semppl_keras.data.images.finding import find_images
from semppl_keras.data.images.table_options import TableOptions

__all__ = [
    "Dataset",
    "FewLabels",
    "LabelledTest",
    "NamedDataset",
    "OwnDataset",
    "OwnImages",
    "TableOptions",
    "UnreadableImage",
    "choose_labelled",
    "dataset",
    "dataset_name",
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
