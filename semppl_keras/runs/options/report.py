"""What `semppl_keras.runs.report` may be asked for."""

import dataclasses

from semppl_keras.runs.options.checks import Options, checked, flag, path


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReportOptions(Options):
    """The keywords of `report`; None where one is not given.

    Raises:
        RunError: A value is wrong.
        TypeError: A value is of the wrong kind.
    """

    run: str = checked(path)
    classifier: str | None = checked(path, None)
    out: str | None = checked(path, None)
    trust: bool = checked(flag, False)
