"""A data set of whatever names it: the one place where it is told what it is."""

import collections.abc
from typing import Any

from semppl_keras.data.datasets.base import Dataset
from semppl_keras.data.datasets.named import NamedDataset
from semppl_keras.data.datasets.own import OwnDataset
from semppl_keras.data.datasets.specs import last_part

Entry = str | collections.abc.Mapping[str, Any]


def dataset(spec: Dataset | Entry) -> Dataset:
    """The data set that a text names, or what a file holds in its place.

    Args:
        spec: `"digits"`, `"npz:FILE"`, `"tfds:NAME"` or `"folder:DIR"`; of a person's
            own images what `OwnDataset.to_json` gives; a `Dataset` is left as it is.

    Returns:
        `NamedDataset` or `OwnDataset`. Nothing is read yet.

    Raises:
        ValueError: There is no such data set.

    Example:
        >>> dataset("digits").load(labels_per_class=10).name
        'digits'
    """
    if isinstance(spec, Dataset):
        return spec
    if isinstance(spec, collections.abc.Mapping):
        return OwnDataset.from_json(spec)
    return NamedDataset(spec)


def dataset_name(entry: Entry) -> str:
    """What a data set, or a source of images, is called that stands in a file.

    Args:
        entry: As `dataset` takes it, or a source as `OwnDataset` takes it.
    """
    if isinstance(entry, collections.abc.Mapping):
        return OwnDataset.from_json(entry).name
    return last_part(entry)
