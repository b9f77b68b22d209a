"""SGD whose decay goes through the momentum."""

import keras
import numpy as np
import pytest

from semppl_keras.optimizers import SGDL2


@pytest.mark.parametrize("nesterov", [True, False])
def test_the_decay_of_kernels_goes_through_the_momentum(nesterov):
    rng = np.random.default_rng(0)
    start = [rng.normal(size=(3, 2)), rng.normal(size=(2,))]
    variables = [keras.Variable(value.astype("float32")) for value in start]
    optimizer = SGDL2(0.1, momentum=0.9, nesterov=nesterov, l2=0.05)
    again = SGDL2.from_config(optimizer.get_config())
    assert again.get_config() == optimizer.get_config()
    optimizer.build(variables)
    velocity = [np.zeros_like(value) for value in start]
    for _ in range(4):
        gradients = [rng.normal(size=value.shape) for value in start]
        optimizer.apply(
            [keras.ops.convert_to_tensor(g.astype("float32")) for g in gradients]
        )
        for index, gradient in enumerate(gradients):
            if start[index].ndim > 1:
                gradient = gradient + 0.05 * start[index]
            velocity[index] = 0.9 * velocity[index] - 0.1 * gradient
            if nesterov:
                start[index] += 0.9 * velocity[index] - 0.1 * gradient
            else:
                start[index] += velocity[index]
    for variable, value in zip(variables, start, strict=True):
        np.testing.assert_allclose(
            keras.ops.convert_to_numpy(variable), value, rtol=1e-5, atol=1e-6
        )


@pytest.mark.any_backend
def test_a_negative_decay_is_refused():
    with pytest.raises(ValueError, match="`l2` must be.*Received: l2=-1"):
        SGDL2(l2=-1)
