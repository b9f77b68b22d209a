"""NumPy archives of images and labels."""

import io
import math
import os
import pathlib
import zipfile

import numpy as np

# Images of one colour become a thousand times smaller, those of something rarely more
# than ten times. What most machines have room for may be as small as it likes.
_MOST_COMPRESSION = 100
_FREE_BYTES = 2**28
# NumPy reads no longer one.
_MOST_HEADER_BYTES = 2**14


def open_npz(path, keys, *other_keys):
    """Reads arrays from an archive.

    Args:
        path: path of an `.npz` file.
        keys: tuple of str, the arrays that are asked for.
        other_keys: tuples of others that will do instead; the first of which there
            are all is taken.

    Returns:
        dict of the arrays; the array `class_names`, or None; the name of the file
        without its ending.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no `.npz` file, or lacks the arrays.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"There must be an .npz file at {str(path)!r}. Received: "
            + ("a folder." if path.is_dir() else "a path where nothing is.")
        )
    # NumPy leaves a file that it opened itself open where it is a broken archive.
    with path.open("rb") as file:
        arrays, names = _read_npz(file, path, (keys, *other_keys))
    return arrays, names, path.stem


def _read_npz(file, path, choices):
    try:
        archive = np.load(file, allow_pickle=False)
    # It reports what it cannot read in several ways: ValueError, EOFError, and
    # BadZipFile, which is an Exception and no more.
    except Exception as error:
        raise ValueError(
            f"{str(path)!r} must be a NumPy .npz archive. Received a file that NumPy "
            f"cannot read: {error}. Write one with numpy.savez_compressed."
        ) from error
    if not isinstance(archive, np.lib.npyio.NpzFile):
        raise ValueError(
            f"{str(path)!r} must be an .npz archive of the arrays "
            f"{_listed(choices)}. Received a single array (.npy). Write one with "
            "numpy.savez_compressed."
        )
    keys = next((keys for keys in choices if set(keys) <= set(archive)), None)
    if keys is None:
        missing = [key for key in choices[0] if key not in archive]
        raise ValueError(
            f"{str(path)!r} must hold the arrays {_listed(choices)}. "
            f"Received: {', '.join(sorted(archive.files)) or 'none'}; missing: "
            f"{', '.join(missing)}."
        )
    _check_sizes(path)
    try:
        arrays = {key: archive[key] for key in keys}
        return arrays, archive.get("class_names")
    except ValueError as error:
        raise ValueError(
            f"The arrays of {str(path)!r} must be plain numbers (dtype=object cannot "
            f"be read safely). Received: {error}"
        ) from error


def _check_sizes(path):
    """Raises a ValueError where arrays take more memory than the file accounts for."""
    held = os.path.getsize(path)
    with zipfile.ZipFile(path) as archive:
        announced = sum(entry.file_size for entry in archive.infolist())
        if announced > max(_MOST_COMPRESSION * held, _FREE_BYTES):
            raise ValueError(
                f"{str(path)!r} must not become more than {_MOST_COMPRESSION} times "
                f"its size, or {_FREE_BYTES:,} bytes. Received: {held:,} bytes that "
                f"become {announced:,}. If they are your own, write them with "
                "numpy.savez, which does not compress them."
            )
        for entry in archive.infolist():
            with archive.open(entry) as member:
                _check_header(path, entry, member)


def _check_header(path, entry, member):
    """NumPy makes room for what a header says before it looks what is there."""
    start = io.BytesIO(member.read(_MOST_HEADER_BYTES))
    try:
        version = np.lib.format.read_magic(start)
        read = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read(start)
    except ValueError:
        # No array, or one of another kind: whoever asks for it is told.
        return
    announced = start.tell() + math.prod(shape) * dtype.itemsize
    # Objects are elsewhere in the file, and are not read at all.
    if announced > entry.file_size and not dtype.hasobject:
        raise ValueError(
            f"{str(path)!r} must hold the arrays that it announces. Received: "
            f"{entry.filename!r} of the shape {shape}, {announced:,} bytes of which "
            f"there are {entry.file_size:,}."
        )


def _listed(choices):
    return " or ".join(", ".join(keys) for keys in choices)
