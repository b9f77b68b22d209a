"""What `check` gives back."""

import dataclasses
import pathlib

import numpy as np

from semppl_keras.evaluation.label_errors import LabelErrors
from semppl_keras.reports.counted import counted
from semppl_keras.reports.shown import shown
from semppl_keras.runs.results.trained_classifier import TrainedClassifier


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class LabelCheck:
    """The labels of a run, and which of them are suspect.

    Printed it is short: how many labels contradict the others, and the first of them.

    Args:
        names: list of str, of each labelled image its path, or its place.
        class_names: A text for each class.
        found: `LabelErrors`: `order`, indices of the labels, the most suspect first;
            `labels`, `suggested`, `scores`, `probabilities`.
        weights: `(n,)`, how much each label is to count where some are doubted.
        table: `pathlib.Path` of the table.
        page: `pathlib.Path` of the page.
        classifier: `TrainedClassifier` that counts labels so, or None.
    """

    names: list[str]
    class_names: tuple[str, ...]
    found: LabelErrors
    weights: np.ndarray
    table: pathlib.Path
    page: pathlib.Path
    classifier: TrainedClassifier | None = None

    @property
    def contradicted(self) -> int:
        """Of how many labels another class is suggested."""
        return int(np.sum(self.found.suggested != self.found.labels))

    def summary(self) -> str:
        """How many labels were checked, and how many contradict the others."""
        judged = counted(int(self.found.judged.sum()), "label", "labels")
        others = counted(self.contradicted, "image", "images")
        return f"{judged} checked; of {others} another class is suggested"

    def line(self, index: int) -> str:
        """What there is to say of a label.

        Args:
            index: Of the image.
        """
        found, names = self.found, self.class_names
        label, suggested = found.labels[index], found.suggested[index]
        sure = found.probabilities[index, suggested]
        said = f"suggested {names[suggested]} {sure:.0%}"
        if suggested == label:
            said = f"agreed {sure:.0%}"
        return f"{names[label]}, {said}: {self.names[index]}"

    def __repr__(self) -> str:
        lines = [f"LabelCheck of {self.summary()}"]
        lines += [f"  {shown(self.line(index))}" for index in self.found.order[:5]]
        return "\n".join([*lines, f"  table: {shown(self.table)}"])
