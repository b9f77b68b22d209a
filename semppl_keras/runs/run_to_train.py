"""A finished run out of which a classifier is trained."""

import contextlib
import pathlib
from collections.abc import Iterator

from semppl_keras.runs.finished import FinishedRun
from semppl_keras.runs.options.classifier import ClassifierOptions
from semppl_keras.runs.safety.lock import locked
from semppl_keras.runs.safety.out_paths import check_can_write
from semppl_keras.runs.tracker import OF_CLASSIFIER
from semppl_keras.runs.trackers import check_tracker


@contextlib.contextmanager
def run_to_train(options: ClassifierOptions) -> Iterator[FinishedRun]:
    """The run; nothing else writes to the folder of the classifier meanwhile."""
    check_can_write(options.out, folder=True)
    check_tracker(options.log, OF_CLASSIFIER)
    finished = FinishedRun(options.run, trust=options.trust, photos=options.photos)
    finished.check_can_be_written(options.out)
    with locked(pathlib.Path(options.out or finished.folder)):
        yield finished


def seed_of(options: ClassifierOptions, finished: FinishedRun) -> int:
    """The one that is asked for, or that of the run."""
    return finished.settings["seed"] if options.seed is None else options.seed
