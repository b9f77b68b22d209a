"""The settings of a run: of its options, or from the folder of one begun."""

import pathlib
from collections.abc import Mapping
from typing import Any

import keras

from semppl_keras import recipes
from semppl_keras.data import Dataset, FewLabels, OwnDataset
from semppl_keras.data.datasets.specs import resolved_spec
from semppl_keras.data.images.source_names import resolved_source
from semppl_keras.data.images.value_ranges import as_ranges
from semppl_keras.runs.asked_data import (
    DEFAULTS,
    OWN_OPTIONS,
    asked_data,
    with_defaults,
)
from semppl_keras.runs.changed_labels import labels_of, tell_changed_labels
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.folder import dataset_of, read_settings, versions
from semppl_keras.runs.options.checks import option
from semppl_keras.runs.options.table_fields import TABLE_OPTIONS
from semppl_keras.runs.options.train import (
    OWN_LABELS_PER_CLASS,
    TrainOptions,
)
from semppl_keras.runs.run_place import run_folder
from semppl_keras.runs.safety.own_runs import fetched_backbone
from semppl_keras.runs.schedule import Schedule
from semppl_keras.runs.streaming import with_place
from semppl_keras.runs.telling import tell


def new_settings(options: TrainOptions) -> tuple[dict[str, Any], Dataset]:
    """The settings of a new run.

    Args:
        options: `TrainOptions`.

    Returns:
        The dict that `run.json` begins with, and the `Dataset` that it names, opened.

    Raises:
        ValueError, FileNotFoundError, ImportError: The options contradict each other,
            or name no images.
    """
    settings, data = with_defaults(options), asked_data(options)
    if isinstance(data, OwnDataset):
        settings["labels_per_class"] = options.labels_per_class or OWN_LABELS_PER_CLASS
        data = with_place(data, run_folder(options))
        if options.recipe is not None:
            settings["labelled_share"] = data.labelled_share()
    # That there is an entry tells that it is found, and not another for each image.
    value_range = options.value_range and as_ranges(options.value_range)._asdict()
    if settings["minutes"] is not None:
        # Until it is known how many fit.
        settings["epochs"] = 1
    elif settings["epochs"] is None:
        settings["epochs"] = recipes.for_dataset(
            data, batch_size=settings["batch_size"], recipe=settings["recipe"]
        ).epochs
    settings |= {"dataset": data.to_json(), "value_range": value_range}
    settings |= {"backend": keras.backend.backend(), "versions": versions()}
    return settings, data


def check_tells_strangers(settings: Mapping[str, Any], recipe: recipes.Recipe) -> None:
    """Raises a `RunError` where no features tell strangers from members beforehand.

    Args:
        settings: Of a run that is new or goes on.
        recipe: By which it is trained.
    """
    if settings.get("strangers") and not recipe.from_weights:
        raise RunError(
            "--strangers finds images of none of the classes by the features of a "
            "pretrained --backbone. Received: it, and a network that is trained from "
            "nothing. Name a backbone such as keras:EfficientNetV2B0 or FILE.keras, or "
            "leave --strangers out."
        )


def settings_of(folder: pathlib.Path, options: TrainOptions) -> dict[str, Any]:
    """The settings of a run that is to go on.

    Args:
        folder: `pathlib.Path`.
        options: `TrainOptions`.

    Returns:
        The dict that `run.json` holds.

    Raises:
        RunError: There is no run, or one with other settings than those asked for.
    """
    if not (folder / "run.json").exists():
        raise RunError(
            f"--resume needs a folder with a run in it. Received: {str(folder)!r}, "
            "which has no run.json. Name the folder of one, or leave --resume out."
        )
    settings = read_settings(folder)
    data = dataset_of(settings)
    begun_with = {name: settings.get(name) for name in DEFAULTS}
    begun_with |= {"dataset": None, **data.options()}
    if settings.get("minutes") is not None:
        # They were found, not asked for.
        begun_with["epochs"] = None
    if data.in_parts:
        begun_with["value_range"] = settings.get("value_range")
    # Where no steps fitted the minutes, others may.
    to_be_found = schedule_of(settings) is None
    for name in (*DEFAULTS, *OWN_OPTIONS, *TABLE_OPTIONS):
        asked, begun = getattr(options, name), begun_with.get(name)
        if asked is None or (name == "minutes" and to_be_found):
            continue
        if name == "dataset":
            asked = resolved_spec(asked)
        elif name in ("unlabelled", "labelled", "test"):
            asked = resolved_source(asked)
        elif isinstance(asked, tuple):
            asked = list(asked)
        if name == "value_range":
            asked = as_ranges(asked)._asdict()
            begun = begun and as_ranges(begun)._asdict()
        if asked != begun:
            with_it = f"without {option(name)}"
            if begun not in (None, []):
                with_it = f"with {option(name)} {begun}"
            raise RunError(
                f"The run in {str(folder)!r} was begun {with_it}. "
                f"Received: {option(name)} {asked}. Leave it out, or begin another run "
                "with another --out."
            )
    if settings["backend"] != keras.backend.backend():
        raise RunError(
            f"The run in {str(folder)!r} was begun on {settings['backend']}. Received: "
            f"{keras.backend.backend()}, which draws other random numbers. Set "
            f"KERAS_BACKEND={settings['backend']}."
        )
    if to_be_found and options.minutes is not None:
        return {**settings, "minutes": options.minutes}
    return settings


def schedule_of(settings: Mapping[str, Any]) -> Schedule | None:
    """How long a run is trained; None where that is still to be found.

    Args:
        settings: What `run.json` holds.
    """
    steps_per_epoch, minutes = settings.get("steps_per_epoch"), settings.get("minutes")
    # Of no epochs it was found that no steps fit.
    if minutes is not None and steps_per_epoch is None and settings["epochs"]:
        return None
    return Schedule(settings["epochs"], steps_per_epoch)


def sources_are_given(data: Dataset, options: TrainOptions) -> bool:
    """Whether the options name all that a run reads elsewhere, which is the same: its
    images, and a network of KerasHub's.

    Args:
        data: Of the run.
        options: `TrainOptions`, which `settings_of` has checked.
    """
    named = list(data.sources)
    if fetched_backbone(data) is not None:
        named.append("backbone")
    return all(getattr(options, name) is not None for name in named)


def with_data(
    settings: dict[str, Any], data: FewLabels, folder: pathlib.Path
) -> dict[str, Any]:
    """The settings with what tells whether the data are still the same.

    Args:
        settings: Of a run that is new or goes on.
        data: `FewLabels`.
        folder: The run's.

    Returns:
        The dict that `run.json` holds.

    Raises:
        RunError: A run that goes on would take classes for others.
    """
    names, digest = list(data.class_names), getattr(data, "digest", None)
    labels = labels_of(names, data.y_labelled)
    begun = settings.get("class_names", names)
    if begun != names:
        raise RunError(
            f"The run in {str(folder)!r} was begun with the classes "
            f"{', '.join(begun)}. Received: {', '.join(names)}. Bring the labels back, "
            "or begin another run with another --out."
        )
    changed: dict[str, Any] = {}
    if digest != settings.get("images_digest", digest):
        tell(
            "Note: the images are not those that the run was begun with; it goes on, "
            "but not as if it had not been interrupted."
        )
        changed["images_digest"] = digest
    if tell_changed_labels(settings, labels, "begun", "it goes on with those of now"):
        changed["labels"] = labels
    if changed:
        # What it was begun with stays: later commands compare with that.
        settings = {**settings, "changed_since": changed}
    settings = {
        "class_names": names,
        "images_digest": digest,
        "labels": labels,
        **settings,
    }
    if "value_range" in settings and data.value_ranges is not None:
        settings["value_range"] = data.value_ranges._asdict()
    return settings
