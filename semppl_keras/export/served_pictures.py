"""A picture file as the array that a served model takes, with NumPy and Pillow alone.

What stands below this docstring is copied into the script beside every exported model,
which runs where this package is not: it imports nothing of it, and does what
`data.read_image` does.
"""

from typing import Any

import numpy as np
from PIL import Image

# Pillow knows many more, some of which start other programs. HEIF needs
# pillow_heif.register_heif_opener() before.
FORMATS = [
    "AVIF",
    "BMP",
    "GIF",
    "HEIF",
    "JPEG",
    "JPEG2000",
    "PNG",
    "PPM",
    "TIFF",
    "WEBP",
]

# By the orientation of the EXIF data.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


# The colour of the bars beside a picture that is no square.
BARS = {"RGB": (127, 127, 127), "L": (127,)}

# They tell the largest integer, which Pillow brings to 65,535.
TELLING = ("PPM", "JPEG2000")


def read_picture(
    file: "Any",
    size: int,
    channels: int = 3,
    integers: tuple[float, float] | None = None,
    floats: tuple[float, float] | None = None,
    fit: str = "pad",
) -> np.ndarray:
    """Reads a picture as the training of the model did.

    Upright, transparent parts on white, CMYK as RGB, deep greys as 8 bits, a square.

    Args:
        file: path, or open binary file.
        size: int, pixels of a side.
        channels: 3 for RGB, 1 for grey.
        integers: (lowest, highest) value of images of more than 8 bits, which become 0
            and 255, those beyond counting as these; None for all of 16 bits.
        floats: the same of greys that are floats; None for [0, 1] or [0, 255].
        fit: "pad" for all of the picture, between bars; "crop" for its central square;
            "stretch" for all of it, out of shape.

    Returns:
        `(size, size, channels)` uint8.

    Raises:
        ValueError: if it has colours of more than 8 bits that do not use all 16: Pillow
            gives the upper 8 of them alone.
    """
    mode = "RGB" if channels == 3 else "L"
    Image.init()
    known = [name for name in FORMATS if name in Image.OPEN]
    with Image.open(file, formats=known) as opened:
        # Of a large JPEG no more is decoded than will show.
        opened.draft(mode, (2 * size, 2 * size))
        deep_colours = any(";16" in str(tile[3]) for tile in opened.tile)
        opened.load()
        image: Image.Image = opened
        try:
            turn = TURNS.get(opened.getexif().get(0x0112, 1))
        except Exception:  # the notes are broken, the picture is not
            turn = None
        if image.mode.startswith("I") or image.mode == "F":
            kind = floats if image.mode == "F" else integers
            if image.mode != "F" and opened.format in TELLING:
                kind = None
            image = Image.fromarray(eight_bits(np.asarray(image), kind))
        elif deep_colours and integers and tuple(integers) != (0, 65535):
            raise ValueError(
                "Colours of more than 8 bits must be from 0 to 65535. Received: "
                f"{file} for a model of values from {integers[0]} to {integers[1]}. "
                "Bring it to 8 bits first."
            )
        elif image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or (
            "transparency" in image.info
        ):
            image = image.convert("RGBA")
            white = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(white, image)
        image = image.convert(mode)
    width, height = image.size
    target = (size, size)
    box: tuple[float, float, float, float] = (0, 0, width, height)
    if fit == "crop":
        side = min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        box = (left, top, left + side, top + side)
    elif fit == "pad":
        scale = size / max(width, height)
        target = (max(1, round(width * scale)), max(1, round(height * scale)))
    image = image.resize(target, Image.Resampling.LANCZOS, box=box, reducing_gap=2)
    if turn is not None:
        image = image.transpose(turn)
    square = Image.new(mode, (size, size), BARS[mode])
    square.paste(image, ((size - image.width) // 2, (size - image.height) // 2))
    return np.array(square).reshape(size, size, channels)


def eight_bits(
    values: np.ndarray, value_range: tuple[float, float] | None = None
) -> np.ndarray:
    """Deep greys, `(h, w)`, as uint8."""
    low, high = values.min(), values.max()
    if value_range is None:
        value_range = (0, 65535)
        if values.dtype.kind == "f":
            value_range = (0, 1 if high <= 1 else 255)
        known = value_range[0] <= low and high <= value_range[1]  # NaN is not
    else:
        known = np.isfinite(low) and np.isfinite(high)
    if not known:
        raise ValueError(
            "The values of a picture must lie in the range of those that the model was "
            f"trained on. Received: {low:g} to {high:g}, where there were none."
        )
    scale = 255 / (np.float64(value_range[1]) - value_range[0])
    values = (values.astype("float64") - value_range[0]) * scale
    return np.rint(values.clip(0, 255)).astype("uint8")
