"""The settings of a run: of its options, or from the folder of one begun."""

import dataclasses
import pathlib
import re
from collections.abc import Mapping
from typing import Any

import keras

from semppl_keras import backbones, recipes
from semppl_keras.backbones.specs import is_pretrained, usual_size
from semppl_keras.data import Dataset, FewLabels, NamedDataset, OwnDataset
from semppl_keras.data.datasets.specs import divided, resolved_spec
from semppl_keras.data.defaults import DATASET, LABELS_PER_CLASS
from semppl_keras.data.images.source_names import own_name, resolved_source
from semppl_keras.data.images.value_ranges import as_ranges
from semppl_keras.recipes.defaults import (
    LARGE_BACKBONE,
    PRETRAINED_BACKBONE,
    SMALL,
)
from semppl_keras.runs.changed_labels import labels_of, tell_changed_labels
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.folder import dataset_of, read_settings, versions
from semppl_keras.runs.kept_files import KEPT
from semppl_keras.runs.kept_images import IMAGES
from semppl_keras.runs.noted_files import LABELLED, TESTED, UNLABELLED
from semppl_keras.runs.options.checks import AS_LABELLED, option
from semppl_keras.runs.options.table_fields import TABLE_OPTIONS
from semppl_keras.runs.options.train import (
    OWN_LABELS_PER_CLASS,
    SEED,
    TrainOptions,
)
from semppl_keras.runs.run_backbone import BACKBONE
from semppl_keras.runs.run_models import (
    CLASSIFIER,
    EARLIER,
    FROZEN,
    OF_THEIR_OWN,
    TUNED,
)
from semppl_keras.runs.safety.own_runs import fetched_backbone
from semppl_keras.runs.safety.packed_runs import is_packed
from semppl_keras.runs.schedule import Schedule
from semppl_keras.runs.skipped_files import names_skipped
from semppl_keras.runs.streaming import with_place
from semppl_keras.runs.telling import tell

_DEFAULTS = {
    "dataset": DATASET,
    "labels_per_class": LABELS_PER_CLASS,
    "epochs": None,
    "minutes": None,
    "batch_size": None,
    "learning_rate": None,
    "seed": SEED,
    "strangers": False,
    "balance": AS_LABELLED,
    "recipe": None,
}

# Options for a person's own images, of which the first two have to be given.
_OWN_OPTIONS = (
    "unlabelled",
    "labelled",
    "test",
    "image_size",
    "fit",
    "value_range",
    "backbone",
    "max_skipped",
    "max_megapixels",
    "cache",
)

# What makes a folder a run folder, and what a new run would overwrite.
_FILES = (
    "run.json",
    "checkpoints",
    "history.json",
    "model.keras",
    BACKBONE,
    "metrics.json",
    "report.png",
    "skipped.tsv",
    IMAGES,
    "logs",
    "classifier.json",
    CLASSIFIER,
    EARLIER,
    LABELLED,
    UNLABELLED,
    TESTED,
    KEPT,
    "frozen.json",
    FROZEN,
    TUNED,
    "tuned.json",
    "tuning",
    "ending",
    "ending.json",
    *(f"{name}.keras" for name in OF_THEIR_OWN),
    "heads",
)


def run_folder(options: TrainOptions) -> pathlib.Path:
    """The folder that the options name, or the default for them.

    Args:
        options: `TrainOptions`.

    Raises:
        RunError: They name two.
    """
    named = options.resume if isinstance(options.resume, str) else None
    if named and options.out and pathlib.Path(named) != pathlib.Path(options.out):
        raise RunError(
            "A run goes on in its own folder. Received: --resume "
            f"{named} and --out {options.out}. Leave one of the two out."
        )
    out = named or options.out
    if out:
        folder = pathlib.Path(out)
        if options.resume and is_packed(folder):
            raise RunError(
                "A packed run is finished: there is nothing to resume. Received: "
                f"--resume {folder}. Go on from it in a new folder: semppl train "
                f"--from {folder} --out DIR."
            )
        return folder
    # A list makes its data set one of images of one's own.
    own_images = options.unlabelled or (options.labelled_list and options.dataset)
    if own_images:
        name = re.sub(r"[^\w.-]+", "_", own_name(own_images))
        count = options.labels_per_class
        own = count in (None, OWN_LABELS_PER_CLASS)
        labels = "own_labels" if own else f"{count}_per_class"
        return pathlib.Path("runs") / f"{name}_{labels}_seed_{options.seed or SEED}"
    settings = _with_defaults(options)
    kind, rest = divided(settings["dataset"])
    if kind in ("npz", "folder"):
        rest = pathlib.Path(rest).resolve().stem
    name = rest or kind
    name = re.sub(r"[^\w.-]+", "_", name)
    return pathlib.Path("runs") / (
        f"{name}_{settings['labels_per_class']}_per_class_seed_{settings['seed']}"
    )


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
    settings = _with_defaults(options)
    data: Dataset
    if _is_own(options):
        settings["labels_per_class"] = options.labels_per_class or OWN_LABELS_PER_CLASS
        data = _own_dataset(options)
    else:
        data = NamedDataset(settings["dataset"])
    # --resume may be called from elsewhere.
    data = data.resolved().opened()
    if isinstance(data, OwnDataset):
        if data.backbone is None and options.recipe is None:
            data = _with_usual_backbone(data, options)
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
    begun_with = {name: settings.get(name) for name in _DEFAULTS}
    begun_with |= {"dataset": None, **data.options()}
    if settings.get("minutes") is not None:
        # They were found, not asked for.
        begun_with["epochs"] = None
    if data.in_parts:
        begun_with["value_range"] = settings.get("value_range")
    # Where no steps fitted the minutes, others may.
    to_be_found = schedule_of(settings) is None
    for name in (*_DEFAULTS, *_OWN_OPTIONS, *TABLE_OPTIONS):
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


def check_free(folder: pathlib.Path) -> None:
    """Raises a `RunError` where a new run would overwrite something.

    The `skipped.tsv` of a run that failed for too many unreadable images is nothing
    to keep: once they are repaired the same command is to do.

    Args:
        folder: `pathlib.Path`.
    """
    if folder.exists() and not folder.is_dir():
        raise RunError(
            f"--out must be a folder. Received: {str(folder)!r}, which is a file."
        )
    if (folder / "run.json").exists():
        raise RunError(
            f"There is a run in {str(folder)!r} already. Go on with it: semppl train "
            f"--resume {folder}. Or choose another folder with --out."
        )
    taken = [name for name in _FILES if (folder / name).exists()]
    if taken == ["skipped.tsv"] and names_skipped(folder / "skipped.tsv"):
        return
    if taken:
        raise RunError(
            f"--out must be a folder that a run can be written to. Received: "
            f"{str(folder)!r}, where {', '.join(taken)} would be overwritten. Choose "
            "another folder."
        )


def _with_defaults(options: TrainOptions) -> dict[str, Any]:
    asked = {name: getattr(options, name) for name in _DEFAULTS}
    return {
        name: _DEFAULTS[name] if value is None else value
        for name, value in asked.items()
    }


def _is_own(options: TrainOptions) -> bool:
    """Whether a person's own images are asked for; not in half."""
    given = [name for name in _OWN_OPTIONS if getattr(options, name) is not None]
    given += options.given_tables()
    if not given:
        return False
    if options.dataset is not None:
        raise RunError(
            f"{option(given[0])} is for your own images. Received: it and "
            f"--dataset {options.dataset}. Leave one of the two out."
        )
    missing = [
        option(name)
        for name in ("unlabelled", "labelled")
        if getattr(options, name) is None
    ]
    if missing:
        raise RunError(
            "Your own images are --unlabelled, to learn from, and --labelled, a few. "
            f"Received: {option(given[0])} without {' and '.join(missing)}."
        )
    return True


def _own_dataset(options: TrainOptions) -> OwnDataset:
    sources = (options.unlabelled, options.labelled, options.test)
    tables = options.asked_tables()
    options.check_tables_named([source for source in sources if source is not None])
    given: dict[str, Any] = {
        name: getattr(options, name)
        for name in _OWN_OPTIONS
        if name != "value_range" and getattr(options, name) is not None
    }
    backbone = options.backbone
    if backbone is not None and options.image_size is None and is_pretrained(backbone):
        given["image_size"] = usual_size(backbone)
    if options.recipe == "imagenet":
        # That of the views, which crop what is not padded.
        size = recipes.get(options.recipe).make_views().large_size
        given = {"image_size": size, "fit": "crop", **given}
    return OwnDataset(**given, tables=tables)


def _with_usual_backbone(data: OwnDataset, options: TrainOptions) -> OwnDataset:
    """A person's own images with the network that they get where none is asked for.

    Args:
        data: Opened.
        options: Whose `image_size` stands.
    """
    if data.usual_size() <= SMALL:
        return data
    try:
        # It is made again once the images are read: this fetches the weights.
        backbones.pretrained(PRETRAINED_BACKBONE)
    except backbones.MissingWeights as error:
        tell(f"Note: {error} Training begins from nothing, with {LARGE_BACKBONE}.")
        return dataclasses.replace(data, backbone=LARGE_BACKBONE)
    size = options.image_size or usual_size(PRETRAINED_BACKBONE)
    return dataclasses.replace(data, backbone=PRETRAINED_BACKBONE, image_size=size)
