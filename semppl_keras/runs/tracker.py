"""What follows a training beside its folder, whichever program that is."""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import keras

from semppl_keras.runs.final_figures import Figure


@dataclasses.dataclass(frozen=True)
class Kept:
    """What there is of a training without a tracker, each as a clause.

    Args:
        figures: Of what is measured in the end.
        all: Of that, and of its epochs, where they are kept.
    """

    figures: str
    all: str


OF_RUN = Kept(
    "metrics.json has them",
    "the run folder has the losses in logs and the final figures in metrics.json",
)
OF_CLASSIFIER = Kept(
    "classifier.json has them", "classifier.json has the final figures"
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Place:
    """Where a training and its tracker are.

    Args:
        logs: Folder of what is noted of the tracker, and of TensorBoard's files.
        title: What the tracker calls its run.
        kept: What there is of the training without it.
        has_epochs: Whether the training writes its epochs for TensorBoard by itself.
    """

    logs: pathlib.Path
    title: str
    kept: Kept
    has_epochs: bool = False

    @classmethod
    def of_run(cls, folder: pathlib.Path) -> "Place":
        """That of the training of a run folder."""
        return cls(
            logs=folder / "logs", title=folder.name, kept=OF_RUN, has_epochs=True
        )


@dataclasses.dataclass(frozen=True)
class Tracker:
    """What follows a training; this one does nothing of it.

    Args:
        follow: Function that gives a callback for `fit`, of the number of epochs that
            other trainings have had before; or None.
        conclude: Function that is told the figures of the end, by name.
    """

    follow: Callable[[int], keras.callbacks.Callback] | None = None
    conclude: Callable[[Mapping[str, Figure]], None] = lambda figures: None

    def callbacks(self, epochs_before: int = 0) -> list[keras.callbacks.Callback]:
        """Callbacks for `fit`.

        Args:
            epochs_before: Of trainings before that are followed as one with it.
        """
        return [] if self.follow is None else [self.follow(epochs_before)]


class EpochLogs(keras.callbacks.Callback):
    """Says the logs of each epoch, and its learning rate, to a function.

    Args:
        log: Function of a dict of floats by name and of the number of the epoch, from
            0.
        before: Number of epochs that count before its first.
    """

    def __init__(
        self, log: Callable[[dict[str, float], int], None], before: int = 0
    ) -> None:
        super().__init__()
        self._log = log
        self._before = before

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        values = {name: float(value) for name, value in (logs or {}).items()}
        rate = self.model.optimizer.learning_rate
        values["learning_rate"] = float(keras.ops.convert_to_numpy(rate))
        self._log(values, self._before + epoch)


def told_by(
    log: Callable[[dict[str, float], int], None],
    conclude: Callable[[Mapping[str, Figure]], None],
) -> Tracker:
    """One that is told the logs of each epoch, and the figures of the end."""
    return Tracker(lambda before: EpochLogs(log, before), conclude)
