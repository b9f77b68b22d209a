"""Learning rates by depth: against NumPy, in a model, saved and gone on with."""

import keras
import numpy as np
import pytest

from semppl_keras import SemPPL
from semppl_keras.callbacks import TargetEMA
from semppl_keras.networks.blocks import rates_by_depth
from semppl_keras.optimizers import LayerwiseAdamW
from tests.networks.test_trainable_part import (
    model_of,
    residual_network,
    trained,
    transformer,
)
from tests.toys import QUICK, toy_views


class NaiveAdamW:
    """The update in float64, with the rate of each variable."""

    def __init__(self, weights, rates, decay):
        self.weights = [w.astype("float64") for w in weights]
        self.rates, self.decay = rates, decay
        self.m = [np.zeros(w.shape) for w in weights]
        self.v = [np.zeros(w.shape) for w in weights]
        self.steps = 0

    def step(self, gradients, learning_rate):
        self.steps += 1
        for i, g in enumerate(gradients):
            rate = learning_rate * self.rates[i]
            if self.weights[i].ndim > 1:
                self.weights[i] = self.weights[i] * (1 - rate * self.decay)
            self.m[i] = 0.9 * self.m[i] + 0.1 * g
            self.v[i] = 0.999 * self.v[i] + 0.001 * g**2
            m = self.m[i] / (1 - 0.9**self.steps)
            v = self.v[i] / (1 - 0.999**self.steps)
            self.weights[i] = self.weights[i] - rate * m / (np.sqrt(v) + 1e-12)


@pytest.mark.parametrize("scheduled", [False, True])
def test_it_agrees_with_the_naive_loop(scheduled):
    rng = np.random.default_rng(0)
    shapes, rates = [(3, 4), (4,), (2, 3), ()], [1.0, 0.1, 0.01, 0.5]
    weights = [np.asarray(rng.normal(size=shape), "float32") for shape in shapes]
    variables = [keras.Variable(weight) for weight in weights]
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 1, 0.5)
    optimizer = LayerwiseAdamW(
        schedule if scheduled else 0.1, weight_decay=0.2, epsilon=1e-12
    )
    # The first one is that of all others.
    optimizer.set_rates(zip(variables[1:], rates[1:], strict=True))
    naive = NaiveAdamW(weights, rates, 0.2)
    for step in range(4):
        gradients = [np.asarray(rng.normal(size=shape), "float32") for shape in shapes]
        tensors = [keras.ops.convert_to_tensor(gradient) for gradient in gradients]
        optimizer.apply(tensors, variables)
        naive.step(gradients, 0.1 * 0.5**step if scheduled else 0.1)
    for variable, expected in zip(variables, naive.weights, strict=True):
        np.testing.assert_allclose(variable.numpy(), expected, rtol=2e-4, atol=1e-5)


def test_rates_fall_from_block_to_block():
    backbone = transformer()
    rates = {w.path.split("/")[-2]: r for w, r in rates_by_depth(backbone, 0.1, 0.5)}
    assert rates["narrow2"] == rates["norm"] == pytest.approx(0.1)
    assert rates["norm1a"] == rates["wide1"] == pytest.approx(0.05)
    assert rates["patches"] == pytest.approx(0.1 * 0.5**3)
    backbone = residual_network()
    rates = {w.path.split("/")[-2]: r for w, r in rates_by_depth(backbone, 1.0, 0.1)}
    assert [rates[f"down{i}_conv"] for i in (3, 2, 0)] == pytest.approx([1, 0.1, 1e-3])


def first_steps(model):
    """How far training moves the kernel of a layer, at most, by the layer's name."""
    kernels = [weight for weight in model.trainable_weights if len(weight.shape) > 1]
    before = [(w.path.split("/")[-2], w, w.numpy()) for w in kernels]
    trained(model)
    return {name: np.abs(w.numpy() - old).max() for name, w, old in before}


def test_a_model_trains_its_backbone_more_slowly_than_its_heads():
    model = model_of(residual_network())
    optimizer = LayerwiseAdamW(
        1e-3, backbone_rate=0.1, layer_decay=0.1, weight_decay=0.0
    )
    model.compile(optimizer, **QUICK)
    steps = first_steps(model)
    # Two steps of Adam, of which each is the rate at most.
    assert 1e-3 < steps["hidden"] < 2.1e-3
    assert 1e-4 < steps["down3_conv"] < 2.1e-4
    assert 1e-7 < steps["down0_conv"] < 2.1e-7


@pytest.mark.any_backend
def test_training_goes_on_after_loading_as_without(tmp_path):
    model = model_of(residual_network())
    model.compile(LayerwiseAdamW(1e-2, 0.5, 0.5), **QUICK)
    schedule = {"callbacks": [TargetEMA(0.5, total_steps=4)]}
    trained(model, **schedule)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert isinstance(loaded.optimizer, LayerwiseAdamW)
    assert loaded.optimizer.get_config() == model.optimizer.get_config()
    for each in (model, loaded):
        trained(each, epochs=2, initial_epoch=1, **schedule)
    for first, second in zip(model.variables, loaded.variables, strict=True):
        np.testing.assert_allclose(first.numpy(), second.numpy(), atol=1e-6)


@pytest.mark.any_backend
def test_a_stage_keeps_the_settings():
    model = model_of(residual_network(), trainable="heads")
    model.compile(LayerwiseAdamW(1e-2, 0.25, 0.5), **QUICK)
    model.train_part("top", "inference")
    assert model.optimizer.backbone_rate == 0.25
    rates = dict(
        zip(
            [w.path for w in model.trainable_variables],
            model.optimizer._rates.numpy(),
            strict=True,
        )
    )
    assert sorted(set(rates.values())) == pytest.approx([0.25, 1.0])
    assert not any("down1" in path for path in rates)


@pytest.mark.any_backend
def test_fit_under_mixed_float16():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = SemPPL(
            residual_network(),
            3,
            views=toy_views(num_small=0, large_size=16),
            projection_dim=4,
            hidden_dim=8,
            memory_size=12,
            num_negatives=4,
            seed=0,
        )
        model.compile(LayerwiseAdamW(1e-3), **QUICK)
        trained(model)
        rates = model.optimizer.inner_optimizer._rates.numpy()
        assert set(np.round(rates, 3).astype(str)) == {"0.1", "1.0"}
    finally:
        keras.config.set_dtype_policy("float32")


def test_rates_close_at_build_and_values_are_checked():
    variable = keras.Variable(np.zeros(2, "float32"))
    optimizer = LayerwiseAdamW()
    optimizer.build([variable])
    with pytest.raises(ValueError, match="before the optimiser is built"):
        optimizer.set_rates([(variable, 0.1)])
    with pytest.raises(ValueError, match="`backbone_rate` must be positive"):
        LayerwiseAdamW(backbone_rate=0.0)
    with pytest.raises(ValueError, match="`layer_decay` must lie in"):
        LayerwiseAdamW(layer_decay=1.5)
