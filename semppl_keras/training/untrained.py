"""Networks of a model that no gradient moves."""

from typing import Any

import keras


class HoldsUntrained(keras.Model):
    """A model some of whose networks are not trained: teachers, averages.

    Their variables are state of the compiled step, so that they are not built into it
    as constants. They are left out here rather than frozen one by one: such a network
    may belong to somebody else, who may go on training it.
    """

    def untrained(self) -> list[Any]:
        """The networks that are not trained; asked for from the constructor on."""
        return []

    @property
    def trainable_variables(self) -> list[Any]:
        return self._trained(super().trainable_variables)

    @property
    def trainable_weights(self) -> list[Any]:
        return self._trained(super().trainable_weights)

    @property
    def non_trainable_variables(self) -> list[Any]:
        trainable = {id(variable) for variable in self.trainable_variables}
        return [v for v in self.variables if id(v) not in trainable]

    @property
    def non_trainable_weights(self) -> list[Any]:
        trainable = {id(weight) for weight in self.trainable_weights}
        return [w for w in self.weights if id(w) not in trainable]

    def _trained(self, variables: list[Any]) -> list[Any]:
        others = {
            id(variable) for network in self.untrained() for variable in network.variables
        }
        return [variable for variable in variables if id(variable) not in others]
