"""Which values of deep images become black and white."""

import numpy as np
import pytest

from semppl_keras.data.images.value_ranges import (
    ValueRanges,
    as_ranges,
    range_of,
    to_eight_bits,
)

pytestmark = pytest.mark.any_backend


@pytest.mark.parametrize(
    ("kind", "low", "high", "expected"),
    [
        ("integers", 7, 230, (0, 255)),
        ("integers", 0, 256, (0, 1023)),
        ("integers", 112, 3699, (0, 4095)),
        ("integers", 0, 16383, (0, 16383)),
        ("integers", 0, 16384, (0, 65535)),
        ("integers", -1000, 3000, (-1000, 3000)),
        ("integers", 0, 70000, (0, 70000)),
        ("integers", 70000, 70000, (70000, 70001)),
        ("floats", 0.0, 0.2, (0, 1)),
        ("floats", 0.0, 1.5, (0, 255)),
        ("floats", -1.0, 1.0, (-1, 1)),
        ("floats", 0.0, 3e4, (0, 3e4)),
    ],
)
def test_the_range_of_a_set(kind, low, high, expected):
    assert range_of(kind, low, high) == expected


def test_values_become_eight_bits():
    values = np.array([0, 2048, 4095, 5000], "uint16")
    pixels, beyond = to_eight_bits(values, ValueRanges((0, 4095)))
    assert pixels.tolist() == [0, 128, 255, 255]
    assert pixels.dtype == "uint8"
    assert beyond
    assert not to_eight_bits(values[:3], ValueRanges((0, 4095)))[1]
    # What the set has none of is taken by itself.
    assert to_eight_bits(values, ValueRanges(None, (0, 1)))[0].tolist() == [
        0,
        8,
        16,
        19,
    ]
    signed = np.array([-1000, 0, 1000], "int32")
    assert to_eight_bits(signed, ValueRanges((-1000, 1000)))[0].tolist() == [
        0,
        128,
        255,
    ]


def test_what_says_a_range():
    assert as_ranges((0, 4095)) == as_ranges([0.0, 4095.0]) == ((0, 4095), (0, 4095))
    ranges = ValueRanges((0, 4095), (-0.5, 1))
    assert as_ranges(ranges) == as_ranges(ranges._asdict()) == ranges
    assert as_ranges(ValueRanges()) == (None, None)


@pytest.mark.parametrize(
    "value",
    [
        (0,),
        (1, 1),
        (5, 2),
        (0, float("nan")),
        (0, float("inf")),
        (0, 10**400),
        (-1.5e308, 1.5e308),
        ("0", "1"),
        (True, 5),
        "12 bit",
        4095,
        {"integers": (0, 1)},
        {"integers": {"a": 1}, "floats": None},
    ],
)
def test_what_says_none(value):
    with pytest.raises(ValueError, match="two finite numbers, the lower first"):
        as_ranges(value)
