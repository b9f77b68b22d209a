"""Variables that move by a share of their way to others, on each backend its way."""

import keras
import numpy as np
import pytest
from keras import ops

from semppl_keras.training.backends import moving


@pytest.mark.parametrize("share", [0.25, "float32", 0.0])
def test_all_move_by_a_share_of_their_way(share):
    draws = np.random.default_rng(0)
    kinds = [
        ("float32", (3, 2)),
        ("float16", (4,)),
        ("float32", ()),
        ("bfloat16", (2,)),
    ]
    pairs = [
        tuple(keras.Variable(draws.normal(size=shape), dtype=kind) for _ in "aw")
        for kind, shape in kinds
    ]
    starts = [[ops.convert_to_numpy(ops.cast(v, "float32")) for v in p] for p in pairs]
    given = ops.convert_to_tensor(0.25, share) if share == "float32" else share
    moving.move(pairs, given)
    for (mean, weight), (start, aim), (kind, _) in zip(
        pairs, starts, kinds, strict=True
    ):
        expected = start + (0.0 if share == 0.0 else 0.25) * (aim - start)
        tolerance = {"float32": 1e-6, "float16": 2e-3, "bfloat16": 2e-2}[kind]
        found = ops.convert_to_numpy(ops.cast(mean, "float32"))
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
        unmoved = ops.convert_to_numpy(ops.cast(weight, "float32"))
        np.testing.assert_array_equal(unmoved, aim)
        assert keras.backend.standardize_dtype(mean.dtype) == kind


def test_none_is_no_variable_too_few():
    moving.move([], 0.5)
