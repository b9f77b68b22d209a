"""What `semppl_keras.runs.export` may be asked for."""

import dataclasses

from semppl_keras.runs.options.checks import Options, checked, flag, one_of, path

# Those of `semppl_keras.export.FORMATS`.
FORMATS = ("saved_model", "keras", "onnx", "litert")
CLASSIFIER, BACKBONE = "classifier", "backbone"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportOptions(Options):
    """The keywords of `semppl_keras.runs.export`."""

    run: str = checked(path)
    format: str = checked(one_of(FORMATS))
    what: str = checked(one_of((CLASSIFIER, BACKBONE)), CLASSIFIER)
    classifier: str | None = checked(path, None)
    out: str | None = checked(path, None)
    trust: bool = checked(flag, False)
