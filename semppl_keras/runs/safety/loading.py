"""Models out of a run folder, which may be somebody else's: nothing is executed."""

import importlib
import io
import pathlib
import re
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, Any

import keras

from semppl_keras.data.images.npz_archives import array_header
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.safety.known_objects import (
    EXECUTING,
    is_known_class,
    is_known_function,
    is_known_value,
    is_schedule,
)
from semppl_keras.runs.safety.model_archives import bounded_variables, read_archive

_PICKLE_ENDINGS = (".pkl", ".pickle", ".pck", ".joblib", ".dill", ".pt", ".pth")
# More no layer has of anything. Lists and arrays are made of as many as are asked for,
# which no weight of the file accounts for.
_MOST = 2**22
# What is drawn with, called by, or counts steps is no size.
_NO_SIZES = ("seed", "shared_object_id", "steps", "boundaries", "value", "salt")

# The first byte of every pickle since protocol 2, then the protocol; the last byte.
_PICKLE_START, _PICKLE_PROTOCOLS, _PICKLE_END = 0x80, range(2, 6), 0x2E

_ARRAY_START, _ARCHIVE_START = b"\x93NUMPY", b"PK"
# NumPy reads no longer header of an array, unless it is to unpickle.
_ARRAY_HEADER = 10_000

# Where in a configuration something is.
_Keys = tuple[Any, ...]


def check_folder(folder: pathlib.Path, *, trust: bool = False) -> None:
    """Refuses a run folder in which there is something that could be executed, or
    through which something elsewhere would be written.

    Args:
        folder: `pathlib.Path`.
        trust: Whether links in it may be followed.

    Raises:
        RunError: There is a pickle in it, a NumPy array of objects, which is one,
            a symbolic link, or a file that cannot be read.
    """
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() and not trust:
            raise RunError(
                "A run folder must hold no links, since what is written through one is "
                f"elsewhere. Received: {str(path)!r}. If it is your own: --trust."
            )
        try:
            if not path.is_file():
                continue
            pickled, array = _is_pickle(path), _array_of_objects(path)
        except OSError as error:
            raise RunError(
                "Every file of a run folder must be readable, to see that none could "
                "execute anything. Received: "
                f"{str(path)!r} ({error.strerror or error}). "
                "Make it readable, or take it out of the folder."
            ) from error
        if pickled:
            raise RunError(
                f"A run folder must hold no pickle, since one can execute anything. "
                f"Received: {str(path)!r}. semppl wrote none: if you trust whom the "
                "folder is from, delete the file."
            )
        if array is not None:
            raise RunError(
                "A run folder must hold no NumPy array of objects, which is a pickle "
                f"and can execute anything. Received: {array}. semppl wrote none: if "
                "you trust whom the folder is from, delete the file."
            )


def load_model(
    path: pathlib.Path, kind: type = keras.Model, *, trust: bool = False
) -> Any:
    """Loads a model of a run folder, once all that it names is known to be harmless.

    Args:
        path: `pathlib.Path` of a `.keras` file.
        kind: Class that it has to be of.
        trust: Whether it may name what is not known here, such as layers of one's own:
            then the modules that it names are imported. Pickles and layers that bring
            code of their own are refused all the same.

    Returns:
        The model.

    Raises:
        RunError: The file is none of Keras', names something that is not known,
            announces more than it holds, cannot be loaded here, or is of another kind.
    """
    if not zipfile.is_zipfile(path):
        received = "a pickle, which can execute anything" if _is_pickle(path) else ""
        raise RunError(
            f"{str(path)!r} must be a model that semppl has written, an archive of "
            f"Keras'. Received: {received or 'something else'}. It was not loaded."
        )
    _check_no_pickle_within(path)
    config, held = read_archive(path)
    _check_config(path, config, trust)
    try:
        with bounded_variables(path, held):
            model = keras.models.load_model(path, safe_mode=True)
    except RunError:
        raise
    # A file that was changed by hand fails in many ways.
    except Exception as error:
        raise RunError(
            f"{str(path)!r} must be a model that semppl has written. Received one that "
            f"Keras cannot load: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(model, kind):
        raise RunError(
            f"{str(path)!r} must be a {kind.__name__} that semppl has written. "
            f"Received: {type(model).__name__}."
        )
    return model


def _check_no_pickle_within(path: pathlib.Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise RunError(
            f"{str(path)!r} must be a model that semppl has written. Received an "
            f"archive that cannot be read ({error})."
        ) from error
    for name in names:
        if name.lower().endswith(_PICKLE_ENDINGS):
            raise RunError(
                f"{str(path)!r} must hold no pickle, since one can execute anything. "
                f"Received: {name!r} in it. It was not loaded."
            )


def _check_config(path: pathlib.Path, config: Any, trust: bool) -> None:
    """Raises a `RunError` where a configuration names what is not known, or asks
    for more than there is."""
    for where, value in _named(config):
        if isinstance(value, int):
            raise RunError(
                f"{str(path)!r} must describe a network of at most {_MOST:,} of "
                f"anything. Received: {'.'.join(map(str, where))} of "
                f"{f'{value:,}'[:40]}. It was not loaded."
            )
        if isinstance(value, str):
            # Keras takes the text for the object, wherever it stands.
            if not trust and keras.saving.get_registered_object(value) is not None:
                raise _unknown(path, value, where)
            continue
        module, class_name, registered, settings = (
            value.get(key)
            for key in ("module", "class_name", "registered_name", "config")
        )
        for name in (class_name, registered):
            kind = re.split(r"[.>]", str(name))[-1]
            if kind in EXECUTING:
                called = settings.get("name") if isinstance(settings, dict) else None
                raise RunError(
                    f"{str(path)!r} must hold no layer that brings code of its own. "
                    f"Received: a layer of type {kind}"
                    + (f", {called!r}" if called else "")
                    + ", which would be executed. It was not loaded."
                )
        if _is_known(value, where):
            continue
        name = settings if class_name == "function" else class_name
        name = ".".join(str(part) for part in (module, name) if part is not None)
        if not trust:
            raise _unknown(path, name, where)
        _import_own(path, module)


def _is_known(entry: dict[str, Any], where: _Keys) -> bool:
    module, class_name, registered, settings = (
        entry.get(key) for key in ("module", "class_name", "registered_name", "config")
    )
    for name in (module, class_name, registered):
        if not isinstance(name, str | None):
            return False
    if "registered_name" not in entry and "module" not in entry:
        return is_known_value(class_name, settings)
    if class_name == "function":
        # Of a learning rate it would be asked for numbers that it does not give.
        return (
            isinstance(settings, str)
            and where[-1:] != ("learning_rate",)
            and is_known_function(module, settings, registered)
        )
    if where[-1:] == ("learning_rate",) and not is_schedule(module, class_name):
        return False
    return is_known_class(module, class_name, registered)


def _named(config: Any) -> Iterator[tuple[_Keys, Any]]:
    """(path of keys, dict that names an object, text that may be one's name, or
    integer that is too large for a size)."""
    left: list[tuple[_Keys, Any]] = [((), config)]
    while left:
        where, value = left.pop()
        if isinstance(value, dict):
            names = "class_name" in value
            if names:
                yield where, value
            for key, part in value.items():
                if not (names and key in ("class_name", "registered_name", "module")):
                    left.append(((*where[-5:], key), part))
        elif isinstance(value, list):
            left += [(where, part) for part in value]
        elif isinstance(value, str) or _is_too_large(where, value):
            yield where, value


def _is_too_large(where: _Keys, value: Any) -> bool:
    if not isinstance(value, int) or abs(value) <= _MOST:
        return False
    return not (where and str(where[-1]).endswith(_NO_SIZES))


def _unknown(path: pathlib.Path, name: str, where: _Keys) -> RunError:
    at = f" as {'.'.join(map(str, where))!r}" if where else ""
    return RunError(
        f"{str(path)!r} must name nothing but harmless parts of Keras and of "
        f"semppl_keras. Received: {name!r}{at}, which is not known to be one. It was "
        "not loaded. If it is a layer of your own: --trust."
    )


def _import_own(path: pathlib.Path, module: Any) -> None:
    """Imports what registers a layer of one's own; Keras finds what is its."""
    if not isinstance(module, str) or module.split(".")[0] in ("keras", "builtins"):
        return
    try:
        importlib.import_module(module)
    except ImportError as error:
        raise RunError(
            f"{str(path)!r} has layers of the module {module!r}, which must be found. "
            f"Received: {error}. Set PYTHONPATH to its folder."
        ) from error


def _array_of_objects(path: pathlib.Path) -> str | None:
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


def _holds_objects(file: IO[bytes]) -> bool:
    """Whether a file at its beginning is an array of objects; nothing is unpickled."""
    start = file.read(_ARRAY_HEADER)
    if not start.startswith(_ARRAY_START):
        return False
    try:
        _, kind = array_header(io.BytesIO(start))
    except ValueError:
        return True
    return kind.hasobject


def _is_pickle(path: pathlib.Path) -> bool:
    if path.name.lower().endswith(_PICKLE_ENDINGS):
        return True
    with path.open("rb") as file:
        start = file.read(2)
        if len(start) < 2 or start[0] != _PICKLE_START:
            return False
        file.seek(-1, 2)
        return start[1] in _PICKLE_PROTOCOLS and file.read(1)[0] == _PICKLE_END
