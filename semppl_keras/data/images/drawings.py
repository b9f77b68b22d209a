"""SVG drawings as pixels, where the package that draws them is installed."""

import importlib
import io
import os
from typing import Any
from xml.etree import ElementTree

from PIL import Image

ENDING = ".svg"
NEEDS = (
    'SVG drawings need another package: pip install "semppl_keras[svg]", or convert '
    "them to PNG"
)

# Pixels of the longer side of a drawing whose size nobody asks for: it has none itself.
USUAL_SIDE = 512
# Larger ones take no finer a picture than this, and files of more bytes none at all.
_LARGEST_SIDE, _MOST_BYTES = 4096, 8_000_000

_BEGINNINGS = (b"<svg", b"<?xml", b"<!DOCTYPE", b"<!--")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# What shows a picture that another file has, or that is no drawing.
_PICTURES = ("image", "feImage")


def is_drawing(beginning: bytes) -> bool:
    """Whether the first bytes of a file are those of XML, of which SVG is."""
    return beginning.removeprefix(_BYTE_ORDER_MARK).lstrip().startswith(_BEGINNINGS)


def can_draw() -> bool:
    """Whether the package that draws them is installed."""
    return _package() is not None


def drawing_of(path: str | os.PathLike[str] | bytes) -> bytes:
    """What the file of a drawing has, cut off where it is larger than any may be."""
    if isinstance(path, bytes):
        return path
    with open(path, "rb") as file:
        return file.read(_MOST_BYTES + 1)


def drawn(content: bytes, side: int | None = None) -> Image.Image:
    """The picture that an SVG drawing shows.

    What a file says is not trusted: nothing is read or fetched that it refers to, and a
    drawing that shows other pictures is refused, those that are in it among them.

    Args:
        content: What the file has.
        side: Pixels of the longer side, of which there are 4,096 at most; None for
            `USUAL_SIDE`.

    Returns:
        An image that is transparent where nothing is drawn.

    Raises:
        ValueError: It is no drawing, or one that cannot be drawn here.
        ImportError: The package is not installed.
    """
    package = _package()
    if package is None:
        raise ImportError(NEEDS)
    side = min(side or USUAL_SIDE, _LARGEST_SIDE)
    try:
        # Within a square, whatever size the drawing says that it has.
        pixels = package.svg_to_bytes(
            svg_string=_checked(content), width=side, height=side
        )
    except BaseException as error:
        # What goes wrong in Rust by accident is no Exception.
        if type(error).__name__ == "PanicException":
            raise ValueError("its SVG cannot be drawn") from error
        raise
    return Image.open(io.BytesIO(bytes(pixels)), formats=("PNG",))


def _package() -> Any:
    try:
        return importlib.import_module("resvg_py")
    except ImportError:
        return None


def _checked(content: bytes) -> str:
    """The SVG as what was looked through has it, entities and all written out."""
    if len(content) > _MOST_BYTES:
        raise ValueError(f"it is an SVG of more than {_MOST_BYTES:,} bytes")
    try:
        root = ElementTree.fromstring(content)
    except ElementTree.ParseError as error:
        raise ValueError(f"it is no SVG, as XML has it: {error}") from error
    if _local(root.tag) != "svg":
        raise ValueError("it is XML, but no SVG")
    for element in root.iter():
        if _local(element.tag) in _PICTURES and any(
            _local(name) == "href" and not value.strip().startswith("#")
            for name, value in element.attrib.items()
        ):
            raise ValueError("it is an SVG that shows another picture")
    try:
        return ElementTree.tostring(root, encoding="unicode")
    except RecursionError as error:
        raise ValueError("it is an SVG of too many parts within parts") from error


def _local(name: Any) -> str:
    """A name without its namespace."""
    return str(name).rpartition("}")[2]
