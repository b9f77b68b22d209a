"""SGD with L2 that moves all weights at once moves them as it does one by one."""

import keras
import numpy as np
import pytest

if keras.backend.backend() != "torch":
    pytest.skip("torch's step", allow_module_level=True)

import contextlib

import torch

from semppl_keras.optimizers import SGDL2
from semppl_keras.training.backends.torch_optimizer import weights_at_once

SHAPES = [(3, 3, 2, 4), (4,), (5, 3), ()]


def trained(make, context, shapes=SHAPES):
    """Weights and state after four steps on gradients of very different sizes."""
    draws = np.random.default_rng(0)
    variables = [
        keras.Variable(draws.normal(size=shape).astype("float32")) for shape in shapes
    ]
    optimizer = make()
    optimizer.build(variables)
    for _ in range(4):
        grads = [
            torch.tensor(
                draws.normal(0, 10.0 ** draws.uniform(-3, 2), shape).astype("float32")
            )
            for shape in shapes
        ]
        before = [grad.clone() for grad in grads]
        with context(optimizer):
            optimizer.apply(grads, variables)
        for grad, own in zip(grads, before, strict=True):
            assert torch.equal(grad, own)
    assert "_backend_update_step" not in vars(
        getattr(optimizer, "inner_optimizer", optimizer)
    )
    values = (*variables, *optimizer.variables)
    return [value.value.detach().double().numpy() for value in values]


@pytest.mark.parametrize("shapes", [SHAPES, [(4,), ()]])
@pytest.mark.parametrize(
    "make",
    [
        lambda: SGDL2(0.1),
        lambda: SGDL2(0.1, nesterov=False, l2=0.2),
        lambda: SGDL2(0.1, momentum=0.0, l2=0.05),
        lambda: SGDL2(0.1, l2=0.0),
        lambda: SGDL2(keras.optimizers.schedules.CosineDecay(0.3, 3), clipnorm=1.0),
        lambda: SGDL2(0.1, gradient_accumulation_steps=2, use_ema=True),
        lambda: keras.optimizers.LossScaleOptimizer(SGDL2(0.1)),
    ],
)
def test_at_once_it_is_as_one_by_one(make, shapes):
    one_by_one = trained(make, contextlib.nullcontext, shapes)
    at_once = trained(make, weights_at_once, shapes)
    for found, expected in zip(at_once, one_by_one, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_other_optimisers_are_left_alone():
    class Other(SGDL2):
        pass

    for optimizer in (Other(0.1), keras.optimizers.SGD(0.1)):
        optimizer.build([keras.Variable(np.ones(3, "float32"))])
        with weights_at_once(optimizer):
            assert "_backend_update_step" not in vars(optimizer)
