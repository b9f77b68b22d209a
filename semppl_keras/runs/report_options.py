"""What `semppl_keras.runs.report` may be asked for."""

import dataclasses

from semppl_keras.runs.option_checks import Options, checked, flag, output, path


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReportOptions(Options):
    """The keywords of `report`; None where one is not given.

    Raises:
        RunError: A value is wrong.
        TypeError: A value is of the wrong kind.
    """

    run: str = checked(path)
    classifier: str | None = checked(path, None)
    out: str | None = checked(output, None)
    trust: bool = checked(flag, False)
