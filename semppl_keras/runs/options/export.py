"""What `semppl_keras.runs.export` may be asked for."""

import dataclasses

from semppl_keras.export.formats import FORMATS
from semppl_keras.runs.options.checks import (
    Options,
    checked,
    flag,
    one_of,
    output,
    path,
)

CLASSIFIER, BACKBONE = "classifier", "backbone"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportOptions(Options):
    """The keywords of `semppl_keras.runs.export`."""

    run: str = checked(path)
    format: str = checked(one_of(FORMATS))
    what: str = checked(one_of((CLASSIFIER, BACKBONE)), CLASSIFIER)
    classifier: str | None = checked(path, None)
    out: str | None = checked(output, None)
    photos: str | None = checked(path, None)
    trust: bool = checked(flag, False)
