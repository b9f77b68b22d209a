"""Runs whose images are decoded while they are trained on: when, and what was found."""

import dataclasses
import pathlib
import shutil
from typing import Any

from semppl_keras.data import FewLabels, OwnDataset, OwnImages, StreamedImages
from semppl_keras.data.images.memory import MEMORY_SHARE, free_memory
from semppl_keras.runs.skipped_files import write_skipped
from semppl_keras.runs.telling import tell

# Of the disk that is free: checkpoints need some, too.
_DISK_SHARE = 0.8


def with_place(data: OwnDataset, folder: pathlib.Path, channels: int = 3) -> OwnDataset:
    """A person's own images, with where they are kept where it is for the run to say.

    It is said once, and noted in `run.json`: a run that goes on with more room, or
    less, is to see the same images in the same order.

    Args:
        data: Opened.
        folder: Of the run.
        channels: That images have at most.

    Returns:
        The same; with "none" where neither memory nor disk has room for them.
    """
    if data.cache != "auto" or data.images is None or data.image_size is None:
        return data
    count = len(data.images.labelled) + len(data.images.unlabelled)
    size = count * data.image_size**2 * channels
    memory, disk = free_memory(), free_disk(folder)
    if size <= MEMORY_SHARE * memory:
        return data
    told = (
        f"Note: decoded, {count:,} images take {size / 1e9:.1f} GB, of "
        f"{memory / 1e9:.1f} GB of free memory, and {disk / 1e9:.1f} GB on the disk of "
        f"{folder}: "
    )
    readable = data.images.labelled.at and data.images.unlabelled.at
    if size <= _DISK_SHARE * disk or not readable:
        advice = " --cache none decodes them for each batch." if readable else ""
        tell(f"{told}they are kept on the disk.{advice}")
        return data
    tell(
        f"{told}they are kept nowhere, and decoded for each batch anew (--cache none)."
    )
    return dataclasses.replace(data, cache="none")


def told_found(data: FewLabels, folder: pathlib.Path) -> FewLabels:
    """Tells what was found out about images while they were trained on.

    Args:
        data: Of a run that has come to its end.
        folder: Of the run, whose `skipped.tsv` is written.

    Returns:
        The same, with all that could not be read.
    """
    parts = [one for one in (data.x_train, data.x_test) if _is_streamed(one)]
    if not parts or not isinstance(data, OwnImages):
        return data
    waited = parts[0].seconds_waited
    tell(f"The training has waited {waited:.1f} s in all for images to be decoded.")
    skipped = tuple(one for part in parts for one in part.skipped)
    if skipped:
        tell(
            f"Note: {len(skipped):,} images cannot be read, and others stood in for "
            f"them: {folder / 'skipped.tsv'} names them."
        )
        write_skipped(folder / "skipped.tsv", skipped)
    return dataclasses.replace(data, skipped=skipped)


def _is_streamed(images: Any) -> bool:
    return isinstance(images, StreamedImages)


def free_disk(folder: pathlib.Path) -> int:
    """Bytes that are free where a folder is, or is to be."""
    there = next(one for one in (folder, *folder.absolute().parents) if one.exists())
    return shutil.disk_usage(there).free
