"""What `finetune` and `distil` give back."""

import pathlib
from collections.abc import Mapping
from typing import Any

from semppl_keras.runs.results.result import Result


class TrainedClassifier(Result):
    """What `classifier.json` holds, as a dict; `classifier.keras` is beside it.

    Args:
        folder: Where both are.
        entries: What the file holds.
        probe_accuracy: Share of the test images that the run's linear probe is right
            about, or None where there are none.

    Example:
        >>> classifier = finetune("runs/photos", epochs=30)
        >>> classifier["test"]["top1"], classifier.probe_accuracy
    """

    def __init__(
        self,
        folder: pathlib.Path,
        entries: Mapping[str, Any],
        probe_accuracy: float | None,
    ) -> None:
        super().__init__(folder, entries)
        self.probe_accuracy = probe_accuracy

    def summary(self) -> str:
        """Its accuracy on the test images, beside that of the linear probe."""
        if self.probe_accuracy is None:
            return f"{self['how']}: not measured"
        return (
            f"{self['how']}: {self['test']['top1']:.1%} of {self['num_test']:,} test "
            f"images, linear probe {self.probe_accuracy:.1%}"
        )
