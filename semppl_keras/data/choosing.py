"""Which images of a data set count as labelled."""

import numpy as np

from semppl_keras.data.image_arrays import UNKNOWN, as_labels, check_label_range


class TooFewLabels(ValueError):
    """A class has fewer known labels than were asked for."""


def choose_labelled(
    y_train: np.ndarray,
    labels_per_class: int | str | None,
    num_classes: int,
    seed: int = 0,
) -> np.ndarray:
    """Draws the same number, or the same share, of labelled images from each class.

    Args:
        y_train: `(N,)` integers, -1 where the label is unknown.
        labels_per_class: At least 1; a share such as `"1%"` of the known labels of
            each class, at least one image; or None for every image whose label is
            known.
        num_classes: The classes are `0 .. num_classes - 1`.
        seed: Integer. With one seed, n labels per class are a subset of n + 1.

    Returns:
        Sorted int64 indices, for a number `(labels_per_class * num_classes,)`.

    Raises:
        TooFewLabels: A class has fewer known labels than asked for.
        ValueError: The number, or the share, is none.

    Example:
        >>> choose_labelled(np.array([0, 1, 0, 1, -1]), 2, num_classes=2)
        array([0, 1, 2, 3])
    """
    y_train = as_labels(y_train, "y_train")
    check_label_range(y_train, num_classes, "y_train", unknown=True)
    counts = np.bincount(y_train[y_train != UNKNOWN], minlength=num_classes)
    share = None
    if isinstance(labels_per_class, str):
        share = _share_of(labels_per_class)
    needed = 1 if labels_per_class is None or share else labels_per_class
    if isinstance(needed, bool) or not isinstance(needed, int | np.integer):
        raise ValueError(
            "`labels_per_class` must be an integer, or None for every known label. "
            f"Received: labels_per_class={labels_per_class!r}."
        )
    if needed < 1:
        raise ValueError(
            f"`labels_per_class` must be at least 1. Received: "
            f"labels_per_class={labels_per_class}."
        )
    short = np.flatnonzero(counts < needed)
    if len(short):
        if counts.min() > 0:
            advice = f"Ask for at most {counts.min()} label(s) per class."
        else:
            advice = "Number the classes 0, 1, 2, ... without gaps."
        raise TooFewLabels(
            f"Every class must have at least {needed} training image(s) with a known "
            f"label. Received: {counts[short[0]]} for class {short[0]} "
            f"({len(short)} of {num_classes} classes have too few). {advice}"
        )
    if labels_per_class is None:
        return np.flatnonzero(y_train != UNKNOWN)
    generator = np.random.default_rng(seed)
    chosen = []
    for label in range(num_classes):
        known = generator.permutation(np.flatnonzero(y_train == label))
        wanted = max(1, round(share * len(known))) if share else labels_per_class
        chosen.append(known[:wanted])
    return np.sort(np.concatenate(chosen))


def _share_of(text: str) -> float:
    try:
        share = float(text.removesuffix("%")) / 100 if text.endswith("%") else 0
    except ValueError:
        share = 0
    if not 0 < share <= 1:
        raise ValueError(
            "`labels_per_class` must be an integer, None for every known label, or a "
            "share above 0% and at most 100% such as '10%'. Received: "
            f"labels_per_class={text!r}."
        )
    return share
