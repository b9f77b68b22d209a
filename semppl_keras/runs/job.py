"""What a run trains: on which images, how, and where it is written."""

import dataclasses
import functools
import pathlib
from typing import Any

import keras

from semppl_keras.data import FewLabels
from semppl_keras.recipes import Recipe
from semppl_keras.runs.folder import goes_on, recipe_of
from semppl_keras.runs.run_backbone import network_for_labels_alone, new_backbone


@dataclasses.dataclass(frozen=True, eq=False)
class Job:
    """A run that is trained, new or going on, as its stages need it.

    Args:
        folder: Of the run.
        settings: What `run.json` is to hold.
        data: What it is trained on.
        trust: As for `load_model`, of files in the folder.
    """

    folder: pathlib.Path
    settings: dict[str, Any]
    data: FewLabels
    trust: bool = False

    def with_settings(self, **changed: Any) -> "Job":
        """The same with other settings."""
        return dataclasses.replace(self, settings={**self.settings, **changed})

    @functools.cached_property
    def recipe(self) -> Recipe:
        """By which it is trained."""
        return recipe_of(self.settings)

    @property
    def seed(self) -> int:
        """Of all that is drawn."""
        return self.settings["seed"]

    @property
    def epochs(self) -> int:
        """Of SemPPL; 0 where it is not trained here."""
        return self.settings["epochs"]

    @property
    def goes_on(self) -> bool:
        """Whether it goes on from a run whose network has been trained."""
        return goes_on(self.settings)

    @property
    def has_learned(self) -> bool:
        """Whether its network has learned something in the end, here or before."""
        return self.epochs > 0 or self.goes_on

    def new_backbone(self) -> keras.Model:
        """A backbone as it is before all training."""
        return new_backbone(self.recipe, self._channels, self.folder, trust=self.trust)

    def network_for_labels_alone(self) -> keras.Model:
        """A new backbone for what is trained on the labels alone."""
        return network_for_labels_alone(
            self.recipe, self._channels, self.folder, trust=self.trust
        )

    @property
    def _channels(self) -> int:
        return self.data.x_train.shape[-1]
