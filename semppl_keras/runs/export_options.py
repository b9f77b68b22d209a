"""What `semppl_keras.runs.export` may be asked for."""

import dataclasses

from semppl_keras.export.formats import FORMATS
from semppl_keras.runs.option_checks import Options, checked, flag, one_of, output, path

CLASSIFIER, BACKBONE = "classifier", "backbone"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportOptions(Options):
    """The keywords of `export`; None where one is not given.

    Raises:
        RunError: A value is wrong.
        TypeError: A value is of the wrong kind.
    """

    run: str = checked(path)
    format: str = checked(one_of(FORMATS))
    what: str = checked(one_of((CLASSIFIER, BACKBONE)), CLASSIFIER)
    classifier: str | None = checked(path, None)
    out: str | None = checked(output, None)
    trust: bool = checked(flag, False)
