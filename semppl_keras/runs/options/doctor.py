"""What `semppl_keras.runs.doctor` may be asked for."""

import dataclasses

from semppl_keras.runs.options.checks import Options, checked, flag


@dataclasses.dataclass(frozen=True, kw_only=True)
class DoctorOptions(Options):
    """The keywords of `semppl_keras.runs.doctor`."""

    json: bool = checked(flag, False)
