"""On torch networks hold what a layer gives until its last use, and no longer."""

import keras
import numpy as np
import pytest

if keras.backend.backend() != "torch":
    pytest.skip("torch's step", allow_module_level=True)

import contextlib
import weakref

import torch
from keras import layers
from toys import toy_images

from semppl_keras import SimCLR
from semppl_keras.backbones import SmallResNet
from semppl_keras.kernels.torch_release import outputs_released
from semppl_keras.views import MultiCrop


class Counting(layers.Layer):
    """Adds one, and notes how many outputs of its kind live when it is called."""

    def __init__(self, outputs, living):
        super().__init__()
        self._lists = lambda: (outputs, living)

    def call(self, inputs):
        made, living = self._lists()
        living.append(sum(each() is not None for each in made))
        outputs = inputs + 1.0
        made.append(weakref.ref(outputs))
        return outputs


def living_in_a_chain(context):
    """What lives when each of six layers is called, and what comes out."""
    made, living = [], []
    inputs = x = keras.Input((3,))
    for _ in range(6):
        x = Counting(made, living)(x)
    model = keras.Model(inputs, x)
    made.clear()
    living.clear()
    with torch.no_grad(), context(model):
        return living, model(np.ones((2, 3), "float32")).numpy()


def branched():
    """A shared layer, a skip past others, a model within and a dead end."""
    inputs = {"a": keras.Input((3,), name="a"), "b": keras.Input((3,), name="b")}
    shared = layers.Dense(3, activation="relu")
    first, second = shared(inputs["a"]), shared(inputs["b"])
    inner_input = keras.Input((3,))
    inner = keras.Model(inner_input, layers.Dense(3)(inner_input) + inner_input)
    third = inner(first) + second
    layers.Dense(2)(third)
    return keras.Model(inputs, {"sum": third + first, "second": second})


def test_at_most_the_input_of_a_layer_lives():
    kept, expected = living_in_a_chain(contextlib.nullcontext)
    released, found = living_in_a_chain(outputs_released)
    assert kept == [0, 1, 2, 3, 4, 5]
    assert released == [0, 1, 1, 1, 1, 1]
    np.testing.assert_array_equal(found, expected)


def test_branches_give_what_they_gave():
    model = branched()
    draws = np.random.default_rng(0)
    inputs = {name: draws.normal(size=(4, 3)).astype("float32") for name in "ab"}
    expected = model(inputs)
    with outputs_released(model):
        assert "_run_through_graph" in vars(model)
        found = model(inputs)
        symbolic = model.compute_output_spec(
            {name: keras.KerasTensor((5, 3)) for name in "ab"}
        )
    assert "_run_through_graph" not in vars(model)
    assert found.keys() == expected.keys() == symbolic.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(
            found[name].detach().numpy(), value.detach().numpy()
        )
        assert symbolic[name].shape == (5, 3)


def test_a_step_leaves_the_networks_as_they_were():
    views = MultiCrop(num_large=2, num_small=0, large_size=12)
    backbone = SmallResNet(widths=(4, 8), input_shape=(12, 12, 1))
    model = SimCLR(backbone, views=views, hidden_dim=8, projection_dim=4, seed=0)
    model.compile(keras.optimizers.SGD(0.01))
    model.fit(toy_images(16, size=12), batch_size=8, verbose=0)
    assert not any("_run_through_graph" in vars(each) for each in [model, backbone])
