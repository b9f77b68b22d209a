"""What becomes of an image's tones: operations on its levels, one draw per image.

As Pillow's `ImageOps` has them for images of 8 bits, of which floats in [0, 1] are
taken for the nearest level where levels count.
"""

from typing import Any

from keras import ops

_LEVELS = 256


def levels(images: Any) -> Any:
    """The nearest of 256 levels, whole float32 in [0, 255], of values in [0, 1]."""
    return ops.round(ops.clip(images, 0.0, 1.0) * 255.0)


def posterize(images: Any, dropped: Any) -> Any:
    """Keeps the highest bits of the 8 of each value.

    Args:
        images: `(..., C, h, w)` in [0, 1].
        dropped: `(...)` whole floats in [0, 8], how many of the lowest bits are
            dropped; 0 leaves the values as they are.

    Returns:
        `(..., C, h, w)`.
    """
    bits = ops.cast(dropped, "int32")[..., None, None, None]
    kept = ops.right_shift(ops.cast(levels(images), "int32"), bits)
    kept = ops.cast(ops.left_shift(kept, bits), "float32") / 255.0
    return ops.where(bits > 0, kept, images)


def add_below(images: Any, added: Any, threshold: float = 0.5) -> Any:
    """Adds to the values below a threshold: SolarizeAdd.

    Args:
        images: `(..., C, h, w)` in [0, 1].
        added: `(...)`, 0 for none.
        threshold: float in [0, 1].

    Returns:
        `(..., C, h, w)`; not clipped.
    """
    added = added[..., None, None, None]
    return ops.where(images < threshold, images + added, images)


def stretch(images: Any) -> tuple[Any, Any]:
    """The map `x -> scale * x + offset` that gives each channel all of its range.

    Pillow's `autocontrast`: the lowest value becomes 0, the highest 1; a channel of
    one level stays as it is.

    Args:
        images: `(..., C, h, w)` in [0, 1].

    Returns:
        scale and offset, each `(..., C)`.
    """
    low, high = ops.min(images, axis=(-2, -1)), ops.max(images, axis=(-2, -1))
    # Less than half a level is rounding.
    several = high - low > 0.5 / 255.0
    scale = 1.0 / ops.where(several, high - low, 1.0)
    return scale, ops.where(several, -low * scale, 0.0)


def equalize(images: Any) -> Any:
    """Gives each channel a flat histogram, as Pillow's `equalize` does.

    One histogram for each channel of each image, counted in one pass, and one table
    from levels to levels.

    Args:
        images: `(..., C, h, w)` in [0, 1].

    Returns:
        `(..., C, h, w)`, of 256 levels. A channel of one level keeps it.
    """
    shape = ops.shape(images)
    pixels = shape[-2] * shape[-1]
    values = ops.cast(levels(ops.reshape(images, (-1, pixels))), "int32")
    channels = ops.shape(values)[0]
    place = values + ops.arange(channels, dtype="int32")[:, None] * _LEVELS
    counts = ops.segment_sum(
        ops.ones_like(ops.reshape(place, (-1,))),
        ops.reshape(place, (-1,)),
        num_segments=channels * _LEVELS,
    )
    counts = ops.reshape(counts, (-1, _LEVELS))
    highest = ops.max(values, axis=-1, keepdims=True)
    of_highest = ops.sum(ops.cast(values == highest, "int32"), axis=-1, keepdims=True)
    step = (pixels - of_highest) // 255
    below = ops.cumsum(counts, axis=-1) - counts
    whole = ops.maximum(step, 1)
    table = ops.minimum((below + step // 2) // whole, _LEVELS - 1)
    table = ops.where(step > 0, table, ops.arange(_LEVELS, dtype="int32"))
    table = ops.cast(table, "float32") / 255.0
    return ops.reshape(ops.take(ops.reshape(table, (-1,)), place), shape)
