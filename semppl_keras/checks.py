"""Checks of the arguments that several models take; the standard library alone."""

import collections.abc
import math
import numbers
from typing import Any


def check_integers(least: int, **values: Any) -> None:
    """Raises a ValueError for a value that is no integer of at least `least`."""
    for name, value in values.items():
        if not _is_integer(value) or value < least:
            raise ValueError(
                f"`{name}` must be an integer of at least {least}. Received: "
                f"{name}={value!r}."
            )


def check_finite(**values: Any) -> None:
    """Raises a ValueError for a value that is no finite number."""
    for name, value in values.items():
        if not is_number(value):
            raise ValueError(
                f"`{name}` must be a finite number. Received: {name}={value!r}."
            )


def check_not_negative(**values: Any) -> None:
    """Raises a ValueError for a value that is no finite number, or a negative one."""
    for name, value in values.items():
        if not is_number(value) or not value >= 0:
            raise ValueError(
                f"`{name}` must be a finite number that is not negative. Received: "
                f"{name}={value!r}."
            )


def check_positive(**values: Any) -> None:
    """Raises a ValueError for a value that is no finite number above 0."""
    for name, value in values.items():
        if not is_number(value) or not value > 0:
            raise ValueError(
                f"`{name}` must be positive and finite. Received: {name}={value!r}."
            )


def check_share(**values: Any) -> None:
    """Raises a ValueError for a value that is no number in [0, 1]."""
    for name, value in values.items():
        if not is_number(value) or not 0 <= value <= 1:
            raise ValueError(
                f"`{name}` must lie in [0, 1]. Received: {name}={value!r}."
            )


def check_below_one(**values: Any) -> None:
    """Raises a ValueError for a value that is no number in [0, 1)."""
    for name, value in values.items():
        if not is_number(value) or not 0 <= value < 1:
            raise ValueError(
                f"`{name}` must be at least 0 and below 1. Received: {name}={value!r}."
            )


def check_seed(seed: Any) -> None:
    """Raises a ValueError for what is neither None nor an integer of at least 0."""
    if seed is not None and not (_is_integer(seed) and seed >= 0):
        raise ValueError(
            f"`seed` must be None or an integer of at least 0. Received: seed={seed!r}."
        )


def is_number(value: Any) -> bool:
    """Whether it is a finite number, which an array of rank 0 is, too."""
    if getattr(value, "shape", None) == ():
        if not hasattr(value, "item") and hasattr(value, "numpy"):
            value = value.numpy()  # TensorFlow's have no `item`.
        if hasattr(value, "item"):
            value = value.item()
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return number and bool(-math.inf < value < math.inf)


def check_batch_has_negatives(
    batch_size: int, labelled_batch_size: int, num_negatives: int
) -> None:
    """Raises a ValueError for a batch without `num_negatives` other images."""
    total = batch_size + labelled_batch_size
    if total < num_negatives + 1:
        raise ValueError(
            f"`batch_size` is too small: with num_negatives={num_negatives} a step "
            f"needs at least {num_negatives + 1} images. Received: batch_size="
            f"{batch_size} and labelled_batch_size={labelled_batch_size}, together "
            f"{total}. Give larger batches, or, of few images, a smaller "
            "`num_negatives`."
        )


def check_two_views(views: Any) -> None:
    """Raises a ValueError for a `MultiCrop` of a single view."""
    count = views.num_large + views.num_small
    if count < 2:
        raise ValueError(
            "`views` must make at least two views of an image, to be compared with "
            f"each other. Received: num_large={views.num_large}, num_small="
            f"{views.num_small}."
        )


def listed(names: collections.abc.Sequence[str], most: int = 3) -> str:
    """Some of many names, for a message: "'a', 'b', 'c' and 4 more".

    Args:
        names: sequence of str.
        most: int, so many are named.
    """
    shown = ", ".join(repr(name) for name in names[:most])
    return shown + (f" and {len(names) - most:,} more" if len(names) > most else "")


def _is_integer(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)
