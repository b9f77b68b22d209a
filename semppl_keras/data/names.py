"""What a data set is called, and how it is found again."""

import pathlib
import re

from semppl_keras.data.images.sources import resolved_source
from semppl_keras.data.images.table_options import TableOptions
from semppl_keras.data.own_images import own_name


def own_dataset(
    unlabelled,
    labelled,
    test,
    *,
    image_size,
    backbone,
    max_skipped,
    cache,
    tables=None,
):
    """What stands in `run.json` for a person's own images, to find them again.

    Args:
        unlabelled, labelled, test: Sources, as `data.load_own_images` takes them.
        image_size: Integer.
        backbone: Name of the backbone, or None for the recipe's choice.
        max_skipped: The share of images that may be unreadable.
        cache: Where decoded images are kept: "auto", "memory" or "disk".
        tables: `TableOptions`, or None for tables that say all by themselves.

    Returns:
        A dict that `json` can write, paths in it absolute; `resolved`, `dataset_name`
        and `load_data` take it in the place of a text.
    """
    return {
        "unlabelled": resolved_source(unlabelled),
        "labelled": resolved_source(labelled),
        "test": None if test is None else resolved_source(test),
        "image_size": image_size,
        "backbone": backbone,
        "max_skipped": max_skipped,
        "cache": cache,
        "tables": (tables or TableOptions()).to_dict(),
    }


def dataset_name(dataset):
    """What a data set is called where there is little room.

    Args:
        dataset: As `--dataset` takes it, or the dict that `own_dataset` returns.

    Returns:
        Text.
    """
    if isinstance(dataset, dict):
        return own_name(dataset["unlabelled"])
    # As systems divide paths, this one or that on which the run was trained.
    return re.split(r"[/\\]", dataset)[-1]


def resolved(dataset):
    """What names a data set from anywhere: paths in it absolute.

    Args:
        dataset: As `dataset_name` takes it, or None.

    Returns:
        The same, or None.
    """
    if isinstance(dataset, dict):
        return dataset
    kind, _, rest = (dataset or "").partition(":")
    if kind in ("npz", "folder"):
        return f"{kind}:{pathlib.Path(rest).resolve()}"
    return dataset
