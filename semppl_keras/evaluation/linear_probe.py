"""Logistic regression on frozen features."""

import warnings
from typing import Any

import numpy as np

from semppl_keras.evaluation.inputs import as_features, check_two_classes, known_rows

# Inverse strengths of the L2 penalty, the strongest penalty first.
CANDIDATES = np.logspace(-4, 2, 7)
_MAX_FOLDS = 5


def linear_probe(
    features: Any,
    labels: Any,
    *,
    standardize: bool = True,
    single_label_c: float = 0.1,
    balance: bool = True,
    seed: int = 0,
) -> Any:
    """Fits logistic regression to features, regularised by cross-validation.

    The L2 penalty is the one with the best mean held-out log-likelihood in
    stratified cross-validation on these rows alone (up to five folds, as many as
    the rarest class has rows). Likelihood and not accuracy: with a few labels most
    penalties have the same accuracy. With one row of some class nothing can be held
    out; then the penalty is fixed.

    Args:
        features: `(N, F)`, finite; for example `model.embed(x_labelled)`.
        labels: `(N,)` integers, at least two classes; rows of -1 are left out, and
            told.
        standardize: Whether to give each feature mean 0 and deviation 1 (those of
            the rows given).
        single_label_c: scikit-learn's `C`, the inverse strength of the penalty, for
            the case that some class has one row only. Positive.
        balance: Whether a class with more labels is not taken for likelier for that,
            by logit adjustment (Menon et al. 2021). Of no effect on equally many.
        seed: Shuffles the folds.

    Returns:
        A fitted `sklearn.pipeline.Pipeline` with `predict`, `predict_proba` and
        `score`.

    Raises:
        ValueError: Wrong shapes, values that are not finite, or a single class.

    Example:
        >>> probe = linear_probe(model.embed(x_labelled), y_labelled)
        >>> probe.score(model.embed(x_test), y_test)
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    from semppl_keras.evaluation.probe_pipeline import AdjustedRegression, ProbePipeline

    features = as_features(features, "features").astype("float64")
    labels, features = known_rows(labels, "labels", features)
    if not single_label_c > 0:
        raise ValueError(
            "`single_label_c` must be positive. Received: "
            f"single_label_c={single_label_c}."
        )
    check_two_classes(labels, "labels")
    _, counts = np.unique(labels, return_counts=True)
    regression = AdjustedRegression if balance else LogisticRegression
    probe = ProbePipeline(
        [
            (
                "standardscaler",
                StandardScaler(with_mean=standardize, with_std=standardize),
            ),
            (
                "logisticregression",
                regression(C=single_label_c, max_iter=1000),
            ),
        ]
    )
    # Hundreds of fits to a few rows: threads cost ten times what they save.
    with warnings.catch_warnings(), threadpool_limits(1):
        # Separable features under the weakest penalties have their optimum far away;
        # a thousand steps towards it are a fair candidate all the same.
        warnings.simplefilter("ignore", ConvergenceWarning)
        # Two labels each of many classes are few, and classes all the same.
        warnings.filterwarnings("ignore", "The number of unique classes is greater")
        if counts.min() < 2:
            return probe.fit(features, labels)
        search = GridSearchCV(
            probe,
            {"logisticregression__C": CANDIDATES},
            scoring="neg_log_loss",
            cv=StratifiedKFold(
                n_splits=min(_MAX_FOLDS, int(counts.min())),
                shuffle=True,
                random_state=seed,
            ),
            error_score="raise",
        )
        return search.fit(features, labels).best_estimator_
