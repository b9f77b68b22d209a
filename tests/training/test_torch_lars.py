"""LARS that moves all weights at once moves them as it does one by one."""

import keras
import numpy as np
import pytest

if keras.backend.backend() != "torch":
    pytest.skip("torch's step", allow_module_level=True)

import contextlib

import torch

from semppl_keras.optimizers import LARS
from semppl_keras.training.backends.torch_optimizer import weights_at_once

SHAPES = [(3, 3, 2, 4), (4,), (5, 3), (2, 6), ()]


def trained(make, context, dtype="float32", zero=False):
    """Weights and state after four steps on gradients of very different sizes."""
    draws = np.random.default_rng(0)
    variables = [
        keras.Variable(draws.normal(size=shape).astype("float32"), dtype=dtype)
        for shape in SHAPES
    ]
    if zero:
        variables[2].assign(np.zeros(SHAPES[2]))
    optimizer = make()
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    inner.exclude_from_adaptation([variables[3]])
    optimizer.build(variables)
    for _ in range(4):
        grads = [
            torch.tensor(draws.normal(0, 10.0 ** draws.uniform(-3, 2), v.shape))
            for v in variables
        ]
        if zero:
            grads[0] = torch.zeros_like(grads[0])
        grads = [grad.to(variables[0].value.dtype) for grad in grads]
        with context(optimizer):
            optimizer.apply(grads, variables)
    assert "_backend_update_step" not in vars(inner)
    values = (*variables, *optimizer.variables)
    return [value.value.detach().double().numpy() for value in values]


@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize(
    "make",
    [
        lambda: LARS(0.3),
        lambda: LARS(0.3, nesterov=True, weight_decay=0.0),
        lambda: LARS(0.3, momentum=0.0, weight_decay=0.1, trust_coefficient=0.5),
        lambda: LARS(keras.optimizers.schedules.CosineDecay(0.3, 3), clipnorm=1.0),
        lambda: LARS(0.3, gradient_accumulation_steps=2, use_ema=True),
        lambda: keras.optimizers.LossScaleOptimizer(LARS(0.3, weight_decay=0.1)),
    ],
)
def test_at_once_it_is_as_one_by_one(make, zero):
    expected = trained(make, lambda optimizer: contextlib.nullcontext(), zero=zero)
    found = trained(make, weights_at_once, zero=zero)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_what_is_left_out_of_decay_has_none():
    def make():
        optimizer = LARS(0.3, weight_decay=0.5)
        optimizer.exclude_from_weight_decay(var_names=["variable"])
        return optimizer

    expected = trained(make, lambda optimizer: contextlib.nullcontext())
    for one, other in zip(trained(make, weights_at_once), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_weights_of_other_types_move_one_by_one():
    expected = trained(
        lambda: LARS(0.3), lambda optimizer: contextlib.nullcontext(), dtype="float64"
    )
    found = trained(lambda: LARS(0.3), weights_at_once, dtype="float64")
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_other_optimisers_are_left_alone():
    class Own(LARS):
        pass

    for optimizer in (Own(0.1), keras.optimizers.SGD(0.1)):
        with weights_at_once(optimizer):
            assert "_backend_update_step" not in vars(optimizer)
