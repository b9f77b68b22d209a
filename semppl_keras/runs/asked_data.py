"""What the options of a training ask for, and the images that they name."""

import dataclasses
from typing import Any

from semppl_keras import backbones, recipes
from semppl_keras.backbones.specs import is_pretrained, usual_size
from semppl_keras.data import Dataset, NamedDataset, OwnDataset
from semppl_keras.data.defaults import DATASET, LABELS_PER_CLASS
from semppl_keras.recipes.defaults import (
    LARGE_BACKBONE,
    PRETRAINED_BACKBONE,
    SMALL,
)
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.options.checks import AS_LABELLED, option
from semppl_keras.runs.options.train import SEED, TrainOptions
from semppl_keras.runs.telling import tell

# Where nothing else is asked for.
DEFAULTS = {
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
OWN_OPTIONS = (
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


def with_defaults(options: TrainOptions) -> dict[str, Any]:
    """What `DEFAULTS` names, as it is asked for or else as it usually is."""
    asked = {name: getattr(options, name) for name in DEFAULTS}
    return {
        name: DEFAULTS[name] if value is None else value
        for name, value in asked.items()
    }


def asked_data(options: TrainOptions) -> Dataset:
    """The images that a new run learns from, opened.

    Args:
        options: `TrainOptions`.

    Raises:
        ValueError, FileNotFoundError, ImportError: The options contradict each other,
            or name no images.
    """
    data: Dataset
    if not _is_own(options):
        # --resume may be called from elsewhere.
        return NamedDataset(with_defaults(options)["dataset"]).resolved().opened()
    data = _own_dataset(options).resolved().opened()
    if data.backbone is None and options.recipe is None:
        return _with_usual_backbone(data, options)
    return data


def _is_own(options: TrainOptions) -> bool:
    """Whether a person's own images are asked for; not in half."""
    given = [name for name in OWN_OPTIONS if getattr(options, name) is not None]
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
        for name in OWN_OPTIONS
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
