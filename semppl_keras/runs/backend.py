"""Which backend runs the networks, and whether it is installed, before it is imported.

The standard library alone: someone without any is to be told what to install.
"""

import importlib.util
import json
import os
import pathlib
import sys

from semppl_keras.runs.errors import RunError

BACKENDS = ("tensorflow", "jax", "torch")

# What Keras takes where nothing else is said. It also writes it into keras.json, so
# that nobody need have chosen it that is found there.
_USUAL = "tensorflow"


def installed_backends() -> list[str]:
    """Those of `BACKENDS` that can be imported, as far as their files tell."""
    return [name for name in BACKENDS if is_installed(name)]


def is_installed(module: str) -> bool:
    """Whether a module can be imported, as far as its files tell."""
    spec = importlib.util.find_spec(module)
    # A folder of this name in the working folder has no origin.
    return spec is not None and spec.origin is not None


def chosen_backend() -> tuple[str, str | None]:
    """The backend that Keras would take, and what says so: None for nothing."""
    name = os.environ.get("KERAS_BACKEND")
    if name:
        return name, "KERAS_BACKEND"
    settings = _keras_home() / "keras.json"
    try:
        content = json.loads(settings.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        # As for Keras.
        return _USUAL, None
    name = content.get("backend", _USUAL) if isinstance(content, dict) else _USUAL
    return str(name), None if name == _USUAL else str(settings)


def choose_backend() -> str | None:
    """Takes the backend that is installed, where nobody has chosen another one.

    Sets KERAS_BACKEND, for this process and those that it starts. Of several the first
    of `BACKENDS` is taken.

    Returns:
        Its name; None if there is nothing to choose: one is chosen, or Keras' usual one
        is installed, or none at all.
    """
    name, by = backend_of_commands()
    if by is not None or name == _USUAL or "keras" in sys.modules:
        return None
    os.environ["KERAS_BACKEND"] = name
    return name


def backend_of_commands() -> tuple[str, str | None]:
    """The backend that a command would take, and what says so.

    Returns:
        Its name, and None where nobody has chosen it: it is then Keras' usual one, or
        the first of `BACKENDS` that is installed where that one is not.
    """
    name, by = chosen_backend()
    installed = installed_backends()
    if by is None and installed and name not in installed:
        name = installed[0]
    return name, by


def check_backend() -> None:
    """Checks that Keras can be imported with the backend that it would take.

    Raises:
        RunError: None is installed, or not the chosen one, or another than `BACKENDS`
            is chosen; with what to install, and what is there.
    """
    if "keras" in sys.modules:
        return
    installed = installed_backends()
    there = f"Installed: {' and '.join(installed) or 'none of the three'}."
    name, by = chosen_backend()
    if name not in BACKENDS:
        raise RunError(
            f"{by} must name a backend that trains here: tensorflow, jax or torch. "
            f"Received: {name!r}. {there}{_how_to_install()}"
        )
    if name in installed:
        return
    if by is None and installed:
        raise RunError(
            "Without KERAS_BACKEND Keras takes tensorflow, which is not installed. "
            f"{there} Set KERAS_BACKEND={installed[0]} before Keras is imported, or "
            f"install it: {_install(name)}."
        )
    if installed:
        raise RunError(
            f"{by} names {name}, which is not installed. {there} Install it: "
            f"{_install(name)}; or set KERAS_BACKEND={installed[0]}."
        )
    raise RunError(
        "No backend is installed, which runs the networks: tensorflow, jax or torch."
        f"{_how_to_install()}"
    )


def _keras_home() -> pathlib.Path:
    """The folder of Keras' settings, found as Keras does."""
    if "KERAS_HOME" in os.environ:
        return pathlib.Path(os.environ["KERAS_HOME"]).expanduser()
    home = os.path.expanduser("~")
    return pathlib.Path(home if os.access(home, os.W_OK) else "/tmp") / ".keras"


def _install(name: str) -> str:
    return f"pip install 'semppl_keras[{name}]'"


def _how_to_install() -> str:
    if installed_backends():
        return ""
    return f" Install one: {_install('tensorflow')}, or with [jax] or [torch]."
