"""What `semppl_keras.runs.label` may be asked for."""

import dataclasses

from semppl_keras.runs.options.checks import (
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
    """The keywords of `semppl_keras.runs.label`."""

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
    photos: str | None = checked(path, None)
    trust: bool = checked(flag, False)
