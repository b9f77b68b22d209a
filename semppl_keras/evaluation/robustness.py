"""Errors under corruptions: how robust a classifier is."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from semppl_keras.evaluation.corruption_names import CORRUPTIONS, SEVERITIES
from semppl_keras.evaluation.corruptions import corrupt
from semppl_keras.evaluation.counting import Count, Progress
from semppl_keras.evaluation.inputs import as_array, known_rows
from semppl_keras.evaluation.metrics import predicted_classes


def corruption_errors(
    predict: Callable[[Any], Any],
    images: Any,
    labels: Any,
    *,
    corruptions: Iterable[str] | None = None,
    severities: Sequence[int] = SEVERITIES,
    seed: int = 0,
    verbose: int = 0,
    progress: Progress | None = None,
) -> dict[str, list[float]]:
    """Measures the error rate of a classifier under each corruption.

    Args:
        predict: Takes images like `images` to labels `(N,)`, or to scores `(N, C)`
            of which the largest wins; for example `model.predict`.
        images: `(N, H, W, C)` in [0, 255], as for `corrupt`.
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
        ValueError: As for `corrupt`; labels or predictions that do not fit.

    Example:
        >>> errors = corruption_errors(model.predict, x_test, y_test)
        >>> baseline_errors = corruption_errors(baseline.predict, x_test, y_test)
        >>> mean_corruption_error(errors, baseline_errors)
    """
    images = as_array(images)
    labels, images = known_rows(labels, "labels", images)
    names = CORRUPTIONS if corruptions is None else tuple(corruptions)
    count = Count(
        "corruptions of the test images",
        len(names) * len(severities),
        progress,
        verbose=verbose,
    )
    errors: dict[str, list[float]] = {name: [] for name in names}
    for name in names:
        for severity in severities:
            predicted = as_array(predict(corrupt(images, name, severity, seed)))
            if predicted.ndim == 2 and len(predicted) == len(labels):
                predicted = predicted_classes(predicted, labels)
            if predicted.shape != labels.shape:
                raise ValueError(
                    "`predict` must return labels (N,) or scores (N, C). Received: "
                    f"shape {predicted.shape} for {len(labels)} images."
                )
            errors[name].append(float(np.mean(predicted != labels)))
            count.add()
    return errors


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
