"""What JAX's step does in fewer passes gives what Keras' own gives."""

import keras
import numpy as np
import pytest

if keras.backend.backend() != "jax":
    pytest.skip("JAX' step", allow_module_level=True)

import jax
from jax import numpy as jnp

from semppl_keras.training.backends.jax_normalisation import lean_normalisation

IMAGES, ROWS = (6, 3, 5, 4), (12, 4)


def normalising(shape=IMAGES, **arguments):
    """A model of one layer, whose weights and moving statistics are all in use."""
    layer = keras.layers.BatchNormalization(momentum=0.7, epsilon=1e-3, **arguments)
    model = keras.Sequential([keras.Input(shape[1:]), layer])
    values = np.random.default_rng(1)
    model.set_weights(
        [values.uniform(0.5, 2.0, weight.shape) for weight in model.weights]
    )
    return model


def outcome(model, images, training=True, compiled=True):
    """Output, gradients, and the weights that are left."""
    trainable = [weight.value for weight in model.trainable_weights]
    others = [weight.value for weight in model.non_trainable_weights]

    def loss(trainable, images):
        outputs, left = model.stateless_call(
            trainable, others, images, training=training
        )
        return jnp.sum(outputs.astype("float32") ** 3), (outputs, left)

    function = jax.grad(loss, argnums=(0, 1), has_aux=True)
    if compiled:
        function = jax.jit(function)
    results = function(trainable, jnp.asarray(images, "float32"))
    return [np.asarray(each, "float32") for each in jax.tree.leaves(results)]


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"scale": False},
        {"center": False, "scale": False},
        {"axis": 2},
        {"axis": 1},
        {"trainable": False},
        {"dtype": "mixed_bfloat16"},
    ],
    ids=str,
)
@pytest.mark.parametrize("shape", [IMAGES, ROWS], ids=["images", "rows"])
@pytest.mark.parametrize("training", [True, False])
def test_normalised_in_few_passes_it_is_keras_own(arguments, shape, training):
    if arguments.get("axis", 0) >= len(shape):
        arguments = {"axis": -1}
    inputs = np.random.default_rng(0).normal(2.0, 3.0, shape)
    expected = outcome(normalising(shape, **arguments), inputs, training)
    model = normalising(shape, **arguments)
    with lean_normalisation(model):
        found = outcome(model, inputs, training)
    rounding = 2e-2 if "dtype" in arguments else 1e-4
    assert len(found) == len(expected) >= 4
    for own, keras_own in zip(found, expected, strict=True):
        np.testing.assert_allclose(own, keras_own, rtol=rounding, atol=10 * rounding)


def test_a_mean_far_from_zero_does_not_drown_the_variance():
    inputs = np.random.default_rng(0).normal(3000.0, 1.0, IMAGES).astype("float32")
    model = normalising()
    with lean_normalisation(model):
        outputs = model.stateless_call(
            model.trainable_weights, model.non_trainable_weights, inputs, training=True
        )[0]
    scale, offset = (weight.numpy() for weight in model.trainable_weights)
    exact = inputs.astype("float64")
    exact = (exact - exact.mean((0, 1, 2))) / np.sqrt(exact.var((0, 1, 2)) + 1e-3)
    np.testing.assert_allclose(outputs, exact * scale + offset, atol=2e-3)


def test_bytes_are_normalised_to_floats():
    inputs = np.random.default_rng(0).integers(0, 256, IMAGES).astype("uint8")
    layer = normalising().layers[0]
    weights = layer.trainable_weights, layer.non_trainable_weights
    expected = layer.stateless_call(*weights, inputs, training=True)[0]
    with lean_normalisation(keras.Sequential([layer])):
        found = layer.stateless_call(*weights, inputs, training=True)[0]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_without_compilation_it_is_the_same():
    inputs = np.random.default_rng(0).normal(2.0, 3.0, IMAGES)
    model = normalising()
    with lean_normalisation(model):
        for one, other in zip(
            outcome(model, inputs, compiled=False), outcome(model, inputs), strict=True
        ):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


def test_other_layers_are_left_alone():
    class Doubling(keras.layers.BatchNormalization):
        def call(self, inputs, **kwargs):
            return 2.0 * inputs

    others = [
        Doubling(),
        keras.layers.BatchNormalization(axis=1),
        keras.layers.BatchNormalization(renorm=True),
    ]
    own = keras.layers.BatchNormalization()
    for layer in (*others, own):
        layer.build((None, 3, 5, 4))
    with lean_normalisation(keras.Sequential([*others, own])):
        assert "call" in vars(own)
        assert not any("call" in vars(layer) for layer in others)
    assert "call" not in vars(own)
