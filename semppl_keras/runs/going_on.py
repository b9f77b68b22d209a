"""A run that goes on from a finished one, with more labels or images."""

import dataclasses
import hashlib
import pathlib
import shutil
from collections.abc import Mapping
from typing import Any

import keras

from semppl_keras import recipes
from semppl_keras.data import Dataset, OwnDataset
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.finished import FinishedRun
from semppl_keras.runs.folder import goes_on, versions
from semppl_keras.runs.joined_sources import joined
from semppl_keras.runs.kept_files import KEPT, kept_files
from semppl_keras.runs.noted_files import LABELLED, TESTED, UNLABELLED
from semppl_keras.runs.options.checks import option
from semppl_keras.runs.options.table_fields import TABLE_OPTIONS
from semppl_keras.runs.options.train import OWN_LABELS_PER_CLASS, TrainOptions
from semppl_keras.runs.run_backbone import BACKBONE
from semppl_keras.runs.run_models import (
    CLASSIFIER,
    EARLIER,
    FROZEN,
    TRAINED_AT_THE_END,
    TUNED,
)
from semppl_keras.runs.streaming import with_place
from semppl_keras.runs.telling import tell

# What the network goes on with, or is made for.
_OF_THE_RUN = (
    "dataset",
    "labelled_list",
    "image_size",
    "fit",
    "value_range",
    "backbone",
    "recipe",
)
_OF_OWN_IMAGES = (
    "labelled",
    "unlabelled",
    "test",
    "max_skipped",
    "max_megapixels",
    "cache",
)
_CLASSIFIER_FILES = (CLASSIFIER, "classifier.json")
_END_FILES = tuple(f"{name}.keras" for name in TRAINED_AT_THE_END)
# These stay where nothing else is asked for.
_KEPT = (
    "batch_size",
    "learning_rate",
    "seed",
    "strangers",
    "balance",
    "recipe",
    "labelled_share",
)


@dataclasses.dataclass(frozen=True, eq=False)
class GoingOn:
    """A run that begins where another has come to its end.

    Args:
        settings: What its `run.json` begins with.
        dataset: Opened.
        finished: The other.
    """

    settings: dict[str, Any]
    dataset: Dataset
    finished: FinishedRun


def going_on(options: TrainOptions, out: pathlib.Path) -> GoingOn:
    """What a run that goes on is trained with.

    Args:
        options: `TrainOptions` with `from_run`.
        out: Its folder.

    Returns:
        `GoingOn`.

    Raises:
        RunError: The other is not finished, may not be followed, or cannot be gone on
            with as the options say.
    """
    _check_asked(options)
    finished = FinishedRun(
        str(options.from_run), trust=options.trust, photos=options.photos
    )
    folder, earlier = finished.folder, finished.settings
    named = finished.named
    tell(f"Going on from the run in {named}.")
    kept = kept_files(finished, options, out)
    # Where the other was never trained, its network is made again.
    finished.images.check_sources(network=True, kept=kept is not None)
    own: Dataset
    if kept is not None:
        own, tables = kept.dataset, kept.folder
    else:
        own, tables = finished.images.followed(), folder
    if finished.images.found is not None:
        tables = finished.images.found.folder
        # Others by the same names would be told here.
        _ = finished.labelled
    note: dict[str, Any] = {
        "run": str(named.absolute()),
        "signature": _signature(folder),
        "trained": finished.is_trained,
        "class_names": list(finished.class_names),
    }
    dataset: Dataset
    if isinstance(own, OwnDataset):
        own = own.knowing(finished.class_names)
        of_names = {} if kept is None else kept.now
        found = joined(tables, own, options, out, named, of_names)
        dataset = with_place(found.dataset, out)
        note |= {
            "labels": None if found.labels is None else found.labels.to_dict(),
            "labels_behind": None if found.behind is None else found.behind.to_dict(),
            "images": found.images,
            "same_labels": found.same_labels and (kept is None or kept.whole),
        }
        labels_per_class = options.labels_per_class or OWN_LABELS_PER_CLASS
    else:
        _check_named(options, earlier)
        dataset = own.opened()
        labels_per_class = options.labels_per_class or earlier["labels_per_class"]
        note["same_labels"] = labels_per_class == earlier["labels_per_class"]
    if labels_per_class != earlier["labels_per_class"]:
        note["same_labels"] = False
        tell(
            f"Note: of each class {labels_per_class} label(s) are used, where the run "
            f"in {named} has used {earlier['labels_per_class']}."
        )
    seed = earlier["seed"] if options.seed is None else options.seed
    if labels_per_class != OWN_LABELS_PER_CLASS and seed != earlier["seed"]:
        note["same_labels"] = False
        tell(
            f"Note: --seed {seed} draws other images that count as labelled than the "
            f"run in {named} has, whose seed is {earlier['seed']}."
        )
    settings: dict[str, Any] = {
        "dataset": dataset.to_json(),
        "labels_per_class": labels_per_class,
        "epochs": options.epochs,
        "minutes": options.minutes,
        "backend": keras.backend.backend(),
        "versions": versions(),
        "from": note,
    }
    for name in _KEPT:
        asked = getattr(options, name, None)
        settings[name] = earlier.get(name) if asked is None else asked
    if "value_range" in earlier:
        settings["value_range"] = earlier["value_range"]
    if options.minutes is not None:
        # Until it is known how many fit.
        settings["epochs"] = 1
    elif options.epochs is None:
        settings["epochs"] = recipes.for_dataset(
            dataset, batch_size=settings["batch_size"], recipe=settings["recipe"]
        ).epochs
    return GoingOn(settings, dataset, finished)


def copy_networks(
    finished: FinishedRun, settings: Mapping[str, Any], out: pathlib.Path
) -> None:
    """Copies what a run that goes on needs of the other, which may be gone later.

    Args:
        finished: The other.
        settings: Of the run that goes on, with its labels.
        out: Its folder.
    """
    names = {BACKBONE: BACKBONE}
    if goes_on(settings):
        names |= {"model.keras": EARLIER, FROZEN: FROZEN}
    if not settings["epochs"]:
        # Trained anew otherwise, with the labels of now.
        names |= {name: name for name in (TUNED, *_END_FILES)}
    known = settings["from"]["class_names"] == settings["class_names"]
    if settings["from"]["same_labels"] and known and not settings["epochs"]:
        names |= {name: name for name in _CLASSIFIER_FILES}
    elif (finished.folder / CLASSIFIER).is_file():
        tell(
            f"Note: {finished.named / CLASSIFIER} knows the network and the labels of "
            f"before, and does not go on: semppl finetune {out} makes another."
        )
    for name, copied in names.items():
        if (finished.folder / name).is_file():
            shutil.copyfile(finished.folder / name, out / copied)


def remove_copies(out: pathlib.Path) -> None:
    """Leaves nothing of a run that could not begin.

    Args:
        out: Its folder, in which there is no run yet.
    """
    copies = (BACKBONE, EARLIER, FROZEN, TUNED, *_END_FILES, *_CLASSIFIER_FILES)
    for name in (*copies, LABELLED, UNLABELLED, TESTED):
        (out / name).unlink(missing_ok=True)
    shutil.rmtree(out / KEPT, ignore_errors=True)


def check_channels(finished: FinishedRun, channels: int) -> None:
    """Raises a `RunError` where images are not of the kind that a network takes."""
    if channels != finished.channels:
        kinds = {1: "grey", 3: "coloured"}
        raise RunError(
            f"The run in {str(finished.named)!r} takes {kinds[finished.channels]} "
            f"images. Received: {kinds[channels]} ones. Begin another run, without "
            "--from."
        )


def _check_asked(options: TrainOptions) -> None:
    for name in _OF_THE_RUN:
        if getattr(options, name) is not None:
            raise RunError(
                f"A run that goes on has the images' size and the network of the one "
                f"before. Received: {option(name)} with --from. Leave one of the two "
                "out."
            )


def _check_named(options: TrainOptions, earlier: Mapping[str, Any]) -> None:
    """Raises a `RunError` where a data set that has a name is asked for more."""
    given = [
        name
        for name in (*_OF_OWN_IMAGES, *TABLE_OPTIONS)
        if getattr(options, name) is not None
    ]
    if given:
        raise RunError(
            f"{option(given[0])} is for a run on your own images. Received: it with "
            f"--from {options.from_run}, which is on {earlier['dataset']}. Leave it "
            "out; --labels-per-class takes more labels."
        )
    if options.seed not in (None, earlier["seed"]):
        raise RunError(
            "The seed says which images are to test on, which a network must not have "
            f"trained with: it is that of the run, {earlier['seed']}. Received: --seed "
            f"{options.seed}. Leave it out."
        )


def _signature(folder: pathlib.Path) -> str:
    """Tells whether a run is still the one that was gone on from."""
    digest = hashlib.blake2b(digest_size=16)
    for name in ("run.json", "metrics.json"):
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()
