"""What TensorFlow's step does in fewer operations gives what Keras' own gives."""

import keras
import numpy as np
import pytest

if keras.backend.backend() != "tensorflow":
    pytest.skip("TensorFlow's step", allow_module_level=True)

import tensorflow as tf

from semppl_keras.training.backends.tf_adam import adam_at_once, move_by_share
from semppl_keras.training.backends.tf_normalisation import fused_normalisation


def normalising(**arguments):
    """A model of one layer, whose weights and moving statistics are all in use."""
    layer = keras.layers.BatchNormalization(momentum=0.7, epsilon=1e-3, **arguments)
    model = keras.Sequential([keras.Input((3, 5, 4)), layer])
    values = np.random.default_rng(1)
    model.set_weights(
        [values.uniform(0.5, 2.0, weight.shape) for weight in model.weights]
    )
    return model


def outcome(model, images, training=True):
    """Output, gradients, and the weights that are left."""
    images = tf.convert_to_tensor(images, "float32")
    with tf.GradientTape() as tape:
        tape.watch(images)
        outputs = model(images, training=training)
        loss = tf.reduce_sum(tf.cast(outputs, "float32") ** 3)
    sources = [images, *(weight.value for weight in model.trainable_weights)]
    gradients = [g for g in tape.gradient(loss, sources) if g is not None]
    results = [outputs, *gradients, *(weight.value for weight in model.weights)]
    return [tf.cast(result, "float32").numpy() for result in results]


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"scale": False},
        {"center": False, "scale": False},
        {"axis": 2},
        {"trainable": False},
        {"dtype": "mixed_bfloat16"},
    ],
    ids=str,
)
@pytest.mark.parametrize("training", [True, False])
def test_normalised_in_one_operation_it_is_keras_own(arguments, training):
    images = np.random.default_rng(0).normal(2.0, 3.0, (6, 3, 5, 4))
    model = normalising(**arguments)
    expected = outcome(normalising(**arguments), images, training)
    with fused_normalisation(model):
        found = outcome(model, images, training)
    rounding = 2e-2 if "dtype" in arguments else 1e-4
    for own, keras_own in zip(found, expected, strict=True):
        np.testing.assert_allclose(own, keras_own, rtol=rounding, atol=10 * rounding)


def test_after_the_step_layers_are_as_they_were():
    model = normalising()
    with fused_normalisation(model):
        assert "call" in vars(model.layers[0])
    assert "call" not in vars(model.layers[0])


def test_layers_of_other_classes_compute_as_they_do():
    class Doubling(keras.layers.BatchNormalization):
        def call(self, inputs, **kwargs):
            return 2.0 * inputs

    model = keras.Sequential([keras.Input((3, 5, 4)), Doubling()])
    images = tf.ones((2, 3, 5, 4))
    with fused_normalisation(model):
        np.testing.assert_array_equal(model(images, training=True), 2.0 * images)


def trained(optimizer, at_once, steps=3):
    """Weights and state after some steps on gradients of very different sizes."""
    variables = [keras.Variable(np.ones(shape, "float32")) for shape in [(3, 2), (4,)]]
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    optimizer.build(variables)
    draws = np.random.default_rng(2)

    def step(grads):
        if not at_once:
            return optimizer.apply(grads, variables)
        with adam_at_once(optimizer):
            return optimizer.apply(grads, variables)

    run = tf.function(step)
    for _ in range(steps):
        grads = [
            tf.convert_to_tensor(
                draws.normal(0, 10.0 ** draws.uniform(-3, 2), v.shape), "float32"
            )
            for v in variables
        ]
        run(grads)
    assert "_backend_update_step" not in vars(inner)
    return [variable.numpy() for variable in (*variables, *optimizer.variables)]


@pytest.mark.parametrize(
    "make",
    [
        lambda: keras.optimizers.Adam(0.1),
        lambda: keras.optimizers.Adam(0.1, beta_1=0.5, amsgrad=True),
        lambda: keras.optimizers.AdamW(0.1, weight_decay=0.2, clipnorm=1.0),
        lambda: keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(0.1, 5), use_ema=True
        ),
        lambda: keras.optimizers.Adam(0.1, gradient_accumulation_steps=2),
        lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.1)),
        lambda: keras.optimizers.SGD(0.1, momentum=0.9),
    ],
)
def test_adam_at_once_is_keras_own(make):
    for own, keras_own in zip(
        trained(make(), True), trained(make(), False), strict=True
    ):
        np.testing.assert_allclose(own, keras_own, rtol=1e-6, atol=1e-7)


def test_a_variable_moves_by_a_share_of_its_way():
    variable = tf.Variable([1.0, -2.0, 0.0])
    move_by_share(variable, tf.constant([3.0, 2.0, 0.0]), 0.25)
    np.testing.assert_array_equal(variable, [1.5, -1.0, 0.0])
