"""What the options of `semppl_keras.runs` may be, checked once, where they come in.

A check takes the name of a keyword and its value and gives the value to work with. It
raises `TypeError` for a value of the wrong kind, as Python does for an unknown keyword,
and `RunError` for a wrong value of the right kind. The command line makes values of the
right kind out of words, so that only the latter is left to go wrong.
"""

import dataclasses
import math
import numbers
import os
from collections.abc import Callable, Collection
from typing import Any, Self

from semppl_keras.backbones.specs import check_spec
from semppl_keras.data.datasets.specs import is_spec
from semppl_keras.runs.errors import RunError

Check = Callable[[str, Any], Any]

# What stands on the command line without an option's name, or under one that Python
# has for something else.
_CALLED = {
    "run": "RUN",
    "runs": "RUN",
    "source": "DIR",
    "checkpoint": "CHECKPOINT",
    "file": "FILE",
    "from_run": "--from",
}

# What is balanced in trainings: labels count as they are, classes alike, or as often as
# their images are estimated to be there.
AS_LABELLED, CLASSES, ESTIMATED = BALANCES = ("labels", "classes", "estimated")

# Programs that a training can be followed with (`runs.trackers`).
TRACKERS = ("wandb", "mlflow", "tensorboard")

# What NumPy takes for a seed, and more than anything else is counted to.
_MOST = 2**32 - 1
_MOST_MEGAPIXELS = 10**6


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """The options of one function of `semppl_keras.runs`.

    Its subclasses are frozen dataclasses of fields that are `checked`; one whose
    default is None may be None: it is not given.

    Raises:
        RunError: A value is wrong.
        TypeError: A value is of the wrong kind.

    Example:
        >>> @dataclasses.dataclass(frozen=True, kw_only=True)
        ... class ReportOptions(Options):
        ...     run: str = checked(path)
        ...     trust: bool = checked(flag, False)
    """

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value is not None or field.default is not None:
                value = field.metadata["check"](field.name, value)
            object.__setattr__(self, field.name, value)

    @classmethod
    def of(cls, **given: Any) -> Self:
        """The options that a caller has given, whatever they are."""
        return cls(**given)


def checked(check: Check, default: Any = dataclasses.MISSING) -> Any:
    """A field of `Options`.

    Args:
        check: One of those below.
        default: What stands where it is not given; without one it has to be.
    """
    return dataclasses.field(default=default, metadata={"check": check})


def option(name: str) -> str:
    """How the command line calls a keyword.

    Example:
        >>> option("labels_per_class")
        '--labels-per-class'
    """
    return _CALLED.get(name) or f"--{name.replace('_', '-')}"


def given_without(name: str, needed: str) -> RunError:
    """The error of an option that stands without another one, which it is for."""
    return RunError(
        f"{option(name)} is for {option(needed)}. Received: {option(name)} without it. "
        f"Add {option(needed)}."
    )


def check_not_both(
    options: Options, one: str, other: str, what: str = "how long the training is"
) -> None:
    """Raises a `RunError` where two options are given that say the same thing, `what`,
    of which one leaves no room for the other."""
    given = {name: getattr(options, name) for name in (one, other)}
    if None not in given.values():
        told = " and ".join(f"{option(name)} {value}" for name, value in given.items())
        raise RunError(
            f"{option(one)} and {option(other)} both say {what}. "
            f"Received: {told}. Leave one of the two out."
        )


def flag(name: str, value: Any) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"`{name}` must be True or False. Received: {value!r}.")
    return value


def text(name: str, value: Any) -> str:
    """A text."""
    if not isinstance(value, str):
        raise TypeError(f"`{name}` must be text. Received: {value!r}.")
    return value


def output(name: str, value: Any) -> str:
    """Where something is to be written; `check_can_write` tells what cannot be."""
    if not isinstance(value, str | os.PathLike):
        raise TypeError(f"`{name}` must be text or a path. Received: {value!r}.")
    return os.fsdecode(value)


def path(name: str, value: Any) -> str:
    """A path, or what else names images: as text."""
    decoded = output(name, value)
    if "\0" in decoded:
        # No command line could hold one, and no path.
        raise RunError(
            f"{option(name)} must be without a zero byte. Received: {decoded!r}."
        )
    return decoded


def backbone(name: str, value: Any) -> str:
    """What names a backbone, as `backbones.check_spec` gives it."""
    try:
        return check_spec(path(name, value))
    except (ValueError, OSError, ImportError) as error:
        raise RunError(f"{option(name)}: {error}") from error


def paths(name: str, value: Any) -> tuple[str, ...]:
    """A path, or several."""
    several = value if isinstance(value, list | tuple) else [value]
    if not several:
        raise RunError(f"`{name}` must name at least one. Received: {value!r}.")
    return tuple(path(name, one) for one in several)


def integer(least: int, otherwise: str = "") -> Check:
    """An integer.

    Args:
        least: The least that is allowed.
        otherwise: What else is allowed, to be told in an error.
    """
    expected = f"an integer of at least {least}{otherwise}"

    def check(name: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, numbers.Integral):
            raise TypeError(f"`{name}` must be {expected}. Received: {value!r}.")
        number = int(value)
        if not least <= number <= _MOST:
            raise RunError(f"{option(name)} must be {expected}. Received: {value}.")
        return number

    return check


def positive(name: str, value: Any) -> float:
    """A number above 0."""
    number = _number(name, value, "a number above 0")
    if not 0 < number < math.inf:
        raise RunError(f"{option(name)} must be a number above 0. Received: {value}.")
    return number


def megapixels(name: str, value: Any) -> float:
    """Millions of pixels: above 0, and at most as many as sides of a million make."""
    number = positive(name, value)
    if number > _MOST_MEGAPIXELS:
        raise RunError(
            f"{option(name)} must be at most {_MOST_MEGAPIXELS:,}. Received: {value}."
        )
    return number


def share(name: str, value: Any) -> float:
    """A number from 0 to 1."""
    number = _number(name, value, "a share, a number from 0 to 1")
    if not 0 <= number <= 1:
        raise RunError(
            f"{option(name)} must be a share from 0% to 100%. Received: {value}."
        )
    return number


def value_range(name: str, value: Any) -> tuple[float, float]:
    """Two finite numbers, the lower first."""
    # With NumPy, which the command line takes time to load.
    from semppl_keras.data.images.value_ranges import as_ranges

    if not isinstance(value, list | tuple) or len(value) != 2:
        raise TypeError(f"`{name}` must be two numbers. Received: {value!r}.")
    low, high = (_number(name, one, "two numbers") for one in value)
    try:
        as_ranges((low, high))
    except ValueError as error:
        raise RunError(f"{error}".replace(f"`{name}`", option(name))) from error
    return low, high


def one_of(choices: Collection[str]) -> Check:
    """One of some texts."""

    def check(name: str, value: Any) -> str:
        if text(name, value) not in choices:
            raise RunError(
                f"{option(name)} must be one of {', '.join(choices)}. Received: "
                f"{value!r}."
            )
        return value

    return check


def texts(name: str, value: Any) -> tuple[str, ...]:
    """Several texts: each once, in their order."""
    if not isinstance(value, list | tuple):
        raise TypeError(f"`{name}` must be a list of texts. Received: {value!r}.")
    return tuple(dict.fromkeys(text(name, one) for one in value))


def dataset(name: str, value: Any) -> str:
    """What names a data set."""
    if is_spec(text(name, value)):
        return value
    raise RunError(
        f"{option(name)} must be digits, npz:FILE, tfds:NAME or folder:DIR. Received: "
        f"{value!r}."
    )


def labels_per_class(name: str, value: Any) -> int | str:
    """An integer of at least 1, or "all"."""
    expected = " or 'all'"
    if isinstance(value, str) and value != "all":
        raise _wrong_labels(name, value, expected)
    return value if value == "all" else integer(1, expected)(name, value)


def labels_or_share(name: str, value: Any) -> int | str:
    """The same, or a share in percent such as "10%"."""
    expected = ", a share or 'all'"
    if not isinstance(value, str) or value == "all":
        return value if value == "all" else integer(1, expected)(name, value)
    try:
        percent = float(value.removesuffix("%"))
    except ValueError:
        percent = math.nan
    if not value.endswith("%") or math.isnan(percent):
        raise _wrong_labels(name, value, expected)
    if not 0 < percent <= 100:
        raise RunError(
            f"{option(name)}: a share must lie above 0% and be at most 100%. Received: "
            f"{value!r}."
        )
    return f"{percent:g}%"


def _wrong_labels(name: str, value: str, otherwise: str) -> RunError:
    return RunError(
        f"{option(name)} must be an integer of at least 1{otherwise}. Received: "
        f"{value!r}."
    )


def _number(name: str, value: Any, expected: str) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"`{name}` must be {expected}. Received: {value!r}.")
    return float(value)
