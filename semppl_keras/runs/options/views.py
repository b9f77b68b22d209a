"""What `semppl_keras.runs.views` may be asked for."""

import dataclasses

from semppl_keras.data.defaults import FIT, FITS
from semppl_keras.runs.options.checks import (
    Options,
    backbone,
    checked,
    flag,
    integer,
    one_of,
    output,
    path,
    value_range,
)
from semppl_keras.views.settings import RECIPES

VIEWS = tuple(sorted(RECIPES))
# Pixels of a side.
SMALLEST = 8


@dataclasses.dataclass(frozen=True, kw_only=True)
class ViewsOptions(Options):
    """The keywords of `semppl_keras.runs.views`."""

    source: str = checked(path)
    out: str = checked(output, "views.png")
    views: str | None = checked(one_of(VIEWS), None)
    backbone: str | None = checked(backbone, None)
    image_size: int | None = checked(integer(SMALLEST), None)
    fit: str = checked(one_of(FITS), FIT)
    value_range: tuple[float, float] | None = checked(value_range, None)
    images: int = checked(integer(1), 6)
    draws: int = checked(integer(1), 3)
    seed: int = checked(integer(0), 0)
    overwrite: bool = checked(flag, False)
