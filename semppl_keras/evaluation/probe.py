"""The linear probe of a training: one for every measure of it."""

import warnings
from typing import Any

import numpy as np

from semppl_keras.evaluation.counting import Progress
from semppl_keras.evaluation.inputs import as_features, known_rows
from semppl_keras.evaluation.linear_probe import linear_probe
from semppl_keras.evaluation.sgd_probe import sgd_linear_probe

# Up to here the exact optimum is found in seconds to a minute.
MOST_ROWS_FOR_EXACT_PROBE = 5000


def fit_probe(
    features: Any,
    labels: Any,
    *,
    standardize: bool = True,
    single_label_c: float = 0.1,
    balance: bool = True,
    seed: int = 0,
    progress: Progress | None = None,
) -> Any:
    """A linear probe, exact where that does not take too long.

    What `semppl train`, `semppl evaluate` and `OnlineEvaluation` call linear accuracy
    is that of this probe: the same of the same features, labels and seed.

    Args:
        features: `(N, F)`, finite.
        labels: `(N,)` integers, at least two classes; rows of -1 are left out, and
            told.
        standardize: Whether to give each feature mean 0 and deviation 1.
        single_label_c: As for `linear_probe`; of no effect on more than 5,000 rows.
        balance: As for `linear_probe`, likewise.
        seed: Of cross-validation, or of held-out rows and batches.
        progress: As for `sgd_linear_probe`; the exact one says nothing.

    Returns:
        What `linear_probe`, or beyond 5,000 rows `sgd_linear_probe`, returns: both have
        `classes_`, `predict`, `predict_proba` and `score`.

    Raises:
        ValueError: As for these.

    Example:
        >>> probe = fit_probe(model.embed(x_labelled), y_labelled)
        >>> probe.score(model.embed(x_test), y_test)
    """
    features = as_features(features, "features")
    # Which of the two it is goes by the rows that are fitted.
    labels, features = known_rows(labels, "labels", features)
    if len(features) > MOST_ROWS_FOR_EXACT_PROBE:
        return sgd_linear_probe(
            features, labels, standardize=standardize, seed=seed, progress=progress
        )
    return linear_probe(
        features,
        labels,
        standardize=standardize,
        single_label_c=single_label_c,
        balance=balance,
        seed=seed,
    )


def refitted(probe: Any, features: Any, labels: Any) -> Any:
    """A probe fitted anew to other rows, with the penalty that was chosen for it.

    Args:
        probe: What `fit_probe` or `unit_probe` returned.
        features: `(N, F)`, finite.
        labels: `(N,)` integers, at least two classes.

    Returns:
        Another of its kind.
    """
    if not hasattr(probe, "steps"):
        return sgd_linear_probe(
            features,
            labels,
            learning_rates=(probe.learning_rate,),
            weight_decays=(probe.weight_decay,),
        )
    from sklearn.base import clone
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    # As where it was fitted first.
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ConvergenceWarning)
        return clone(probe).fit(np.asarray(features, "float64"), np.asarray(labels))
