"""Files opened as images, none of them decoded, and why one cannot be."""

import functools
import io
import os
import pathlib
import stat
import struct
from typing import Any, Self

from PIL import Image, UnidentifiedImageError

from semppl_keras.data.images.drawings import drawing_of, drawn, is_drawing
from semppl_keras.data.images.formats import missing_reader, readable_formats

# As many as any format is told by.
_BEGINNING = 16
_JPEG_BEGINS = b"\xff\xd8\xff"

# Decoded in parts or at a reduced size, an image still takes time by all its pixels: so
# many times what it may have otherwise, enough for 300 megapixels.
REDUCED_PIXELS = 4
# With what the reason begins where an image is left out since it is too large.
_TOO_LARGE = "it has more than "


class UnreadableImage(ValueError):
    """A file that gives no image.

    Args:
        path: str or path, what was read.
        reason: str, why it could not be.
    """

    def __init__(self, path: str | os.PathLike[str], reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"{str(self.path)!r} cannot be read as an image: {self.reason}"


def opened(
    path: str | os.PathLike[str] | bytes, side: int | None = None
) -> Image.Image:
    """The image behind a path or `bytes`, none of it decoded.

    Args:
        path: As for `read_image`.
        side: Pixels of the longer side of a drawing; None for its usual ones.
    """
    with reasons(path):
        beginning = _beginning(path)
        if is_drawing(beginning):
            return drawn(drawing_of(path), side)
        return _identified(
            io.BytesIO(path) if isinstance(path, bytes) else path, beginning
        )


def is_jpeg(beginning: bytes) -> bool:
    """Whether a file that begins so is JPEG, as `beginning_of` gives it."""
    return beginning.startswith(_JPEG_BEGINS)


def beginning_of(path: str | os.PathLike[str] | bytes) -> bytes:
    """The first bytes of what can be read at all."""
    with reasons(path):
        return _beginning(path)


def _beginning(path: str | os.PathLike[str] | bytes) -> bytes:
    if isinstance(path, bytes):
        if not path:
            raise UnreadableImage(name_of(path), "it is empty")
        return path[:_BEGINNING]
    status = os.stat(path)
    # Reading a pipe or a device might never end.
    if not stat.S_ISREG(status.st_mode):
        is_folder = stat.S_ISDIR(status.st_mode)
        raise UnreadableImage(
            path, "it is a folder" if is_folder else "it is no regular file"
        )
    if status.st_size == 0:
        raise UnreadableImage(path, "it is empty")
    with open(path, "rb") as file:
        return file.read(_BEGINNING)


def _identified(file: Any, beginning: bytes) -> Image.Image:
    # `Image.open` warns of many pixels, or refuses them, before there is a way to say
    # that few are wanted, or that there may be more.
    for name in readable_formats():
        if name not in Image.OPEN:
            Image.init()
        factory, accepts = Image.OPEN[name]
        accepted = accepts is None or accepts(beginning)
        # A text says what is missing for it.
        if isinstance(accepted, str) or not accepted:
            continue
        try:
            return factory(file, "")
        # As a plugin says that it is none of its kind.
        except (SyntaxError, IndexError, TypeError, struct.error):
            if isinstance(file, io.BytesIO):
                file.seek(0)
    raise UnidentifiedImageError(f"cannot identify {file!r}")


class reasons:
    """Tells whatever goes wrong in reading a file as an `UnreadableImage`."""

    def __init__(self, path: str | os.PathLike[str] | bytes) -> None:
        self._path = path

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        # What a broken file makes a decoder raise is of every kind: OSError,
        # SyntaxError, struct.error, IndexError, MemoryError ...
        if not isinstance(error, Exception) or isinstance(error, UnreadableImage):
            return
        reason = _reason(self._path, error)
        raise UnreadableImage(name_of(self._path), reason) from error


def name_of(path: str | os.PathLike[str] | bytes) -> str | os.PathLike[str]:
    """What an image is called in an `UnreadableImage`."""
    return "bytes" if isinstance(path, bytes) else path


def _reason(path: str | os.PathLike[str] | bytes, error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        other = _other_case(pathlib.Path(os.fsdecode(path)))
        return "it is not there" + ("" if other is None else f", but {str(other)!r} is")
    if isinstance(error, PermissionError):
        return "it may not be read"
    missing = missing_reader(path)
    if missing is not None:
        return missing
    if isinstance(error, UnidentifiedImageError):
        return f"it is none of {', '.join(readable_formats())}"
    if isinstance(
        error, (Image.DecompressionBombError, Image.DecompressionBombWarning)
    ):
        return too_many_pixels(Image.MAX_IMAGE_PIXELS or 0)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(f"{error}".split()) or type(error).__name__


def _other_case(path: pathlib.Path) -> pathlib.Path | None:
    """What is there and differs from a path in upper and lower case alone, or None."""
    if os.path.exists(path):
        return path
    if path.parent == path:
        return None
    parent = _other_case(path.parent)
    if parent is None or not os.path.isdir(parent):
        return None
    try:
        names = _names_by_case(parent, os.stat(parent).st_mtime_ns)
    except OSError:  # it may not be looked into
        return None
    name = names.get(path.name.casefold())
    if name is None or parent / name == path:  # a link to nothing finds itself
        return None
    return parent / name


# A table may name many files that are not there, of one folder.
@functools.lru_cache(maxsize=4)
def _names_by_case(folder: pathlib.Path, changed: int) -> dict[str, str]:
    return {name.casefold(): name for name in os.listdir(folder)}


def too_many_pixels(limit: int) -> str:
    """The reason of an image that has more pixels than may be decoded."""
    return f"{_TOO_LARGE}{limit:,} pixels, which decoding would have to hold in memory"


def is_too_large(reason: str) -> bool:
    """Whether the reason of an `UnreadableImage` is how many pixels it has."""
    return reason.startswith(_TOO_LARGE)


def pixel_limit(max_pixels: int | None) -> int | None:
    """How many pixels may be decoded at once; None for any number."""
    return Image.MAX_IMAGE_PIXELS if max_pixels is None else max_pixels


def check_pixels(
    path: str | os.PathLike[str] | bytes,
    image: Image.Image,
    all_pixels: int,
    max_pixels: int | None,
) -> None:
    """Refuses an image of which more pixels are to be decoded than is safe."""
    limit = pixel_limit(max_pixels)
    if limit is None:
        return
    decoded = image.width * image.height
    if "progressive" in image.info:
        decoded = all_pixels
    for pixels, most in ((decoded, limit), (all_pixels, REDUCED_PIXELS * limit)):
        if pixels > most:
            raise UnreadableImage(name_of(path), too_many_pixels(most))
