"""The graph of nearest neighbours that labels are spread over."""

import warnings
from typing import Any

import numpy as np

from semppl_keras.backbones.directions import EvenDirections, find_directions
from semppl_keras.checks import check_integers, check_positive, check_share
from semppl_keras.evaluation.approximate_neighbours import (
    approximate_neighbours,
    can_approximate,
)
from semppl_keras.evaluation.counting import Count, Progress
from semppl_keras.evaluation.knn import smallest, unit_rows

# Rows whose similarities with all others are held at a time; fewer of more than some
# hundred thousand, so that these bytes are enough.
ROWS_AT_ONCE, _SIMILARITY_BYTES = 256, 2**27
# So many rows are joined with approximate neighbours where nobody says otherwise.
MOST_EXACT = 20_000
# Directions that are kept, of half as many images at the most: the others are noise.
_COMPONENTS = 256
# So many more than are asked for are compared exactly: which of equally near rows a
# matrix product puts first differs between processors.
_MORE = 16
# Decimals of float32 products that differ for more than rounding, and of exact ones.
_FLOAT32_DECIMALS, _FLOAT64_DECIMALS = 5, 9


class NeighbourGraph:
    """Rows joined with their nearest ones by cosine similarity.

    Args:
        features: `(N, F)`, finite.
        needed: `(N,)` bool, rows that are joined whatever is left out.
        neighbours: At least 1; of each row, without itself, as many as there are.
        power: Positive; an edge weighs similarity^power, and nothing where that is
            negative.
        max_exact: At least 2, rows that are joined; more where more are needed.
        approximate: Whether all rows are joined, however many, with neighbours that
            faiss finds, some of which may not be the nearest. None: where there are
            more rows than `max_exact` and than 20,000, and faiss is installed; told by
            a warning.
        whitening: In [0, 1]; above 0 it is the directions that features are most spread
            over, evened out by so much (`backbones.directions`), whose similarity
            counts.
        seed: Draws the others.
        progress: Function of (what is done: str, how many, of how many).

    Attributes:
        approximate: Whether the neighbours are approximate.
        directions: `EvenDirections` of the features, or None without whitening.
        rows: `(M,)` indices of the rows that are joined, ascending.
        weights: `(M, M)` scipy sparse matrix, symmetric, each edge divided by the
            square roots of the sums of weights at its ends.

    Raises:
        ValueError: An argument out of range.
    """

    def __init__(
        self,
        features: np.ndarray,
        needed: np.ndarray,
        *,
        neighbours: int = 10,
        power: float = 3.0,
        max_exact: int = MOST_EXACT,
        approximate: bool | None = None,
        whitening: float = 0.0,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> None:
        check_integers(1, neighbours=neighbours)
        check_integers(2, max_exact=max_exact)
        check_positive(power=power)
        check_share(whitening=whitening)
        self._power = power
        if approximate is None:
            approximate = _is_for_approximation(len(features), max_exact)
        self.approximate = approximate
        most = len(features) if approximate else max_exact
        self.rows = _joined(needed, most, seed)
        rest = np.setdiff1d(np.arange(len(features)), self.rows)
        self._rest, self._length = rest, len(features)
        self.directions = _directions(features[self.rows], whitening, seed)
        features = self._compared(features)
        joined = unit_rows(features[self.rows])
        what = "approximate neighbours" if approximate else "neighbours"
        count = Count(f"{what} of images", len(features), progress)
        k = min(neighbours, len(joined) - 1)
        if approximate and k:
            nearest, similarities = approximate_neighbours(joined, k, count, seed)
        else:
            nearest, similarities = _nearest(joined, joined, k, count, themselves=True)
        self.weights = _normalised(self._edges(nearest, similarities, len(joined)))
        k = min(neighbours, len(joined))
        nearest, similarities = _nearest(joined, unit_rows(features[rest]), k, count)
        self._attachment = self._edges(nearest, similarities, len(joined))
        self._joined, self._k = joined, k

    def attached(self, shares: np.ndarray) -> np.ndarray:
        """What all rows have, where the joined ones have it.

        Args:
            shares: `(M, C)`, rows that sum to 1 or, where nothing is known, to 0.

        Returns:
            `(N, C)`, the same: each of the rest has the mean of its nearest ones, as
            near as they are, among those of which something is known.
        """
        if not len(self._rest):
            return shares
        of_all = np.zeros((self._length, shares.shape[1]))
        of_all[self.rows] = shares
        of_all[self._rest] = _means(self._attachment, shares)
        return of_all

    def near(self, features: np.ndarray, shares: np.ndarray) -> np.ndarray:
        """What others have that are not of the graph, where all of its rows have it.

        Args:
            features: `(M, F)`, finite.
            shares: `(N, C)`, rows that sum to 1 or to 0.

        Returns:
            `(M, C)`, the mean of the nearest joined rows, as `attached` takes it.
        """
        count = Count("neighbours of images", len(features))
        queries = unit_rows(self._compared(features))
        nearest, similarities = _nearest(self._joined, queries, self._k, count)
        edges = self._edges(nearest, similarities, len(self._joined))
        return _means(edges, shares[self.rows])

    def _compared(self, features: np.ndarray) -> np.ndarray:
        """What of features their similarities are of."""
        return features if self.directions is None else self.directions.of(features)

    def _edges(self, nearest: np.ndarray, similarities: np.ndarray, size: int) -> Any:
        """`(rows, size)` sparse matrix of the weights of nearest rows."""
        from scipy.sparse import csr_array

        rows, k = nearest.shape
        weights = np.maximum(similarities, 0) ** self._power
        starts = np.arange(0, rows * k + 1, k) if k else np.zeros(rows + 1, int)
        return csr_array((weights.ravel(), nearest.ravel(), starts), shape=(rows, size))


def _directions(
    features: np.ndarray, whitening: float, seed: int
) -> EvenDirections | None:
    """Those of rows, or of `MOST_EXACT` of them; None without whitening, and of rows
    that do not differ."""
    if not whitening or not np.ptp(features, axis=0).any():
        return None
    if len(features) > MOST_EXACT:
        generator = np.random.default_rng(seed)
        features = features[generator.choice(len(features), MOST_EXACT, replace=False)]
    return find_directions(features, min(_COMPONENTS, len(features) // 2), whitening)


def _means(edges: Any, shares: np.ndarray) -> np.ndarray:
    """Weighted by the edges, of those of which something is known; 0 for none."""
    means = edges @ shares
    sums = means.sum(axis=1, keepdims=True)
    return means / np.where(sums > 0, sums, 1)


def _is_for_approximation(length: int, max_exact: int) -> bool:
    if length <= max(max_exact, MOST_EXACT) or not can_approximate():
        return False
    warnings.warn(
        f"The nearest neighbours of {length:,} rows are found approximately, by faiss: "
        "more than the `max_exact` that are compared with each other. With "
        f"approximate=False {max_exact:,} of them are joined, and the others attached.",
        stacklevel=4,
    )
    return True


def _joined(needed: np.ndarray, max_exact: int, seed: int) -> np.ndarray:
    """Indices of the rows that are joined."""
    others = np.flatnonzero(~needed)
    room = max(0, max_exact - (len(needed) - len(others)))
    if len(others) > room:
        generator = np.random.default_rng(seed)
        others = generator.choice(others, room, replace=False)
    return np.sort(np.concatenate([np.flatnonzero(needed), others]))


def _normalised(directed: Any) -> Any:
    """Edges of either direction, divided by the square roots of their ends' sums."""
    from scipy.sparse import diags_array

    weights = directed.maximum(directed.T).tocsr()
    sums = np.asarray(weights.sum(axis=1)).ravel()
    scales = 1 / np.sqrt(np.where(sums > 0, sums, 1))
    return (diags_array(scales) @ weights @ diags_array(scales)).tocsr()


def _nearest(
    rows: np.ndarray,
    queries: np.ndarray,
    k: int,
    count: Count,
    *,
    themselves: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest rows of each query, of equally near ones the first.

    Args:
        rows: `(N, F)` float32 unit vectors.
        queries: `(M, F)` the same.
        k: At most N, or N - 1 where they are themselves.
        count: Counts the queries.
        themselves: Whether the queries are the rows, and none is near itself.

    Returns:
        `(M, k)` indices and `(M, k)` float64 similarities, the nearest first.
    """
    nearest = np.zeros((len(queries), k), "int64")
    similarities = np.zeros((len(queries), k))
    more = min(k + _MORE, len(rows) - themselves)
    at_once = max(1, min(ROWS_AT_ONCE, _SIMILARITY_BYTES // (4 * len(rows))))
    for start in range(0, len(queries), at_once):
        chunk = queries[start : start + at_once]
        if k:
            distances = -(chunk @ rows.T)
            np.round(distances, _FLOAT32_DECIMALS, out=distances)
            if themselves:
                own = np.arange(len(chunk))
                distances[own, start + own] = np.inf
            candidates = np.sort(smallest(distances, more), axis=1)
            exact = np.einsum(
                "mf,mcf->mc", chunk, rows[candidates], dtype="float64", casting="safe"
            )
            # Stable, of indices in their order: the first of equally near ones.
            ranked = np.argsort(
                -np.round(exact, _FLOAT64_DECIMALS), axis=1, kind="stable"
            )[:, :k]
            places = slice(start, start + len(chunk))
            nearest[places] = np.take_along_axis(candidates, ranked, axis=1)
            similarities[places] = np.take_along_axis(exact, ranked, axis=1)
        count.add(len(chunk))
    return nearest, similarities
