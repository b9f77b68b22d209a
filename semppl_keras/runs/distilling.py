"""`semppl distil`: a network learns what the classifier of a run says of its images."""

import pathlib
import sys
import time

from semppl_keras import recipes
from semppl_keras.runs.classifiers import (
    checkpoint_folder,
    distil,
    file_digest,
    keep_classifier,
)
from semppl_keras.runs.finished import CLASSIFIER, FinishedRun
from semppl_keras.runs.lock import locked
from semppl_keras.runs.out_paths import check_can_write


def run(arguments):
    """Distils the classifier of a run, as the parsed arguments say.

    Args:
        arguments: Namespace with `run`, `student` ("same" or one of
            `recipes.BACKBONES`), `temperature`, `trust`, and `classifier`, `epochs`,
            `learning_rate`, `seed`, `out` (None where not given).

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
    teacher, how = finished.classifier(arguments.classifier)
    if arguments.student == "same":
        student = teacher
    else:
        recipe = recipes.own_images(finished.image_size, arguments.student)
        student = recipe.make_backbone(finished.channels)
    images = finished.data.x_train
    chosen = {
        "student": arguments.student,
        "teacher": how,
        "seed": seed,
        "num_images": len(images),
    }
    kept = pathlib.Path(arguments.classifier or finished.folder / CLASSIFIER)
    teaching = kept if kept.exists() else finished.folder / "model.keras"
    begun = time.monotonic()
    distiller, settings = distil(
        student,
        teacher,
        # All of them: a teacher can say something of labelled images, too.
        images,
        temperature=arguments.temperature,
        epochs=arguments.epochs,
        learning_rate=arguments.learning_rate,
        seed=seed,
        checkpoints=checkpoint_folder(arguments.out, finished),
        depends_on={**chosen, "how": "distilled", "model": file_digest(teaching)},
        trust=arguments.trust,
        verbose=1 if sys.stdout.isatty() else 0,
    )
    settings = {**settings, **chosen}
    return keep_classifier(
        arguments.out, distiller.classifier, finished, "distilled", settings, begun
    )
