"""Checks of what views are made with, and of."""

from typing import Any

import keras

from semppl_keras.checks import check_not_negative, check_share, is_number


def is_pair(value: Any) -> bool:
    """Whether a value holds two finite numbers."""
    pair = hasattr(value, "__len__") and len(value) == 2
    return pair and all(is_number(part) for part in value)


def check_up_to(most: float, **values: Any) -> None:
    """Raises a ValueError for a value that is no number from 0 to `most`."""
    check_not_negative(**values)
    for name, value in values.items():
        if value > most:
            raise ValueError(
                f"`{name}` must lie in [0, {most}]. Received: {name}={value!r}."
            )


def check_probability_pairs(**pairs: Any) -> None:
    """Raises a ValueError for what is no pair of probabilities, of the even and of the
    odd views."""
    for name, pair in pairs.items():
        if not is_pair(pair) or not all(0 <= value <= 1 for value in pair):
            raise ValueError(
                f"`{name}` must be two probabilities, of the even and of the odd "
                f"views. Received: {name}={pair}."
            )


def check_bounds(
    least: float, most: float, *, distinct: bool = False, **pairs: Any
) -> None:
    """Raises a ValueError for what is no pair (lowest, highest) within bounds.

    Args:
        least: float, above which both lie.
        most: float, at most which both are.
        distinct: bool, whether they must differ.
        pairs: the pairs by name.
    """
    for name, pair in pairs.items():
        ordered = is_pair(pair) and least < pair[0] <= pair[1] <= most
        if not ordered or (distinct and pair[0] == pair[1]):
            raise ValueError(
                f"`{name}` must be a pair (lowest, highest) above {least} and at "
                f"most {most}. Received: {name}={pair}."
            )


def check_range(name: str, value: Any) -> tuple[float, float]:
    """A share or a range of shares as a range.

    Args:
        name: str, the argument's.
        value: float in [0, 1], or a pair (lowest, highest) of them.

    Raises:
        ValueError: if it is neither.
    """
    bounds = tuple(value) if isinstance(value, list | tuple) else (value, value)
    for bound in bounds:
        check_share(**{name: bound})
    if len(bounds) != 2 or bounds[0] > bounds[1]:
        raise ValueError(
            f"`{name}` must be a share or a pair (lowest, highest) of shares. "
            f"Received: {name}={value!r}."
        )
    return bounds[0], bounds[1]


def check_unit_images(images: Any) -> None:
    """Raises a ValueError for what are no `(B, h, w, C)` floats.

    Whether they lie in [0, 1] is not known while a step is traced, but whole numbers
    are of another range.
    """
    shape = tuple(images.shape)
    if len(shape) != 4 or None in shape[1:]:
        raise ValueError(
            "`images` must have the shape (batch, height, width, channels), all but "
            f"the first known beforehand. Received: images.shape={shape}."
        )
    dtype = keras.backend.standardize_dtype(images.dtype)
    if "float" not in dtype:
        raise ValueError(
            "`images` must be floats in [0, 1]. Received: images.dtype="
            f"{dtype}. Divide them by their highest value first."
        )
