"""What `semppl_keras.runs.import_checkpoint` may be asked for."""

import dataclasses

from semppl_keras.runs.option_checks import Options, checked, one_of, output, path

FAMILIES = ("auto", "deepmind", "simclr")
FORMATS = ("keras", "saved_model")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImportOptions(Options):
    """The keywords of `import_checkpoint`; None where one is not given.

    Raises:
        RunError: A value is wrong.
        TypeError: A value is of the wrong kind.
    """

    checkpoint: str = checked(path)
    family: str = checked(one_of(FAMILIES), "auto")
    format: str = checked(one_of(FORMATS), "keras")
    out: str | None = checked(output, None)
