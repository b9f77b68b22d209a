"""Archives of Keras models: what they hold, and how much, before they are loaded."""

import contextlib
import io
import json
import math
import os
import pathlib
import threading
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

import h5py
import keras
import numpy as np

from semppl_keras.runs.errors import RunError

_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"
# What there is in one, and the most bytes that a text may have: that of a ResNet-200
# has less than one million.
_MOST_BYTES = {
    _CONFIG: 2**23,
    "metadata.json": 2**20,
    _WEIGHTS: None,
    "semppl_training_state.json": 2**24,
}
# Keras does not compress them, and packed anew weights do not become this much smaller.
_MOST_COMPRESSION = 10
_FREE_BYTES = 2**20

# Whatever a model is made of is in its weights; it may be made twice on the way.
_MOST_COPIES = 4
_FREE_VARIABLE_BYTES = 2**26


def read_archive(path: pathlib.Path) -> tuple[Any, int]:
    """The configuration in an archive in which there is no more than it takes room for.

    Args:
        path: `pathlib.Path`.

    Returns:
        What `config.json` holds, and how many bytes the weights have.

    Raises:
        RunError: The archive is none, holds something else, announces more than it
            holds, or has weights that are elsewhere.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_entries(path, archive)
            config = json.loads(archive.read(_CONFIG))
            weights = archive.read(_WEIGHTS) if _holds(archive, _WEIGHTS) else None
    # Deep nesting and encrypted data are the last.
    except (
        KeyError,
        ValueError,
        OSError,
        EOFError,
        zipfile.BadZipFile,
        zlib.error,
        RuntimeError,
    ) as error:
        raise RunError(
            f"{str(path)!r} must be a model that semppl has written. Received an "
            f"archive without a configuration that can be read ({error})."
        ) from error
    if weights is None:
        return config, 0
    _check_weights(path, weights)
    return config, len(weights)


@contextlib.contextmanager
def bounded_variables(path: pathlib.Path, held: int) -> Iterator[None]:
    """Within it, all variables together are no larger than the weights of a file.

    Args:
        path: For the message.
        held: Bytes of the weights.

    Raises:
        RunError: There would be more: the configuration announces what the file
            does not hold.
    """
    left = _MOST_COPIES * held + _FREE_VARIABLE_BYTES
    thread, original = threading.get_ident(), keras.Variable.__init__

    def bounded(
        variable: Any,
        initializer: Any,
        shape: Any = None,
        dtype: Any = None,
        *arguments: Any,
        **options: Any,
    ) -> None:
        nonlocal left
        if threading.get_ident() == thread and shape is not None:
            left -= _num_bytes(shape, dtype)
            if left < 0:
                raise RunError(
                    f"{str(path)!r} must hold the weights of the network that it "
                    f"describes. Received: {held:,} bytes of them, where a variable "
                    f"of the shape {tuple(shape)} is to be made. It was not loaded."
                )
        original(variable, initializer, shape, dtype, *arguments, **options)

    own = "__init__" in vars(keras.Variable)
    keras.Variable.__init__ = bounded
    try:
        yield
    finally:
        if own:
            keras.Variable.__init__ = original
        else:
            del keras.Variable.__init__


def _num_bytes(shape: Any, dtype: Any) -> int:
    sizes = [size for size in np.atleast_1d(shape).tolist() if size is not None]
    bits = "".join(filter(str.isdigit, str(dtype or "float32"))) or "32"
    return math.prod(map(int, sizes)) * max(int(bits) // 8, 1)


def _holds(archive: zipfile.ZipFile, name: str) -> bool:
    return name in archive.namelist()


def _check_entries(path: pathlib.Path, archive: zipfile.ZipFile) -> None:
    names = archive.namelist()
    for name in names:
        if name not in _MOST_BYTES or names.count(name) > 1:
            again = ", more than once" if names.count(name) > 1 else ""
            raise RunError(
                f"{str(path)!r} must hold what a model of semppl does: "
                f"{', '.join(_MOST_BYTES)}. Received: {name!r}{again}. It was not "
                "loaded."
            )
    announced = 0
    for entry in archive.infolist():
        most = _MOST_BYTES[entry.filename]
        if most is not None and entry.file_size > most:
            raise RunError(
                f"{entry.filename!r} in {str(path)!r} must have at most {most:,} "
                f"bytes. Received: {entry.file_size:,}. It was not loaded."
            )
        announced += entry.file_size
    held = os.path.getsize(path)
    if announced > _MOST_COMPRESSION * held + _FREE_BYTES:
        raise RunError(
            f"{str(path)!r} must hold what it announces. Received: {held:,} bytes that "
            f"would become {announced:,}. It was not loaded."
        )


def _check_weights(path: pathlib.Path, weights: bytes) -> None:
    """Raises a `RunError` unless the arrays are there, and nowhere else."""
    announced = 0
    try:
        with h5py.File(io.BytesIO(weights), "r") as file:
            for name, dataset in _datasets(path, file):
                announced += dataset.nbytes
                if dataset.external or dataset.is_virtual:
                    raise _elsewhere(path, name)
                if dataset.dtype.hasobject:
                    raise RunError(
                        f"The weights of {str(path)!r} must be numbers. Received: "
                        f"{dataset.dtype} in {name!r}. It was not loaded."
                    )
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise RunError(
            f"{str(path)!r} must be a model that semppl has written. Received an "
            f"archive with weights that cannot be read ({error})."
        ) from error
    if announced > len(weights):
        raise RunError(
            f"The weights of {str(path)!r} must hold what they announce. Received: "
            f"{len(weights):,} bytes for arrays of {announced:,}. It was not loaded."
        )


def _datasets(path: pathlib.Path, file: Any) -> Iterator[tuple[str, Any]]:
    """(name, dataset) of all, each group once."""
    groups, seen = [file], set()
    while groups:
        group = groups.pop()
        # Groups may lie within each other in a circle.
        address = h5py.h5o.get_info(group.id).addr
        if address in seen:
            continue
        seen.add(address)
        for key in group:
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                raise _elsewhere(path, f"{group.name}/{key}")
            member = group[key]
            if isinstance(member, h5py.Group):
                groups.append(member)
            elif isinstance(member, h5py.Dataset):
                yield member.name, member


def _elsewhere(path: pathlib.Path, name: str) -> RunError:
    return RunError(
        f"{str(path)!r} must hold all of its weights. Received: {name!r} in it, which "
        "stands for something elsewhere. It was not loaded."
    )
