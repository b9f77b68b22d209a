"""How pictures of any proportions become squares."""

from PIL import Image

from semppl_keras.data.defaults import FITS

# The resizing keeps this many times the pixels per side that are wanted: less would
# show.
SPARE = 2


# The colour of the bars beside an image: what pretrained networks take for nothing, as
# most of them have it subtracted (docs/results/settings.md).
BARS = {"RGB": (127, 127, 127), "L": (127,)}


def check_fit(fit: str) -> None:
    """Raises a ValueError for a fit that is none of `defaults.FITS`."""
    if fit not in FITS:
        raise ValueError(f"`fit` must be one of {', '.join(FITS)}. Received: {fit!r}.")


def resized(
    image: Image.Image,
    size: int,
    fit: str,
    extent: tuple[float, float] | None = None,
) -> Image.Image:
    """The part of an image that its square shows, at the size that it has there.

    Args:
        image: `PIL.Image.Image`, "RGB" or "L".
        size: int, pixels of a side of the square.
        fit: "pad": all of it, its longer side of `size` pixels; "crop": the central
            square; "stretch": all of it, squeezed into a square.
        extent: how wide and high it is in its pixels, of which the last may not be
            whole; None where they are.

    Returns:
        `PIL.Image.Image`; of `size` x `size` pixels but for "pad".
    """
    width, height = extent or image.size
    box: tuple[float, float, float, float] = (0, 0, width, height)
    target = (size, size)
    if fit == "crop":
        side = min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        box = (left, top, left + side, top + side)
    elif fit == "pad":
        scale = size / max(width, height)
        target = (max(1, round(width * scale)), max(1, round(height * scale)))
    return image.resize(target, Image.Resampling.LANCZOS, box=box, reducing_gap=SPARE)


def on_square(image: Image.Image, size: int) -> Image.Image:
    """An image in the middle of a square, beside it bars of a middle grey.

    Args:
        image: `PIL.Image.Image`, "RGB" or "L", no side above `size`.
        size: int, pixels of a side of the square.
    """
    if image.size == (size, size):
        return image
    square = Image.new(image.mode, (size, size), BARS[image.mode])
    square.paste(image, ((size - image.width) // 2, (size - image.height) // 2))
    return square
