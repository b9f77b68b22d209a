"""Seeds, and saving the state of random generators, which Keras leaves out."""

import random
from typing import Any

import keras
import numpy as np


class SavesRandomState(keras.Model):
    """A Keras model whose random generators go on where they were saved."""

    @property
    def _random_states(self) -> list[Any]:
        return [v for v in self.variables if v.path.endswith("seed_generator_state")]

    def save_own_variables(self, store: Any) -> None:
        """Saves what Keras does, and the state of the generators."""
        super().save_own_variables(store)
        for index, variable in enumerate(self._random_states):
            store[f"random_state_{index}"] = variable

    def load_own_variables(self, store: Any) -> None:
        """Loads what `save_own_variables` has saved."""
        random_states = [key for key in store.keys() if key.startswith("random_state")]  # noqa: SIM118
        super().load_own_variables(
            {key: store[key] for key in store.keys() if key not in random_states}  # noqa: SIM118
        )
        for index, variable in enumerate(self._random_states):
            variable.assign(store[f"random_state_{index}"])


def draw_seeds(seed: int | None, count: int) -> tuple[int, ...]:
    """The seed, drawn where it is None, and others that follow from it.

    The others are far apart for seeds that are not.

    Args:
        seed: int or None.
        count: int, how many others.
    """
    if seed is None:
        # From where Keras draws its default seeds, so that
        # keras.utils.set_random_seed fixes it too.
        seed = random.randint(0, 2**31 - 1)
    states = np.random.SeedSequence(int(seed)).generate_state(count)
    return int(seed), *(int(state) >> 1 for state in states)
