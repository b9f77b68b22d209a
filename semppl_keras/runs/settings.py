"""The settings of a run: from the command line, or from the folder of one begun."""

import pathlib
import re

import keras

from semppl_keras import recipes
from semppl_keras.data.images.sources import resolved_source
from semppl_keras.data.images.value_ranges import as_ranges
from semppl_keras.data.names import own_dataset, resolved
from semppl_keras.data.own_images import own_name, survey_own_images
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.folder import read_settings, recipe_of, user_errors, versions
from semppl_keras.runs.labels import labels_of, tell_changed_labels
from semppl_keras.runs.table_settings import (
    TABLE_OPTIONS,
    asked_tables,
    check_tables_named,
    given_tables,
)

_DEFAULTS = {
    "dataset": "digits",
    "labels_per_class": 10,
    "epochs": None,
    "batch_size": None,
    "learning_rate": None,
    "seed": 0,
}

# Options for a person's own images, with what stands for one that is not given; the
# two without it have to be.
_OWN_DEFAULTS = {
    "unlabelled": None,
    "labelled": None,
    "test": None,
    "image_size": None,
    "value_range": None,
    "backbone": None,
    "max_skipped": 0.05,
    "cache": "auto",
}

# What `skipped.tsv` begins with.
SKIPPED_COLUMNS = ("path", "reason")

# What makes a folder a run folder, and what a new run would overwrite.
_FILES = (
    "run.json",
    "checkpoints",
    "history.json",
    "model.keras",
    "metrics.json",
    "report.png",
    "skipped.tsv",
    "logs",
)


def run_folder(arguments):
    """The folder that the arguments name, or the default for them.

    Args:
        arguments: Namespace, as `train.run` takes it.

    Raises:
        RunError: They name two.
    """
    named = arguments.resume if isinstance(arguments.resume, str) else None
    if named and arguments.out and pathlib.Path(named) != pathlib.Path(arguments.out):
        raise RunError(
            "A run goes on in its own folder. Received: --resume "
            f"{named} and --out {arguments.out}. Leave one of the two out."
        )
    if named or arguments.out:
        return pathlib.Path(named or arguments.out)
    if arguments.unlabelled is not None:
        name = re.sub(r"[^\w.-]+", "_", own_name(arguments.unlabelled))
        count = arguments.labels_per_class
        labels = f"{count}_per_class" if count not in (None, "all") else "own_labels"
        return pathlib.Path("runs") / f"{name}_{labels}_seed_{arguments.seed or 0}"
    settings = _with_defaults(arguments)
    kind, _, rest = settings["dataset"].partition(":")
    if kind in ("npz", "folder"):
        rest = pathlib.Path(rest).resolve().stem
    name = rest or kind
    name = re.sub(r"[^\w.-]+", "_", name)
    return pathlib.Path("runs") / (
        f"{name}_{settings['labels_per_class']}_per_class_seed_{settings['seed']}"
    )


def new_settings(arguments):
    """The settings of a new run.

    Args:
        arguments: Namespace, as `train.run` takes it.

    Returns:
        The dict that `run.json` begins with.

    Raises:
        RunError: The arguments contradict each other, or name no images.
    """
    settings = _with_defaults(arguments)
    if _is_own(arguments):
        settings = {**settings, **_own_settings(arguments)}
    else:
        # --resume may be called from elsewhere.
        settings["dataset"] = resolved(settings["dataset"])
    if settings["epochs"] is None:
        settings["epochs"] = recipe_of(settings).epochs
    # That there is one tells that it is found, and not another for each image.
    settings.setdefault("value_range", None)
    return {**settings, "backend": keras.backend.backend(), "versions": versions()}


def settings_of(folder, arguments):
    """The settings of a run that is to go on.

    Args:
        folder: `pathlib.Path`.
        arguments: Namespace, as `train.run` takes it.

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
    begun_with = {name: settings.get(name) for name in _DEFAULTS}
    if isinstance(settings["dataset"], dict):
        tables = settings["dataset"].get("tables") or {}
        begun_with |= {
            **settings["dataset"],
            **tables,
            "dataset": None,
            "value_range": settings.get("value_range"),
        }
    for name in (*_DEFAULTS, *_OWN_DEFAULTS, *TABLE_OPTIONS):
        asked, begun = getattr(arguments, name), begun_with.get(name)
        if asked is None:
            continue
        if name == "dataset":
            asked = resolved(asked)
        elif name in ("unlabelled", "labelled", "test"):
            asked = resolved_source(asked)
        elif name == "value_range":
            with user_errors():
                asked = as_ranges(asked)._asdict()
                begun = begun and as_ranges(begun)._asdict()
        if asked != begun:
            option = f"--{name.replace('_', '-')}"
            with_it = f"without {option}"
            if begun not in (None, []):
                with_it = f"with {option} {begun}"
            raise RunError(
                f"The run in {str(folder)!r} was begun {with_it}. "
                f"Received: {option} {asked}. Leave it out, or begin another run with "
                "another --out."
            )
    if settings["backend"] != keras.backend.backend():
        raise RunError(
            f"The run in {str(folder)!r} was begun on {settings['backend']}. Received: "
            f"{keras.backend.backend()}, which draws other random numbers. Set "
            f"KERAS_BACKEND={settings['backend']}."
        )
    return settings


def sources_are_given(settings, arguments):
    """Whether the arguments name all the sources of a run, which are the same.

    Args:
        settings: What `settings_of` returns for the arguments.
        arguments: Namespace, as `train.run` takes it.
    """
    dataset = settings["dataset"]
    if not isinstance(dataset, dict):
        return arguments.dataset is not None
    return all(
        getattr(arguments, role) is not None
        for role in ("unlabelled", "labelled", "test")
        if dataset[role] is not None
    )


def with_data(settings, data, folder):
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
    if digest != settings.get("images_digest", digest):
        print(
            "Note: the images are not those that the run was begun with; it goes on, "
            "but not as if it had not been interrupted.",
            flush=True,
        )
    tell_changed_labels(settings, labels, "begun", "it goes on with those of now")
    settings = {
        "class_names": names,
        "images_digest": digest,
        "labels": labels,
        **settings,
    }
    if "value_range" in settings and data.value_ranges is not None:
        settings["value_range"] = data.value_ranges._asdict()
    return settings


def check_free(folder):
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
    if taken == ["skipped.tsv"] and _names_skipped(folder / "skipped.tsv"):
        return
    if taken:
        raise RunError(
            f"--out must be a folder that a run can be written to. Received: "
            f"{str(folder)!r}, where {', '.join(taken)} would be overwritten. Choose "
            "another folder."
        )


def _names_skipped(path):
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.readline() == "\t".join(SKIPPED_COLUMNS).encode() + b"\n"


def _with_defaults(arguments):
    asked = {name: getattr(arguments, name) for name in _DEFAULTS}
    return {
        name: _DEFAULTS[name] if value is None else value
        for name, value in asked.items()
    }


def _is_own(arguments):
    """Whether a person's own images are asked for; not in half."""
    given = [name for name in _OWN_DEFAULTS if getattr(arguments, name) is not None]
    given += given_tables(arguments)
    if not given:
        return False
    if arguments.dataset is not None:
        raise RunError(
            f"--{given[0].replace('_', '-')} is for your own images. Received: it and "
            f"--dataset {arguments.dataset}. Leave one of the two out."
        )
    missing = [
        f"--{name}"
        for name in ("unlabelled", "labelled")
        if getattr(arguments, name) is None
    ]
    if missing:
        raise RunError(
            "Your own images are --unlabelled, to learn from, and --labelled, a few. "
            f"Received: --{given[0].replace('_', '-')} without {' and '.join(missing)}."
        )
    return True


def _own_settings(arguments):
    options = {
        name: default if getattr(arguments, name) is None else getattr(arguments, name)
        for name, default in _OWN_DEFAULTS.items()
    }
    tables = asked_tables(arguments)
    sources = (arguments.unlabelled, arguments.labelled, arguments.test)
    check_tables_named(arguments, [source for source in sources if source is not None])
    with user_errors():
        usual_size, num_unlabelled = survey_own_images(
            arguments.unlabelled, arguments.labelled, tables
        )
        value_range = options.pop("value_range")
        if value_range is not None:
            value_range = as_ranges(value_range)._asdict()
    if options["image_size"] is None:
        options["image_size"] = usual_size
    return {
        "dataset": own_dataset(**options, tables=tables),
        "value_range": value_range,
        "labels_per_class": arguments.labels_per_class or "all",
        "epochs": arguments.epochs
        or recipes.usual_epochs(num_unlabelled, arguments.batch_size),
    }
