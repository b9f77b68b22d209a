"""A support vector machine, which asks for nothing but a few rows of numbers."""

from typing import Any

import numpy as np

from semppl_keras.evaluation.inputs import as_features, check_two_classes, known_rows

# The penalties that are tried, and what is taken where nothing can be held out.
_CANDIDATES, _USUAL_C = (1.0, 10.0, 100.0), 10.0
_MAX_FOLDS = 3
# Megabytes of the kernel that scikit-learn keeps.
_CACHE = 1000


def fit_svm(features: Any, labels: Any, *, seed: int = 0) -> Any:
    """Fits a support vector machine with a Gaussian kernel.

    Its `C` is the one of 1, 10 and 100 with the best accuracy in stratified
    cross-validation on these rows alone (up to three folds); 10 where some class has
    one row only. The kernel's width is scikit-learn's, by the variance of the features.

    Args:
        features: `(N, F)`, finite and of one scale, such as `as_pixels` gives.
        labels: `(N,)` integers, at least two classes; rows of -1 are left out, and
            told.
        seed: Shuffles the folds.

    Returns:
        A fitted `sklearn.svm.SVC`.

    Raises:
        ValueError: Wrong shapes, values that are not finite, or a single class.

    Example:
        >>> svm = fit_svm(as_pixels(x_labelled), y_labelled)
        >>> svm.score(as_pixels(x_test), y_test)
    """
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.svm import SVC

    features = as_features(features, "features")
    labels, features = known_rows(labels, "labels", features)
    check_two_classes(labels, "labels")
    _, counts = np.unique(labels, return_counts=True)
    svm = SVC(C=_USUAL_C, cache_size=_CACHE)
    if counts.min() < 2:
        return svm.fit(features, labels)
    folds = min(_MAX_FOLDS, int(counts.min()))
    search = GridSearchCV(
        svm,
        {"C": _CANDIDATES},
        cv=StratifiedKFold(folds, shuffle=True, random_state=seed),
    )
    return search.fit(features, labels).best_estimator_
