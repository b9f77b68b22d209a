"""Crops of images, of which no more is decoded than it takes."""

import collections.abc
import math
import os
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from semppl_keras.checks import check_integers
from semppl_keras.data.images.files import (
    check_size_and_channels,
    read_image,
    resize_image,
)
from semppl_keras.data.images.opening import (
    beginning_of,
    check_pixels,
    is_jpeg,
    opened,
    reasons,
)
from semppl_keras.data.images.orientation import orientation_of, turned
from semppl_keras.data.images.value_ranges import ValueRanges

# What is drawn where nobody says it: as `MultiCrop` draws its large views.
AREA, ASPECT_RATIO = (0.14, 1.0), (3 / 4, 4 / 3)

# By the orientation of EXIF: whether rows and columns are changed for each other, and
# which of the axes of what is stored run the other way.
_SWAPPED = (5, 6, 7, 8)
_MIRRORED_ACROSS, _MIRRORED_DOWN = (2, 3, 7, 8), (3, 4, 6, 7)


class Box(NamedTuple):
    """A part of an image, in pixels of the upright image.

    Args:
        top, left: float, where it begins; 0 is the outer edge of the first pixel.
        height, width: positive float.
    """

    top: float
    left: float
    height: float
    width: float


def draw_box(
    generator: np.random.Generator,
    height: int,
    width: int,
    *,
    area: tuple[float, float] = AREA,
    aspect_ratio: tuple[float, float] = ASPECT_RATIO,
) -> Box:
    """A box of uniform area and log-uniform aspect ratio at a uniform place.

    As `MultiCrop` draws its crops: the aspect ratio among those at which a box of the
    drawn area fits the image, so that it takes four numbers of the generator, whatever
    the image.

    Args:
        generator: `numpy.random.Generator`.
        height, width: int, pixels of the upright image.
        area: pair in (0, 1], the range of the share of the image.
        aspect_ratio: pair of positive floats, the range of width / height.

    Returns:
        `Box`: (top, left, height, width) in pixels.

    Raises:
        ValueError: if a range is none.

    Example:
        >>> box = draw_box(np.random.default_rng(0), 375, 500, area=(0.3, 1.0))
    """
    check_integers(1, height=height, width=width)
    _check_range("area", area, 1)
    _check_range("aspect_ratio", aspect_ratio, math.inf)
    of_area, of_ratio, of_top, of_left = generator.random(4)
    share = area[0] + (area[1] - area[0]) * of_area
    # Width over height in shares of the image: both must stay below 1.
    room = -math.log(share)
    low, high = (
        max(min(room, math.log(bound * height / width)), -room)
        for bound in aspect_ratio
    )
    ratio = math.exp(low + (high - low) * of_ratio)
    box_height = min(math.sqrt(share / ratio), 1.0)
    box_width = min(math.sqrt(share * ratio), 1.0)
    return Box(
        (1.0 - box_height) * of_top * height,
        (1.0 - box_width) * of_left * width,
        box_height * height,
        box_width * width,
    )


def decode_crop(
    content: str | os.PathLike[str] | bytes | np.ndarray,
    box: Box | np.random.Generator,
    size: int,
    channels: int = 3,
    *,
    area: tuple[float, float] = AREA,
    aspect_ratio: tuple[float, float] = ASPECT_RATIO,
    ranges: ValueRanges | None = None,
    max_pixels: int | None = None,
) -> np.ndarray:
    """Decodes a part of an image, brought to a square out of shape.

    JPEG is decoded at a half, a quarter or an eighth of its size where the part has
    `size` pixels a side even so; images of other formats are decoded whole. Rows and
    columns beside the part are left out of what is resized; to leave them out of what
    is decoded gains nothing (docs/results/speed.md). Resized bilinear and antialiased,
    as views are.

    Args:
        content: path of a file, its content as `bytes`, or an array as `resize_image`
            takes it.
        box: `Box`, (top, left, height, width) in pixels of the upright image; or
            `numpy.random.Generator`, by which `draw_box` draws one.
        size: int, pixels of a side.
        channels: 1 or 3.
        area, aspect_ratio: as `draw_box` takes them; of no effect on a `Box`.
        ranges, max_pixels: as `read_image` takes them.

    Returns:
        `(size, size, channels)` uint8, turned as the EXIF data of the image say.

    Raises:
        UnreadableImage: as `read_image` without a size.
        ValueError: if the box does not lie within the image, or an argument is out of
            range.

    Example:
        >>> generator = np.random.default_rng([seed, epoch, number])
        >>> decode_crop("photos/0001.jpg", generator, 224).shape
        (224, 224, 3)
    """
    check_integers(1, size=size)
    check_size_and_channels(size, channels)

    def within(height: int, width: int) -> Box:
        if isinstance(box, np.random.Generator):
            return draw_box(box, height, width, area=area, aspect_ratio=aspect_ratio)
        return _checked(box, height, width)

    if not isinstance(content, np.ndarray):
        if is_jpeg(beginning_of(content)):
            mode = "RGB" if channels == 3 else "L"
            return _of_jpeg(content, within, size, mode, max_pixels)
        pixels = read_image(content, None, channels, ranges, max_pixels=max_pixels)
    else:
        pixels = resize_image(content, None, channels)
    top, left, height, width = within(*pixels.shape[:2])
    whole = Image.fromarray(pixels.squeeze(-1) if channels == 1 else pixels)
    return _as_array(_resized(whole, (left, top, left + width, top + height), size))


def _of_jpeg(
    content: Any,
    within: collections.abc.Callable[[int, int], Box],
    size: int,
    mode: str,
    max_pixels: int | None,
) -> np.ndarray:
    with opened(content) as image:
        width, height = image.size
        orientation = orientation_of(image)
        sides = (width, height) if orientation in _SWAPPED else (height, width)
        left, top, right, bottom = _as_stored(
            within(*sides), orientation, height, width
        )
        # The least that the whole may have where the part has `size` pixels a side.
        least = (
            math.ceil(size * width / (right - left)),
            math.ceil(size * height / (bottom - top)),
        )
        with reasons(content):
            drafted = image.draft(mode, least)
            check_pixels(content, image, width * height, max_pixels)
            image.load()
            pixels = image if image.mode == mode else image.convert(mode)
        # Of a reduced image the last pixel need not be whole.
        scale = 1.0 if drafted is None else drafted[1][2] / width
        part = (left * scale, top * scale, right * scale, bottom * scale)
        return _as_array(turned(_resized(pixels, part, size), orientation))


def _as_stored(
    box: Box, orientation: int, height: int, width: int
) -> tuple[float, float, float, float]:
    """Left, top, right and lower edge in an image that lies as its EXIF data say."""
    across = (box.left, box.left + box.width)
    down = (box.top, box.top + box.height)
    if orientation in _SWAPPED:
        across, down = down, across
    if orientation in _MIRRORED_ACROSS:
        across = (width - across[1], width - across[0])
    if orientation in _MIRRORED_DOWN:
        down = (height - down[1], height - down[0])
    return across[0], down[0], across[1], down[1]


def _resized(
    image: Image.Image, part: tuple[float, float, float, float], size: int
) -> Image.Image:
    left, top, right, bottom = part
    # By rounding, an edge may lie a trifle beyond that of the image.
    inside = (
        max(left, 0.0),
        max(top, 0.0),
        min(right, image.width),
        min(bottom, image.height),
    )
    return image.resize((size, size), Image.Resampling.BILINEAR, box=inside)


def _as_array(image: Image.Image) -> np.ndarray:
    return np.array(image).reshape(image.height, image.width, -1)


def _checked(box: Box, height: int, width: int) -> Box:
    box = Box(*box)
    # What is drawn in floats may end a trifle beyond the edge.
    room = 1e-4
    fits = (
        min(box.height, box.width) > 0
        and min(box.top, box.left) >= -room
        and box.top + box.height <= height + room
        and box.left + box.width <= width + room
    )
    if not fits:
        raise ValueError(
            f"`box` must lie within the image, of {height} rows and {width} columns. "
            f"Received: {box}."
        )
    return box


def _check_range(name: str, pair: Any, most: float) -> None:
    if len(pair) != 2 or not 0 < pair[0] <= pair[1] <= most:
        raise ValueError(
            f"`{name}` must be a pair (lowest, highest) above 0 and at most {most}. "
            f"Received: {name}={pair}."
        )
