"""What `semppl_keras.runs.label` may be asked for."""

import dataclasses

from semppl_keras.data.defaults import LABEL_FORMATS
from semppl_keras.runs.options.checks import (
    Options,
    checked,
    flag,
    integer,
    megapixels,
    one_of,
    output,
    path,
    share,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabelOptions(Options):
    """The keywords of `semppl_keras.runs.label`."""

    run: str = checked(path)
    source: str = checked(path)
    # None for `label_formats.OUT` of the format, and None for that of the ending.
    out: str | None = checked(output, None)
    format: str | None = checked(one_of(LABEL_FORMATS), None)
    copy_images: bool = checked(flag, False)
    min_confidence: float | None = checked(share, None)
    review: int | None = checked(integer(1), None)
    review_out: str | None = checked(output, None)
    move_into: str | None = checked(output, None)
    move: bool = checked(flag, False)
    overwrite: bool = checked(flag, False)
    max_megapixels: float | None = checked(megapixels, None)
    classifier: str | None = checked(path, None)
    photos: str | None = checked(path, None)
    trust: bool = checked(flag, False)
