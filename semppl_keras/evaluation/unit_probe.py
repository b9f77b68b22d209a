"""Logistic regression on the directions of features."""

import warnings
from typing import Any

import numpy as np

from semppl_keras.backbones.directions import EvenDirections
from semppl_keras.evaluation.inputs import as_features, check_two_classes, known_rows

# Inverse strengths of the L2 penalty, the strongest penalty first.
_CANDIDATES = (10.0, 100.0, 1000.0, 10_000.0)
# What is taken where nothing can be held out.
USUAL_C = 10.0
_MAX_FOLDS = 5
# Rows x features x classes, beyond which one fold has to do.
_LARGE = 10**8


def unit_probe(
    features: Any,
    labels: Any,
    *,
    c: float | None = None,
    sample_weight: Any = None,
    balance: bool = True,
    directions: EvenDirections | None = None,
    seed: int = 0,
) -> Any:
    """Fits logistic regression to features brought to length 1.

    As cosine similarity does, it leaves out how long a feature vector is, which in
    networks trained on other images tells more of contrast than of content.

    Args:
        features: `(N, F)`, finite.
        labels: `(N,)` integers, at least two classes; rows of -1 are left out, and
            told.
        c: scikit-learn's `C`, the inverse strength of the L2 penalty, positive. None:
            of 10, 100, 1,000 and 10,000 that with the best mean held-out
            log-likelihood in stratified cross-validation on these rows alone, of up to
            five folds (one, where that would take minutes); 10 where some class has a
            single row.
        sample_weight: `(N,)` not negative, how much each row counts; with `c` alone.
        balance: As for `linear_probe`, by the sums of the weights.
        directions: `backbones.directions.EvenDirections` that features are looked at
            in, such as those of a `NeighbourGraph`; None for what they are.
        seed: Shuffles the folds.

    Returns:
        A fitted `sklearn.pipeline.Pipeline` with `predict`, `predict_proba` and
        `score`.

    Raises:
        ValueError: Wrong shapes, values that are not finite, or a single class.

    Example:
        >>> probe = unit_probe(embedder.predict(x_labelled), y_labelled)
        >>> probe.score(embedder.predict(x_test), y_test)
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.preprocessing import Normalizer
    from threadpoolctl import threadpool_limits

    from semppl_keras.evaluation.probe_pipeline import (
        AdjustedRegression,
        OnDirections,
        ProbePipeline,
    )

    # In float64 a weak penalty finds its optimum; many rows are left in float32.
    features = as_features(features, "features")
    if c is None and sample_weight is not None:
        raise ValueError("`sample_weight` must come with `c`. Received: c=None.")
    if c is not None and not c > 0:
        raise ValueError(f"`c` must be positive. Received: c={c}.")
    if sample_weight is None:
        sample_weight = np.ones(len(features))
    labels, features, sample_weight = known_rows(
        labels, "labels", features, np.asarray(sample_weight)
    )
    check_two_classes(labels, "labels")
    classes, counts = np.unique(labels, return_counts=True)
    regression = AdjustedRegression if balance else LogisticRegression
    looked_at = [] if directions is None else [("directions", OnDirections(directions))]
    probe = ProbePipeline(
        [
            *looked_at,
            ("normalizer", Normalizer()),
            ("logisticregression", regression(C=c or USUAL_C, max_iter=300)),
        ]
    )
    large = len(features) * features.shape[1] * len(classes) > _LARGE
    with warnings.catch_warnings(), threadpool_limits(None if large else 1):
        # Separable features under a weak penalty have their optimum far away; some
        # hundred steps towards it are a fair candidate all the same.
        warnings.simplefilter("ignore", ConvergenceWarning)
        # Two labels each of many classes are few, and classes all the same.
        warnings.filterwarnings("ignore", "The number of unique classes is greater")
        if c is not None or counts.min() < 2:
            weights = {"logisticregression__sample_weight": sample_weight}
            return probe.fit(features, labels, **weights)
        search = GridSearchCV(
            probe,
            {"logisticregression__C": _CANDIDATES},
            scoring="neg_log_loss",
            cv=_folds(features, labels, min(_MAX_FOLDS, counts.min()), large, seed),
            error_score="raise",
        )
        return search.fit(features, labels).best_estimator_


def penalty_of(probe: Any) -> float:
    """The `C` of a probe, its inverse strength."""
    return float(probe.named_steps["logisticregression"].C)


def _folds(
    features: np.ndarray, labels: np.ndarray, number: int, large: bool, seed: int
) -> list[Any]:
    from sklearn.model_selection import StratifiedKFold

    folds = StratifiedKFold(n_splits=int(number), shuffle=True, random_state=seed)
    splits = list(folds.split(features, labels))
    return splits[:1] if large else splits
