"""Which images to label next: each strategy beside what its paper says, naively."""

import numpy as np
import pytest

from semppl_keras.evaluation import active

pytestmark = pytest.mark.any_backend

STRATEGIES = {
    "margin": lambda rows, known, shares, count: active.least_margin(shares, count),
    "entropy": lambda rows, known, shares, count: active.most_entropy(shares, count),
    "core-set": lambda rows, known, shares, count: active.core_set(rows, known, count),
    "typical": lambda rows, known, shares, count: active.typical(rows, known, count),
    "graph": lambda rows, known, shares, count: active.graph_mass(rows, shares, count),
}


def _drawn(size=40, features=6, classes=3):
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(size, features))
    shares = generator.dirichlet(np.ones(classes), size)
    return rows, generator.normal(size=(5, features)), shares


def _unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("count", [1, 7, 40, 99])
def test_each_gives_different_images_and_no_more_than_there_are(strategy, count):
    rows, known, shares = _drawn()
    chosen = STRATEGIES[strategy](rows, known, shares, count)
    assert len(chosen) == min(count, 40) == len(set(chosen.tolist()))
    assert set(chosen.tolist()) <= set(range(40))
    # How long features are says nothing of what they show.
    longer = rows * np.linspace(0.5, 3, 40)[:, None]
    np.testing.assert_array_equal(
        STRATEGIES[strategy](longer, 2 * known, shares, count), chosen
    )


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_copies_and_few_images(strategy):
    rows, known, shares = _drawn(size=12)
    rows[:] = rows[0]
    assert len(STRATEGIES[strategy](rows, known, shares, 5)) == 5
    one = STRATEGIES[strategy](rows[:2], known, shares[:2], 3)
    assert sorted(one) == [0, 1]


def test_the_least_margin_and_the_most_entropy():
    shares = np.array([[0.9, 0.1, 0], [0.5, 0.48, 0.02], [0.4, 0.3, 0.3]])
    assert active.least_margin(shares, 2).tolist() == [1, 2]
    assert active.most_entropy(shares, 2).tolist() == [2, 1]
    np.testing.assert_allclose(
        active.entropies([[0.25] * 4, [1, 0, 0, 0]]), [np.log(4), 0], atol=1e-12
    )


def test_centres_are_the_farthest_in_turn():
    rows, known, _ = _drawn()
    chosen, centres = [], list(_unit(known))
    for _ in range(6):
        distances = [
            min(np.linalg.norm(row - centre) for centre in centres)
            for row in _unit(rows)
        ]
        chosen.append(int(np.argmax(distances)))
        centres.append(_unit(rows)[chosen[-1]])
    assert active.core_set(rows, known, 6).tolist() == chosen


def test_what_is_typical_of_clusters_without_a_label():
    """Clusters of 12, 8, 6 and 4 images: the largest has labels already."""
    generator = np.random.default_rng(0)
    centres = 10 * np.eye(4)
    sizes = (12, 8, 6, 4)
    of = np.repeat(np.arange(4), sizes)
    rows = centres[of] + generator.normal(size=(30, 4))
    known = centres[[0, 0]] + 0.1
    chosen = active.typical(rows, known, 2, seed=0)
    # As many clusters as labels and images to choose: four.
    assert of[chosen].tolist() == [1, 2]
    for index in chosen:
        members = np.flatnonzero(of == of[index])
        near = [
            np.mean(
                [
                    np.linalg.norm(_unit(rows)[one] - _unit(rows)[other])
                    for other in members
                    if other != one
                ]
            )
            for one in members
        ]
        assert index == members[np.argmin(near)]


def test_where_most_is_uncertain_around():
    rows, _, shares = _drawn(size=25)
    similar = _unit(rows) @ _unit(rows).T
    np.fill_diagonal(similar, -np.inf)
    told = np.eye(25)
    for one in range(25):
        for other in np.argsort(-similar[one])[:10]:
            share = max(similar[one, other], 0) ** 3
            told[one, other] = max(told[one, other], share)
            told[other, one] = told[one, other]
    weights = -np.sum(shares * np.log(shares), axis=1)
    chosen = []
    for _ in range(5):
        masses = told @ weights
        masses[chosen] = -np.inf
        chosen.append(int(np.argmax(masses)))
        weights = weights * (1 - told[chosen[-1]])
    assert active.graph_mass(rows, shares, 5).tolist() == chosen
