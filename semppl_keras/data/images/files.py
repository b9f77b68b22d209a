"""Image files as arrays: one way of reading each of them."""

import functools
import io
import os
import pathlib
import stat
import struct
from typing import Any, NamedTuple, Self

import numpy as np
from PIL import Image, UnidentifiedImageError

from semppl_keras.data.defaults import FIT
from semppl_keras.data.images.big_images import PARTED, NotInParts, reduced
from semppl_keras.data.images.deep_images import (
    deep_values,
    is_deep,
    is_grey,
    tells_range,
)
from semppl_keras.data.images.drawings import drawing_of, drawn, is_drawing
from semppl_keras.data.images.formats import (
    missing_reader,
    readable_formats,
)
from semppl_keras.data.images.geometry import SPARE, check_fit, on_square, resized
from semppl_keras.data.images.value_ranges import ValueRanges, kind_of, to_eight_bits

_GREY_MODES = ("1", "L", "LA", "La")
_TRANSPARENT_MODES = ("LA", "La", "PA", "RGBA", "RGBa")
_EXIF_ORIENTATION = 0x0112
_JPEG_BEGINS = b"\xff\xd8\xff"
# As many as any format is told by.
_BEGINNING = 16

# Decoded in parts or at a reduced size, an image still takes time by all its pixels: so
# many times what it may have otherwise, enough for 300 megapixels.
_REDUCED_PIXELS = 4
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


class ReadImage(NamedTuple):
    """An image, and what of it is not as a glance at the array would have it.

    Args:
        pixels: `(h, w, channels)` uint8.
        beyond: bool, whether values lay beyond the range of its set, so that they
            count as its ends.
        several: bool, whether the file holds several frames or pages, of which it is
            the first.
    """

    pixels: np.ndarray
    beyond: bool = False
    several: bool = False


def read_image(
    path: str | os.PathLike[str] | bytes,
    size: int | None = None,
    channels: int = 3,
    ranges: ValueRanges | None = None,
    *,
    fit: str = FIT,
    max_pixels: int | None = None,
) -> np.ndarray:
    """Reads an image as it is meant to be seen.

    JPEG, PNG, WebP, BMP, TIFF, GIF and PNM, of several frames the first; JPEG 2000 and
    AVIF where Pillow reads them, HEIC where pillow-heif is installed, SVG, drawn at
    about `size` by another process, where resvg-py is. Turned as its EXIF data say;
    transparent parts on white; CMYK as RGB, without a colour profile.
    Deep images, of more than 8 bits a channel, are brought to 8 bits by the range of
    the set that they are of. Without one, integers are scaled by all 16 bits, floats
    that lie in [0, 1] or in [0, 255] brought to the latter.

    Args:
        path: path of a file, or its content as `bytes`.
        size: int, pixels of a side of the square that it becomes; where it is much
            smaller than the image, JPEG is decoded at a reduced size, down to an
            eighth per side. None for the size that the image has.
        channels: 1 or 3.
        ranges: `ValueRanges`, of the set that the image is of; None for none.
        fit: how it becomes a square: "pad" shows all of it, between bars of a middle
            grey; "crop" its central square; "stretch" all of it, out of shape.
        max_pixels: int, how many pixels may be decoded at once; None for what Pillow
            takes for safe (`PIL.Image.MAX_IMAGE_PIXELS`).

    Returns:
        `(h, w, channels)` uint8; with `size` h = w = size.

    Raises:
        UnreadableImage: if the file is empty, broken, no image, gone or not allowed to
            be read; if its image has values of no known range; or if more pixels
            would have to be decoded at once than `max_pixels`. With `size` an image
            may have four times as many in all where it is decoded at a reduced size
            or in parts: JPEG that is not progressive, and with 8 bits a channel
            JPEG 2000, PNG that is not interlaced, and TIFF in strips or tiles.
    """
    return read_whole(
        path, size, channels, ranges, fit=fit, max_pixels=max_pixels
    ).pixels


def read_whole(
    path: str | os.PathLike[str] | bytes,
    size: int | None = None,
    channels: int = 3,
    ranges: ValueRanges | None = None,
    *,
    fit: str = FIT,
    max_pixels: int | None = None,
) -> ReadImage:
    """As `read_image`, with what is to be told of it: a `ReadImage`."""
    _check_size_and_channels(size, channels)
    check_fit(fit)
    with _opened(path, size and SPARE * size) as image, _reasons(path):
        all_pixels = image.width * image.height
        mode = "RGB" if channels == 3 else "L"
        if size is not None:
            image.draft(mode, (SPARE * size, SPARE * size))
        beyond, extent = False, None
        if size is not None and _is_for_parts(image, all_pixels, max_pixels):
            pixels, extent = _in_parts(path, image, mode, SPARE * size, max_pixels)
            orientation = _orientation(image)
        else:
            _check_pixels(path, image, all_pixels, max_pixels)
            values = deep_values(image, lambda: _opened(path))
            image.load()
            orientation = _orientation(image)
            if values is None:
                pixels = _on_white(image)
            else:
                pixels, beyond = _shallow(image, values, ranges)
            pixels = pixels.convert(mode)
        if size is not None:
            pixels = resized(pixels, size, fit, extent)
        pixels = _turned(pixels, orientation)
        if size is not None:
            pixels = on_square(pixels, size)
        array = np.array(pixels).reshape(pixels.height, pixels.width, channels)
        return ReadImage(array, beyond, _has_several(image))


def value_extent(
    path: str | os.PathLike[str] | bytes, max_pixels: int | None = None
) -> tuple[str, float, float] | None:
    """The least and the greatest value of a deep image.

    Args:
        path, max_pixels: as `read_image` takes them.

    Returns:
        "integers" or "floats", and the two numbers; None of an image of 8 bits a
        channel, and of one in a format that tells the range of its values.

    Raises:
        UnreadableImage: as `read_image`; also if there are values that are no numbers.
    """
    with _reasons(path):
        # Of which most sets are, and all of 8 bits.
        beginning = _beginning(path)
        # Drawings are too, which would be drawn for it.
        if beginning.startswith(_JPEG_BEGINS) or is_drawing(beginning):
            return None
    with _opened(path) as image, _reasons(path):
        if not is_deep(image) or tells_range(image):
            return None
        _check_pixels(path, image, image.width * image.height, max_pixels)
        values = deep_values(image, lambda: _opened(path))
        if values is None:
            return None
        if values.shape[-1:] in ((2,), (4,)) and values.ndim == 3:
            values = values[..., :-1]
        low, high = values.min().item(), values.max().item()
        if not (np.isfinite(low) and np.isfinite(high)):
            raise UnreadableImage(_name(path), "it holds values that are no numbers")
        return kind_of(values), low, high


def resize_image(
    array: Any, size: int | None = None, channels: int = 3, *, fit: str = FIT
) -> np.ndarray:
    """Brings pixels to the form that `read_image` gives.

    Args:
        array: `(h, w)`, `(h, w, 1)` or `(h, w, 3)` in [0, 255].
        size: int, pixels of a side of the square that it becomes; None to leave it.
        channels: 1 or 3.
        fit: as `read_image` takes it.

    Returns:
        `(h, w, channels)` uint8.
    """
    _check_size_and_channels(size, channels)
    check_fit(fit)
    array = np.asarray(array)
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]
    image = Image.fromarray(np.rint(array).astype("uint8"))
    image = image.convert("RGB" if channels == 3 else "L")
    if size is not None and image.size != (size, size):
        image = on_square(resized(image, size, fit), size)
    return np.array(image).reshape(image.height, image.width, channels)


def image_header(path: str | os.PathLike[str] | bytes) -> tuple[int, int, bool]:
    """What a file tells about its image before it is decoded.

    Args:
        path: as `read_image` takes it.

    Returns:
        (width, height, whether it has colours), the sides before any turn.

    Raises:
        UnreadableImage: as `read_image`.
    """
    with _opened(path) as image, _reasons(path):
        coloured = image.mode not in _GREY_MODES and not is_grey(image)
        return image.width, image.height, coloured


def _check_size_and_channels(size: Any, channels: Any) -> None:
    if size is not None and (not isinstance(size, int | np.integer) or size < 1):
        raise ValueError(
            f"`size` must be a positive integer or None. Received: size={size!r}."
        )
    if channels not in (1, 3):
        raise ValueError(f"`channels` must be 1 or 3. Received: channels={channels!r}.")


def _opened(
    path: str | os.PathLike[str] | bytes, side: int | None = None
) -> Image.Image:
    """The image behind a path or `bytes`, none of it decoded.

    Args:
        path: As for `read_image`.
        side: Pixels of the longer side of a drawing; None for its usual ones.
    """
    with _reasons(path):
        beginning = _beginning(path)
        if is_drawing(beginning):
            return drawn(drawing_of(path), side)
        return _identified(
            io.BytesIO(path) if isinstance(path, bytes) else path, beginning
        )


def _beginning(path: str | os.PathLike[str] | bytes) -> bytes:
    """The first bytes of what can be read at all."""
    if isinstance(path, bytes):
        if not path:
            raise UnreadableImage(_name(path), "it is empty")
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


class _reasons:
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
        raise UnreadableImage(_name(self._path), reason) from error


def _name(path: str | os.PathLike[str] | bytes) -> str | os.PathLike[str]:
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
        return _too_many_pixels(Image.MAX_IMAGE_PIXELS or 0)
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


def _too_many_pixels(limit: int) -> str:
    return f"{_TOO_LARGE}{limit:,} pixels, which decoding would have to hold in memory"


def is_too_large(reason: str) -> bool:
    """Whether the reason of an `UnreadableImage` is how many pixels it has."""
    return reason.startswith(_TOO_LARGE)


def _limit(max_pixels: int | None) -> int | None:
    return Image.MAX_IMAGE_PIXELS if max_pixels is None else max_pixels


def _check_pixels(
    path: str | os.PathLike[str] | bytes,
    image: Image.Image,
    all_pixels: int,
    max_pixels: int | None,
) -> None:
    """Refuses an image of which more pixels are to be decoded than is safe."""
    limit = _limit(max_pixels)
    if limit is None:
        return
    decoded = image.width * image.height
    if "progressive" in image.info:
        decoded = all_pixels
    for pixels, most in ((decoded, limit), (all_pixels, _REDUCED_PIXELS * limit)):
        if pixels > most:
            raise UnreadableImage(_name(path), _too_many_pixels(most))


def _is_for_parts(image: Image.Image, all_pixels: int, max_pixels: int | None) -> bool:
    """Whether an image has too many pixels to be held, and not too many to be read."""
    limit = _limit(max_pixels)
    return (
        limit is not None
        and image.format in PARTED
        and limit < all_pixels <= _REDUCED_PIXELS * limit
    )


def _in_parts(
    path: str | os.PathLike[str] | bytes,
    image: Image.Image,
    mode: str,
    side: int,
    max_pixels: int | None,
) -> tuple[Image.Image, tuple[float, float]]:
    limit = _limit(max_pixels) or 0
    try:
        if is_deep(image):
            raise NotInParts("it has more than 8 bits a channel")
        return reduced(
            image, path, mode, side, limit, lambda part: _on_white(part).convert(mode)
        )
    except NotInParts as error:
        reason = f"{_too_many_pixels(limit)}: {error}"
        raise UnreadableImage(_name(path), reason) from error


def _orientation(image: Image.Image) -> int:
    # Read once it is decoded, since what Pillow turns by itself it then calls upright.
    try:
        return image.getexif().get(_EXIF_ORIENTATION, 1)
    except Exception:
        # Broken notes about an image are no reason to do without it.
        return 1


def _turned(image: Image.Image, orientation: int) -> Image.Image:
    turn = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }.get(orientation)
    return image if turn is None else image.transpose(turn)


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode not in _TRANSPARENT_MODES and "transparency" not in image.info:
        return image
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)


def _shallow(
    image: Image.Image, values: np.ndarray, ranges: ValueRanges | None
) -> tuple[Image.Image, bool]:
    """A deep image with 8 bits a channel, and whether values lay beyond the range."""
    # What tells its range is no matter of the set.
    ranges = None if tells_range(image) else ranges
    alpha = None
    if values.ndim == 3 and values.shape[-1] in (2, 4):
        values, alpha = values[..., :-1], to_eight_bits(values[..., -1])[0]
    elif image.format == "PNG" and "transparency" in image.info:
        # One value, or one of each colour, stands for nothing.
        clear = np.equal(values, image.info["transparency"])
        alpha = np.where(clear.all(-1) if clear.ndim == 3 else clear, 0, 255)
    array, beyond = to_eight_bits(values, ranges)
    pixels = Image.fromarray(array.squeeze(-1) if array.shape[2:] == (1,) else array)
    if alpha is None:
        return pixels, beyond
    pixels = pixels.convert("RGBA")
    pixels.putalpha(Image.fromarray(alpha.astype("uint8")))
    return _on_white(pixels), beyond


def _has_several(image: Image.Image) -> bool:
    # Phones put a second, small picture into a photograph.
    if image.format == "MPO":
        return False
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:
        # What comes after the first is no reason to do without it.
        return False
