"""What TensorBoard shows of a training, beside the epochs that a run writes itself."""

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from typing import Any

from semppl_keras.callbacks.scalar_logs import EventFile, StepLogs
from semppl_keras.runs.final_figures import Figure
from semppl_keras.runs.tracker import Place, Tracker, told_by
from semppl_keras.runs.tracker_calls import Survived, named, parameters

# The folders of logs that TensorBoard shows as runs.
_TRAIN, _STEPS, _LAST = "train", "steps", "final"


@contextlib.contextmanager
def followed_by_tensorboard(
    place: Place, settings: Mapping[str, Any], step: int
) -> Iterator[Tracker]:
    """Within it a training is followed.

    Args:
        place, settings, step: As for `trackers.tracked`.
    """
    survived = Survived("tensorboard", place)

    @survived.figures
    def conclude(figures: Mapping[str, Figure]) -> None:
        with contextlib.closing(EventFile(place.logs / _LAST, 0)) as file:
            file.add_settings(parameters(settings))
            for name, value in named(figures).items():
                if not isinstance(value, str):
                    file.add_scalar(name, value, 0)

    if place.has_epochs:
        # They are in `logs` as they are.
        yield Tracker(lambda before: StepLogs(place.logs / _STEPS, step), conclude)
        return
    files: list[EventFile] = []

    @survived
    def log(values: dict[str, float], epoch: int) -> None:
        if not files:
            # Of the same training before, whose epochs are superseded, too.
            shutil.rmtree(place.logs / _LAST, ignore_errors=True)
            files.append(EventFile(place.logs / _TRAIN, epoch))
        for name, value in values.items():
            files[0].add_scalar(f"epoch_{name}", value, epoch)
        files[0].flush()

    try:
        yield told_by(log, conclude)
    finally:
        for file in files:
            file.close()
