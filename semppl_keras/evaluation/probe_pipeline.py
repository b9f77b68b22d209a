"""The pipeline that `linear_probe` fits; scikit-learn is imported with it."""

from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from semppl_keras.evaluation.inputs import known_rows


class ProbePipeline(Pipeline):
    """A scikit-learn pipeline that measures itself as all evaluators do."""

    def score(self, X: Any, y: Any) -> float:
        """Share of the features `(N, F)` whose labels `(N,)` are predicted.

        Rows of label -1 are left out, and told.
        """
        labels, predicted = known_rows(y, "labels", self.predict(X))
        return float(np.mean(predicted == labels))
