"""Figures of matplotlib, and what they make of class names, which may be any text."""

import os
import warnings
from collections.abc import Iterable
from typing import Any

from semppl_keras.own_output import PICTURE

_LONGEST = 24


def new_figure(width: float, height: float, **how: Any) -> Any:
    """A figure of its own, without pyplot: nothing global, no display.

    Args:
        width, height: In inches.
        **how: As `matplotlib.figure.Figure` takes it.
    """
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained", **how)


def drawable(names: Iterable[Any]) -> list[str]:
    """Class names as matplotlib draws them: short, on a line, nothing in them markup.

    Args:
        names: strings.

    Returns:
        A list of strings.
    """
    return [_drawable(str(name)) for name in names]


def save_figure(figure: Any, path: str | os.PathLike[str]) -> None:
    """Writes a figure; letters that its font lacks become boxes, without a word."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+")
        # So that it is not taken for a photograph.
        figure.savefig(path, dpi=100, metadata=PICTURE)


def _drawable(name: str) -> str:
    name = "".join(letter if letter.isprintable() else " " for letter in name)
    if len(name) > _LONGEST:
        name = name[: _LONGEST - 1] + "…"
    # Between dollars it would be taken for mathematics, after _ for nothing to show.
    name = name.replace("$", r"\$")
    return " " + name if name.startswith("_") else name
