"""Whether an objective of one's own can be loaded as it is, told when it is saved."""

import inspect
import warnings
from typing import Any

# What the configuration of every objective has, beside its `settings`.
_SAVED = ("backbone", "views", "seed", "name", "trainable", "dtype")
# Saved where they say anything.
_SAVED_AT_TIMES = ("trainable", "batch_norm")


def warn_of_arguments(model: Any) -> None:
    """Warns, of the line that saves a model, where it could not be loaded as it is.

    That is no error: its training would be lost with it.

    Args:
        model: a `Pretraining`. Where its class has a `from_config` for its constructor,
            this one knows what it needs.
    """
    kind = type(model)
    if issubclass(_owner(kind, "from_config"), _owner(kind, "__init__")):
        return
    wrong = [*_not_saved(model), *_not_taken(model)]
    if wrong:
        warnings.warn(
            f"{kind.__name__} cannot be loaded as it is saved. {' '.join(wrong)} Then "
            "save it again; or make the model, and call its `load_weights` with the "
            "file, which has them.",
            stacklevel=3,
        )


def _not_saved(model: Any) -> list[str]:
    """What is wrong with `settings`, if anything."""
    saved = {*model.get_config(), *_SAVED_AT_TIMES}
    lost = [
        name
        for name, parameter in _parameters(model).items()
        if name not in saved
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        and (
            parameter.default is parameter.empty
            or _differs(getattr(model, name, parameter.default), parameter.default)
        )
    ]
    if not lost:
        return []
    kind = type(model).__name__
    return [
        "`settings` must name the arguments of its constructor that are to be saved. "
        f"Received: none of {_quoted(lost)}. Keep each as an attribute of its name, "
        f"and name it in `settings`, of a model at hand by {kind}.settings = (...)."
    ]


def _not_taken(model: Any) -> list[str]:
    """What is wrong with the constructor, if anything."""
    parameters = _parameters(model)
    if any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
        return []
    untaken = [name for name in (*_SAVED, *model.settings) if name not in parameters]
    if not untaken:
        return []
    return [
        "Its constructor must take what is saved of every objective. Received: one "
        f"without {_quoted(untaken)}. Add **kwargs, and hand them on to that of its "
        "base class."
    ]


def _parameters(model: Any) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(type(model)).parameters)


def _owner(kind: type, name: str) -> type:
    """The class of which a class has a method."""
    return next(each for each in kind.__mro__ if name in vars(each))


def _differs(value: Any, default: Any) -> bool:
    """Whether a plain value is another one; of others that cannot be told."""
    plain = (bool, int, float, str, tuple, type(None))
    return isinstance(value, plain) and value != default


def _quoted(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
