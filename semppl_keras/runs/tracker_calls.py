"""How the functions of a tracker are called, whichever program that is."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ParamSpec

from semppl_keras.runs.errors import RunError
from semppl_keras.runs.final_figures import Figure
from semppl_keras.runs.telling import tell
from semppl_keras.runs.tracker import Place

_P = ParamSpec("_P")

# What a shell says of a process that Ctrl-C has ended, and wandb with it.
INTERRUPTED = 255
# Before what is measured in the end: an epoch may have something of the same name.
_FINAL = "final/"


class Survived:
    """Makes functions that call those of a tracker, and go on where they fail.

    A training is worth more than its second copy. The first failure of all of them is
    told, with what there is of the training anyway.

    Args:
        name: Of the tracker.
        place: Of the training.
    """

    def __init__(self, name: str, place: Place) -> None:
        self._name = name
        self._place = place
        self._told = False

    def __call__(self, function: Callable[_P, Any]) -> Callable[_P, None]:
        """Of one that says something of the training, or its end."""
        return self._surviving(
            function,
            "some of this training",
            f"no training ends for that, and {self._place.kept.all}",
        )

    def figures(self, function: Callable[_P, Any]) -> Callable[_P, None]:
        """Of one that says the figures of the end."""
        return self._surviving(
            function, "the final figures of this training", self._place.kept.figures
        )

    def _surviving(
        self, function: Callable[_P, Any], what: str, remark: str
    ) -> Callable[_P, None]:
        def called(*args: _P.args, **kwargs: _P.kwargs) -> None:
            try:
                function(*args, **kwargs)
            except Exception as error:
                if not self._told:
                    self._told = True
                    tell(
                        f"Note: {self._name} may lack {what} ({error}): {remark}.",
                        error=True,
                    )

        return called


@contextlib.contextmanager
def begins_with(name: str, remedy: str, place: Place) -> Iterator[None]:
    """What a tracker raises within it, from whatever lies below it, is a `RunError`."""
    try:
        yield
    except Exception as error:
        raise RunError(
            f"--log {name} must be able to begin a run. Received: {error} To begin "
            f"one, {remedy}; or leave --log out: {place.kept.all}."
        ) from error


@contextlib.contextmanager
def finished(finish: Callable[[int], Any]) -> Iterator[None]:
    """In the end of it a run of a tracker is told how it went: 0, 1 or
    `INTERRUPTED`."""
    status = 1
    try:
        yield
        status = 0
    except KeyboardInterrupt:
        status = INTERRUPTED
        raise
    finally:
        finish(status)


def named(figures: Mapping[str, Figure]) -> dict[str, Figure]:
    """The figures of the end by the names that a tracker has for them."""
    return {f"{_FINAL}{name}": value for name, value in figures.items()}


def parameters(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those settings by which runs are compared: what is no list, and was said."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        inner = value if name == "versions" and isinstance(value, Mapping) else None
        for key, one in (inner or {"": value}).items():
            if isinstance(one, str | int | float):
                flat[f"{name}.{key}" if key else name] = one
    return flat
