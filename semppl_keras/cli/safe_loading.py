"""Models out of a run folder, which may be somebody else's: nothing is executed."""

import json
import zipfile

import keras

from semppl_keras.cli.run_folder import CommandError

# Layers that bring code of their own, or load what does.
_EXECUTING = frozenset(
    ("Lambda", "__lambda__", "TorchModuleWrapper", "TFSMLayer", "JaxLayer", "FlaxLayer")
)
_PICKLE_ENDINGS = (".pkl", ".pickle", ".pck", ".joblib", ".dill", ".pt", ".pth")
# The first byte of every pickle since protocol 2, then the protocol; the last byte.
_PICKLE_START, _PICKLE_PROTOCOLS, _PICKLE_END = 0x80, range(2, 6), 0x2E


def check_folder(folder):
    """Refuses a run folder in which there is something that could be executed.

    Args:
        folder: `pathlib.Path`.

    Raises:
        CommandError: There is a pickle in it, or a file that cannot be read.
    """
    for path in sorted(folder.rglob("*")):
        try:
            pickled = path.is_file() and _is_pickle(path)
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


def _is_pickle(path):
    if path.name.lower().endswith(_PICKLE_ENDINGS):
        return True
    with path.open("rb") as file:
        start = file.read(2)
        if len(start) < 2 or start[0] != _PICKLE_START:
            return False
        file.seek(-1, 2)
        return start[1] in _PICKLE_PROTOCOLS and file.read(1)[0] == _PICKLE_END
