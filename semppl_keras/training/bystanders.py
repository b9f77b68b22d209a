"""Networks that a model holds, and that no gradient trains."""

from collections.abc import Iterable
from typing import Any

import keras


class HoldsBystanders(keras.layers.Layer):
    """A model with networks beside those that it trains: a teacher, an average.

    Their variables are state of the compiled step, so that they are not built into it
    as constants. They are left out of what is trained rather than frozen one by one: a
    teacher belongs to somebody else, who may go on training it, and an average is a
    network to begin a training with.
    """

    def bystanders(self) -> Iterable[Any]:
        """The networks that are not trained; empty before they are there."""
        return ()

    @property
    def trainable_variables(self) -> list[Any]:
        return self._trained(super().trainable_variables)

    @property
    def trainable_weights(self) -> list[Any]:
        return self._trained(super().trainable_weights)

    @property
    def non_trainable_variables(self) -> list[Any]:
        return _without(self.variables, self.trainable_variables)

    @property
    def non_trainable_weights(self) -> list[Any]:
        return _without(self.weights, self.trainable_weights)

    def _trained(self, variables: list[Any]) -> list[Any]:
        for network in self.bystanders():
            variables = _without(variables, network.variables)
        return variables


def _without(variables: Iterable[Any], others: Iterable[Any]) -> list[Any]:
    left_out = {id(variable) for variable in others}
    return [variable for variable in variables if id(variable) not in left_out]
