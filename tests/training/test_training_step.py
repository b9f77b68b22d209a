"""The whole step against an oracle, and what must and must not move in it."""

import typing

import keras
import numpy as np
import pytest
import references
from keras import layers
from toy_classifiers import dense_backbone, plain_views
from toys import (
    QUICK,
    SINGLE_OUTCOME,
    assert_same_weights,
    slow_on_jax,
    toy_backbone,
    toy_images,
    toy_model,
    toy_views,
    weights_of,
)

from semppl_keras import SemPPL
from semppl_keras.callbacks import TargetEMA
from semppl_keras.views import MultiCrop


class Oracle:
    """SemPPL's step on a two-layer toy in NumPy float64.

    The online network is Flatten, Dense, tanh and the two heads; its gradient is
    taken by central differences. What is drawn at random is made to have a single
    outcome: views without randomness, all others as negatives, a memory that
    holds each class once.
    """

    loss_weights: typing.ClassVar = {
        "temperature": 0.2,
        "contrastive_weight": 1.0,
        "semantic_weight": 0.2,
        "invariance_weight": 1.0,
    }

    def __init__(self, model, learning_rate):
        def arrays(layer):
            return [keras.ops.convert_to_numpy(v) for v in layer.trainable_variables]

        self.online = [w.astype("float64") for w in arrays(model.online)]
        self.target = [w.copy() for w in self.online[:7]]
        self.learning_rate = learning_rate
        self.step = 0

    @staticmethod
    def head(x, kernel, bias, gamma, beta, output):
        hidden = x @ kernel + bias
        mean, variance = hidden.mean(axis=0), hidden.var(axis=0)
        hidden = (hidden - mean) / np.sqrt(variance + 1e-5) * gamma + beta
        return np.maximum(hidden, 0) @ output

    def embed(self, weights, views):
        """Views `(V, B, pixels)` of one size to unit vectors `(V, B, D)`."""
        x = np.tanh(views.reshape(-1, views.shape[-1]) @ weights[0] + weights[1])
        for first in range(2, len(weights), 5):
            x = self.head(x, *weights[first : first + 5])
        return references.unit(x).reshape(*views.shape[:2], -1)

    def loss(self, weights, large, small, labels, num_unlabelled, frozen):
        # Of one size, all views share their batch statistics.
        online = self.embed(weights, np.concatenate([large, small]))
        frozen = online if frozen is None else frozen
        target = self.embed(self.target, large)
        # The queue was overwritten by this batch: it holds each class once.
        memory = target[:, num_unlabelled:]
        pseudo, _ = references.knn_votes(
            frozen[: len(large), :num_unlabelled], memory, labels, k=1
        )
        entry = np.argsort(labels)[np.concatenate([pseudo, labels])]
        batch = online.shape[1]
        others = np.array([np.delete(np.arange(batch), b) for b in range(batch)])
        parts = references.semppl_loss(
            online,
            target,
            others,
            memory[:, entry][None],
            np.ones(batch, bool),
            **self.loss_weights,
            frozen=frozen,
        )
        return parts["loss"], online, memory

    def train(self, large, small, labels, num_unlabelled, total_steps):
        data = (large, small, labels, num_unlabelled)
        loss, frozen, memory = self.loss(self.online, *data, None)
        # Rounding must not decide a vote: choose another seed if noise does.
        queries = frozen[: len(large), :num_unlabelled]
        votes = references.knn_votes(queries, memory, labels, k=1)[0]
        for noise in np.random.default_rng(0).normal(0, 1e-3, (20, *queries.shape)):
            noisy = references.knn_votes(queries + noise, memory, labels, k=1)[0]
            assert (noisy == votes).all(), "a near tie"
        gradient = [np.zeros_like(w) for w in self.online]
        for weight, slope in zip(self.online, gradient, strict=True):
            for index in np.ndindex(*weight.shape):
                kept = weight[index]
                ends = []
                for end in (kept + 1e-6, kept - 1e-6):
                    weight[index] = end
                    ends.append(self.loss(self.online, *data, frozen)[0])
                weight[index] = kept
                slope[index] = (ends[0] - ends[1]) / 2e-6
        for weight, slope in zip(self.online, gradient, strict=True):
            weight -= self.learning_rate * slope
        momentum = 1 - (1 - 0.9) * (np.cos(np.pi * self.step / total_steps) + 1) / 2
        for own, online in zip(self.target, self.online, strict=False):
            own *= momentum
            own += (1 - momentum) * online
        self.step += 1
        return loss, memory


@pytest.mark.parametrize(
    "jit_compile",
    # What XLA compiles is compared below, too.
    [False, pytest.param(True, marks=pytest.mark.slow)]
    if keras.backend.backend() == "tensorflow"
    else ["auto"],
)
def test_three_steps_equal_the_oracle(jit_compile):
    images, labels = toy_images(8, size=3)
    backbone = keras.Sequential(
        [layers.Input((3, 3, 1)), layers.Flatten(), layers.Dense(4, "tanh")]
    )
    views = MultiCrop(
        num_large=2,
        num_small=1,
        large_size=3,
        small_size=3,
        **SINGLE_OUTCOME,
    )
    model = SemPPL(
        backbone,
        3,
        views=views,
        projection_dim=3,
        hidden_dim=8,
        memory_size=3,
        num_negatives=7,
        num_semantic_positives=2,
        **Oracle.loss_weights,
        seed=1,
    )
    model.compile(keras.optimizers.SGD(0.1), jit_compile=jit_compile)
    oracle = Oracle(model, learning_rate=0.1)

    history = model.fit(
        images[:5],
        (images[5:], labels[5:]),
        epochs=3,
        batch_size=5,
        labelled_batch_size=3,
        callbacks=[TargetEMA(0.9)],
        verbose=0,
    )
    drawn = {
        name: keras.ops.convert_to_numpy(view).astype("float64")
        for name, view in views(images).items()
    }
    large, small = (
        np.swapaxes(drawn[name], 0, 1).reshape(drawn[name].shape[1], 8, -1)
        for name in ("large", "small")
    )
    losses = []
    for _ in range(3):
        loss, memory = oracle.train(large, small, labels[5:], 5, total_steps=3)
        losses.append(loss)

    np.testing.assert_allclose(history.history["loss"], losses, rtol=1e-4)
    for own, expected in (
        (model.online.trainable_variables, oracle.online),
        ([v for v, _ in model.target.moving_pairs(model.online)], oracle.target),
    ):
        assert len(own) == len(expected)
        for variable, value in zip(own, expected, strict=True):
            # XLA's float32 on processors with AVX-512 was 6e-5 off.
            np.testing.assert_allclose(
                keras.ops.convert_to_numpy(variable),
                value,
                rtol=1e-3,
                atol=1e-4,
            )
    held = keras.ops.convert_to_numpy(model.memory.labels.value)
    np.testing.assert_array_equal(np.sort(held), [0, 1, 2])
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(model.memory.embeddings.value),
        memory[:, np.argsort(labels[5:])[held]],
        rtol=1e-3,
        atol=1e-5,
    )
    assert int(model.step) == int(model.optimizer.iterations) == oracle.step == 3


# On torch this is another compiler, which takes half a minute for a toy.
COMPILED = "auto" if keras.backend.backend() == "torch" else True


@slow_on_jax
def test_a_convolutional_net_compiled_by_xla_equals_one_that_is_not():
    # XLA draws other numbers.
    views = toy_views(**SINGLE_OUTCOME)
    images, labels = toy_images(12)
    results = []
    for compiled in (COMPILED, False):
        keras.utils.set_random_seed(0)
        model = toy_model(
            views=views,
            memory_size=3,
            num_negatives=11,
            compile_arguments={
                "optimizer": keras.optimizers.SGD(0.1),
                "jit_compile": compiled,
            },
        )
        assert model.jit_compile == (compiled is True)
        history = model.fit(
            images[:9],
            (images[9:], labels[9:]),
            epochs=3,
            batch_size=9,
            labelled_batch_size=3,
            verbose=0,
        ).history
        assert np.isfinite(history["loss"]).all()
        held = keras.ops.convert_to_numpy(model.memory.labels.value)
        np.testing.assert_array_equal(np.sort(held), [0, 1, 2])
        results.append((history["loss"], weights_of(model.online)))
    (losses, weights), (expected_losses, expected_weights) = results
    np.testing.assert_allclose(losses, expected_losses, rtol=1e-4)
    assert_same_weights(weights, expected_weights, rtol=1e-3, atol=1e-4)


def test_random_views_of_two_sizes_are_compiled_by_xla():
    model = toy_model(compile_arguments={"jit_compile": COMPILED})
    assert np.isfinite(fit(model).history["loss"]).all()


def fit(model, hidden=None, epochs=2, **arguments):
    images, labels = toy_images(24)
    unlabelled = images[6:] if hidden is None else (images[6:], hidden)
    settings = {"batch_size": 9, "labelled_batch_size": 3, "verbose": 0}
    return model.fit(
        unlabelled, (images[:6], labels[:6]), epochs=epochs, **{**settings, **arguments}
    )


@pytest.mark.any_backend
def test_hidden_labels_change_nothing_but_the_metric():
    _, labels = toy_images(24)
    true, shuffled = labels[6:], np.random.default_rng(0).permutation(labels[6:])
    results = []
    for hidden in (true, shuffled, np.full(18, -1), None):
        keras.utils.set_random_seed(1)
        model = toy_model()
        history = fit(model, hidden).history
        results.append((weights_of(model), history))
    for weights, _ in results[1:]:
        assert_same_weights(results[0][0], weights)
    accuracies = [history.pop("pseudo_label_accuracy", None) for _, history in results]
    assert accuracies[0] != accuracies[1]
    # Unknown ones do not count, and without any there is no metric.
    assert accuracies[2] == [0.0, 0.0]
    assert accuracies[3] is None
    assert all(history == results[0][1] for _, history in results)


def trained_weights(model):
    return [
        keras.ops.convert_to_numpy(variable)
        for variable in model.online.trainable_variables
    ]


def trainable_target(model):
    return [
        keras.ops.convert_to_numpy(target)
        for target, _ in model.target.moving_pairs(model.online)
    ]


def test_the_target_starts_equal_and_shares_nothing():
    model = toy_model()
    pairs = model.target.moving_pairs(model.online)
    assert len(pairs) == 4 + 5
    for target, online in pairs:
        assert target is not online
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(target), keras.ops.convert_to_numpy(online)
        )


def test_the_target_stays_without_its_schedule_and_normalises_by_its_batch():
    model = toy_model()
    before = trainable_target(model)
    moving = model.target.backbone.layers[1].moving_mean
    statistics = keras.ops.convert_to_numpy(moving)
    fit(model, callbacks=[TargetEMA(base_momentum=1.0)])
    for old, new in zip(before, trainable_target(model), strict=True):
        np.testing.assert_array_equal(old, new)
    assert np.abs(keras.ops.convert_to_numpy(moving) - statistics).max() > 0
    fit(model)
    assert any(
        np.abs(old - new).max() > 0
        for old, new in zip(before, trainable_target(model), strict=True)
    )


def test_setting_trainable_does_not_reach_the_target():
    model = toy_model()
    count = len(model.trainable_variables)
    model.trainable = False
    model.trainable = True
    assert len(model.trainable_variables) == count
    assert not any(weight.trainable for weight in model.target.weights)
    assert {id(v) for v in model.trainable_variables} == {
        id(v) for v in model.online.trainable_variables
    }


def test_the_momentum_follows_the_cosine():
    model = toy_model()
    history = fit(model, epochs=3, callbacks=[TargetEMA(0.9)]).history
    # Two steps an epoch; the last one of each is shown.
    steps = np.array([1, 3, 5])
    expected = 1 - 0.1 * (np.cos(np.pi * steps / 6) + 1) / 2
    np.testing.assert_allclose(history["target_momentum"], expected, rtol=1e-6)
    # A later fit begins anew, and one that goes on does not.
    history = fit(model, epochs=1, callbacks=[TargetEMA(0.9, total_steps=6)]).history
    np.testing.assert_allclose(history["target_momentum"], expected[:1], rtol=1e-6)


def test_the_target_moves_once_per_optimiser_step(tmp_path):
    def moved(model, act):
        """Whether online network and target moved."""
        before = trained_weights(model), trainable_target(model)
        act(model)
        after = trained_weights(model), trainable_target(model)
        return tuple(
            any(np.any(old != new) for old, new in zip(*weights, strict=True))
            for weights in zip(before, after, strict=True)
        )

    def one_batch(model):
        # No momentum of the target's own: it becomes the online network.
        fit(model, epochs=1, batch_size=18, callbacks=[TargetEMA(0.0, 10**6)])

    optimizer = keras.optimizers.SGD(0.1, gradient_accumulation_steps=3)
    model = toy_model(
        dense_backbone(size=8),
        views=plain_views(size=8),
        compile_arguments={"optimizer": optimizer},
    )
    assert [moved(model, one_batch) for _ in range(4)] == [
        (False, False),
        (False, False),
        (True, True),
        (False, False),
    ]
    for target, online in model.target.moving_pairs(model.online):
        np.testing.assert_allclose(
            keras.ops.convert_to_numpy(target),
            keras.ops.convert_to_numpy(online),
            atol=1e-6,
        )
    # The count goes on where it was saved, and begins anew with another optimiser.
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert [moved(loaded, one_batch) for _ in range(2)] == [
        (False, False),
        (True, True),
    ]
    one_batch(loaded)
    loaded.compile(keras.optimizers.SGD(0.1, gradient_accumulation_steps=2), **QUICK)
    assert [moved(loaded, one_batch) for _ in range(2)] == [
        (False, False),
        (True, True),
    ]


def test_accumulated_and_scaled_gradients_are_refused():
    optimizer = keras.optimizers.SGD(0.1, gradient_accumulation_steps=2)
    scaled = keras.optimizers.LossScaleOptimizer(optimizer)
    with pytest.raises(ValueError, match="gradient_accumulation_steps=2. Use mixed_bf"):
        toy_model(compile_arguments={"optimizer": scaled})


@slow_on_jax
def test_accumulated_gradients_are_those_of_the_batches():
    """Two batches whose gradients are added up, against their mean by hand."""

    def train(epochs, **arguments):
        keras.utils.set_random_seed(0)
        optimizer = keras.optimizers.SGD(0.1, **arguments)
        model = toy_model(
            compile_arguments={"optimizer": optimizer, "jit_compile": False}
        )
        start = trained_weights(model)
        fit(model, epochs=epochs, batch_size=18, callbacks=[TargetEMA(1.0)])
        return model, start

    accumulated, start = train(2, gradient_accumulation_steps=2)
    first, _ = train(1)
    # The second batch, seen from the same weights: the first one with a rate of 0.
    second, _ = train(0)
    rate = second.optimizer.learning_rate
    rate.assign(0.0)
    fit(second, epochs=1, batch_size=18, callbacks=[TargetEMA(1.0)])
    rate.assign(0.1)
    fit(second, epochs=1, batch_size=18, callbacks=[TargetEMA(1.0)])
    results = [trained_weights(model) for model in (accumulated, first, second)]
    for before, both, one, other in zip(start, *results, strict=True):
        steps = ((one - before) + (other - before)) / 2
        np.testing.assert_allclose(both - before, steps, atol=2e-6)


def test_steps_per_execution_changes_nothing():
    def train(steps):
        keras.utils.set_random_seed(2)
        model = toy_model(compile_arguments={"steps_per_execution": steps})
        fit(model, epochs=2, batch_size=3)
        return weights_of(model)

    expected = train(1)
    if keras.backend.backend() == "torch":
        with pytest.raises(ValueError, match="steps_per_execution"):
            train(3)
    else:
        assert_same_weights(expected, train(3), rtol=1e-5, atol=1e-6)


def test_the_same_seed_gives_the_same_result_and_another_one_does_not():
    def train(seed):
        keras.utils.set_random_seed(3)
        backbone = toy_backbone()
        # What is not given to the model must not matter from here on.
        keras.utils.set_random_seed(np.random.SeedSequence().entropy % 2**32)
        model = toy_model(backbone, seed=seed)
        fit(model)
        return list(weights_of(model).values())

    first, second, other = train(4), train(4), train(5)
    for one, same in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, same)
    assert any(np.abs(a - b).max() > 0 for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize(
    "policy",
    ["mixed_float16", pytest.param("mixed_bfloat16", marks=pytest.mark.slow)],
)
def test_mixed_precision(policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        model = toy_model()
        history = fit(model).history
        assert model.backbone.compute_dtype == policy.removeprefix("mixed_")
        assert np.isfinite(history["loss"]).all()
        images, _ = toy_images(6)
        assert model.predict(images, verbose=0).dtype == np.float32
        embeddings = model.memory.embeddings
        assert keras.backend.standardize_dtype(embeddings.dtype) == "float32"
        norms = np.linalg.norm(keras.ops.convert_to_numpy(embeddings.value), axis=-1)
        filled = keras.ops.convert_to_numpy(model.memory.labels.value) >= 0
        np.testing.assert_allclose(norms[:, filled], 1.0, rtol=1e-5)
    finally:
        keras.config.set_dtype_policy(before)


@pytest.mark.any_backend
def test_a_saliency_mask_comes_with_the_images():
    images, labels = toy_images(24)
    mask = np.zeros_like(images)
    mask[:, 2:6] = 255
    masked = np.concatenate([images, mask], axis=-1)
    model = toy_model(views=toy_views(background_removal=0.5))
    history = model.fit(
        masked[6:], (masked[:6], labels[:6]), batch_size=9, verbose=0
    ).history
    assert np.isfinite(history["loss"]).all()
    # Without augmentation the mask does not matter, and may be absent.
    np.testing.assert_array_equal(
        model.predict(masked, verbose=0), model.predict(images, verbose=0)
    )


def test_the_step_is_traced_once():
    """Tracing takes longer than hundreds of small steps."""
    model = toy_model()
    images, labels = toy_images(24)
    made = []
    make_views = model.make_views

    def counting(images):
        made.append(len(images))
        return make_views(images)

    model.make_views = counting
    model.fit(images, (images[:6], labels[:6]), epochs=2, batch_size=12, verbose=0)
    # On torch nothing is traced: every step makes its views.
    assert len(made) == (4 if keras.backend.backend() == "torch" else 1)
