"""Kernel ridge regression on the directions of features."""

import dataclasses
import functools

import numpy as np

from semppl_keras.evaluation.knn import unit_rows

# What a score is at least, as a share: no class is ruled out.
FLOOR = 1e-3
_ROWS_AT_ONCE = 2000


@dataclasses.dataclass(frozen=True, eq=False)
class KernelRidge:
    """Kernel ridge regression of fixed rows, for labels of several kinds.

    The kernel of two rows is exp(-width |u - v|^2), u and v being the rows at length 1.
    Its matrix is factorised once, whatever the rows are taken for.

    Args:
        rows: `(N, F)`, finite.
        width: Positive.
        penalty: Positive, what is added to the kernel's diagonal.
    """

    rows: np.ndarray
    width: float = 1.0
    penalty: float = 0.1

    @functools.cached_property
    def _factor(self) -> tuple[np.ndarray, bool]:
        from scipy.linalg import cho_factor

        kernel = kernel_of(self.units, self.units, self.width).astype("float64")
        kernel[np.diag_indices(len(kernel))] += self.penalty
        return cho_factor(kernel, overwrite_a=True, check_finite=False)

    @functools.cached_property
    def units(self) -> np.ndarray:
        """`(N, F)` float32, the rows at length 1."""
        return unit_rows(self.rows)

    def fit(self, targets: np.ndarray) -> "KernelProbe":
        """A classifier.

        Args:
            targets: `(N, C)`, the share of each class in what a row shows.

        Returns:
            `KernelProbe`.
        """
        from scipy.linalg import cho_solve

        mean = targets.mean(axis=0)
        coefficients = cho_solve(self._factor, targets - mean, check_finite=False)
        return KernelProbe(self.units, coefficients.astype("float32"), mean, self.width)


@dataclasses.dataclass(frozen=True, eq=False)
class KernelProbe:
    """A fitted kernel ridge regression, with the methods of scikit-learn's classifiers.

    Args:
        units: `(N, F)` float32 of length 1.
        coefficients: `(N, C)`.
        bias: `(C,)`.
        width: Of the kernel.
    """

    units: np.ndarray
    coefficients: np.ndarray
    bias: np.ndarray
    width: float

    @property
    def classes_(self) -> np.ndarray:
        """All classes, `(C,)`."""
        return np.arange(len(self.bias))

    def predict_proba(self, features: np.ndarray) -> np.ndarray:
        """`(M, C)`: the scores, those below `FLOOR` raised to it, with sum 1."""
        queries = unit_rows(features)
        scores = np.concatenate(
            [
                kernel_of(
                    queries[start : start + _ROWS_AT_ONCE], self.units, self.width
                )
                @ self.coefficients
                for start in range(0, max(1, len(queries)), _ROWS_AT_ONCE)
            ]
        )
        scores = np.maximum(scores + self.bias, FLOOR)
        return scores / scores.sum(axis=1, keepdims=True)

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Classes `(M,)`."""
        return self.predict_proba(features).argmax(axis=1)


def kernel_of(queries: np.ndarray, units: np.ndarray, width: float) -> np.ndarray:
    """`(M, N)` of rows of length 1, whose distance is 2 - 2 u.v."""
    return np.exp(-2 * width * (1 - queries @ units.T))
