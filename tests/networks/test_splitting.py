"""Backbones in two parts, and training of the upper one on features that are kept."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from semppl_keras.networks import join_backbone, split_backbone
from tests.networks.test_trainable_part import residual_network, transformer


def outputs(model, images):
    return ops.convert_to_numpy(model(images, training=False))


def some_images(side=16, count=3):
    rng = np.random.default_rng(0)
    return rng.uniform(size=(count, side, side, 1)).astype("float32")


@pytest.mark.parametrize("at", ["top", "down0_norm", "out2"])
def test_parts_of_a_convolutional_network_make_the_whole(at):
    network = residual_network()
    images = keras.Input((None, None, 1))
    for backbone in (network, keras.Model(images, network(0.5 * images))):
        lower, upper = split_backbone(backbone, at)
        pictures = some_images()
        expected = outputs(backbone, pictures)
        np.testing.assert_allclose(
            outputs(upper, outputs(lower, pictures)), expected, atol=1e-6
        )
        joined = join_backbone(lower, upper)
        np.testing.assert_allclose(outputs(joined, pictures), expected, atol=1e-6)
        assert len(joined.weights) == len(backbone.weights)


def test_the_top_is_what_train_part_trains():
    lower, upper = split_backbone(residual_network())
    assert lower.output_shape[-1] == 6
    names = {weight.path.split("/")[-2] for weight in upper.weights}
    assert {name.split("_")[0][-1] for name in names} == {"3"}
    lower, upper = split_backbone(transformer())
    assert lower.output_shape[1:] == (4, 8)
    assert "norm2a" in {layer.name for layer in upper.layers}
    images = some_images(8)
    np.testing.assert_allclose(
        outputs(upper, outputs(lower, images)),
        outputs(join_backbone(lower, upper), images),
        atol=1e-6,
    )


def test_what_cannot_be_cut_is_told():
    with pytest.raises(ValueError, match="can be cut behind: .*out0"):
        split_backbone(residual_network(), "branch0_conv")

    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(2)

        def call(self, x):
            return self.dense(x)

    own = Own()
    own(np.ones((1, 2), "float32"))
    with pytest.raises(ValueError, match="must be a functional model"):
        split_backbone(own)
    lower, _ = split_backbone(residual_network(), "out1")
    _, upper = split_backbone(residual_network(), "out2")
    with pytest.raises(ValueError, match="must take what `lower` gives"):
        join_backbone(lower, upper)
