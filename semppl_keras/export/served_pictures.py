"""A picture file as the array that a served model takes, with NumPy and Pillow alone.

What stands below this docstring is copied into the script beside every exported model,
which runs where this package is not: it imports nothing of it, and does what
`data.image_files.read_image` does.
"""

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


def read_picture(file, size, channels=3, deep_range=None):
    """Reads a picture as the training of the model did.

    Upright, transparent parts on white, CMYK as RGB, deep greys as 8 bits, the central
    square.

    Args:
        file: path, or open binary file.
        size: int, pixels of a side.
        channels: 3 for RGB, 1 for grey.
        deep_range: (lowest, highest) value of greys of more than 8 bits, which become
            0 and 255; None for all of 16 bits and, of floats, [0, 1] or [0, 255].

    Returns:
        `(size, size, channels)` uint8.
    """
    mode = "RGB" if channels == 3 else "L"
    Image.init()
    known = [name for name in FORMATS if name in Image.OPEN]
    with Image.open(file, formats=known) as image:
        # Of a large JPEG no more is decoded than will show.
        image.draft(mode, (2 * size, 2 * size))
        image.load()
        try:
            turn = TURNS.get(image.getexif().get(0x0112))
        except Exception:  # the notes are broken, the picture is not
            turn = None
        if image.mode.startswith("I") or image.mode == "F":
            image = Image.fromarray(eight_bits(np.asarray(image), deep_range))
        elif image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or (
            "transparency" in image.info
        ):
            image = image.convert("RGBA")
            white = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(white, image)
        image = image.convert(mode)
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    square = image.resize(
        (size, size),
        Image.Resampling.LANCZOS,
        box=(left, top, left + side, top + side),
        reducing_gap=2,
    )
    if turn is not None:
        square = square.transpose(turn)
    return np.array(square).reshape(size, size, channels)


def eight_bits(values, deep_range=None):
    """Deep greys, `(h, w)`, as uint8."""
    if deep_range is None and values.dtype.kind == "f":
        deep_range = (0, 1) if values.max() <= 1 else (0, 255)
    low, high = deep_range or (0, 65535)
    if not (values.min() >= low and values.max() <= high):
        raise ValueError(
            f"The values of the picture must lie between {low} and {high}. Received: "
            f"{values.min()} to {values.max()}."
        )
    return np.rint((values - low) * np.float64(255 / (high - low))).astype("uint8")
