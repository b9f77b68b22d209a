"""The losses against loops in float64, their gradients against differences."""

import functools
import re

import keras
import numpy as np
import pytest
import references
from toys import one_everywhere

from semppl_keras.losses import (
    SuNCEtLoss,
    byol_loss,
    nt_xent_loss,
    semppl_loss,
    suncet_loss,
)

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


def evaluate(loss, *arrays, **options):
    """A loss of arrays as a dict of floats; a scalar loss under the name loss."""
    named = {k: v for k, v in options.items() if isinstance(v, np.ndarray)}
    loss = functools.partial(loss, **{k: options[k] for k in options.keys() - named})
    if keras.backend.backend() == "jax":
        import jax

        loss = jax.jit(loss)
    to_tensor = keras.ops.convert_to_tensor
    tensors = {name: to_tensor(value) for name, value in named.items()}
    result = loss(*map(to_tensor, arrays), **tensors)
    result = result if isinstance(result, dict) else {"loss": result}
    for value in result.values():
        assert tuple(value.shape) == ()
        assert keras.backend.standardize_dtype(value.dtype) == "float32"
    return {name: float(value) for name, value in result.items()}


def parts(*batch, **weights):
    return evaluate(semppl_loss, *batch, **weights)


@one_everywhere("share", [0.6, 0.0, 1.0])
@one_everywhere(("views", "large"), [(6, 4), (1, 1), (2, 2), (3, 1), (3, 3)])
def test_the_loss_equals_the_reference(views, large, share):
    batch = random_batch(np.random.default_rng(views), views, large, share=share)
    expected = references.semppl_loss(*batch, **PAPER)
    loss = parts(*batch, **PAPER)
    assert loss.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(loss[name], value, rtol=1e-5, atol=1e-7)


@one_everywhere("loss", [semppl_loss, byol_loss])
def test_semantic_positives_count_by_their_weight(loss):
    rng = np.random.default_rng(3)
    online, target, negatives, semantic, has = random_batch(rng, 3, 2)
    weight = rng.uniform(size=len(has)).astype("float32")
    batch, options = (online, target, semantic, has), {"semantic_weight": 0.3}
    if loss is semppl_loss:
        batch, options = (online, target, negatives, semantic, has), PAPER
    assert has.any()
    assert not has.all()
    assert_equals_reference(loss, *batch, semantic_positive_weight=weight, **options)
    plain = evaluate(loss, *batch, **options)
    ones = evaluate(loss, *batch, semantic_positive_weight=np.ones(9), **options)
    assert plain == pytest.approx(ones)


@pytest.mark.parametrize(("views", "large"), [(2, 2), (6, 4)])
def test_the_loss_without_labels_is_that_of_relicv2(views, large):
    batch = random_batch(np.random.default_rng(views), views, large, share=0.0)
    expected = references.semppl_loss(*batch, **PAPER)
    loss = parts(*batch[:3], **PAPER)
    assert {"loss", "augmentation", "invariance"} <= loss.keys()
    for name, value in loss.items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-5, atol=1e-7)


@one_everywhere("temperature", [0.01, 1.0])
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


@pytest.mark.any_backend
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

        return np.asarray(jax.jit(jax.grad(function))(value))
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


def assert_gradient_equals_differences(function, reference, value, step=1e-6):
    """`function` of tensors against `reference` of float64 arrays."""
    actual = gradient(function, value)
    for index in np.ndindex(*value.shape):
        moved = np.zeros(value.shape)
        moved[index] = step
        upper = reference(value.astype("float64") + moved)
        lower = reference(value.astype("float64") - moved)
        np.testing.assert_allclose(
            actual[index], (upper - lower) / (2 * step), rtol=1e-4, atol=1e-5
        )


def test_the_gradient_equals_finite_differences_of_the_reference():
    batch = random_batch(np.random.default_rng(6), 3, 2, batch=4, dim=3, negatives=2)
    online, rest = batch[0], batch[1:]

    def loss(value):
        tensors = map(keras.ops.convert_to_tensor, rest)
        return semppl_loss(value, *tensors, **PAPER)["loss"]

    def reference(value):
        return references.semppl_loss(value, *rest, **PAPER, frozen=online)["loss"]

    assert_gradient_equals_differences(loss, reference, online)


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
        semppl_loss(*batch, **PAPER)


@pytest.mark.parametrize("loss", [semppl_loss, byol_loss])
def test_a_weight_for_each_image_and_view_is_no_weight_of_images(loss):
    """`(B, 1)` would weigh each image by all weights in turn."""
    online, target, indices, *positives = random_batch(np.random.default_rng(8), 3, 2)
    given = [online, target, *([indices] if loss is semppl_loss else []), *positives]
    arguments = PAPER if loss is semppl_loss else {"semantic_weight": 0.2}
    with pytest.raises(ValueError, match=r"semantic_positive_weight \(9, 1\)"):
        loss(*given, semantic_positive_weight=np.ones((9, 1)), **arguments)


def test_a_temperature_must_be_positive():
    with pytest.raises(ValueError, match="temperature=0"):
        semppl_loss(
            *random_batch(np.random.default_rng(8), 3, 2), **{**PAPER, "temperature": 0}
        )


@pytest.mark.any_backend
@pytest.mark.parametrize("positions", [slice(0, 2), slice(0, 3)])
def test_semantic_positives_need_their_weight(positions):
    """No loss has a weight of its own: the models have them, and the recipes."""
    batch = random_batch(np.random.default_rng(8), 3, 2)
    loss, arguments = byol_loss, {}
    if positions.stop == 3:
        loss, arguments = semppl_loss, {**PAPER}
        del arguments["semantic_weight"]
    loss(*batch[positions], **arguments)
    with pytest.raises(ValueError, match="`semantic_weight` must be given"):
        loss(*batch[positions], *batch[3:], **arguments)


def random_units(*shape, seed=0):
    generator = np.random.default_rng(seed)
    return references.unit(generator.normal(size=shape)).astype("float32")


def assert_equals_reference(loss, *arrays, **options):
    expected = getattr(references, loss.__name__)(*arrays, **options)
    expected = expected if isinstance(expected, dict) else {"loss": expected}
    actual = evaluate(loss, *arrays, **options)
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(actual[name], value, rtol=1e-5, atol=1e-7)


# NT-Xent


@one_everywhere("shape", [(3, 6, 4), (2, 8, 5), (2, 1, 3)])
def test_nt_xent_equals_the_reference(shape):
    embeddings, memory = random_units(*shape), random_units(7, shape[-1], seed=1)
    assert_equals_reference(nt_xent_loss, embeddings, temperature=0.3)
    for filled in (0, 3, 7):
        mask = np.random.default_rng(filled).permutation(np.arange(7) < filled)
        assert_equals_reference(
            nt_xent_loss,
            embeddings,
            temperature=0.3,
            negatives=memory,
            negative_mask=mask.astype("int32"),
        )


@one_everywhere("temperature", [0.02, 1.0])
def test_nt_xent_with_a_memory_without_a_mask(temperature):
    embeddings, memory = random_units(2, 5, 4), random_units(6, 4, seed=1)
    options = {"temperature": temperature, "negatives": memory}
    assert_equals_reference(nt_xent_loss, embeddings, **options)
    assert_equals_reference(nt_xent_loss, embeddings.astype("float16"), **options)


def test_nt_xent_of_similar_views_keeps_its_precision():
    embeddings = np.stack([np.eye(6), np.eye(6)]).astype("float32")
    assert_equals_reference(nt_xent_loss, embeddings, temperature=0.1)
    assert evaluate(nt_xent_loss, embeddings, temperature=0.1)["loss"] > 0


def test_nt_xent_of_two_views_is_the_cross_entropy_of_simclr():
    """Softmax over all embeddings but the anchor, as the paper writes it."""
    embeddings = random_units(2, 4, 5).astype("float64")
    rows = embeddings.reshape(8, 5)
    losses = []
    for anchor in range(8):
        rest = np.delete(np.arange(8), anchor)
        log_p = references.log_softmax(rows[rest] @ rows[anchor] / 0.5)
        losses.append(-log_p[list(rest).index((anchor + 4) % 8)])
    loss = evaluate(nt_xent_loss, embeddings.astype("float32"), temperature=0.5)
    np.testing.assert_allclose(loss["loss"], np.mean(losses), rtol=1e-5)


@pytest.mark.parametrize("num_views", [2, 3])
def test_nt_xent_of_collapsed_embeddings_is_the_log_of_the_count(num_views):
    embeddings = np.zeros((num_views, 5, 3), "float32")
    embeddings[..., 1] = 1.0
    loss = evaluate(
        nt_xent_loss,
        embeddings,
        temperature=0.1,
        negatives=embeddings[0],
        negative_mask=np.array([True, False, True, True, False]),
    )
    count = 1 + 4 * num_views + 3
    np.testing.assert_allclose(loss["loss"], np.log(count), rtol=1e-5)
    assert loss["contrastive_accuracy"] == 0.0


@pytest.mark.any_backend
def test_nt_xent_accuracy_is_one_for_embeddings_that_tell_images_apart():
    embeddings = np.stack([np.eye(4), np.eye(4)]).astype("float32")
    loss = evaluate(nt_xent_loss, embeddings, temperature=0.1)
    assert loss["contrastive_accuracy"] == 1.0
    # A memory that knows one of the images better confuses its two anchors.
    embeddings[1, 0] = [0.6, 0.0, 0.0, 0.8]
    memory = embeddings[:, 0]
    loss = evaluate(nt_xent_loss, embeddings, temperature=0.1, negatives=memory)
    assert loss["contrastive_accuracy"] == 0.75


def test_nt_xent_does_not_depend_on_the_order_of_images_and_views():
    embeddings, memory = random_units(3, 6, 4), random_units(5, 4, seed=1)
    options = {"temperature": 0.2, "negatives": memory}
    loss = evaluate(nt_xent_loss, embeddings, **options)
    moved = embeddings[[2, 0, 1]][:, [3, 5, 0, 1, 4, 2]]
    assert evaluate(nt_xent_loss, moved, **options) == pytest.approx(loss, rel=1e-5)


@one_everywhere("num_views", [2, 3])
def test_the_gradient_of_nt_xent(num_views):
    embeddings = random_units(num_views, 3, 3)
    memory = {
        "negatives": random_units(4, 3, seed=1),
        "negative_mask": np.array([1, 0, 1, 1]),
    }

    def loss(value):
        tensors = {k: keras.ops.convert_to_tensor(v) for k, v in memory.items()}
        return nt_xent_loss(value, temperature=0.4, **tensors)["loss"]

    def reference(value):
        return references.nt_xent_loss(value, temperature=0.4, **memory)["loss"]

    assert_gradient_equals_differences(loss, reference, embeddings)


def test_the_gradient_of_nt_xent_without_a_negative_is_zero():
    """One image and an empty memory: masks must not turn into NaN."""
    memory = keras.ops.zeros((4, 3))
    empty = keras.ops.zeros((4,), "bool")

    def loss(value):
        return nt_xent_loss(
            value, temperature=0.1, negatives=memory, negative_mask=empty
        )["loss"]

    np.testing.assert_array_equal(gradient(loss, random_units(2, 1, 3)), 0.0)


def test_no_gradient_of_nt_xent_reaches_the_memory():
    embeddings = keras.ops.convert_to_tensor(random_units(2, 4, 3))

    def loss(memory):
        result = nt_xent_loss(embeddings, temperature=0.1, negatives=memory)
        return result["loss"] + 0.0 * keras.ops.sum(memory)

    np.testing.assert_array_equal(gradient(loss, random_units(5, 3)), 0.0)


@pytest.mark.parametrize(
    ("embeddings", "negatives", "mask"),
    [
        ((1, 4, 3), None, None),
        ((8, 3), None, None),
        ((2, 4, 3), (5, 4), None),
        ((2, 4, 3), (5,), None),
        ((2, 4, 3), (5, 3), (4,)),
        ((2, 4, 3), None, (5,)),
    ],
)
def test_nt_xent_names_shapes_that_do_not_fit(embeddings, negatives, mask):
    shapes = [shape for shape in (embeddings, negatives, mask) if shape is not None]
    options = {
        name: None if shape is None else np.zeros(shape, "float32")
        for name, shape in (("negatives", negatives), ("negative_mask", mask))
    }
    received = ", .*".join(re.escape(str(shape)) for shape in shapes)
    with pytest.raises(ValueError, match=f"Expected .*Received: .*{received}"):
        nt_xent_loss(np.zeros(embeddings, "float32"), temperature=0.1, **options)


# BYOL


@one_everywhere(("views", "large"), [(6, 4), (2, 2), (2, 1)])
def test_byol_equals_the_reference(views, large):
    rng = np.random.default_rng(views)
    online, target, _, semantic, has = random_batch(rng, views, large)
    assert_equals_reference(byol_loss, online, target)
    for having in (has, has & False, has | True):
        batch = (online, target, semantic, having)
        assert_equals_reference(byol_loss, *batch, semantic_weight=0.3)


def test_byol_of_half_precision_is_computed_in_float32():
    online, target, _, semantic, has = random_batch(np.random.default_rng(0), 3, 2)
    halves = [array.astype("float16") for array in (online, target, semantic)]
    assert_equals_reference(byol_loss, *halves, has, semantic_weight=0.3)


def test_byol_of_perfect_and_of_opposite_predictions():
    one = random_units(1, 6, 4)
    online = np.concatenate([one, one, one])
    target = np.concatenate([one, one])
    same = evaluate(byol_loss, online, target)
    opposite = evaluate(byol_loss, online, -target)
    assert same["loss"] == pytest.approx(0.0, abs=1e-6)
    assert opposite["loss"] == pytest.approx(4.0)
    assert same["semantic"] == opposite["semantic"] == 0.0


def test_byol_leaves_out_the_pairs_of_one_view():
    online, target = random_units(2, 5, 3), random_units(1, 5, 3, seed=1)
    loss = evaluate(byol_loss, online, target)
    online[0] = 7.0
    assert evaluate(byol_loss, online, target) == loss


def test_byol_does_not_depend_on_the_order_of_images_and_of_large_views():
    batch = random_batch(np.random.default_rng(4), 4, 3, batch=6)
    online, target, _, semantic, has = batch
    loss = evaluate(byol_loss, online, target, semantic, has, semantic_weight=0.5)
    order = [3, 5, 0, 1, 4, 2]
    images = (online[:, order], target[:, order], semantic[:, :, order], has[order])
    views = (online[[2, 0, 1, 3]], target[[2, 0, 1]], semantic[:, [2, 0, 1]], has)
    for moved in (images, views):
        actual = evaluate(byol_loss, *moved, semantic_weight=0.5)
        assert actual == pytest.approx(loss, rel=1e-5)


def test_what_has_no_semantic_positive_does_not_count_in_byol():
    online, target, _, semantic, has = random_batch(np.random.default_rng(5), 3, 2)
    loss = evaluate(byol_loss, online, target, semantic, has, semantic_weight=0.5)
    semantic[:, :, ~has] = np.nan
    batch = (online, target, semantic, has)
    assert evaluate(byol_loss, *batch, semantic_weight=0.5) == loss


def test_the_gradient_of_byol():
    batch = random_batch(np.random.default_rng(6), 3, 2, batch=3, dim=3, share=0.6)
    online, target, _, *positives = batch
    assert 0 < positives[-1].sum() < 3
    rest = [target, *positives]

    def loss(value):
        tensors = map(keras.ops.convert_to_tensor, rest)
        return byol_loss(value, *tensors, semantic_weight=0.5)["loss"]

    def reference(value):
        return references.byol_loss(value, *rest, semantic_weight=0.5)["loss"]

    assert_gradient_equals_differences(loss, reference, online)


def test_no_gradient_of_byol_reaches_targets_and_positives():
    online, target, _, semantic, has = random_batch(np.random.default_rng(7), 3, 2)
    tensors = [keras.ops.convert_to_tensor(a) for a in (online, target, semantic, has)]

    def through(position):
        def loss(value):
            arguments = [*tensors[:position], value, *tensors[position + 1 :]]
            result = byol_loss(*arguments, semantic_weight=0.5)["loss"]
            return result + 0.0 * keras.ops.sum(value)

        return loss

    np.testing.assert_array_equal(gradient(through(1), target), 0.0)
    np.testing.assert_array_equal(gradient(through(2), semantic), 0.0)


@pytest.mark.parametrize(
    "shapes",
    [
        [(1, 9, 6), (1, 9, 6)],
        [(2, 9, 6), (3, 9, 6)],
        [(2, 9, 6), (2, 8, 6)],
        [(2, 9), (2, 9)],
        [(2, 9, 6), (2, 9, 6), (3, 1, 9, 6), (9,)],
        [(2, 9, 6), (2, 9, 6), (3, 2, 9, 6), (9, 1)],
        [(2, 9, 6), (2, 9, 6), (3, 2, 9, 6), None],
        [(2, 9, 6), (2, 9, 6), None, (9,)],
    ],
)
def test_byol_names_shapes_that_do_not_fit(shapes):
    arrays = [None if shape is None else np.zeros(shape) for shape in shapes]
    received = ", .*".join(re.escape(str(s)) for s in shapes if s is not None)
    with pytest.raises(ValueError, match=f"Expected .*Received: .*{received}"):
        byol_loss(*arrays)


# SuNCEt


@one_everywhere("shape", [(3, 6, 4), (1, 9, 5), (2, 1, 3)])
def test_suncet_equals_the_reference(shape):
    embeddings = random_units(*shape)
    for classes in (1, 3, 8):
        labels = np.random.default_rng(classes).integers(-1, classes, shape[1])
        labels = labels.astype("int32")
        assert_equals_reference(suncet_loss, embeddings, labels, temperature=0.3)
    assert_equals_reference(suncet_loss, embeddings, labels, temperature=0.03)


def test_suncet_of_half_precision_is_computed_in_float32():
    embeddings = random_units(2, 6, 4).astype("float16")
    labels = np.array([0, 1, 1, 2, 0, -1])
    assert_equals_reference(suncet_loss, embeddings, labels, temperature=0.1)


def test_suncet_of_separated_classes_keeps_its_precision():
    embeddings = np.eye(3, dtype="float32")[None, [0, 0, 1, 1, 2, 2]]
    labels = np.array([0, 0, 1, 1, 2, 2])
    assert_equals_reference(suncet_loss, embeddings, labels, temperature=0.1)
    assert evaluate(suncet_loss, embeddings, labels, temperature=0.1)["loss"] > 0


def test_suncet_of_collapsed_embeddings_is_the_log_of_the_ratio_of_counts():
    embeddings = np.zeros((2, 6, 3), "float32")
    embeddings[..., 0] = 1.0
    labels = np.array([0, 0, 1, 2, -1, -1])
    loss = evaluate(suncet_loss, embeddings, labels, temperature=0.1)["loss"]
    # Of the 7 others, an image of class 0 has 3 of its class, 1 and 2 have 1.
    expected = (4 * np.log(7 / 3) + 4 * np.log(7)) / 8
    assert loss == pytest.approx(expected, rel=1e-5)


def test_suncet_without_anchors_is_zero_and_so_is_its_gradient():
    for num_views, labels in ((2, [-1, -1, -1]), (1, [2, 0, 1]), (1, [3, -1, -1])):
        labels = keras.ops.convert_to_tensor(np.array(labels))

        def loss(value, labels=labels):
            return suncet_loss(value, labels, temperature=0.1)

        embeddings = random_units(num_views, 3, 4)
        assert evaluate(loss, embeddings)["loss"] == 0.0
        np.testing.assert_array_equal(gradient(loss, embeddings), 0.0)


def test_images_without_a_label_do_not_count_in_suncet():
    embeddings = random_units(2, 6, 4)
    labels = np.array([0, 1, -1, 1, 0, -1])
    loss = evaluate(suncet_loss, embeddings, labels, temperature=0.1)
    kept = labels >= 0
    labelled = (embeddings[:, kept], labels[kept])
    assert evaluate(suncet_loss, *labelled, temperature=0.1) == pytest.approx(loss)


def test_a_class_with_one_image_is_contrasted_but_no_anchor():
    embeddings = random_units(1, 5, 4)
    pair = np.array([0, 0, -1, -1, -1])
    alone = evaluate(suncet_loss, embeddings, pair, temperature=0.1)["loss"]
    assert alone == 0.0
    single = np.array([0, 0, 1, -1, -1])
    loss = evaluate(suncet_loss, embeddings, single, temperature=0.1)["loss"]
    assert loss > 0.0
    assert_equals_reference(suncet_loss, embeddings, single, temperature=0.1)


def test_suncet_does_not_depend_on_the_order_of_images_or_the_names_of_classes():
    embeddings = random_units(2, 6, 4)
    labels = np.array([0, 1, 2, 1, 0, -1])
    loss = evaluate(suncet_loss, embeddings, labels, temperature=0.1)
    order = [3, 5, 0, 1, 4, 2]
    renamed = np.array([7, 0, 4, -1])[labels]
    moved = (embeddings[::-1][:, order].copy(), renamed[order])
    assert evaluate(suncet_loss, *moved, temperature=0.1) == pytest.approx(
        loss, rel=1e-5
    )


@pytest.mark.parametrize("num_views", [1, 2])
def test_the_gradient_of_suncet(num_views):
    embeddings = random_units(num_views, 6, 3)
    labels = np.array([0, 1, 1, -1, 0, 2])

    def loss(value):
        tensor = keras.ops.convert_to_tensor(labels)
        return suncet_loss(value, tensor, temperature=0.4)

    def reference(value):
        return references.suncet_loss(value, labels, temperature=0.4)

    assert_gradient_equals_differences(loss, reference, embeddings)


@pytest.mark.parametrize(
    "shapes", [[(4, 3), (4,)], [(2, 4, 3), (5,)], [(2, 4, 3), (4, 1)]]
)
def test_suncet_names_shapes_that_do_not_fit(shapes):
    received = ", .*".join(re.escape(str(shape)) for shape in shapes)
    with pytest.raises(ValueError, match=f"Expected .*Received: .*{received}"):
        suncet_loss(*map(np.zeros, shapes), temperature=0.1)


@pytest.mark.any_backend
def test_the_suncet_class_is_the_function_with_one_view():
    embeddings = random_units(7, 4)
    labels = np.array([0, 1, 1, -1, 0, 2, 1])
    expected = references.suncet_loss(embeddings[None], labels, temperature=0.2)
    loss = SuNCEtLoss(temperature=0.2)
    for y_true in (labels, labels[:, None], labels.astype("float32")):
        assert float(loss(y_true, embeddings)) == pytest.approx(expected, rel=1e-5)
    copy = keras.losses.deserialize(keras.losses.serialize(loss))
    assert type(copy) is SuNCEtLoss
    assert copy.get_config() == loss.get_config()
    assert float(copy(labels, embeddings)) == pytest.approx(expected, rel=1e-5)


def test_a_model_is_trained_with_suncet():
    """In an ordinary `fit`, whose last batch is smaller."""
    labels = np.arange(22) % 3
    images = random_units(22, 6) + 2 * np.eye(6, dtype="float32")[labels]
    model = keras.Sequential(
        [keras.Input((6,)), keras.layers.Dense(4), keras.layers.UnitNormalization()]
    )
    model.compile(optimizer=keras.optimizers.Adam(0.05), loss=SuNCEtLoss())
    history = model.fit(images, labels, batch_size=8, epochs=4, verbose=0).history
    assert history["loss"][-1] < 0.5 * history["loss"][0]


@pytest.mark.parametrize("temperature", [0, -0.1, float("nan"), float("inf")])
def test_the_temperature_of_every_contrast_must_be_positive(temperature):
    embeddings, labels = np.zeros((2, 4, 3)), np.zeros(4, "int32")
    message = f"temperature={temperature}"
    with pytest.raises(ValueError, match=message):
        nt_xent_loss(embeddings, temperature=temperature)
    with pytest.raises(ValueError, match=message):
        suncet_loss(embeddings, labels, temperature=temperature)
    with pytest.raises(ValueError, match=message):
        SuNCEtLoss(temperature=temperature)
