"""What the commands share: run folders, the data behind them, errors of the user's."""

import contextlib
import importlib.metadata
import json
import os
import pathlib
import platform
import sys
import time

import keras
import numpy as np

from semppl_keras import data as datasets
from semppl_keras import recipes
from semppl_keras.callbacks import TrainingDiverged
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.json_files import read_run_json
from semppl_keras.version import __version__

_SECONDS_BETWEEN_LINES = 5


@contextlib.contextmanager
def user_errors():
    """Turns what the package says about its input into a `RunError`."""
    try:
        yield
    except RunError:
        raise
    except (ValueError, OSError, ImportError, TrainingDiverged) as error:
        raise RunError(str(error)) from error


def recipe_of(settings):
    """The recipe by which `semppl train` trains.

    Args:
        settings: Dict, as `run.json` holds it, of `dataset` (as `--dataset` takes it,
            or the dict that `own_dataset` returns), `epochs`, `batch_size` and
            `learning_rate`, the latter None or missing for the recipe's own.

    Returns:
        `Recipe`.
    """
    dataset, epochs = settings["dataset"], settings.get("epochs")
    if isinstance(dataset, dict):
        recipe = recipes.own_images(dataset["image_size"], dataset["backbone"], epochs)
    else:
        name = "digits" if dataset == "digits" else "small_images"
        recipe = recipes.get(name, epochs)
    if settings.get("batch_size"):
        recipe = recipe.with_batch_size(settings["batch_size"])
    if settings.get("learning_rate"):
        recipe = recipe.with_learning_rate(settings["learning_rate"])
    return recipe


def tables_of(settings):
    """How a run reads tables of labels.

    Args:
        settings: Dict, what `run.json` holds.

    Returns:
        `TableOptions`: what the run has a class for is a class, however it is spelled.

    Raises:
        RunError: The run has options that are none.
    """
    dataset, names = settings["dataset"], settings.get("class_names") or ()
    entries = dataset.get("tables") if isinstance(dataset, dict) else {}
    with user_errors():
        return datasets.TableOptions.from_dict(entries, names)


def value_range_of(settings):
    """By which range the deep images of a run are read.

    Args:
        settings: Dict, what `run.json` holds.

    Returns:
        As `data.load_own_images` takes `value_range`: without the entry, each image
        was read by itself.
    """
    return settings.get("value_range", "each")


def load_data(
    dataset,
    labels_per_class,
    seed,
    recipe=None,
    *,
    folder=None,
    class_names=(),
    value_range=None,
):
    """Loads a data set as the options of a command, or `run.json`, name it.

    Args:
        dataset: As `dataset_name` takes it.
        labels_per_class: An integer, a share such as "10%", or "all".
        seed: Chooses the labelled images.
        recipe: With it images are enlarged to the size that it trains on, and those
            of a folder brought to it.
        folder: The run's, in which decoded images may be kept; None for none.
        class_names: Classes that there are, of a run that has begun: how they are
            spelled does not matter.
        value_range: As for `data.load_own_images`; `value_range_of` a run.

    Returns:
        `FewLabels`; of a person's own images `OwnImages`.

    Raises:
        RunError: The data set cannot be had, or is none of few labels.
    """
    labels_per_class = None if labels_per_class == "all" else labels_per_class
    if isinstance(dataset, dict):
        with user_errors():
            return datasets.load_own_images(
                dataset["unlabelled"],
                dataset["labelled"],
                dataset["test"],
                labels_per_class,
                seed,
                image_size=dataset["image_size"],
                value_range=value_range,
                max_skipped=dataset["max_skipped"],
                cache=dataset["cache"],
                cache_folder=None if folder is None else pathlib.Path(folder) / "cache",
                progress=Progress(),
                tables=datasets.TableOptions.from_dict(
                    dataset.get("tables"), class_names
                ),
            )
    with user_errors():
        data = datasets.load(
            dataset,
            labels_per_class,
            seed,
            image_size=None if recipe is None else recipe.image_size,
            value_range=value_range,
        )
    if recipe is None or recipe.image_size is None:
        return data
    return data.enlarged(recipe.image_size)


class Progress:
    """A line now and then while images are decoded.

    Called with what is read, such as "images to test on", and how many images are done
    and there are in all.
    """

    def __init__(self):
        self._last = time.monotonic()
        self._told = False

    def __call__(self, what, done, total):
        now = time.monotonic()
        finished = done == total and self._told
        if finished or now - self._last >= _SECONDS_BETWEEN_LINES:
            print(f"Reading {what}: {done:,} of {total:,}", flush=True)
            self._last, self._told = now, done < total


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
    # Tells what is wrong with them.
    tables_of(settings)
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
