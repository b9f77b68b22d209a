"""The values of images with more than 8 bits a channel, of which Pillow keeps 8."""

import sys

import numpy as np

_DEEP_MODES = ("I", "I;16", "I;16L", "I;16B", "I;16N", "F")

# Formats that tell the largest integer; Pillow brings it to 65,535.
_TELLING = ("PPM", "JPEG2000")

# Of colours Pillow keeps the higher byte of two. Read as if the order of the bytes were
# the other, they give the lower ones. (Its name for the stored order: mode, the other.)
_SWAPPED = {
    f"{channels};16{order}": f"{channels};16{other}"
    for channels in ("RGB", "RGBA")
    for order, other in (("B", "L"), ("L", "B"))
}
_SWAPPED |= {
    f"{channels};16N": f"{channels};16{'B' if sys.byteorder == 'little' else 'L'}"
    for channels in ("RGB", "RGBA")
}
_GREY_AND_ALPHA = "LA;16B"


def is_deep(image):
    """Whether an image that is open has more than 8 bits a channel to be had."""
    return image.mode in _DEEP_MODES or _raw_mode(image) is not None


def is_grey(image):
    """Whether an image that is open is deep and has no colours, for all its mode."""
    return image.mode in _DEEP_MODES or _raw_mode(image) == _GREY_AND_ALPHA


def tells_range(image):
    """Whether the values of a deep image are in all 16 bits, whatever the set's are."""
    return image.format in _TELLING and image.mode != "F"


def deep_values(image, opened):
    """The values of an image that is open, as they are stored.

    Args:
        image: `PIL.Image.Image`, not decoded yet.
        opened: function that opens the same file once more.

    Returns:
        `(h, w)`, or `(h, w, c)` of grey and alpha, RGB or RGBA; None where there are
        no more than 8 bits a channel.
    """
    if image.mode in _DEEP_MODES:
        return np.asarray(image)
    raw = _raw_mode(image)
    if raw is None:
        return None
    if raw == _GREY_AND_ALPHA:
        with opened() as again:
            # Four bytes a pixel, whatever they are called.
            bytes_of = np.asarray(_retold(again, "RGBA")).astype("uint16")
        return bytes_of[..., 0::2] << 8 | bytes_of[..., 1::2]
    with opened() as again:
        low = np.asarray(_retold(again, _SWAPPED[raw])).astype("uint16")
    return np.asarray(image).astype("uint16") << 8 | low


def _raw_mode(image):
    """Pillow's name of how 16-bit colours are stored, None where there are none."""
    found = {_raw_of(tile) for tile in getattr(image, "tile", ())}
    raw = found.pop() if len(found) == 1 else None
    return raw if raw in _SWAPPED or raw == _GREY_AND_ALPHA else None


def _raw_of(tile):
    arguments = tile[3]
    return arguments[0] if isinstance(arguments, tuple) and arguments else arguments


def _retold(image, raw):
    tiles = []
    for codec, extents, offset, arguments in image.tile:
        if isinstance(arguments, tuple):
            arguments = (raw, *arguments[1:])
        else:
            arguments = raw
        tiles.append((codec, extents, offset, arguments))
    make = getattr(type(image.tile[0]), "_make", tuple)
    image.tile = [make(tile) for tile in tiles]
    image.load()
    return image
