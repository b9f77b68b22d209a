"""Pictures upright: turned and mirrored as their EXIF data say."""

from PIL import Image

_EXIF_ORIENTATION = 0x0112


def orientation_of(image: Image.Image) -> int:
    """How the EXIF data of an image say that it lies, from 1, upright, to 8."""
    # Read once it is decoded, since what Pillow turns by itself it then calls upright.
    try:
        return image.getexif().get(_EXIF_ORIENTATION, 1)
    except Exception:
        # Broken notes about an image are no reason to do without it.
        return 1


def turned(image: Image.Image, orientation: int) -> Image.Image:
    """An image upright, which lies as `orientation_of` says."""
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
