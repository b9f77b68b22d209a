"""Layers that are called with less around them, and together, compute what they did."""

import keras
import numpy as np
import pytest

if keras.backend.backend() != "torch":
    pytest.skip("torch's step", allow_module_level=True)

import gc
import weakref

import torch
from keras import layers

from semppl_keras.backbones import ResNet, SmallResNet
from semppl_keras.kernels.torch_layers import torch_kernels
from semppl_keras.kernels.torch_release import Calls, outputs_released


def network(build, shape=(9, 8, 3), **settings):
    """A functional network with weights that are all of some size."""
    inputs = keras.Input(shape)
    made = keras.Model(inputs, build(inputs), **settings)
    draws = np.random.default_rng(0)
    made.set_weights([draws.uniform(0.2, 1.0, weight.shape) for weight in made.weights])
    return made


def bordered(x):
    """Borders that a convolution can have itself, and one that it cannot."""
    x = layers.ZeroPadding2D(1)(x)
    x = layers.Conv2D(4, 3, strides=2, activation="relu")(x)
    x = layers.ZeroPadding2D(((0, 1), (1, 0)))(x)
    return layers.Conv2D(4, 3, use_bias=False)(x)


def summed(x):
    """Sums of what is normalised: of one side, of both, and of one that is needed."""
    first = layers.BatchNormalization()(layers.Conv2D(3, 1, use_bias=False)(x))
    x = layers.ReLU()(layers.Add()([x, first]))
    first, second = (
        layers.BatchNormalization()(layers.Conv2D(3, 1, use_bias=False)(x))
        for _ in "ab"
    )
    x = layers.Add()([first, second])
    kept = layers.BatchNormalization()(x)
    x = layers.ReLU()(layers.Add()([kept, x]))
    return layers.Concatenate()([kept, x])


def broadcast(x):
    """A sum of images and of one pixel each, and of three."""
    x = layers.BatchNormalization()(x)
    pixel = layers.GlobalAveragePooling2D(keepdims=True)(x)
    pixel = layers.BatchNormalization()(pixel)
    x = layers.ReLU()(layers.Add()([pixel, x]))
    return layers.ReLU()(layers.Add()([x, x, pixel]))


def rectified(x):
    """Rectifiers of several kinds."""
    for relu in (layers.ReLU(), layers.ReLU(max_value=1.0), layers.ReLU(0.1)):
        x = relu(layers.BatchNormalization()(x))
    return layers.Dense(2)(layers.ReLU(negative_slope=0.1)(layers.Add()([x, x])))


def cut(x):
    """Rectifiers that leave nothing above 6, and values on both sides of it."""
    x = layers.ReLU(max_value=6.0)(layers.BatchNormalization()(x))
    large = layers.Rescaling(9.0)(x)
    x = layers.BatchNormalization()(layers.Conv2D(3, 1, use_bias=False)(x))
    x = layers.ReLU(max_value=6.0)(layers.Add()([x, large]))
    return layers.ReLU(max_value=6)(layers.Add()([x, large, large]))


def told(x):
    """Calls that are told more than what they are given."""
    x = layers.BatchNormalization()(x, training=False)
    x = layers.ReLU()(x)
    return layers.Add()([x, layers.BatchNormalization()(x, training=True)])


def with_constants(x):
    """Sums of what no layer gives, too, and of one thing alone, which others need."""
    ones = np.ones((1, 9, 8, 3), "float32")
    kept = layers.BatchNormalization()(x)
    one = layers.ReLU()(layers.Add()([kept]))
    x = layers.Add()([x, layers.BatchNormalization()(one), ones])
    return layers.Add()([x, kept, ones])


def masked(x):
    """A sum of what is normalised but for some pixels."""
    mask = keras.ops.greater(x[..., 0], 0.0)
    return layers.Add()([x, layers.BatchNormalization()(x, mask=mask)])


def computed(made, images, quick, training=True):
    """Outputs, gradients of images and weights, and weights after two passes."""
    start = made.get_weights()
    for variable in made.trainable_variables:
        variable.value.grad = None
    images = torch.tensor(images, requires_grad=True)
    known = Calls()
    for _ in range(2):
        if quick:
            with torch_kernels(made), outputs_released(made, known):
                outputs = made(images, training=training)
        else:
            outputs = made(images, training=training)
    outputs.float().square().sum().backward()
    gradients = [variable.value.grad for variable in made.trainable_variables]
    found = [outputs, images.grad, *gradients]
    values = [tensor.detach().float().numpy() for tensor in found] + made.get_weights()
    made.set_weights(start)
    return outputs.dtype, values


def images_of(made):
    shape = [side or 9 for side in made.input_shape[1:]]
    return np.random.default_rng(1).normal(size=(4, *shape)).astype("float32")


def assert_alike(made, **tolerance):
    images = images_of(made)
    for training in (True, False, None):
        kind, expected = computed(made, images, False, training)
        found_kind, found = computed(made, images, True, training)
        assert found_kind == kind
        for one, other in zip(found, expected, strict=True):
            scale = max(1.0, np.abs(other).max())
            np.testing.assert_allclose(one / scale, other / scale, **tolerance)


@pytest.mark.parametrize(
    "build",
    [bordered, summed, broadcast, rectified, cut, told, with_constants, masked],
)
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_networks_compute_what_they_did(build, dtype):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(dtype)
    try:
        made = network(build)
    finally:
        keras.config.set_dtype_policy(before)
    coarse = dtype != "float32"
    assert_alike(made, rtol=0, atol=3e-2 if coarse else 2e-4)


@pytest.mark.parametrize(
    "make",
    [
        lambda: SmallResNet(widths=(4, 6), stem_strides=2, input_shape=(13, 12, 2)),
        lambda: ResNet(depth=50, width_multiplier=0.0625, input_shape=(33, 32, 3)),
        lambda: ResNet(
            depth=18, version=2, width_multiplier=0.0625, input_shape=(33, 32, 3)
        ),
    ],
)
def test_backbones_compute_what_they_did(make):
    assert_alike(make(), rtol=0, atol=1e-3)


def test_sides_that_are_not_known_may_differ():
    def build(x):
        pooled = layers.BatchNormalization()(layers.MaxPooling2D(9)(x))
        return layers.ReLU()(layers.Add()([layers.BatchNormalization()(x), pooled]))

    assert_alike(network(build, (None, None, 3)), rtol=0, atol=2e-4)


def test_a_network_lives_as_long_as_its_calls_are_known():
    """What is new would else lie where it lay, and be called as it was."""
    known = Calls()
    made = network(lambda x: layers.Rescaling(2.0)(x), (2,))
    with outputs_released(made, known):
        made(np.ones((1, 2), "float32"))
    held = weakref.ref(made)
    del made
    gc.collect()
    assert held() is not None
    del known
    gc.collect()
    assert held() is None


def test_hooks_of_torch_are_called():
    made = network(bordered)
    seen = []
    for layer in made.layers[1:]:
        layer.register_forward_hook(lambda layer, *_: seen.append(layer.name))
    computed(made, images_of(made), True)
    assert seen == 2 * [layer.name for layer in made.layers[1:]]


def test_a_class_of_its_own_is_called_as_ever():
    class Doubling(layers.ReLU):
        def __call__(self, inputs, **kwargs):
            return 2.0 * super().__call__(inputs, **kwargs)

    made = network(lambda x: Doubling()(layers.BatchNormalization()(x)))
    assert_alike(made, rtol=0, atol=2e-4)


@pytest.mark.parametrize("name", ["conv2d", "batch_normalization", "zero_padding2d"])
def test_a_call_that_somebody_has_put_in_a_layers_place_is_called(name):
    def build(x):
        x = layers.ZeroPadding2D(1, name="zero_padding2d")(x)
        x = layers.Conv2D(4, 3, name="conv2d")(x)
        x = layers.BatchNormalization(name="batch_normalization")(x)
        return layers.ReLU()(x)

    made = network(build)
    layer = made.get_layer(name)
    own = layer.call
    layer.call = lambda inputs, **kwargs: 2.0 * own(inputs, **kwargs)
    assert_alike(made, rtol=0, atol=2e-4)
    assert layer.call is not own


def test_a_regulariser_of_what_a_layer_gives_is_told():
    made = network(lambda x: layers.Conv2D(2, 1, activity_regularizer="l2")(x))
    with torch_kernels(made), outputs_released(made):
        made(images_of(made), training=True)
    assert len(made.losses) == 1


def test_a_mask_is_handed_on():
    inputs = keras.Input((5, 3))
    x = layers.ReLU()(layers.Masking()(inputs))
    made = keras.Model(inputs, layers.LSTM(2)(x))
    rows = np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")
    rows[:, 3:] = 0.0
    expected = made(rows).detach().numpy()
    with outputs_released(made):
        found = made(rows).detach().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-6)
