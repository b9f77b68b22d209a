import math

import keras
import numpy as np
import pytest
from keras import ops

from semppl_keras.optimizers import LARS, biases_and_normalisation, warmup_cosine


class NaiveLARS:
    """The update of the docstring, one variable after the other in float64."""

    def __init__(self, weights, excluded, momentum, trust, decay, nesterov):
        self.weights = [w.astype("float64") for w in weights]
        self.velocities = [np.zeros(w.shape) for w in self.weights]
        self.excluded = excluded
        self.momentum = momentum
        self.trust = trust
        self.decay = decay
        self.nesterov = nesterov

    def step(self, gradients, learning_rate):
        for i, (w, g) in enumerate(zip(self.weights, gradients, strict=True)):
            ratio, d = 1.0, g.astype("float64")
            if i not in self.excluded:
                d = d + self.decay * w
                norms = math.sqrt((w**2).sum()), math.sqrt((d**2).sum())
                if norms[0] > 0 and norms[1] > 0:
                    ratio = self.trust * norms[0] / norms[1]
            scaled = learning_rate * ratio * d
            v = self.velocities[i] = self.momentum * self.velocities[i] + scaled
            self.weights[i] = w - (self.momentum * v + scaled if self.nesterov else v)


SHAPES = [(3, 4), (4,), (2, 3, 3), (3, 2), (2, 2), ()]
RANK_ONE_OR_LESS = {1, 5}


def variables_of(arrays):
    return [keras.Variable(a, name=f"v{i}") for i, a in enumerate(arrays)]


def draws(seed, scale=1.0):
    rng = np.random.default_rng(seed)
    return [(scale * rng.normal(size=s)).astype("float32") for s in SHAPES]


def apply(optimizer, gradients, variables):
    gradients = [ops.convert_to_tensor(g) for g in gradients]
    optimizer.apply(gradients, variables)


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("scheduled", [False, True])
def test_lars_agrees_with_the_naive_loop(nesterov, scheduled):
    weights = draws(0)
    weights[3][:] = 0
    variables = variables_of(weights)
    rate = warmup_cosine(2.0, warmup_steps=2, total_steps=6) if scheduled else 0.5
    optimizer = LARS(
        rate, momentum=0.8, trust_coefficient=0.05, weight_decay=0.1, nesterov=nesterov
    )
    optimizer.exclude_from_adaptation([variables[2]])
    naive = NaiveLARS(weights, RANK_ONE_OR_LESS | {2}, 0.8, 0.05, 0.1, nesterov)
    for step in range(7):
        gradients = draws(step + 1)
        # A gradient of zeros on weights of zeros has no norm at all.
        if step == 0:
            gradients[3][:] = 0
        if scheduled and step < 2:
            learning_rate = step
        elif scheduled:
            angle = math.pi * min(step - 2, 4) / 4
            learning_rate = 2 * (1 + math.cos(angle)) / 2
        else:
            learning_rate = 0.5
        apply(optimizer, gradients, variables)
        naive.step(gradients, learning_rate)
        for variable, expected in zip(variables, naive.weights, strict=True):
            np.testing.assert_allclose(
                ops.convert_to_numpy(variable), expected, rtol=1e-5, atol=1e-6
            )


def test_weight_decay_is_applied_once():
    variable = keras.Variable(np.full((2, 2), 3.0, "float32"))
    optimizer = LARS(0.5, momentum=0.0, trust_coefficient=0.01, weight_decay=0.2)
    apply(optimizer, [np.zeros((2, 2), "float32")], [variable])
    # The direction is 0.2 * w, the trust 0.01 * ||w|| / (0.2 * ||w||) = 0.05.
    expected = 3 - 0.5 * 0.05 * 0.2 * 3
    np.testing.assert_allclose(ops.convert_to_numpy(variable), expected, rtol=1e-6)


def test_keras_own_exclusion_takes_away_the_decay_alone():
    variable = keras.Variable(np.full((2, 2), 3.0, "float32"))
    optimizer = LARS(0.5, momentum=0.0, trust_coefficient=0.01, weight_decay=10.0)
    optimizer.exclude_from_weight_decay([variable])
    apply(optimizer, [np.array([[1, 0], [0, 0]], "float32")], [variable])
    expected = [[3 - 0.5 * 0.01 * 6, 3], [3, 3]]
    np.testing.assert_allclose(ops.convert_to_numpy(variable), expected, rtol=1e-6)


def test_step_length_does_not_depend_on_the_gradient_scale():
    ends = []
    for scale in (1.0, 1e4):
        variable = keras.Variable(draws(0)[0])
        optimizer = LARS(1.0, momentum=0.0, weight_decay=0.0)
        apply(optimizer, [scale * draws(1)[0]], [variable])
        ends.append(ops.convert_to_numpy(variable))
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-6)
    length = np.linalg.norm(ends[0] - draws(0)[0])
    np.testing.assert_allclose(length, 1e-3 * np.linalg.norm(draws(0)[0]), rtol=1e-3)


def test_half_precision_weights_have_float32_norms():
    # The sum of the squares of these, 4e6, is beyond float16.
    variable = keras.Variable(np.full((20, 25), 90.0), dtype="float16")
    optimizer = LARS(1.0, momentum=0.0, trust_coefficient=0.1, weight_decay=0.0)
    apply(optimizer, [np.full((20, 25), 7.0, "float16")], [variable])
    np.testing.assert_allclose(ops.convert_to_numpy(variable), 81.0, rtol=1e-3)
    assert keras.backend.standardize_dtype(variable.dtype) == "float16"


def test_exclusions_add_up_and_close_at_build():
    variables = variables_of(draws(0))
    optimizer = LARS(0.5)
    before = len(optimizer.variables)
    optimizer.exclude_from_adaptation([variables[0]])
    optimizer.exclude_from_adaptation(v for v in variables[2:3])
    assert len(optimizer.variables) == before
    optimizer.build(variables)
    adapted = ops.convert_to_numpy(optimizer.variables[-1])
    np.testing.assert_array_equal(adapted, [0, 0, 0, 1, 1, 0])
    with pytest.raises(ValueError, match="before the optimiser is built"):
        optimizer.exclude_from_adaptation([variables[3]])


def test_exclusion_goes_by_identity():
    """Equal names and values do not make a variable excluded."""
    twins = [keras.Variable(draws(0)[0], name="bias") for _ in range(2)]
    optimizer = LARS(0.5, momentum=0.0)
    optimizer.exclude_from_adaptation([twins[1]])
    apply(optimizer, [draws(1)[0]] * 2, twins)
    moved = [np.abs(ops.convert_to_numpy(v) - draws(0)[0]).max() for v in twins]
    assert moved[0] < 0.01 < 0.1 < moved[1]


def test_exclusion_takes_variables_only():
    with pytest.raises(TypeError, match=r"keras\.Variable objects"):
        LARS(0.5).exclude_from_adaptation(["dense/bias"])


def test_config_round_trip():
    optimizer = LARS(
        warmup_cosine(0.3, 10, 100),
        momentum=0.8,
        trust_coefficient=0.02,
        weight_decay=1e-4,
        nesterov=True,
        name="mine",
        clipnorm=3.0,
        gradient_accumulation_steps=2,
    )
    assert optimizer.get_config()["weight_decay"] == 1e-4
    restored = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert type(restored) is LARS
    assert restored.get_config() == optimizer.get_config()
    default = LARS(0.5).get_config()
    assert (default["momentum"], default["trust_coefficient"]) == (0.9, 1e-3)
    assert (default["weight_decay"], default["nesterov"]) == (1e-6, False)
    assert default["name"] == "lars"


def test_lars_refuses_values_out_of_range():
    for name, value in (
        ("momentum", 1.0),
        ("momentum", -0.1),
        ("trust_coefficient", 0.0),
        ("weight_decay", -1e-6),
        ("weight_decay", None),
        ("weight_decay", float("inf")),
        ("trust_coefficient", float("nan")),
        ("momentum", "fast"),
    ):
        with pytest.raises(ValueError, match=rf"`{name}` must be .*{name}={value!r}"):
            LARS(0.5, **{name: value})


def model_with_matrix_biases(attention=False):
    tokens = keras.Input((5, 4), name="tokens")
    x = keras.layers.LayerNormalization(axis=(1, 2), name="over_two_axes")(tokens)
    if attention:
        x = keras.layers.MultiHeadAttention(2, 3, name="attention")(x, x)
    x = keras.layers.EinsumDense(
        "btd,dhk->bthk", (5, 2, 3), bias_axes="hk", name="einsum"
    )(x)
    x = keras.layers.Flatten()(x)
    return keras.Model(tokens, keras.layers.Dense(2, name="head")(x))


def tokens_and_targets(n=8):
    rng = np.random.default_rng(3)
    return (
        rng.normal(size=(n, 5, 4)).astype("float32"),
        rng.normal(size=(n, 2)).astype("float32"),
    )


def lars_without_biases(model, **kwargs):
    optimizer = LARS(0.5, trust_coefficient=0.1, weight_decay=0.01, **kwargs)
    optimizer.exclude_from_adaptation(biases_and_normalisation(model))
    return optimizer


def test_training_goes_on_after_loading_as_without(tmp_path):
    """Slots and exclusions come back: the excluded variables here have rank 2."""
    images, targets = tokens_and_targets()
    model = model_with_matrix_biases()
    model.compile(optimizer=lars_without_biases(model), loss="mse")
    model.fit(images, targets, batch_size=4, shuffle=False, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded.optimizer) is LARS
    for ours, theirs in zip(
        model.optimizer.variables, loaded.optimizer.variables, strict=True
    ):
        np.testing.assert_array_equal(
            ops.convert_to_numpy(ours), ops.convert_to_numpy(theirs)
        )
    assert any(
        np.any(ops.convert_to_numpy(v)) for v in loaded.optimizer.variables[2:-1]
    )
    for one in (model, loaded):
        one.fit(images, targets, batch_size=4, shuffle=False, verbose=0)
    for ours, theirs in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_allclose(
            ops.convert_to_numpy(ours), ops.convert_to_numpy(theirs), rtol=1e-6
        )


def test_fit_under_mixed_float16():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        images, targets = tokens_and_targets()
        model = model_with_matrix_biases()
        lars = lars_without_biases(model)
        model.compile(optimizer=lars, loss="mse")
        assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
        before = [ops.convert_to_numpy(v) for v in model.trainable_variables]
        history = model.fit(images, targets, batch_size=4, epochs=3, verbose=0)
    finally:
        keras.config.set_dtype_policy("float32")
    assert np.isfinite(history.history["loss"]).all()
    # The first loss scales may be too high for float16: such a step is left out.
    assert 3 <= int(ops.convert_to_numpy(lars.iterations)) <= 6
    moved = {
        v.path: not np.array_equal(ops.convert_to_numpy(v), old)
        for v, old in zip(model.trainable_variables, before, strict=True)
    }
    assert all(moved.values()), moved


def test_accumulated_gradients_are_one_large_batch():
    images, targets = tokens_and_targets(8)
    start = model_with_matrix_biases()
    ends = []
    for batch, accumulation in ((8, None), (4, 2)):
        model = keras.models.clone_model(start)
        model.set_weights(start.get_weights())
        optimizer = lars_without_biases(model, gradient_accumulation_steps=accumulation)
        model.compile(optimizer=optimizer, loss="mse")
        model.fit(images, targets, batch_size=batch, epochs=2, shuffle=False, verbose=0)
        ends.append(model.get_weights())
    for one, other in zip(*ends, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


def test_biases_and_normalisation_of_a_model_with_matrices_among_them():
    model = model_with_matrix_biases(attention=True)
    found = biases_and_normalisation(model)
    assert sorted(v.path.split("/", 1)[-1] for v in found) == sorted(
        v.path.split("/", 1)[-1]
        for v in model.trainable_variables
        if v.path.endswith(("bias", "gamma", "beta"))
    )
    assert len(found) == 2 + 4 + 1 + 1
    assert sum(len(v.shape) > 1 for v in found) == 2 + 3 + 1


def test_biases_and_normalisation_goes_by_what_a_variable_is():
    class Scale(keras.layers.Layer):
        """A matrix with a misleading name, and a bias."""

        def build(self, input_shape):
            self.kernel = self.add_weight(shape=(4, 4), name="bias_gamma_norm")
            self.bias = self.add_weight(shape=(1, 4), name="offset")

        def call(self, x):
            return x @ self.kernel + self.bias

    frozen = keras.layers.Dense(4, trainable=False)
    model = keras.Sequential(
        [
            keras.Input((4,)),
            Scale(),
            keras.Sequential([keras.layers.BatchNormalization()]),
            frozen,
            keras.layers.SpectralNormalization(keras.layers.Dense(4, use_bias=False)),
            keras.layers.RMSNormalization(),
            keras.layers.GroupNormalization(2),
        ]
    )
    found = biases_and_normalisation(model)
    names = ["offset", "gamma", "beta", "scale", "gamma", "beta"]
    assert [v.name for v in found] == names
    assert not any(v.name == "bias_gamma_norm" for v in found)


def test_biases_and_normalisation_wants_a_built_layer():
    with pytest.raises(ValueError, match="must be built"):
        biases_and_normalisation(keras.layers.Dense(3))


def test_warmup_cosine_values():
    schedule = warmup_cosine(0.4, warmup_steps=10, total_steps=110, final=0.1)
    known = {0: 0.0, 5: 0.2, 10: 0.4, 60: 0.25, 110: 0.1, 500: 0.1}
    values = [float(ops.convert_to_numpy(schedule(step))) for step in known]
    np.testing.assert_allclose(values, list(known.values()), atol=1e-7)


def test_warmup_cosine_without_warmup_starts_at_the_peak():
    schedule = warmup_cosine(0.4, warmup_steps=0, total_steps=10)
    values = [float(ops.convert_to_numpy(schedule(step))) for step in (0, 5, 10)]
    np.testing.assert_allclose(values, [0.4, 0.2, 0.0], atol=1e-7)


def test_warmup_cosine_is_one_of_keras_own():
    schedule = warmup_cosine(1, warmup_steps=2, total_steps=10)
    copy = keras.optimizers.schedules.deserialize(
        keras.optimizers.schedules.serialize(schedule)
    )
    assert type(copy) is keras.optimizers.schedules.CosineDecay
    assert copy.get_config() == schedule.get_config()


def test_warmup_cosine_refuses_values_out_of_range():
    for changed, message in (
        ({"peak": 0.0}, "`peak` must be positive"),
        ({"peak": -1.0}, "peak=-1.0"),
        ({"final": -0.1}, "final=-0.1"),
        ({"final": 0.5}, "between 0 and `peak`"),
        ({"warmup_steps": -1}, "warmup_steps=-1"),
        ({"warmup_steps": 100}, "warmup_steps=100, total_steps=100"),
        ({"total_steps": 0, "warmup_steps": 0}, "total_steps=0"),
        ({"total_steps": -5}, "total_steps=-5"),
        ({"warmup_steps": 2.5}, "`warmup_steps` must be an integer"),
    ):
        given = {"peak": 0.4, "warmup_steps": 10, "total_steps": 100, **changed}
        with pytest.raises(ValueError, match=message):
            warmup_cosine(**given)
