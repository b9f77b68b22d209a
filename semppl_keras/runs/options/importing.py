"""What `semppl_keras.runs.import_checkpoint` may be asked for."""

import dataclasses

from semppl_keras.runs.options.checks import Options, checked, one_of, output, path

FAMILIES = ("auto", "deepmind", "simclr")
FORMATS = ("keras", "saved_model")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImportOptions(Options):
    """The keywords of `semppl_keras.runs.import_checkpoint`."""

    checkpoint: str = checked(path)
    family: str = checked(one_of(FAMILIES), "auto")
    format: str = checked(one_of(FORMATS), "keras")
    out: str | None = checked(output, None)
