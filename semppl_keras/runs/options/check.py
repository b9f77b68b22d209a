"""What `semppl_keras.runs.check` may be asked for."""

import dataclasses
from typing import Any

from semppl_keras.runs.errors import RunError
from semppl_keras.runs.options.checks import (
    Options,
    checked,
    flag,
    integer,
    option,
    output,
    path,
    share,
)


def _some(name: str, value: Any) -> float:
    number = share(name, value)
    if not 0 < number < 1:
        raise RunError(
            f"{option(name)} must be a share above 0% and below 100%, of the labels "
            f"that may be wrong. Received: {value}."
        )
    return number


@dataclasses.dataclass(frozen=True, kw_only=True)
class CheckOptions(Options):
    """The keywords of `semppl_keras.runs.check`."""

    run: str = checked(path)
    classifier: str | None = checked(path, None)
    out: str | None = checked(output, None)
    show: int = checked(integer(1), 20)
    doubt: float | None = checked(_some, None)
    photos: str | None = checked(path, None)
    trust: bool = checked(flag, False)
