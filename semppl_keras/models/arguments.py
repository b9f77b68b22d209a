"""Checks of the arguments that several models take."""

import numpy as np


def check_integers(least, **values):
    """Raises a ValueError for a value that is no integer of at least `least`."""
    for name, value in values.items():
        if not isinstance(value, (int, np.integer)) or value < least:
            raise ValueError(
                f"`{name}` must be an integer of at least {least}. Received: "
                f"{name}={value}."
            )


def check_not_negative(**values):
    """Raises a ValueError for a value that is no number, or a negative one."""
    for name, value in values.items():
        if not _is_number(value) or not value >= 0:
            raise ValueError(
                f"`{name}` must be a number that is not negative. Received: "
                f"{name}={value!r}."
            )


def check_positive(**values):
    """Raises a ValueError for a value that is no number above 0."""
    for name, value in values.items():
        if not _is_number(value) or not value > 0:
            raise ValueError(f"`{name}` must be positive. Received: {name}={value!r}.")


def check_share(**values):
    """Raises a ValueError for a value that is no number in [0, 1]."""
    for name, value in values.items():
        if not _is_number(value) or not 0 <= value <= 1:
            raise ValueError(
                f"`{name}` must lie in [0, 1]. Received: {name}={value!r}."
            )


def check_seed(seed):
    """Raises a ValueError for what is neither None nor an integer of at least 0."""
    if seed is not None and not (isinstance(seed, (int, np.integer)) and seed >= 0):
        raise ValueError(
            f"`seed` must be None or an integer of at least 0. Received: seed={seed!r}."
        )


def check_batch_has_negatives(batch_size, labelled_batch_size, num_negatives):
    """Raises a ValueError for a batch without `num_negatives` other images."""
    total = batch_size + labelled_batch_size
    if total < num_negatives + 1:
        raise ValueError(
            f"`batch_size` is too small: with num_negatives={num_negatives} a step "
            f"needs at least {num_negatives + 1} images. Received: batch_size="
            f"{batch_size} and labelled_batch_size={labelled_batch_size}, together "
            f"{total}."
        )


def check_two_views(views):
    """Raises a ValueError for a `MultiCrop` of a single view."""
    count = views.num_large + views.num_small
    if count < 2:
        raise ValueError(
            "`views` must make at least two views of an image, to be compared with "
            f"each other. Received: num_large={views.num_large}, num_small="
            f"{views.num_small}."
        )


def _is_number(value):
    return isinstance(value, (int, float, np.number))
