"""Low-rank adapters: what is trained, copied, saved, gone on with and merged."""

import keras
import numpy as np
import pytest
from keras import ops

from semppl_keras import FineTuner
from semppl_keras.callbacks import TargetEMA
from semppl_keras.networks import copy_model, enable_lora, merge_adapters
from semppl_keras.networks.adapters import adapter_places
from tests.networks.test_trainable_part import (
    model_of,
    residual_network,
    trained,
    transformer,
)
from tests.toys import QUICK, toy_images, toy_views, weights_of

IMAGES = np.random.default_rng(0).uniform(size=(3, 8, 8, 1)).astype("float32")
VIEWS = toy_views(num_small=0, large_size=8)


def outputs(model):
    return ops.convert_to_numpy(model(IMAGES, training=False))


def adapted(rank=2):
    """A transformer whose adapters do something."""
    backbone = transformer(blocks=2)
    enable_lora(backbone, rank)
    rng = np.random.default_rng(0)
    for weight in backbone.trainable_weights:
        weight.assign(rng.normal(scale=0.3, size=weight.shape))
    return backbone


@pytest.mark.any_backend
def test_adapters_alone_are_trained_and_change_nothing_at_first():
    backbone = transformer(blocks=2)
    before = outputs(backbone)
    enable_lora(backbone, 2)
    np.testing.assert_allclose(outputs(backbone), before, atol=1e-6)
    # Query, key, value, output and two dense layers of each block.
    assert len(adapter_places(backbone)) == 12
    assert {w.name[:5] for w in backbone.trainable_weights} == {"lora_"}
    assert len(backbone.trainable_weights) == 24


def test_a_copy_has_the_same_adapters():
    backbone = adapted()
    copy = copy_model(backbone)
    assert adapter_places(copy) == adapter_places(backbone)
    for first, second in zip(backbone.weights, copy.weights, strict=True):
        np.testing.assert_array_equal(first.numpy(), second.numpy())


def test_merged_it_computes_the_same_without_them():
    backbone = adapted()
    expected, count = outputs(backbone), len(transformer(blocks=2).weights)
    merge_adapters(backbone)
    assert not adapter_places(backbone)
    assert len(backbone.weights) == count
    np.testing.assert_allclose(outputs(backbone), expected, atol=1e-5)
    np.testing.assert_allclose(outputs(copy_model(backbone)), expected, atol=1e-5)


def test_training_moves_the_adapters_of_both_networks_and_goes_on(tmp_path):
    model = model_of(adapted(), VIEWS)
    before = weights_of(model.target.backbone)
    schedule = {"callbacks": [TargetEMA(0.5, total_steps=4)]}
    trained(model, **schedule)
    after = weights_of(model.target.backbone)
    moved = {path for path in after if not np.array_equal(before[path], after[path])}
    assert len(moved) == 24
    assert all("lora" in path for path in moved)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for first, second in zip(model.variables, loaded.variables, strict=True):
        np.testing.assert_array_equal(first.numpy(), second.numpy(), first.path)
    for each in (model, loaded):
        trained(each, epochs=2, initial_epoch=1, **schedule)
    for first, second in zip(model.variables, loaded.variables, strict=True):
        np.testing.assert_allclose(first.numpy(), second.numpy(), atol=1e-6)


def test_plain_keras_reads_the_merged_backbone(tmp_path):
    model = model_of(adapted(), VIEWS)
    model.backbone.save(tmp_path / "backbone.keras")
    loaded = keras.models.load_model(tmp_path / "backbone.keras")
    np.testing.assert_allclose(outputs(loaded), outputs(model.backbone), atol=1e-5)
    # What it has left of the adapters can be trained again.
    tuner = FineTuner(loaded, 3, views=VIEWS, trainable="all", seed=0)
    for _, rank, _ in adapter_places(tuner.backbone):
        assert rank == 2
    assert all(
        np.any(weight.numpy())
        for weight in tuner.backbone.trainable_weights
        if weight.name == "lora_kernel_a"
    )


@pytest.mark.any_backend
def test_a_classifier_on_adapters_is_saved_and_merged(tmp_path):
    images, labels = toy_images(12)
    tuner = FineTuner(model_of(adapted(), VIEWS), 3, from_layer=0, seed=0)
    tuner.compile(keras.optimizers.AdamW(1e-2), **QUICK)
    tuner.fit(images, labels, verbose=0)
    expected = tuner.predict(images, verbose=0)
    tuner.classifier.save(tmp_path / "classifier.keras")
    tuner.save(tmp_path / "tuner.keras")
    for name in ("classifier", "tuner"):
        loaded = keras.models.load_model(tmp_path / f"{name}.keras")
        np.testing.assert_allclose(
            loaded.predict(images, verbose=0), expected, atol=1e-5
        )
    merge_adapters(tuner.classifier.backbone)
    np.testing.assert_allclose(
        ops.convert_to_numpy(tuner.classifier(images)), expected, atol=1e-5
    )


@pytest.mark.any_backend
def test_what_cannot_be_adapted_is_told():
    with pytest.raises(ValueError, match="has none. Leave the adapters out"):
        enable_lora(residual_network(), 2)
    with pytest.raises(ValueError, match="`rank` must be an integer of at least 1"):
        enable_lora(transformer(), 0)
    with pytest.raises(ValueError, match="has adapters already"):
        enable_lora(adapted(), 2)
