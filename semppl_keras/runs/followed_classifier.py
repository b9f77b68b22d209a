"""A training of a classifier out of a run, as other programs follow it."""

import contextlib
import dataclasses
import hashlib
import json
import pathlib
from collections.abc import Iterator

from semppl_keras.evaluation.classifier_titles import TITLES
from semppl_keras.runs.final_figures import Figure, final_figures
from semppl_keras.runs.finished import FinishedRun
from semppl_keras.runs.options.classifier import ClassifierOptions
from semppl_keras.runs.results.trained_classifier import TrainedClassifier
from semppl_keras.runs.tracker import OF_CLASSIFIER, Place, Tracker
from semppl_keras.runs.trackers import forget, tracked

# How it is trained does not depend on these.
_OF_NO_TRAINING = ("log", "out", "photos", "trust")
_DIGITS = 8


@contextlib.contextmanager
def followed(
    command: str, finished: FinishedRun, options: ClassifierOptions
) -> Iterator[Tracker]:
    """Within it the training is followed, if that is asked for.

    It has a run of the tracker of its own, which goes on where the same training does,
    and logs of its own: those of others in the same folder stay.

    Args:
        command: "finetune" or "distil".
        finished: The run.
        options: What is asked for.

    Raises:
        RunError: As for `tracked`.
    """
    settings = dataclasses.asdict(options)
    settings = {
        "command": command,
        **{name: settings[name] for name in settings if name not in _OF_NO_TRAINING},
        # A training goes on where these are called otherwise, or from elsewhere.
        "run": str(pathlib.Path(options.run).resolve()),
    }
    teacher = settings.get("classifier")
    if teacher is not None and teacher not in TITLES:
        settings["classifier"] = str(pathlib.Path(teacher).resolve())
    text = json.dumps(settings, sort_keys=True).encode(errors="surrogateescape")
    digest = hashlib.blake2b(text).hexdigest()[:_DIGITS]
    folder = pathlib.Path(options.out or finished.folder)
    logs = folder / "logs" / f"{command}_{digest}"
    place = Place(logs=logs, title=f"{folder.name}_{logs.name}", kept=OF_CLASSIFIER)
    with tracked(options.log, place, settings) as tracker:
        yield tracker
    # The next is another one.
    forget(place)


def classifier_figures(trained: TrainedClassifier) -> dict[str, Figure]:
    """How good it is, beside the run's linear probe."""
    return final_figures({**trained, "probe_accuracy": trained.probe_accuracy})
