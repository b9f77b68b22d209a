"""Neighbours that faiss finds, against those of a comparison with all rows."""

import importlib.util

import numpy as np
import pytest

from semppl_keras.evaluation import neighbour_graph, propagate_labels
from semppl_keras.evaluation.approximate_neighbours import approximate_neighbours
from semppl_keras.evaluation.counting import Count

pytestmark = pytest.mark.any_backend

needs_faiss = pytest.mark.skipif(
    importlib.util.find_spec("faiss") is None, reason="faiss is not installed"
)


def _rows(count=1500, seed=0):
    """Unit rows of ten classes, and their classes."""
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, 10, count)
    rows = generator.normal(size=(10, 24))[truth] + generator.normal(size=(count, 24))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype("float32"), truth


def _without_faiss(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name: None if name == "faiss" else find(name),
    )


def test_without_faiss_it_is_said_what_to_do(monkeypatch):
    _without_faiss(monkeypatch)
    rows, truth = _rows(20)
    with pytest.raises(ValueError, match=r'pip install "semppl_keras\[neighbours\]"'):
        propagate_labels(rows, truth, approximate=True)


def test_without_faiss_more_rows_are_attached_as_ever(monkeypatch):
    monkeypatch.setattr(neighbour_graph, "MOST_EXACT", 100)
    _without_faiss(monkeypatch)
    rows, truth = _rows(300)
    truth[50:] = -1
    graph = neighbour_graph.NeighbourGraph(rows, truth >= 0, max_exact=100)
    assert not graph.approximate
    assert len(graph.rows) == 100


@needs_faiss
def test_nearly_all_of_the_nearest_are_found():
    rows, _ = _rows()
    nearest, similarities = approximate_neighbours(rows, 10, Count("rows", len(rows)))
    exact = rows.astype("float64") @ rows.T
    np.fill_diagonal(exact, -np.inf)
    expected = np.argsort(-exact, axis=1)[:, :10]
    found = [np.isin(*pair).mean() for pair in zip(expected, nearest, strict=True)]
    assert np.mean(found) > 0.9
    # None is near itself, none comes twice, and the nearest is the first.
    assert not (nearest == np.arange(len(rows))[:, None]).any()
    assert all(len(set(row)) == 10 for row in nearest.tolist())
    np.testing.assert_allclose(
        similarities, np.take_along_axis(exact, nearest, axis=1), atol=1e-6
    )
    assert (np.diff(similarities, axis=1) <= 0).all()
    again, _ = approximate_neighbours(rows, 10, Count("rows", len(rows)))
    np.testing.assert_array_equal(nearest, again)


@needs_faiss
@pytest.mark.parametrize("count", [2, 3, 90])
def test_few_rows_and_copies_of_them(count):
    k = min(10, count - 1)
    same = np.tile(np.array([0.6, 0.8], "float32"), (count, 1))
    nearest, similarities = approximate_neighbours(same, k, Count("rows", count))
    assert nearest.shape == similarities.shape == (count, k)
    assert ((nearest >= 0) & (nearest < count)).all()
    np.testing.assert_allclose(similarities, 1, atol=1e-6)


@needs_faiss
def test_labels_are_those_of_the_exact_graph_but_for_a_few():
    rows, truth = _rows()
    labels = np.where(np.arange(len(truth)) < 60, truth, -1)
    exact = propagate_labels(rows, labels, approximate=False)
    told = []
    found = propagate_labels(
        rows,
        labels,
        max_exact=100,
        approximate=True,
        progress=lambda *of: told.append(of),
    )
    assert np.mean(found.argmax(axis=1) == exact.argmax(axis=1)) > 0.97
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    assert told[-1] == ("approximate neighbours of images", 1500, 1500)


@needs_faiss
def test_it_is_chosen_above_a_size_and_told(monkeypatch):
    monkeypatch.setattr(neighbour_graph, "MOST_EXACT", 200)
    rows, truth = _rows(300)
    known = np.arange(300) < 30
    with pytest.warns(UserWarning, match="300 rows are found approximately, by faiss"):
        graph = neighbour_graph.NeighbourGraph(rows, known, max_exact=100)
    assert graph.approximate
    assert len(graph.rows) == 300
    for changes in ({"max_exact": 300}, {"approximate": False}):
        graph = neighbour_graph.NeighbourGraph(rows, known, **changes)
        assert not graph.approximate
    # Others are looked for among all of the graph.
    shares = np.eye(10)[truth]
    graph = neighbour_graph.NeighbourGraph(rows, known, approximate=True)
    assert np.mean(graph.near(rows, shares).argmax(axis=1) == truth) > 0.9
