"""NumPy archives of images and labels."""

import pathlib

import numpy as np


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
    try:
        arrays = {key: archive[key] for key in keys}
        return arrays, archive.get("class_names")
    except ValueError as error:
        raise ValueError(
            f"The arrays of {str(path)!r} must be plain numbers (dtype=object cannot "
            f"be read safely). Received: {error}"
        ) from error


def _listed(choices):
    return " or ".join(", ".join(keys) for keys in choices)
