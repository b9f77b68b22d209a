"""Which texts name a data set; the standard library alone."""

import os
import pathlib
import re

# Beside "digits", which has no further name: KIND:REST.
KINDS = ("npz", "tfds", "folder")
_OF_PATHS = ("npz", "folder")


def divided(spec: str | os.PathLike[str]) -> tuple[str, str]:
    """The kind of data set that a text names, and which of the kind it is.

    Args:
        spec: `"digits"`, `"npz:FILE"`, `"tfds:NAME"` or `"folder:DIR"`.

    Returns:
        For example `("npz", "fashion_mnist.npz")`; `("digits", "")`; two empty texts
        where it names none.
    """
    text = str(spec)
    kind, _, rest = text.partition(":")
    if text == "digits" or (kind in KINDS and rest):
        return kind, rest
    return "", ""


def is_spec(text: str | os.PathLike[str]) -> bool:
    """Whether a text names a data set."""
    return bool(divided(text)[0])


def resolved_spec(spec: str) -> str:
    """What names the same data set from any working folder: paths in it absolute."""
    kind, rest = divided(spec)
    if kind in _OF_PATHS:
        return f"{kind}:{pathlib.Path(rest).resolve()}"
    return spec


def last_part(text: str) -> str:
    """The last part of a path, or of what names one, as any system divides paths."""
    # This one, or that on which a run was trained.
    return re.split(r"[/\\]", text)[-1]
