"""NumPy archives of images and labels."""

import io
import math
import os
import pathlib
import tokenize
import zipfile
import zlib
from typing import Any, BinaryIO

import numpy as np

from semppl_keras.checks import listed
from semppl_keras.data.images.table_options import plain_label

# Images of one colour become a thousand times smaller, those of something rarely more
# than ten times. What most machines have room for may be as small as it likes.
_MOST_COMPRESSION = 100
_FREE_BYTES = 2**28
_ARRAY_START = b"\x93NUMPY"
# NumPy reads no longer one.
_MOST_HEADER_BYTES = 2**14


def open_npz(
    path: str | os.PathLike[str], keys: tuple[str, ...], *other_keys: tuple[str, ...]
) -> tuple[dict[str, np.ndarray], np.ndarray | None, str]:
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
        ValueError: if it is no `.npz` file, lacks the arrays, or has names of classes
            that are not different texts.
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


def _read_npz(
    file: BinaryIO, path: pathlib.Path, choices: tuple[tuple[str, ...], ...]
) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    # NumPy would make room for a single array, and read it.
    single = file.read(len(_ARRAY_START)) == _ARRAY_START
    file.seek(0)
    try:
        archive = None if single else np.load(file, allow_pickle=False)
    # It reports what it cannot read in several ways: ValueError, EOFError, and
    # BadZipFile, which is an Exception and no more.
    except Exception as error:
        raise ValueError(
            f"{str(path)!r} must be a NumPy .npz archive. Received a file that NumPy "
            f"cannot read: {error}. Write one with numpy.savez_compressed."
        ) from error
    if archive is None:
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
    names = (*keys, *(("class_names",) if "class_names" in archive else ()))
    arrays = {name: _array(archive, name, path) for name in names}
    class_names = arrays.pop("class_names", None)
    if class_names is not None:
        class_names = _checked_names(class_names, path)
    return arrays, class_names


def _checked_names(names: np.ndarray, path: pathlib.Path) -> np.ndarray:
    """Names of classes, `(C,)`, none of them bytes."""
    names = as_texts(names, "class_names", path)
    listed_names = [str(name) for name in names.ravel()]
    plain = {plain_label(name) for name in listed_names}
    if names.ndim != 1 or len(plain) < len(listed_names) or "" in plain:
        raise ValueError(
            "`class_names` must be different texts, one for each class. Received: "
            f"{listed(listed_names)} of the shape {names.shape} in {str(path)!r}. "
            "Spaces around them make no difference."
        )
    return names


def as_texts(array: np.ndarray, name: str, path: pathlib.Path) -> np.ndarray:
    """An array without bytes: such texts are taken for UTF-8.

    Args:
        array: of an archive.
        name: str, what it is called there.
        path: path of the archive.

    Raises:
        ValueError: if they are something else.
    """
    if array.dtype.kind != "S":
        return array
    try:
        return np.char.decode(array, "utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{name!r} in {str(path)!r} must be texts, or bytes in UTF-8. Received: "
            f"{error.object[:40]!r}. Write them as texts."
        ) from error


def _array(archive: Any, name: str, path: pathlib.Path) -> np.ndarray:
    try:
        array = archive[name]
    # As above; MemoryError is one of them, and is told by those who know what to do.
    except MemoryError:
        raise
    except Exception as error:
        raise ValueError(
            f"The arrays of {str(path)!r} must be plain numbers (dtype=object cannot "
            f"be read safely), and whole. Received {name!r}, which NumPy cannot read: "
            f"{error}"
        ) from error
    # What is no array NumPy gives as bytes.
    if not isinstance(array, np.ndarray):
        raise ValueError(
            f"{name!r} in {str(path)!r} must be an array. Received: something else, "
            f"{len(array):,} bytes."
        )
    return array


def _check_sizes(path: pathlib.Path) -> None:
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
            try:
                with archive.open(entry) as member:
                    start = member.read(_MOST_HEADER_BYTES)
            # Damaged, encrypted, packed in a way that is not known: whoever asks for
            # it is told.
            except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError):
                continue
            _check_header(path, entry, start)


def _check_header(path: pathlib.Path, entry: zipfile.ZipInfo, start: bytes) -> None:
    """NumPy makes room for what a header says before it looks what is there."""
    file = io.BytesIO(start)
    try:
        shape, dtype = array_header(file)
    except ValueError:
        # No array, or one of another kind: whoever asks for it is told.
        return
    announced = file.tell() + math.prod(shape) * dtype.itemsize
    # Objects are elsewhere in the file, and are not read at all.
    if announced > entry.file_size and not dtype.hasobject:
        raise ValueError(
            f"{str(path)!r} must hold the arrays that it announces. Received: "
            f"{entry.filename!r} of the shape {shape}, {announced:,} bytes of which "
            f"there are {entry.file_size:,}."
        )


def array_header(file: Any) -> tuple[tuple[int, ...], np.dtype]:
    """What the header of an array says, of which no more is read.

    Args:
        file: open binary file, at the beginning of the array.

    Returns:
        tuple of int, the shape, and the `np.dtype`.

    Raises:
        ValueError: if it is no header that NumPy can read.
    """
    try:
        version = np.lib.format.read_magic(file)
        read = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read(file)
    # A header is a text of Python's, which is parsed.
    except (SyntaxError, TypeError, tokenize.TokenError, RecursionError) as error:
        raise ValueError(f"the header cannot be parsed ({error})") from error
    return shape, dtype


def _listed(choices: tuple[tuple[str, ...], ...]) -> str:
    return " or ".join(", ".join(keys) for keys in choices)
