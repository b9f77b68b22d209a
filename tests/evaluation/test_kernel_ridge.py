"""Kernel ridge regression, and the same as a network, beside a naive solution."""

import keras
import numpy as np
import pytest

from semppl_keras.evaluation.kernel_ridge import FLOOR, KernelRidge
from semppl_keras.networks.kernel_head import kernel_head


def problem(seed=0):
    generator = np.random.default_rng(seed)
    rows = generator.normal(size=(12, 5))
    targets = generator.dirichlet(np.ones(3), size=12)
    return rows, targets, generator.normal(size=(4, 5))


def naive_scores(rows, targets, queries, width, penalty):
    def unit(values):
        return values / np.linalg.norm(values, axis=1, keepdims=True)

    def kernel(one, other):
        return np.exp(
            [[-width * np.sum((u - v) ** 2) for v in unit(other)] for u in unit(one)]
        )

    mean = targets.mean(axis=0)
    system = kernel(rows, rows) + penalty * np.eye(len(rows))
    return kernel(queries, rows) @ np.linalg.solve(system, targets - mean) + mean


@pytest.mark.any_backend
@pytest.mark.parametrize(("width", "penalty"), [(1.0, 0.1), (3.0, 0.01)])
def test_scores_solve_the_regression(width, penalty):
    rows, targets, queries = problem()
    probe = KernelRidge(rows, width, penalty).fit(targets)
    expected = np.maximum(naive_scores(rows, targets, queries, width, penalty), FLOOR)
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probe.predict_proba(queries), expected, atol=1e-4)
    np.testing.assert_array_equal(probe.predict(queries), expected.argmax(axis=1))


@pytest.mark.any_backend
def test_one_factorisation_serves_all_labels():
    rows, targets, queries = problem()
    ridge = KernelRidge(rows)
    ridge.fit(targets)
    turned = ridge.fit(targets[:, ::-1]).predict_proba(queries)
    straight = ridge.fit(targets).predict_proba(queries)
    np.testing.assert_allclose(turned[:, ::-1], straight, atol=1e-5)


def test_the_head_gives_the_same_and_is_saved(tmp_path):
    rows, targets, queries = problem()
    probe = KernelRidge(rows).fit(targets)
    head = kernel_head(probe, FLOOR)
    head.save(tmp_path / "head.keras")
    for one in (head, keras.saving.load_model(tmp_path / "head.keras")):
        shares = keras.ops.softmax(one(queries.astype("float32")))
        np.testing.assert_allclose(
            keras.ops.convert_to_numpy(shares), probe.predict_proba(queries), atol=1e-4
        )
    assert not head.trainable_weights
