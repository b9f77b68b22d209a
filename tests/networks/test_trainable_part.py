"""Which part of a backbone is trained, and what its batch normalisation does."""

import keras
import numpy as np
import pytest
from keras import layers

from semppl_keras import FineTuner, SemPPL
from semppl_keras.callbacks import TargetEMA
from semppl_keras.networks import train_part
from semppl_keras.networks.blocks import blocks_of
from tests.toys import QUICK, toy_images, toy_views, weights_of


def conv_norm(x, filters, strides, name):
    x = layers.Conv2D(filters, 3, strides, "same", name=f"{name}_conv")(x)
    return layers.BatchNormalization(momentum=0.5, name=f"{name}_norm")(x)


def residual_network(channels=1, side=None):
    """Four resolutions of one residual block each, scaling in front."""
    images = keras.Input((side, side, channels))
    x = layers.Rescaling(2.0, -1.0)(images)
    for index, filters in enumerate((4, 4, 6, 8)):
        x = conv_norm(x, filters, 2, f"down{index}")
        branch = conv_norm(layers.ReLU()(x), filters, 1, f"branch{index}")
        x = layers.ReLU(name=f"out{index}")(layers.Add()([x, branch]))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(images, x, name="residual")


def transformer(blocks=3, side=8, width=8):
    """Patches of 4 pixels, blocks of attention and perceptron, mean of the tokens."""
    images = keras.Input((side, side, 1))
    x = layers.Conv2D(width, 4, 4, name="patches")(images)
    x = layers.Reshape((-1, width))(x)
    for index in range(blocks):
        y = layers.LayerNormalization(name=f"norm{index}a")(x)
        y = layers.MultiHeadAttention(2, width // 2, name=f"attention{index}")(y, y)
        x = layers.Add()([x, y])
        y = layers.LayerNormalization(name=f"norm{index}b")(x)
        y = layers.Dense(2 * width, "gelu", name=f"wide{index}")(y)
        y = layers.Dense(width, name=f"narrow{index}")(y)
        x = layers.Add()([x, y])
    x = layers.LayerNormalization(name="norm")(x)
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(images, x, name="transformer")


def names(block):
    return [layer.path.split("/")[0] for layer in block]


def trained_names(model):
    return {weight.path.split("/")[-2] for weight in model.trainable_weights}


def test_blocks_of_a_convolutional_network_are_its_resolutions():
    network = residual_network()
    for backbone in (network, residual_network(side=64)):
        blocks = blocks_of(backbone)
        assert [names(block)[0] for block in blocks] == [
            "down0_conv",
            "down1_conv",
            "down2_conv",
            "down3_conv",
        ]
    # A model within another one is looked into.
    images = keras.Input((None, None, 1))
    outer = keras.Model(images, network(images * 2.0))
    assert list(map(names, blocks_of(outer))) == list(map(names, blocks_of(network)))


def test_blocks_of_a_transformer_begin_with_its_attentions():
    blocks = blocks_of(transformer())
    firsts = [names(block)[0] for block in blocks]
    assert firsts == ["patches", "norm0a", "norm1a", "norm2a"]
    assert names(blocks[-1])[-1] == "norm"


def test_blocks_within_one_layer_and_of_a_model_without_a_graph():
    class Encoder(layers.Layer):
        def __init__(self):
            super().__init__()
            self.parts = [
                keras.Sequential([layers.Dense(4), layers.ReLU()]) for _ in range(3)
            ]

        def call(self, x):
            for part in self.parts:
                x = part(x)
            return x

    class Whole(keras.Model):
        def __init__(self):
            super().__init__()
            self.stem, self.encoder = layers.Dense(4), Encoder()

        def call(self, x):
            return self.encoder(self.stem(x))

    inputs = keras.Input((4,))
    functional = keras.Model(inputs, Encoder()(layers.Dense(4)(inputs)))
    subclassed = Whole()
    subclassed(np.zeros((1, 4), "float32"))
    for model in (functional, subclassed):
        blocks = blocks_of(model)
        assert [len(block) for block in blocks] == [1, 1, 1, 1]
        train_part(model, "top")
        assert len(model.trainable_weights) == 2


@pytest.mark.parametrize("part", ["heads", "top", "all"])
def test_every_weight_is_in_one_block_and_parts_are_released_again(part):
    for backbone in (residual_network(), transformer()):
        own = [
            id(weight)
            for block in blocks_of(backbone)
            for layer in block
            for weight in layer._trainable_variables
        ]
        assert sorted(own) == sorted(id(w) for w in backbone.trainable_weights)
        train_part(backbone, part, "inference")
        train_part(backbone, "all")
        assert sorted(own) == sorted(id(w) for w in backbone.trainable_weights)
        assert all(layer.trainable for layer in backbone._flatten_layers())


def test_the_top_is_the_last_stage_or_a_third_of_the_blocks():
    network = residual_network()
    train_part(network, "top")
    assert {name.split("_")[0][-1] for name in trained_names(network)} == {"3"}
    train_part(network, "heads")
    assert not network.trainable_weights
    assert not network.trainable
    whole = transformer()
    train_part(whole, "top")
    assert "norm2a" in trained_names(whole)
    assert "norm1a" not in trained_names(whole)


def model_of(backbone, views=None, **changes):
    settings = {
        "num_classes": 3,
        "views": views or toy_views(num_small=0, large_size=16),
        "projection_dim": 4,
        "hidden_dim": 8,
        "memory_size": 12,
        "num_negatives": 4,
        "target_momentum": 0.5,
        "seed": 0,
    }
    model = SemPPL(backbone, **{**settings, **changes})
    model.compile(keras.optimizers.AdamW(1e-2), **QUICK)
    return model


def trained(model, epochs=1, **arguments):
    images, labels = toy_images(24, size=16)
    model.fit(
        images,
        (images[:6], labels[:6]),
        batch_size=12,
        epochs=epochs,
        verbose=0,
        **arguments,
    )
    return model


def moved(model, change):
    """The last two names of the weights of both backbones that a change has moved."""
    networks = {"online": model.online.backbone, "target": model.target.backbone}
    before = {name: weights_of(network) for name, network in networks.items()}
    change()
    return {
        name: {
            "/".join(path.split(":")[1].split("/")[-2:])
            for path, value in weights_of(network).items()
            if not np.array_equal(value, before[name][path])
        }
        for name, network in networks.items()
    }


def test_what_is_frozen_stays_and_what_is_not_moves_in_both_networks():
    model = model_of(residual_network(), trainable="heads")
    assert moved(model, lambda: trained(model)) == {"online": set(), "target": set()}
    model.train_part("top")
    found = moved(model, lambda: trained(model))
    for name in ("online", "target"):
        assert {path.split("_")[0][-1] for path in found[name]} == {"3"}
        assert any("moving_mean" in path for path in found[name])


@pytest.mark.any_backend
def test_batch_normalisation_keeps_its_statistics_in_both_networks():
    model = model_of(residual_network(), trainable="all", batch_norm="inference")
    found = moved(model, lambda: trained(model))
    for name in ("online", "target"):
        assert not any("moving" in path for path in found[name])
        assert "down0_norm/gamma" in found[name]
    model.train_part("all", "adapt")
    found = moved(model, lambda: trained(model))
    assert all("down0_norm/moving_mean" in paths for paths in found.values())


def test_batch_normalisation_in_inference_is_that_of_inference():
    backbone = residual_network()
    for layer in backbone.layers:
        if isinstance(layer, layers.BatchNormalization):
            rng = np.random.default_rng(0)
            layer.set_weights(
                [rng.uniform(0.5, 2, weight.shape) for weight in layer.get_weights()]
            )
    model = model_of(backbone, trainable="top", batch_norm="inference")
    images = np.random.default_rng(1).uniform(size=(4, 16, 16, 1)).astype("float32")
    inputs = {"large": keras.ops.convert_to_tensor(images[:, None])}
    before = keras.ops.convert_to_numpy(backbone(images, training=False))
    model(inputs, training=True)
    for network in (model.online, model.target):
        features = network.features(inputs["large"][:, 0], training=True)
        np.testing.assert_allclose(
            keras.ops.convert_to_numpy(features), before, rtol=1e-5, atol=1e-6
        )


@pytest.mark.any_backend
def test_stages_are_saved_and_gone_on_with(tmp_path):
    model = model_of(residual_network(), trainable="top", batch_norm="inference")
    schedule = {"callbacks": [TargetEMA(0.5, total_steps=4)]}
    trained(model, **schedule)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert trained_names(loaded) == trained_names(model)
    for each in (model, loaded):
        trained(each, epochs=2, initial_epoch=1, **schedule)
    for first, second in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_allclose(first.numpy(), second.numpy(), atol=1e-6)


def test_what_was_released_after_compile_is_told():
    model = model_of(residual_network(), trainable="heads")
    model.backbone.trainable = True
    with pytest.raises(ValueError, match="Compile the model again with a new"):
        trained(model)


@pytest.mark.parametrize(
    "arguments", [{"trainable": "upper"}, {"batch_norm": "frozen"}]
)
def test_other_parts_are_refused(arguments):
    (name,) = arguments
    with pytest.raises(ValueError, match=f"`{name}` must be one of"):
        model_of(residual_network(), **arguments)


@pytest.mark.any_backend
def test_a_fine_tuner_trains_the_part_that_it_is_told():
    tuner = FineTuner(
        residual_network(),
        3,
        views=toy_views(large_size=16),
        trainable="top",
        batch_norm="inference",
        seed=0,
    )
    tuner.compile(keras.optimizers.AdamW(1e-2), **QUICK)
    before = weights_of(tuner.backbone)
    tuner.fit(*toy_images(12, size=16), verbose=0)
    after = weights_of(tuner.backbone)
    moved = {path for path in after if not np.array_equal(before[path], after[path])}
    assert {path.split("/")[-2].split("_")[0][-1] for path in moved} == {"3"}
    assert not any("moving" in path for path in moved)
