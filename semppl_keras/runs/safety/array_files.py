"""Arrays of a run folder, which may be damaged or somebody else's."""

import json
import pathlib
import zipfile
from collections.abc import Callable, Sequence

import numpy as np

from semppl_keras.data.images.npz_archives import open_npz
from semppl_keras.runs.errors import RunError

_BRING_BACK = "Bring it back from a copy, or remove it."


def read_arrays(
    path: pathlib.Path, most_bytes: int, *choices: tuple[str, ...]
) -> dict[str, np.ndarray]:
    """The arrays of an archive; nothing is unpickled.

    Args:
        path: Of an `.npz` file.
        most_bytes: How many all of them may have.
        *choices: Tuples of their names; the first of which there are all is read, and
            there may be no others.

    Raises:
        RunError: The file is none, is damaged, or holds more or something else.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            announced = sum(entry.file_size for entry in archive.infolist())
            names = {name.removesuffix(".npy") for name in archive.namelist()}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise _wrong(path, f"an archive that cannot be read ({error})") from error
    if announced > most_bytes:
        raise RunError(
            f"{str(path)!r} must have at most {most_bytes:,} bytes of arrays. "
            f"Received: {announced:,}. {_BRING_BACK}"
        )
    try:
        arrays, _, _ = open_npz(path, *choices)
    except (OSError, ValueError) as error:
        raise _wrong(path, f"something else ({error})") from error
    # A kind of which a part is lost is no kind that there never was.
    if others := names - set(arrays):
        raise _wrong(path, f"others beside them ({', '.join(sorted(others))})")
    return arrays


def checked_part(
    path: pathlib.Path,
    role: str,
    arrays: Sequence[np.ndarray],
    num_classes: int,
    is_name: Callable[[str], bool],
    *,
    every_class: bool,
) -> tuple[np.ndarray, np.ndarray, list[str], int]:
    """Images, labels, names and the number of all there were, of one kind.

    Args:
        path: Of their file, for the message.
        role: Which they are.
        arrays: These four, as the file has them.
        num_classes: Of the run.
        is_name: Whether a text may stand for an image.
        every_class: Whether each class must have an image.

    Raises:
        RunError: They are none, or contradict each other.
    """
    images, labels, raw_names, total = arrays
    names = _names(path, raw_names)
    least = 0 if every_class else -1
    for right, what in (
        (images.ndim == 4 and images.shape[-1] in (1, 3), "images (n, h, w, 1 or 3)"),
        (images.dtype in ("uint8", "float32", "float64"), "images of numbers"),
        (
            len(images) > 0 and images.size > 0 and _are_pixels(images),
            "images of values from 0 to 255",
        ),
        (
            labels.shape == images.shape[:1] and labels.dtype.kind == "i",
            "a label for each image",
        ),
        (
            labels.size > 0 and least <= labels.min() <= labels.max() < num_classes,
            f"labels from {least} to {num_classes - 1}",
        ),
        (
            not every_class or len(np.unique(labels)) == num_classes,
            "an image of each class",
        ),
        (
            len(names) == len(images) and all(is_name(name) for name in names),
            "a name for each image that leads nowhere else",
        ),
        (
            total.shape == () and total.dtype.kind == "i" and total >= len(images),
            "the number of all images",
        ),
    ):
        if not right:
            raise RunError(
                f"{str(path)!r} must have {what} for {role}. Received: something else. "
                f"{_BRING_BACK}"
            )
    return images, labels.astype("int32"), names, int(total)


def _are_pixels(images: np.ndarray) -> bool:
    # Neither is NaN.
    return bool(images.min() >= 0 and images.max() <= 255)


def _names(path: pathlib.Path, raw: np.ndarray) -> list[str]:
    try:
        names = json.loads(raw.astype("uint8").tobytes())
    # Deep nesting is the last; texts that are no numbers are among the former.
    except (ValueError, TypeError, RecursionError) as error:
        raise _wrong(path, f"names that cannot be read ({error})") from error
    if not isinstance(names, list) or not all(isinstance(one, str) for one in names):
        raise _wrong(path, "names that are no texts")
    return names


def _wrong(path: pathlib.Path, received: str) -> RunError:
    return RunError(
        f"{str(path)!r} must hold the images that semppl train has kept. Received: "
        f"{received}. {_BRING_BACK}"
    )
