"""What the values of deep images, more than 8 bits a channel, stand for.

A file says how many bits hold a value, and not how many of them the camera uses: 12-bit
greys in 16-bit files use a sixteenth of the range. So the range is that of a set of
images, and the same for each of them: scaled one by one, what is dark and what is
bright would look alike.
"""

import math
from typing import Any, NamedTuple

import numpy as np

# The largest values of 8, 10, 12, 14 and 16 bits, the depths that cameras, microscopes
# and scanners have.
_INTEGER_SCALES = (255, 1023, 4095, 16383, 65535)
_FLOAT_SCALES = (1.0, 255.0)

WHOLE_16_BITS = (0, _INTEGER_SCALES[-1])


class ValueRanges(NamedTuple):
    """What becomes 0 and 255 of the deep images of a set; those of 8 bits stay.

    Args:
        integers: (low, high), of images that hold integers; None where the set has
            none: then each takes 0 to 65,535.
        floats: the same of those that hold floats; None where the set has none: then
            each takes [0, 1] or [0, 255], whichever it lies in.
    """

    integers: tuple | None = None
    floats: tuple | None = None


def as_ranges(value: Any) -> ValueRanges:
    """What an option, or what was kept of one, says of ranges.

    Args:
        value: (low, high), for integers and floats alike; `ValueRanges`; or a dict of
            its fields.

    Returns:
        `ValueRanges`.

    Raises:
        ValueError: if it is none of them, or a range is empty.
    """
    expected = "`value_range` must be two finite numbers, the lower first"
    if isinstance(value, dict) and set(value) == set(ValueRanges._fields):
        value = ValueRanges(**value)
    if isinstance(value, ValueRanges):
        return ValueRanges(*(pair and _as_pair(pair, expected) for pair in value))
    pair = _as_pair(value, expected)
    return ValueRanges(pair, pair)


def _as_pair(pair: Any, expected: str) -> tuple[float, float]:
    is_pair = isinstance(pair, list | tuple | np.ndarray) and len(pair) == 2
    if not is_pair or not all(
        isinstance(one, int | float | np.number) and not isinstance(one, bool)
        for one in pair
    ):
        raise ValueError(f"{expected}. Received: {str(pair)[:80]}.")
    try:
        low, high = (float(one) for one in pair)
    except OverflowError:
        # JSON has integers that are larger than any float.
        low = high = math.inf
    # So is the distance, of numbers that are large enough.
    if not (low < high and math.isfinite(high - low)):
        raise ValueError(f"{expected}. Received: {str(list(pair))[:80]}.")
    low, high = (int(one) if one.is_integer() else one for one in (low, high))
    return low, high


def brought_to_eight_bits(ranges: ValueRanges) -> list[str]:
    """How someone brings deep images to what a network was trained on.

    Args:
        ranges: `ValueRanges`.

    Returns:
        List of str, one for each kind of which there is a range.
    """
    return [
        f"of images that hold {kind} of more than 8 bits it was trained on "
        f"round(255 * (value - {pair[0]:.6g}) / {pair[1] - pair[0]:.6g}), clipped to "
        "[0, 255]."
        for kind, pair in ranges._asdict().items()
        if pair is not None
    ]


def kind_of(values: np.ndarray) -> str:
    """Whether an array holds "integers" or "floats", as `ValueRanges` calls them."""
    return "integers" if values.dtype.kind in "ui" else "floats"


def range_of(kind: str, low: float, high: float) -> tuple[float, float]:
    """The range of a set in which the least and the greatest value are known.

    Args:
        kind: "integers" or "floats".
        low, high: numbers.

    Returns:
        (low, high): from 0 to the smallest of the usual scales that holds both; where
        none does, the two themselves.
    """
    scales = _INTEGER_SCALES if kind == "integers" else _FLOAT_SCALES
    if low >= 0:
        for scale in scales:
            if high <= scale:
                return 0, scale
    return (low, high) if low < high else (low, low + 1)


def to_eight_bits(
    values: np.ndarray, ranges: ValueRanges | None = None
) -> tuple[np.ndarray, bool]:
    """Values of an image as numbers from 0 to 255.

    Args:
        values: array of integers or floats.
        ranges: `ValueRanges` of the set that it is of; None for an image by itself.

    Returns:
        uint8 array of the same shape, and whether values lay beyond the range, which
        count as its ends.

    Raises:
        ValueError: if there are values that are no numbers, or of no known range.
    """
    low, high = values.min(), values.max()
    kind = kind_of(values)
    found = None if ranges is None else getattr(ranges, kind)
    if found is None:
        found = WHOLE_16_BITS if kind == "integers" else (0, 1 if high <= 1 else 255)
        known = found[0] <= low and high <= found[1]  # NaN is not
    else:
        known = np.isfinite(low) and np.isfinite(high)
    if not known:
        raise ValueError(f"its values, from {low:g} to {high:g}, are of no known range")
    beyond = bool(low < found[0] or high > found[1])
    scale = 255 / (np.float64(found[1]) - found[0])
    values = (values.astype("float64") - found[0]) * scale
    return np.rint(values.clip(0, 255)).astype("uint8"), beyond
