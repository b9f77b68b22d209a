"""`semppl finetune`: a classifier out of a finished run, trained on its labels."""

import pathlib
import sys
import time

from semppl_keras.runs.classifiers import (
    checkpoint_folder,
    file_digest,
    fine_tune,
    keep_classifier,
)
from semppl_keras.runs.finished import FinishedRun
from semppl_keras.runs.lock import locked
from semppl_keras.runs.out_paths import check_can_write


def run(arguments):
    """Fine-tunes the network of a run, as the parsed arguments say.

    Args:
        arguments: Namespace with `run`, `from_layer`, `epochs`, `learning_rate`,
            `seed`, `out` (None where not given), `freeze_backbone` and `trust`.

    Returns:
        The dict that `classifier.json` holds.

    Raises:
        RunError: What the user asked for cannot be done.
    """
    check_can_write(arguments.out, folder=True)
    finished = FinishedRun(arguments.run, trust=arguments.trust)
    with locked(pathlib.Path(arguments.out or finished.folder)):
        return _trained(arguments, finished)


def how_to_go_on(arguments):
    """The sentence for someone who has just interrupted it."""
    return "Run the same command again: it goes on where it was saved."


def _trained(arguments, finished):
    """The same of a `FinishedRun`, to whose folder nothing else writes meanwhile."""
    seed = finished.settings["seed"] if arguments.seed is None else arguments.seed
    images, labels, _ = finished.labelled
    chosen = {
        "from_layer": arguments.from_layer,
        "freeze_backbone": arguments.freeze_backbone,
        "seed": seed,
        "num_labelled": len(images),
    }
    begun = time.monotonic()
    tuner, settings = fine_tune(
        finished.model,
        images,
        labels,
        len(finished.class_names),
        from_layer=arguments.from_layer,
        freeze_backbone=arguments.freeze_backbone,
        epochs=arguments.epochs,
        learning_rate=arguments.learning_rate,
        seed=seed,
        checkpoints=checkpoint_folder(arguments.out, finished),
        depends_on={
            **chosen,
            "how": "fine-tuned",
            "model": file_digest(finished.folder / "model.keras"),
        },
        trust=arguments.trust,
        verbose=1 if sys.stdout.isatty() else 0,
    )
    settings = {**settings, **chosen}
    return keep_classifier(
        arguments.out, tuner.classifier, finished, "fine-tuned", settings, begun
    )
