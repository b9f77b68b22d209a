"""What `semppl_keras.runs.label` may be asked for."""

import dataclasses

from semppl_keras.runs.option_checks import (
    Options,
    checked,
    flag,
    integer,
    output,
    path,
    share,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabelOptions(Options):
    """The keywords of `label`; None where one is not given.

    Raises:
        RunError: A value is wrong.
        TypeError: A value is of the wrong kind.
    """

    run: str = checked(path)
    source: str = checked(path)
    out: str = checked(output, "labels.csv")
    min_confidence: float | None = checked(share, None)
    review: int | None = checked(integer(1), None)
    review_out: str | None = checked(output, None)
    move_into: str | None = checked(output, None)
    move: bool = checked(flag, False)
    overwrite: bool = checked(flag, False)
    classifier: str | None = checked(path, None)
    trust: bool = checked(flag, False)
