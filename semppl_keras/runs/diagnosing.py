"""What is installed, on what it runs, and what is missing for what."""

import importlib.metadata
import json as json_texts
import os
import pathlib
import platform
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

import semppl_keras
from semppl_keras import tested_keras
from semppl_keras.runs.backend import (
    BACKENDS,
    backend_of_commands,
    check_backend,
    installed_backends,
    is_installed,
)
from semppl_keras.runs.devices import devices_of
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.features import FEATURES
from semppl_keras.runs.options.doctor import DoctorOptions
from semppl_keras.runs.results.diagnosis import Diagnosis
from semppl_keras.runs.telling import tell, told
from semppl_keras.version import __version__

# What the package cannot do without, by the names that pip and Python have for it.
_CORE = {
    "numpy": "numpy",
    "scipy": "scipy",
    "scikit-learn": "sklearn",
    "pillow": "PIL",
    "threadpoolctl": "threadpoolctl",
    "matplotlib": "matplotlib",
    "tensorboard": "tensorboard",
}

# What brings a module, by its name.
_Packages = Mapping[str, Sequence[str]]

# What changes how a backend computes, or where it is found; no others are told, which
# may hold secrets.
_VARIABLES = (
    "KERAS_BACKEND",
    "KERAS_HOME",
    "SEMPPL_HOME",
    "CUDA_VISIBLE_DEVICES",
    "JAX_ENABLE_X64",
    "JAX_PLATFORMS",
    "OMP_NUM_THREADS",
    "PYTHONPATH",
    "TF_FORCE_GPU_ALLOW_GROWTH",
    "TF_USE_LEGACY_KERAS",
    "TF_XLA_FLAGS",
    "XLA_FLAGS",
    "XLA_PYTHON_CLIENT_MEM_FRACTION",
    "XLA_PYTHON_CLIENT_PREALLOCATE",
)


@told
def doctor(*, json: bool = False, verbose: int = 1) -> Diagnosis:
    """Tells what is installed, on what it runs, and what is missing for what.

    Each backend that is installed is asked in a process of its own; neither Keras nor a
    backend is imported here, and what is broken is told like the rest.

    Args:
        json: Whether it is printed as JSON, in the place of a screen to read.
        verbose: 0 to say nothing, 1 for what the command says, 2 for more.

    Returns:
        `Diagnosis`.

    Raises:
        TypeError: A value is of the wrong kind.

    Example:
        >>> doctor(verbose=0)["keras"]["version"]
    """
    return doctor_with(DoctorOptions.of(json=json))


def doctor_with(options: DoctorOptions) -> Diagnosis:
    """The same, of options that are filled already."""
    # Once for all: every package's list of files is read for it.
    packages = importlib.metadata.packages_distributions()
    diagnosis = Diagnosis(
        {
            "semppl_keras": {"version": __version__, "folder": _folder()},
            "python": platform.python_version(),
            "system": platform.platform(),
            "machine": _machine(),
            "keras": _keras(packages),
            "backend": _backend(),
            "backends": _backends(packages),
            "packages": {
                name: _version(module, packages) for name, module in _CORE.items()
            },
            "variables": {
                name: os.environ[name] for name in _VARIABLES if name in os.environ
            },
            "features": [
                {
                    "name": feature.name,
                    "missing": feature.missing(),
                    "install": f"pip install {feature.install}",
                }
                for feature in FEATURES
            ],
        }
    )
    tell(json_texts.dumps(diagnosis, indent=2) if options.json else diagnosis.screen())
    return diagnosis


def _folder() -> str:
    folder = pathlib.Path(semppl_keras.__file__).parent
    home = pathlib.Path.home()
    # An issue need not say who somebody is.
    if folder.is_relative_to(home):
        return str(pathlib.Path("~") / folder.relative_to(home))
    return str(folder)


def _machine() -> dict[str, Any]:
    """Processors, and bytes of memory and of the disk of the working folder."""
    found: dict[str, Any] = {"processors": os.cpu_count()}
    if hasattr(os, "sched_getaffinity"):
        # Not all that the machine has may be there for the process.
        found["processors"] = len(os.sched_getaffinity(0))
    try:
        # With NumPy, which may be what is broken.
        from semppl_keras.data.images.memory import free_memory

        found["free_memory"] = free_memory()
    except ImportError as error:
        found["free_memory"] = None
        found["problem"] = str(error)
    try:
        found["memory"] = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        # No such call on Windows.
        found["memory"] = None
    try:
        found["free_disk"] = shutil.disk_usage(".").free
    except OSError:
        found["free_disk"] = None
    return found


def _keras(packages: _Packages) -> dict[str, Any]:
    version = _version("keras", packages)
    return {
        "version": version,
        "tested": [*map(tested_keras.version_text, tested_keras.RANGE)],
        "newer_than_tested": version is not None
        and tested_keras.is_newer_than_tested(version),
    }


def _backend() -> dict[str, Any]:
    """Which backend a command would take here, and why none."""
    name, by = backend_of_commands()
    try:
        if by is not None or not installed_backends():
            check_backend()
    except RunError as error:
        return {"name": name, "chosen_by": by, "problem": str(error)}
    return {"name": name, "chosen_by": by}


def _backends(packages: _Packages) -> dict[str, dict[str, Any]]:
    installed = installed_backends()
    devices = devices_of(installed)
    return {
        name: {"version": _version(name, packages), **devices.get(name, {})}
        for name in BACKENDS
    }


def _version(module: str, packages: _Packages) -> str | None:
    """The version of what has a module, None where that is not installed."""
    if not is_installed(module):
        return None
    # tensorflow-cpu and its like are called otherwise than what they bring.
    for package in packages.get(module, ()):
        return importlib.metadata.version(package)
    return "unknown"
