"""Pixels brought from a range of values to [0, 1], and back."""

from typing import Any


def to_unit_range(images: Any, value_range: tuple[float, float]) -> Any:
    """Values within `value_range` as shares of it."""
    low, high = value_range
    return (images - low) / (high - low)


def from_unit_range(images: Any, value_range: tuple[float, float]) -> Any:
    """Shares of `value_range` as values within it."""
    low, high = value_range
    return images if (low, high) == (0, 1) else low + (high - low) * images
