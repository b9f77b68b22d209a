"""Nearest neighbours of very many rows, nearly all of them found, by faiss."""

import importlib.util
import math
from typing import Any

import numpy as np

from semppl_keras.evaluation.counting import Count

# Lists of rows that lie together, for each square root of the rows; how many lists are
# looked through for a row's neighbours, and how many rows are looked up at a time. Of
# 200,000 rows some 1% of the pairs are compared.
_LISTS, _LOOKED_THROUGH, _AT_ONCE = 4.0, 16, 4096
# From so many rows a list the middles of the lists are found.
_ROWS_OF_A_LIST = 40


def can_approximate() -> bool:
    """Whether what finds approximate neighbours is installed."""
    return importlib.util.find_spec("faiss") is not None


def approximate_neighbours(
    rows: np.ndarray, k: int, count: Count, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest other rows of each row, but for those that lie beyond many others.

    Rows are kept in lists of what lies together, and looked for in those lists alone
    whose middles are nearest.

    Args:
        rows: `(N, F)` float32 unit vectors.
        k: At least 1, less than N.
        count: Counts the rows.
        seed: Draws the rows that the lists are made from.

    Returns:
        `(N, k)` indices and `(N, k)` float64 similarities, the nearest first; 0 and a
        similarity of 0 where fewer were found.

    Raises:
        ValueError: faiss is not installed.
    """
    if not can_approximate():
        raise ValueError(
            "Approximate neighbours must be found by faiss. Received: "
            "approximate=True, where it is not installed. Install it: pip install "
            '"semppl_keras[neighbours]".'
        )
    index = _index(np.ascontiguousarray(rows, "float32"), seed)
    nearest = np.zeros((len(rows), k), "int64")
    similarities = np.zeros((len(rows), k))
    for start in range(0, len(rows), _AT_ONCE):
        chunk = np.ascontiguousarray(rows[start : start + _AT_ONCE], "float32")
        found_similarities, found = index.search(chunk, k + 1)
        # A row finds itself first, but among very many copies of it.
        dropped = found == np.arange(start, start + len(chunk))[:, None]
        dropped[~dropped.any(axis=1), -1] = True
        missing = found < 0
        found[missing], found_similarities[missing] = 0, 0
        places = slice(start, start + len(chunk))
        nearest[places] = found[~dropped].reshape(-1, k)
        similarities[places] = found_similarities[~dropped].reshape(-1, k)
        count.add(len(chunk))
    return nearest, similarities


def _index(rows: np.ndarray, seed: int) -> Any:
    import faiss

    length, width = rows.shape
    lists = max(1, min(round(_LISTS * math.sqrt(length)), length // _ROWS_OF_A_LIST))
    middles = faiss.IndexFlatIP(width)
    index = faiss.IndexIVFFlat(middles, width, lists, faiss.METRIC_INNER_PRODUCT)
    index.cp.seed = seed + 1
    index.cp.spherical = True
    generator = np.random.default_rng(seed)
    sample = generator.permutation(length)[: max(1, _ROWS_OF_A_LIST * lists)]
    index.train(rows[np.sort(sample)])
    index.add(rows)
    index.nprobe = min(_LOOKED_THROUGH, lists)
    return index
