"""Models out of a run folder, which may be somebody else's: nothing is executed."""

import io
import json
import zipfile
import zlib

import keras
import numpy as np

from semppl_keras.cli.run_folder import CommandError

# Layers that bring code of their own, or load what does.
_EXECUTING = frozenset(
    ("Lambda", "__lambda__", "TorchModuleWrapper", "TFSMLayer", "JaxLayer", "FlaxLayer")
)
_PICKLE_ENDINGS = (".pkl", ".pickle", ".pck", ".joblib", ".dill", ".pt", ".pth")
# The first byte of every pickle since protocol 2, then the protocol; the last byte.
_PICKLE_START, _PICKLE_PROTOCOLS, _PICKLE_END = 0x80, range(2, 6), 0x2E

_ARRAY_START, _ARCHIVE_START = b"\x93NUMPY", b"PK"
# NumPy reads no longer header of an array, unless it is to unpickle.
_ARRAY_HEADER = 10_000


def check_folder(folder):
    """Refuses a run folder in which there is something that could be executed.

    Args:
        folder: `pathlib.Path`.

    Raises:
        CommandError: There is a pickle in it, a NumPy array of objects, which is one,
            or a file that cannot be read.
    """
    for path in sorted(folder.rglob("*")):
        try:
            if not path.is_file():
                continue
            pickled, array = _is_pickle(path), _array_of_objects(path)
        except OSError as error:
            raise CommandError(
                "Every file of a run folder must be readable, to see that none could "
                "execute anything. Received: "
                f"{str(path)!r} ({error.strerror or error}). "
                "Make it readable, or take it out of the folder."
            ) from error
        if pickled:
            raise CommandError(
                f"A run folder must hold no pickle, since one can execute anything. "
                f"Received: {str(path)!r}. semppl wrote none: if you trust whom the "
                "folder is from, delete the file."
            )
        if array is not None:
            raise CommandError(
                "A run folder must hold no NumPy array of objects, which is a pickle "
                f"and can execute anything. Received: {array}. semppl wrote none: if "
                "you trust whom the folder is from, delete the file."
            )


def load_model(path, **options):
    """Loads a model of a run folder, once it is known to bring no code of its own.

    Args:
        path: `pathlib.Path` of a `.keras` file.
        **options: As in `keras.models.load_model`.

    Returns:
        The model.

    Raises:
        CommandError: The file is none of Keras', holds a Lambda layer, another layer
            with code of its own or a pickle, or cannot be loaded here.
    """
    _check_archive(path)
    try:
        return keras.models.load_model(path, safe_mode=True, **options)
    # A file that was changed by hand fails in many ways.
    except Exception as error:
        raise CommandError(
            f"{str(path)!r} must be a model that semppl has written. Received one that "
            f"Keras cannot load: {type(error).__name__}: {error}"
        ) from error


def _check_archive(path):
    if not zipfile.is_zipfile(path):
        received = "a pickle, which can execute anything" if _is_pickle(path) else ""
        raise CommandError(
            f"{str(path)!r} must be a model that semppl has written, an archive of "
            f"Keras'. Received: {received or 'something else'}. It was not loaded."
        )
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.lower().endswith(_PICKLE_ENDINGS):
                    raise CommandError(
                        f"{str(path)!r} must hold no pickle, since one can execute "
                        f"anything. Received: {name!r} in it. It was not loaded."
                    )
            config = json.loads(archive.read("config.json"))
    except (KeyError, ValueError, zipfile.BadZipFile) as error:
        raise CommandError(
            f"{str(path)!r} must be a model that semppl has written. Received an "
            f"archive without a configuration that can be read ({error})."
        ) from error
    for entry in _dicts(config):
        names = {
            str(entry.get(key)).rpartition(">")[2]
            for key in ("class_name", "registered_name")
        }
        if names & _EXECUTING:
            kind = (names & _EXECUTING).pop()
            settings = entry.get("config")
            name = settings.get("name") if isinstance(settings, dict) else None
            raise CommandError(
                f"{str(path)!r} must hold no layer that brings code of its own. "
                f"Received: a layer of type {kind}"
                + (f", {name!r}" if name else "")
                + ", which would be executed. It was not loaded."
            )


def _dicts(value):
    """Every dict within nested containers."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _dicts(part)


def _array_of_objects(path):
    """Where in a file, by what it begins with, is an array that NumPy would unpickle.

    An array whose header NumPy cannot read counts as one.

    Args:
        path: `pathlib.Path`.

    Returns:
        Text, or None where there is none.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(len(_ARRAY_START))
        file.seek(0)
        if start == _ARRAY_START:
            return repr(str(path)) if _holds_objects(file) else None
        if not start.startswith(_ARCHIVE_START):
            return None
        try:
            with zipfile.ZipFile(file) as archive:
                for name in archive.namelist():
                    with archive.open(name) as member:
                        if _holds_objects(member):
                            return f"{name!r} in {str(path)!r}"
        # What is damaged, encrypted or packed in a way that is not known here can be
        # read by nobody, NumPy included.
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError):
            return None
    return None


def _holds_objects(file):
    """Whether a file at its beginning is an array of objects; nothing is unpickled."""
    start = file.read(_ARRAY_HEADER)
    if not start.startswith(_ARRAY_START):
        return False
    start = io.BytesIO(start)
    try:
        version = np.lib.format.read_magic(start)
        if version == (1, 0):
            _, _, kind = np.lib.format.read_array_header_1_0(start)
        else:
            _, _, kind = np.lib.format.read_array_header_2_0(start)
    except ValueError:
        return True
    return kind.hasobject


def _is_pickle(path):
    if path.name.lower().endswith(_PICKLE_ENDINGS):
        return True
    with path.open("rb") as file:
        start = file.read(2)
        if len(start) < 2 or start[0] != _PICKLE_START:
            return False
        file.seek(-1, 2)
        return start[1] in _PICKLE_PROTOCOLS and file.read(1)[0] == _PICKLE_END
