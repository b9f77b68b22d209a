"""The loss against loops in float64, and its gradient against differences."""

import re

import keras
import numpy as np
import pytest
import references

from semppl_keras.losses import semppl_loss

PAPER = {
    "temperature": 0.2,
    "contrastive_weight": 0.3,
    "semantic_weight": 0.2,
    "invariance_weight": 5.0,
}


def random_batch(rng, views, large, batch=9, dim=6, negatives=4, draws=3, share=0.7):
    online = references.unit(rng.normal(size=(views, batch, dim)))
    target = references.unit(rng.normal(size=(large, batch, dim)))
    semantic = references.unit(rng.normal(size=(draws, large, batch, dim)))
    others = [
        rng.permutation(np.delete(np.arange(batch), image))[:negatives]
        for image in range(batch)
    ]
    return (
        online.astype("float32"),
        target.astype("float32"),
        np.array(others, "int32"),
        semantic.astype("float32"),
        rng.random(batch) < share,
    )


def parts(*batch, **weights):
    loss = semppl_loss(*map(keras.ops.convert_to_tensor, batch), **weights)
    return {name: float(value) for name, value in loss.items()}


@pytest.mark.parametrize("share", [0.0, 0.6, 1.0])
@pytest.mark.parametrize(("views", "large"), [(1, 1), (2, 2), (6, 4), (3, 1), (3, 3)])
def test_the_loss_equals_the_reference(views, large, share):
    batch = random_batch(np.random.default_rng(views), views, large, share=share)
    expected = references.semppl_loss(*batch, **PAPER)
    loss = parts(*batch, **PAPER)
    assert loss.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(loss[name], value, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("temperature", [0.01, 1.0])
def test_extreme_temperatures(temperature):
    batch = random_batch(np.random.default_rng(0), 3, 2)
    weights = {**PAPER, "temperature": temperature}
    expected = references.semppl_loss(*batch, **weights)
    loss = parts(*batch, **weights)
    for name, value in expected.items():
        np.testing.assert_allclose(loss[name], value, rtol=2e-5, atol=1e-6)


def test_half_precision_embeddings_are_computed_in_float32():
    batch = random_batch(np.random.default_rng(0), 3, 2)
    halves = [a.astype("float16") if a.dtype == "float32" else a for a in batch]
    loss = semppl_loss(*map(keras.ops.convert_to_tensor, halves), **PAPER)
    expected = references.semppl_loss(*halves, **PAPER)
    for name, value in expected.items():
        assert keras.backend.standardize_dtype(loss[name].dtype) == "float32"
        np.testing.assert_allclose(float(loss[name]), value, rtol=1e-5)


def test_the_loss_does_not_depend_on_the_order_of_images_or_of_large_views():
    rng = np.random.default_rng(4)
    online, target, negatives, semantic, has = random_batch(rng, 5, 3)
    loss = parts(online, target, negatives, semantic, has, **PAPER)
    order = rng.permutation(len(has))
    inverse = np.argsort(order)
    images = parts(
        online[:, order],
        target[:, order],
        inverse[negatives][order],
        semantic[:, :, order],
        has[order],
        **PAPER,
    )
    views = parts(
        online[[2, 0, 1, 3, 4]], target[[2, 0, 1]], negatives, semantic[:, [2, 0, 1]],
        has, **PAPER,
    )  # fmt: skip
    for name, value in loss.items():
        np.testing.assert_allclose(images[name], value, rtol=1e-5)
        np.testing.assert_allclose(views[name], value, rtol=1e-5)


def test_what_has_no_semantic_positive_does_not_count():
    rng = np.random.default_rng(5)
    online, target, negatives, semantic, has = random_batch(rng, 3, 2)
    loss = parts(online, target, negatives, semantic, has, **PAPER)
    semantic[:, :, ~has] = np.nan
    assert parts(online, target, negatives, semantic, has, **PAPER) == loss


def gradient(function, value):
    """The gradient of a scalar function of one array, on any backend."""
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        return np.asarray(jax.grad(function)(value))
    if backend == "torch":
        import torch

        tensor = torch.tensor(value, requires_grad=True)
        function(tensor).backward()
        return tensor.grad.numpy()
    import tensorflow as tf

    tensor = tf.constant(value)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        result = function(tensor)
    return tape.gradient(result, tensor).numpy()


def test_the_gradient_equals_finite_differences_of_the_reference():
    batch = random_batch(np.random.default_rng(6), 3, 2, batch=4, dim=3, negatives=2)
    online, rest = batch[0], batch[1:]

    def loss(value):
        tensors = map(keras.ops.convert_to_tensor, rest)
        return semppl_loss(value, *tensors, **PAPER)["loss"]

    def reference(value):
        return references.semppl_loss(value, *rest, **PAPER, frozen=online)["loss"]

    actual = gradient(loss, online)
    step = 1e-6
    for index in np.ndindex(*online.shape):
        moved = np.zeros(online.shape)
        moved[index] = step
        upper = reference(online.astype("float64") + moved)
        lower = reference(online.astype("float64") - moved)
        np.testing.assert_allclose(
            actual[index], (upper - lower) / (2 * step), rtol=1e-4, atol=1e-5
        )


def test_no_gradient_reaches_targets_and_positives():
    batch = random_batch(np.random.default_rng(7), 3, 2)
    tensors = [keras.ops.convert_to_tensor(array) for array in batch]

    def through(position):
        def loss(value):
            # An online part keeps the result differentiable on every backend.
            arguments = [*tensors[:position], value, *tensors[position + 1 :]]
            return semppl_loss(*arguments, **PAPER)["loss"] + 0.0 * keras.ops.sum(value)

        return loss

    for position in (1, 3):
        np.testing.assert_array_equal(gradient(through(position), batch[position]), 0.0)


@pytest.mark.parametrize(
    ("position", "shape"),
    [(0, (1, 9, 6)), (1, (2, 8, 6)), (2, (8, 4)), (3, (3, 1, 9, 6)), (4, (9, 1))],
)
def test_shapes_that_do_not_fit_are_named(position, shape):
    batch = list(random_batch(np.random.default_rng(8), 3, 2))
    batch[position] = np.zeros(shape, batch[position].dtype)
    with pytest.raises(ValueError, match=f"Received: .*{re.escape(str(shape))}"):
        semppl_loss(*batch)


def test_a_temperature_must_be_positive():
    with pytest.raises(ValueError, match="temperature=0"):
        semppl_loss(*random_batch(np.random.default_rng(8), 3, 2), temperature=0)
