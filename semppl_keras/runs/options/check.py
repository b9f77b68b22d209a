"""What `semppl_keras.runs.check` may be asked for."""

import dataclasses

from semppl_keras.runs.options.checks import (
    Options,
    checked,
    flag,
    integer,
    output,
    path,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CheckOptions(Options):
    """The keywords of `semppl_keras.runs.check`."""

    run: str = checked(path)
    classifier: str | None = checked(path, None)
    out: str | None = checked(output, None)
    show: int = checked(integer(1), 20)
    doubt: bool = checked(flag, False)
    trust: bool = checked(flag, False)
