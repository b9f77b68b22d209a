"""The pipeline that `linear_probe` fits; scikit-learn is imported with it."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from semppl_keras.backbones.directions import EvenDirections
from semppl_keras.evaluation.inputs import known_rows


class ProbePipeline(Pipeline):
    """A scikit-learn pipeline that measures itself as all evaluators do."""

    def score(self, X: Any, y: Any) -> float:
        """Share of the features `(N, F)` whose labels `(N,)` are predicted.

        Rows of label -1 are left out, and told.
        """
        labels, predicted = known_rows(y, "labels", self.predict(X))
        return float(np.mean(predicted == labels))


class OnDirections(TransformerMixin, BaseEstimator):
    """A step that gives what features are in some directions, found beforehand.

    Args:
        directions: `EvenDirections`.
    """

    def __init__(self, directions: EvenDirections) -> None:
        self.directions = directions

    def fit(self, X: Any, y: Any = None) -> "OnDirections":
        """Nothing is fitted."""
        return self

    def transform(self, X: Any) -> np.ndarray:
        """`(N, K)` of features `(N, F)`."""
        return self.directions.of(np.asarray(X))

    def __sklearn_is_fitted__(self) -> bool:
        return True


class AdjustedRegression(LogisticRegression):
    """Logistic regression that takes no class for likelier than another beforehand.

    Of a class with many labels the regression learns that it comes often, which is true
    of the labels and mostly not of the images. Its logits are adjusted by what it has
    learned so (Menon et al. 2021):

        z_c - log(n_c / mean of n)

    with n_c the labels of class c, or the sum of their weights. Of equally many labels
    of each class it is logistic regression.
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "AdjustedRegression":
        """Fits features `(N, F)` to labels `(N,)`, each weighing `sample_weight`."""
        super().fit(X, y, sample_weight=sample_weight)
        places = np.searchsorted(self.classes_, np.asarray(y))
        counts = np.bincount(places, sample_weight, minlength=len(self.classes_))
        # A class whose labels weigh nothing is left as it is.
        present = counts > 0
        counts = np.where(present, counts, counts[present].mean())
        shift = np.log(counts / counts.mean())
        # Of two classes it is the logit of the second against the first.
        self.intercept_ -= shift[1:] - shift[:1] if len(shift) == 2 else shift
        return self
