"""What `semppl_keras.runs.pack` may be asked for."""

import dataclasses
from typing import Any

from semppl_keras.runs.errors import RunError
from semppl_keras.runs.options.checks import (
    Options,
    checked,
    flag,
    option,
    output,
    path,
)

ENDING = ".zip"


def _archive(name: str, value: Any) -> str:
    file = output(name, value)
    if not file.lower().endswith(ENDING):
        raise RunError(f"{option(name)} must end in {ENDING}. Received: {file!r}.")
    return file


@dataclasses.dataclass(frozen=True, kw_only=True)
class PackOptions(Options):
    """The keywords of `semppl_keras.runs.pack`."""

    run: str = checked(path)
    file: str = checked(_archive)
    trust: bool = checked(flag, False)
