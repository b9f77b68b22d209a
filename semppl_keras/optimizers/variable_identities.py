"""What an optimiser is told of single variables before it is built."""

from collections.abc import Iterable
from typing import Any


class VariableIdentities:
    """Values by variable, which is told by identity and kept alive, out of sight of
    Keras' variable tracking.

    In a plain list they would become variables of the optimiser.
    """

    def __init__(self) -> None:
        self._by_id: dict[int, tuple[Any, Any]] = {}

    def add(self, pairs: Iterable[tuple[Any, Any]]) -> None:
        """Keeps the value of each variable of (variable, value)."""
        self._by_id.update(
            (id(variable), (variable, value)) for variable, value in pairs
        )

    def get(self, variable: Any, default: Any) -> Any:
        """The value of a variable, or the default."""
        return self._by_id.get(id(variable), (None, default))[1]
