"""What a classifier says of images, for a file of another program."""

import dataclasses
import os
import pathlib

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Guesses:
    """What a classifier says of images.

    Args:
        names: list of N str, of each image the path of its file.
        paths: list of N str, the same as a table names it: relative to its folder.
        labels: list of N str, the most probable class.
        confidences: `(N,)`, its probability.
        given: list of N str, the class that a person has given, "" where none has.
        class_names: tuple of str, all classes.
        features: `(N, F)`.
    """

    names: list[str]
    paths: list[str]
    labels: list[str]
    confidences: np.ndarray
    given: list[str]
    class_names: tuple[str, ...]
    features: np.ndarray

    def __len__(self) -> int:
        return len(self.names)

    def best(self, index: int) -> tuple[str, float | None]:
        """The label of an image for a form that has one: what a person has said, and
        None for its confidence, or else the guess and its own."""
        if self.given[index]:
            return self.given[index], None
        return self.labels[index], rounded(self.confidences[index])

    @property
    def classes(self) -> list[str]:
        """All classes, and any other that a person has given."""
        return list(dict.fromkeys((*self.class_names, *filter(None, self.given))))

    def folders(self, table: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
        """A folder below which all images lie, that of the table where it can be, and
        the one in it, or deeper, that has them; the same where images have no folder
        in common but the root of the disk."""
        own = pathlib.Path(os.path.abspath(table.parent))
        files = [pathlib.Path(os.path.abspath(name)) for name in self.names]
        if not files:
            return own.parent, own
        common = pathlib.Path(os.path.commonpath([file.parent for file in files]))
        if common != own and common.is_relative_to(own):
            return own, common
        return common.parent, common


def rounded(confidence: float) -> float:
    """As many digits as are worth reading."""
    return round(float(confidence), 4)
