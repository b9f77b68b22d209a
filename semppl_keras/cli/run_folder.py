"""What the commands share: run folders, the data behind them, errors of the user's."""

import contextlib
import importlib.metadata
import json
import os
import pathlib
import platform
import sys

import keras
import numpy as np

from semppl_keras import data as datasets
from semppl_keras import recipes
from semppl_keras.version import __version__


class CommandError(Exception):
    """A mistake of the user's, told without a traceback."""


@contextlib.contextmanager
def user_errors():
    """Turns what the package says about its input into a `CommandError`."""
    try:
        yield
    except (ValueError, OSError, ImportError) as error:
        raise CommandError(str(error)) from error


def recipe_of(dataset, epochs=None):
    """The recipe by which `semppl train` trains on a data set.

    Args:
        dataset: As `--dataset` takes it.
        epochs: The budget; None for the recipe's own.

    Returns:
        `Recipe`.
    """
    return recipes.get("digits" if dataset == "digits" else "small_images", epochs)


def resolved(dataset):
    """What names a data set from anywhere: paths in it absolute.

    Args:
        dataset: As `--dataset` takes it, or None.

    Returns:
        The same, or None.
    """
    kind, _, rest = (dataset or "").partition(":")
    if kind in ("npz", "folder"):
        return f"{kind}:{pathlib.Path(rest).resolve()}"
    return dataset


def load_data(dataset, labels_per_class, seed, recipe=None):
    """Loads a data set as the options of a command name it.

    Args:
        dataset: As `--dataset` takes it.
        labels_per_class: An integer, a share such as "10%", or "all".
        seed: Chooses the labelled images.
        recipe: With it images are enlarged to the size that it trains on, and those
            of a folder brought to it.

    Returns:
        `FewLabels`.

    Raises:
        CommandError: The data set cannot be had, or is none of few labels.
    """
    with user_errors():
        data = datasets.load(
            dataset,
            None if labels_per_class == "all" else labels_per_class,
            seed,
            image_size=None if recipe is None else recipe.image_size,
        )
    if recipe is None or recipe.image_size is None:
        return data
    return data.enlarged(recipe.image_size)


def read_finished_run(folder):
    """The settings of the run in a folder.

    Args:
        folder: `pathlib.Path`.

    Returns:
        The dict that `run.json` holds.

    Raises:
        CommandError: There is no run, or none that has come to its end.
    """
    if not (folder / "run.json").is_file():
        received = "no folder" if not folder.is_dir() else "a folder without run.json"
        raise CommandError(
            "RUN must be a folder that semppl train has written. Received: "
            f"{str(folder)!r}, {received}."
        )
    # Written last: it marks the run as finished.
    missing = [
        name for name in ("metrics.json", "model.keras") if not (folder / name).exists()
    ]
    if missing:
        raise CommandError(
            f"The run in {str(folder)!r} must be finished. Received: one without "
            f"{' and '.join(missing)}. Go on with it: semppl train --resume --out "
            f"{folder}"
        )
    return json.loads((folder / "run.json").read_text())


def write_json(path, content):
    """Writes a file that is there whole or not at all."""
    temporary = path.with_name(path.name + ".partial")
    temporary.write_text(json.dumps(content, indent=2) + "\n")
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
