"""What the commands share: run folders, the data behind them, errors of the user's."""

import importlib.metadata
import json
import os
import pathlib
import platform
import sys
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from semppl_keras import recipes
from semppl_keras.data import Dataset, FewLabels, dataset
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.json_files import read_run_json
from semppl_keras.runs.progress import Progress
from semppl_keras.version import __version__


def dataset_of(settings: Mapping[str, Any]) -> Dataset:
    """The data set of a run, which knows the run's classes.

    Args:
        settings: Dict, what `run.json` holds.

    Raises:
        ValueError: It is none.
    """
    names = settings.get("class_names") or ()
    return dataset(settings["dataset"]).knowing(names)


def recipe_of(settings: Mapping[str, Any]) -> recipes.Recipe:
    """The recipe by which `semppl train` trains.

    Args:
        settings: Dict, as `run.json` holds it, of `dataset`, `epochs`, `batch_size`
            and `learning_rate`, the latter None or missing for the recipe's own.

    Returns:
        `Recipe`.
    """
    return recipes.for_dataset(
        dataset_of(settings),
        epochs=settings.get("epochs"),
        batch_size=settings.get("batch_size"),
        learning_rate=settings.get("learning_rate"),
    )


def value_range_of(settings: Mapping[str, Any]) -> Any:
    """By which range the deep images of a run are read.

    Args:
        settings: Dict, what `run.json` holds.

    Returns:
        As `data.load_own_images` takes `value_range`: without the entry, each image
        was read by itself.
    """
    return settings.get("value_range", "each")


def load_data(
    dataset: Dataset,
    labels_per_class: int | str,
    seed: int,
    recipe: recipes.Recipe,
    *,
    folder: str | os.PathLike[str] | None = None,
    value_range: Any = None,
) -> FewLabels:
    """Loads a data set as the options of a command, or `run.json`, have it.

    Args:
        dataset: `Dataset`; `dataset_of` a run.
        labels_per_class: An integer, a share such as "10%", or "all".
        seed: Chooses the labelled images.
        recipe: `Recipe`, to whose size images are brought.
        folder: The run's, in which decoded images may be kept; None for none.
        value_range: As for `data.load_own_images`; `value_range_of` a run.

    Returns:
        `FewLabels`; of a person's own images `OwnImages`.

    Raises:
        ValueError, FileNotFoundError, ImportError: The data set cannot be had, or is
            none of few labels.
    """
    return dataset.load(
        None if labels_per_class == "all" else labels_per_class,
        seed,
        image_size=recipe.image_size,
        value_range=value_range,
        cache_folder=None if folder is None else pathlib.Path(folder) / "cache",
        progress=Progress(),
    )


def read_finished_run(folder):
    """The settings of the run in a folder.

    Args:
        folder: `pathlib.Path`.

    Returns:
        The dict that `run.json` holds.

    Raises:
        RunError: There is no run, or none that has come to its end.
    """
    if not (folder / "run.json").is_file():
        received = "no folder" if not folder.is_dir() else "a folder without run.json"
        raise RunError(
            "RUN must be a folder that semppl train has written. Received: "
            f"{str(folder)!r}, {received}."
        )
    # Written last: it marks the run as finished.
    missing = [
        name for name in ("metrics.json", "model.keras") if not (folder / name).exists()
    ]
    if missing:
        raise RunError(
            f"The run in {str(folder)!r} must be finished. Received: one without "
            f"{' and '.join(missing)}. Go on with it: semppl train --resume "
            f"{folder}"
        )
    return read_settings(folder)


def read_settings(folder):
    """The settings of the run in a folder, at its end or not.

    Args:
        folder: `pathlib.Path`.

    Returns:
        The dict that `run.json` holds.

    Raises:
        RunError: The file cannot be read, or holds what no run is trained with.
    """
    settings = read_run_json(folder / "run.json")
    # Tells what is wrong with it.
    dataset_of(settings)
    return settings


def save_model(model, path):
    """Writes a model that is there whole or not at all.

    Args:
        model: Keras model.
        path: `pathlib.Path` that ends in .keras.
    """
    # Keras wants every name to end so.
    partial = path.with_suffix(".partial.keras")
    model.save(partial)
    os.replace(partial, path)


def write_json(path, content):
    """Writes a file that is there whole or not at all."""
    temporary = path.with_name(path.name + ".partial")
    temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    os.replace(temporary, path)


def versions():
    """Of what a result depends on, by package."""
    backend = sys.modules[keras.backend.backend()]
    return {
        "semppl_keras": __version__,
        "keras": keras.__version__,
        keras.backend.backend(): backend.__version__,
        "numpy": np.__version__,
        "scikit-learn": importlib.metadata.version("scikit-learn"),
        "python": platform.python_version(),
    }
