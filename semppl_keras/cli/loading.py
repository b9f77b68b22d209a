"""The backend is loaded for a command: which one, without noise, or why not."""

import contextlib
import os

from semppl_keras.cli.quiet import without_noise
from semppl_keras.runs.backend import check_backend, choose_backend
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.telling import tell, verbosity


def load_backend() -> None:
    """Imports Keras and has its backend look for devices.

    Raises:
        RunError: There is no backend, or it cannot be imported.
    """
    chosen = choose_backend()
    if chosen is not None:
        tell(f"TensorFlow is not installed: {chosen} runs the networks.")
    check_backend()
    try:
        with contextlib.nullcontext() if verbosity() == 2 else without_noise():
            import keras

            # What a backend says of the devices that it finds comes with an array, and
            # what TensorFlow says, once in a process, of types that oneDNN does not
            # know, with images of bytes that are turned.
            keras.ops.transpose(keras.ops.zeros((1, 1), "uint8"))
    # A library of the system may be missing, too.
    except (ImportError, OSError) as error:
        raise RunError(
            f"Keras cannot be imported: {error}. Look at the installation of Keras and "
            f"of its backend{_named()}."
        ) from error


def _named() -> str:
    name = os.environ.get("KERAS_BACKEND")
    return f", {name}" if name else ""
