"""What `semppl_keras.runs.report` may be asked for."""

import dataclasses

from semppl_keras.runs.options.checks import Options, checked, flag, output, path


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReportOptions(Options):
    """The keywords of `semppl_keras.runs.report`."""

    run: str = checked(path)
    classifier: str | None = checked(path, None)
    out: str | None = checked(output, None)
    photos: str | None = checked(path, None)
    trust: bool = checked(flag, False)
