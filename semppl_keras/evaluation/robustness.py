"""Errors under corruptions: how robust a classifier is."""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from semppl_keras.evaluation.corruption_names import CORRUPTIONS, SEVERITIES
from semppl_keras.evaluation.corruptions import corrupt, whole_pixels
from semppl_keras.evaluation.counting import Count, Progress
from semppl_keras.evaluation.inputs import (
    as_array,
    as_class_indices,
    as_features,
    known_rows,
)
from semppl_keras.evaluation.metrics import predicted_classes

# Images that are corrupted and shown to the classifiers at once; of 224 pixels they
# take 77 MB.
_AT_ONCE = 512


def corruption_errors(
    predict: Callable[[Any], Any],
    images: Any,
    labels: Any,
    *,
    corruptions: Iterable[str] | None = None,
    severities: Iterable[int] = SEVERITIES,
    seed: int = 0,
    verbose: int = 0,
    progress: Progress | None = None,
) -> dict[str, list[float]]:
    """Measures the error rate of a classifier under each corruption.

    Args:
        predict: Takes n images like `images` to labels `(n,)`, or to scores `(n, C)`
            of which the largest wins; for example `model.predict`. It is called with
            512 of them at most.
        images: `(N, H, W, C)` in [0, 255], as for `corrupt`; `data.StreamedImages`
            are decoded 512 at a time, each once.
        labels: `(N,)` integers; images of label -1 are left out, and told.
        corruptions: Names out of `CORRUPTIONS`. None: all.
        severities: Out of 1 to 5.
        seed: As for `corrupt`.
        verbose: 1 shows a progress bar.
        progress: Function of (what is done: str, how many, of how many).

    Returns:
        A dict from each name to a list of error rates in [0, 1], in the order of
        `severities`.

    Raises:
        ValueError: As for `corrupt`; no images; labels or predictions that do not fit.

    Example:
        >>> errors = corruption_errors(model.predict, x_test, y_test)
        >>> baseline_errors = corruption_errors(baseline.predict, x_test, y_test)
        >>> mean_corruption_error(errors, baseline_errors)
    """
    classifiers = {"": predict}
    return errors_of_classifiers(
        classifiers,
        images,
        labels,
        corruptions=corruptions,
        severities=severities,
        seed=seed,
        verbose=verbose,
        progress=progress,
    )[""]


def errors_of_classifiers(
    classifiers: Mapping[str, Callable[[Any], Any]],
    images: Any,
    labels: Any,
    *,
    corruptions: Iterable[str] | None = None,
    severities: Iterable[int] = SEVERITIES,
    seed: int = 0,
    verbose: int = 0,
    progress: Progress | None = None,
) -> dict[str, dict[str, list[float]]]:
    """`corruption_errors` of several classifiers, which see the same images.

    Args:
        classifiers: By name, each as `predict` of `corruption_errors`.
        images, labels, corruptions, severities, seed, verbose, progress: As that takes
            them.

    Returns:
        By name of a classifier what that returns.

    Raises:
        ValueError: As that.
    """
    if not getattr(images, "read_in_pieces", False):
        # Looked through as a whole: a block of them may be dark.
        images, dtype = whole_pixels(images)
    else:
        dtype = images.dtype
    if not len(images):
        raise ValueError(
            "`images` must hold at least one image to test on. Received: none."
        )
    labels, rows = known_rows(labels, "labels", np.arange(len(images)))
    names = CORRUPTIONS if corruptions is None else tuple(corruptions)
    severities = tuple(severities)
    count = Count(
        "corrupted images to test on",
        len(rows) * len(names) * len(severities),
        progress,
        verbose=verbose,
    )
    wrong = {
        classifier: {name: [0] * len(severities) for name in names}
        for classifier in classifiers
    }
    # Block by block, and not corruption by corruption: each image is decoded once.
    for start in range(0, len(rows), _AT_ONCE):
        block = images[rows[start : start + _AT_ONCE]]
        truth = labels[start : start + _AT_ONCE]
        for name, (place, severity) in itertools.product(names, enumerate(severities)):
            # Once for all classifiers: it can take longer than they do.
            shown = corrupt(block, name, severity, seed, first=start)
            shown = shown.astype(dtype, copy=False)
            for classifier, predict in classifiers.items():
                classes = _classes(predict(shown), truth)
                wrong[classifier][name][place] += int(np.sum(classes != truth))
            count.add(len(truth))
    return {
        classifier: {
            name: [number / len(rows) for number in numbers]
            for name, numbers in by_name.items()
        }
        for classifier, by_name in wrong.items()
    }


def _classes(predicted: Any, labels: np.ndarray) -> np.ndarray:
    """`(n,)` classes of what a classifier gives, of equal scores never the true one."""
    predicted = as_array(predicted)
    if predicted.ndim == 2 and len(predicted) == len(labels):
        scores = as_features(predicted, "predict(images)")
        labels = as_class_indices(labels, "labels", len(labels), scores.shape[1])
        return predicted_classes(scores, labels)
    if predicted.shape != labels.shape:
        raise ValueError(
            "`predict` must return labels (N,) or scores (N, C). Received: shape "
            f"{predicted.shape} for {len(labels)} images."
        )
    return predicted


def mean_corruption_error(
    errors: Mapping[str, Sequence[float]],
    baseline_errors: Mapping[str, Sequence[float]],
) -> float:
    """The mean corruption error (mCE) in percent of a baseline's.

    For each corruption the errors are summed over the severities and divided by
    the baseline's sum; mCE is the mean of these ratios (Hendrycks & Dietterich 2019,
    where the baseline is AlexNet). 100 is as good as the baseline, less
    is better.

    Args:
        errors: As `corruption_errors` returns them.
        baseline_errors: The same of the baseline: the same corruptions, each with
            the same number of severities, some error above 0 in each.

    Returns:
        A float, 0 or more.

    Raises:
        ValueError: Other corruptions or severities, or a baseline without errors.

    Example:
        >>> mean_corruption_error({"fog": [0.1, 0.2]}, {"fog": [0.2, 0.4]})
        50.0
    """
    if not errors or set(errors) != set(baseline_errors):
        raise ValueError(
            "`errors` and `baseline_errors` must hold the same corruptions, at least "
            f"one. Received: {sorted(errors)} and {sorted(baseline_errors)}."
        )
    ratios = []
    for name, values in errors.items():
        baseline = baseline_errors[name]
        if len(values) != len(baseline):
            raise ValueError(
                "`errors` and `baseline_errors` must hold the same severities. "
                f"Received for {name}: {len(values)} and {len(baseline)} values."
            )
        if not sum(baseline) > 0:
            raise ValueError(
                "`baseline_errors` must be above 0 somewhere in each corruption. "
                f"Received for {name}: {list(baseline)}."
            )
        ratios.append(sum(values) / sum(baseline))
    return 100 * float(np.mean(ratios))
