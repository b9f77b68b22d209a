"""A run folder: what its files say, and the data that it was trained on."""

import dataclasses
import importlib.metadata
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
from semppl_keras.evaluation.classifier_titles import TITLES
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.progress import Progress
from semppl_keras.runs.safety import json_files
from semppl_keras.runs.safety.json_files import (
    Entry,
    check_dataset,
    check_entries,
    integer,
    number,
    read_json,
    read_run_json,
)
from semppl_keras.version import __version__

# What metrics.json holds at least, the latter where there are test images.
_METRICS = {
    "dataset": json_files.DATASET,
    "labels_per_class": json_files.LABELS_PER_CLASS,
    "seed": integer(),
    "backend": str,
    "num_labelled": integer(),
    "num_unlabelled": integer(),
    "num_test": integer(),
    "num_skipped": integer(optional=True),
    "read_seconds": number(0),
    "train_seconds": number(0),
    "pseudo_label_accuracy": json_files.SHARE_OR_NONE,
    "pseudo_labels": Entry(dict | None, optional=True),
    "cross_validated": dict | None,
    "versions": dict,
    # That the network is as it was made, at random.
    "untrained": Entry(bool, optional=True),
}
_TEST_METRICS = {
    "supervised_accuracy": number(0, 1),
    "supervised_logistic_regression_accuracy": number(0, 1),
    # None of a backbone with weights, and of a run without training.
    "supervised_network_accuracy": json_files.SHARE_OR_NONE,
    "knn_accuracy": json_files.SHARE_OR_NONE,
    "linear_accuracy": json_files.SHARE_OR_NONE,
}
# What runs of earlier versions lack: their classifiers, by name.
_CHOICE = {
    "classifier": Entry(
        str, lambda name: name in TITLES, f"that is one of {', '.join(TITLES)}"
    ),
    "classifier_accuracy": json_files.SHARE_OR_NONE,
    # Those of the first versions have none.
    "classifier_balanced_accuracy": number(0, 1, optional=True),
    "balanced_accuracies": Entry(dict, optional=True),
    "classifier_cv_accuracies": dict,
}
_CV_ACCURACY = {"mean": number(0, 1), "std_error": number(0, 1)}
_TEMPERATURES = {"classifier_temperatures": Entry(dict, optional=True)}
_TEMPERATURE = number(1e-3, 1e3, optional=True)
_MORE_ACCURACIES = (
    "hog_propagation_accuracy",
    "propagation_accuracy",
    "frozen_knn_accuracy",
    "frozen_linear_accuracy",
    "frozen_propagation_accuracy",
    "tuned_linear_accuracy",
    "tuned_propagation_accuracy",
    "student_accuracy",
    "consistency_accuracy",
)
_CROSS_VALIDATED = {
    "num_labelled": integer(),
    "supervised_logistic_regression_accuracy": number(0, 1),
    "linear_accuracy": number(0, 1),
}
_PSEUDO_LABELS = {
    "num_images": integer(),
    "mean_confidence": number(0, 1.001),
    "share_by_class": dict,
}


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
            and `learning_rate`, the latter None or missing for the recipe's own; and
            of `recipe` and `labelled_share`, where one was asked for.

    Returns:
        `Recipe`.
    """
    epochs = settings.get("epochs")
    recipe = recipes.for_dataset(
        dataset_of(settings),
        # What is counted in parts of a training is something where there is none, too.
        epochs=None if epochs is None else max(1, epochs),
        batch_size=settings.get("batch_size"),
        learning_rate=settings.get("learning_rate"),
        recipe=settings.get("recipe"),
        labelled_share=settings.get("labelled_share"),
    )
    return recipe if epochs is None else dataclasses.replace(recipe, epochs=epochs)


def goes_on(settings: Mapping[str, Any]) -> bool:
    """Whether a run began with a network that another run has trained.

    Args:
        settings: What `run.json` holds.
    """
    return bool(settings.get("from") and settings["from"].get("trained"))


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


def read_finished_run(
    folder: pathlib.Path, named: pathlib.Path | None = None
) -> dict[str, Any]:
    """The settings of the run in a folder.

    Args:
        folder: `pathlib.Path`.
        named: What it is called in messages, where that is not its folder.

    Returns:
        The dict that `run.json` holds.

    Raises:
        RunError: There is no run, or none that has come to its end.
    """
    named = folder if named is None else named
    if not (folder / "run.json").is_file():
        received = "no folder" if not folder.is_dir() else "a folder without run.json"
        raise RunError(
            "RUN must be a folder that semppl train has written. Received: "
            f"{str(named)!r}, {received}."
        )
    # Written last: it marks the run as finished.
    missing = [
        name for name in ("metrics.json", "model.keras") if not (folder / name).exists()
    ]
    if missing:
        raise RunError(
            f"The run in {str(named)!r} must be finished. Received: one without "
            f"{' and '.join(missing)}. Go on with it: semppl train --resume "
            f"{named}"
        )
    return read_settings(folder)


def read_settings(folder: pathlib.Path) -> dict[str, Any]:
    """The settings of the run in a folder, at its end or not.

    Args:
        folder: `pathlib.Path`.

    Returns:
        The dict that `run.json` holds.

    Raises:
        RunError: The file cannot be read, or holds what no run is trained with.
    """
    settings = read_run_json(folder / "run.json")
    try:
        dataset_of(settings)
    except ValueError as error:
        raise RunError(str(error)) from error
    return settings


def read_metrics(folder: pathlib.Path) -> dict[str, Any]:
    """What a finished run was measured by.

    Args:
        folder: `pathlib.Path`.

    Returns:
        The dict that `metrics.json` holds.

    Raises:
        RunError: The file cannot be read, or holds something else.
    """
    path = folder / "metrics.json"
    metrics = read_json(path, _METRICS)
    check_dataset(path, metrics["dataset"])
    if metrics["num_test"]:
        check_entries(path, metrics, _TEST_METRICS)
    for name in _MORE_ACCURACIES:
        if name in metrics:
            check_entries(path, metrics, {name: json_files.SHARE_OR_NONE})
    if "classifier" in metrics:
        check_entries(path, metrics, _CHOICE)
        by_name = metrics["classifier_cv_accuracies"]
        check_entries(path, by_name, dict.fromkeys(by_name, dict | None))
        balanced = metrics.get("balanced_accuracies", {})
        check_entries(path, balanced, dict.fromkeys(balanced, number(0, 1)))
        for accuracy in by_name.values():
            check_entries(path, accuracy or {}, _CV_ACCURACY if accuracy else {})
        # Earlier versions have measured none.
        temperatures = metrics.get("classifier_temperatures", {})
        check_entries(path, metrics, _TEMPERATURES)
        check_entries(path, temperatures, dict.fromkeys(temperatures, _TEMPERATURE))
    cross_validated = metrics["cross_validated"]
    if cross_validated and "supervised_accuracy" in cross_validated:
        # Version 0.1 wrote it under the name of the better of two classifiers.
        renamed = cross_validated.pop("supervised_accuracy")
        cross_validated["supervised_logistic_regression_accuracy"] = renamed
    for name, entries in (
        ("cross_validated", _CROSS_VALIDATED),
        ("pseudo_labels", _PSEUDO_LABELS),
    ):
        if metrics.get(name) is not None:
            check_entries(path, metrics[name], entries)
    return metrics


def versions() -> dict[str, str]:
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
