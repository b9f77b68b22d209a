"""What functions of `semppl_keras.runs` give back: read like a file, printed short."""

import abc
import pathlib
from collections.abc import Mapping
from typing import Any


class Result(dict[str, Any], abc.ABC):
    """What a JSON file of a run folder holds, that prints as one line.

    Args:
        folder: Where the file is.
        entries: What it holds.
    """

    def __init__(self, folder: pathlib.Path, entries: Mapping[str, Any]) -> None:
        super().__init__(entries)
        self.folder = folder

    @abc.abstractmethod
    def summary(self) -> str:
        """What it comes to, in a few words."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.summary()}, in {self.folder}>"
