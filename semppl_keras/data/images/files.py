"""Image files as arrays: one way of reading each of them."""

import os
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from semppl_keras.checks import check_integers
from semppl_keras.data.defaults import FIT
from semppl_keras.data.images.big_images import PARTED, NotInParts, reduced
from semppl_keras.data.images.deep_images import (
    deep_values,
    is_deep,
    is_grey,
    tells_range,
)
from semppl_keras.data.images.drawings import is_drawing
from semppl_keras.data.images.geometry import SPARE, check_fit, on_square, resized
from semppl_keras.data.images.opening import (
    REDUCED_PIXELS,
    UnreadableImage,
    beginning_of,
    check_pixels,
    is_jpeg,
    name_of,
    opened,
    pixel_limit,
    reasons,
    too_many_pixels,
)
from semppl_keras.data.images.orientation import orientation_of, turned
from semppl_keras.data.images.value_ranges import ValueRanges, kind_of, to_eight_bits

_GREY_MODES = ("1", "L", "LA", "La")
_TRANSPARENT_MODES = ("LA", "La", "PA", "RGBA", "RGBa")


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
    check_size_and_channels(size, channels)
    check_fit(fit)
    with opened(path, size and SPARE * size) as image, reasons(path):
        all_pixels = image.width * image.height
        mode = "RGB" if channels == 3 else "L"
        if size is not None:
            image.draft(mode, (SPARE * size, SPARE * size))
        beyond, extent = False, None
        if size is not None and _is_for_parts(image, all_pixels, max_pixels):
            pixels, extent = _in_parts(path, image, mode, SPARE * size, max_pixels)
            orientation = orientation_of(image)
        else:
            check_pixels(path, image, all_pixels, max_pixels)
            values = deep_values(image, lambda: opened(path))
            image.load()
            orientation = orientation_of(image)
            if values is None:
                pixels = _on_white(image)
            else:
                pixels, beyond = _shallow(image, values, ranges)
            pixels = pixels.convert(mode)
        if size is not None:
            pixels = resized(pixels, size, fit, extent)
        pixels = turned(pixels, orientation)
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
    beginning = beginning_of(path)
    # Of which most sets are, and all of 8 bits. Drawings are too, which would be drawn
    # for it.
    if is_jpeg(beginning) or is_drawing(beginning):
        return None
    with opened(path) as image, reasons(path):
        if not is_deep(image) or tells_range(image):
            return None
        check_pixels(path, image, image.width * image.height, max_pixels)
        values = deep_values(image, lambda: opened(path))
        if values is None:
            return None
        if values.shape[-1:] in ((2,), (4,)) and values.ndim == 3:
            values = values[..., :-1]
        low, high = values.min().item(), values.max().item()
        if not (np.isfinite(low) and np.isfinite(high)):
            raise UnreadableImage(name_of(path), "it holds values that are no numbers")
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
    check_size_and_channels(size, channels)
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
    with opened(path) as image, reasons(path):
        coloured = image.mode not in _GREY_MODES and not is_grey(image)
        return image.width, image.height, coloured


def check_size_and_channels(size: Any, channels: Any) -> None:
    """Raises a ValueError for what no image can be brought to."""
    if size is not None:
        check_integers(1, size=size)
    if channels not in (1, 3):
        raise ValueError(f"`channels` must be 1 or 3. Received: channels={channels!r}.")


def _is_for_parts(image: Image.Image, all_pixels: int, max_pixels: int | None) -> bool:
    """Whether an image has too many pixels to be held, and not too many to be read."""
    limit = pixel_limit(max_pixels)
    return (
        limit is not None
        and image.format in PARTED
        and limit < all_pixels <= REDUCED_PIXELS * limit
    )


def _in_parts(
    path: str | os.PathLike[str] | bytes,
    image: Image.Image,
    mode: str,
    side: int,
    max_pixels: int | None,
) -> tuple[Image.Image, tuple[float, float]]:
    limit = pixel_limit(max_pixels) or 0
    try:
        if is_deep(image):
            raise NotInParts("it has more than 8 bits a channel")
        return reduced(
            image, path, mode, side, limit, lambda part: _on_white(part).convert(mode)
        )
    except NotInParts as error:
        reason = f"{too_many_pixels(limit)}: {error}"
        raise UnreadableImage(name_of(path), reason) from error


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
