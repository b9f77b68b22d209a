"""SVG drawings as pixels, where the package that draws them is installed."""

import atexit
import importlib
import io
import os

from PIL import Image

from semppl_keras.data.images.drawing_workers import DrawingWorkers

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

_WORKERS = DrawingWorkers()
atexit.register(_WORKERS.close)


def is_drawing(beginning: bytes) -> bool:
    """Whether the first bytes of a file are those of XML, of which SVG is."""
    return beginning.removeprefix(_BYTE_ORDER_MARK).lstrip().startswith(_BEGINNINGS)


def can_draw() -> bool:
    """Whether the package that draws them is installed."""
    try:
        importlib.import_module("resvg_py")
    except ImportError:
        return False
    return True


def drawing_of(path: str | os.PathLike[str] | bytes) -> bytes:
    """What the file of a drawing has, cut off where it is larger than any may be."""
    if isinstance(path, bytes):
        return path
    with open(path, "rb") as file:
        return file.read(_MOST_BYTES + 1)


def drawn(content: bytes, side: int | None = None) -> Image.Image:
    """The picture that an SVG drawing shows.

    What a file says is not trusted: nothing is read or fetched that it refers to, and a
    drawing that shows other pictures is refused, those that are in it among them. It is
    drawn by another process, within limits of time and memory: see `DrawingWorkers`.

    Args:
        content: What the file has.
        side: Pixels of the longer side, of which there are 4,096 at most; None for
            `USUAL_SIDE`.

    Returns:
        An image that is transparent where nothing is drawn.

    Raises:
        ValueError: It is no drawing, or one that cannot be drawn here, or not within
            the limits.
        ImportError: The package is not installed.
    """
    if not can_draw():
        raise ImportError(NEEDS)
    if len(content) > _MOST_BYTES:
        raise ValueError(f"it is an SVG of more than {_MOST_BYTES:,} bytes")
    png = _WORKERS.drawn(content, min(side or USUAL_SIDE, _LARGEST_SIDE))
    return Image.open(io.BytesIO(png), formats=("PNG",))
