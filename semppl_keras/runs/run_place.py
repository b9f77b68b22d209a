"""The folder of a run that is trained: which it is, and whether it is free."""

import pathlib
import re

from semppl_keras.data.datasets.specs import divided
from semppl_keras.data.images.source_names import own_name
from semppl_keras.runs.asked_data import with_defaults
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.kept_files import KEPT
from semppl_keras.runs.kept_images import IMAGES
from semppl_keras.runs.noted_files import LABELLED, TESTED, UNLABELLED
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
from semppl_keras.runs.safety.packed_runs import is_packed
from semppl_keras.runs.skipped_files import names_skipped

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
    settings = with_defaults(options)
    kind, rest = divided(settings["dataset"])
    if kind in ("npz", "folder"):
        rest = pathlib.Path(rest).resolve().stem
    name = rest or kind
    name = re.sub(r"[^\w.-]+", "_", name)
    return pathlib.Path("runs") / (
        f"{name}_{settings['labels_per_class']}_per_class_seed_{settings['seed']}"
    )


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
