"""The network of patches, beside a naive NumPy computation."""

import keras
import numpy as np
import pytest
from references import oriented_gradients
from toys import one_everywhere

from semppl_keras.backbones import fit_patch_network
from semppl_keras.backbones.directions import fit_directions
from semppl_keras.backbones.gradient_layers import OrientedGradients
from semppl_keras.backbones.joined import joined_backbone
from semppl_keras.backbones.patch_layers import PatchActivations


def pictures(count=40, side=10, channels=1, seed=0):
    generator = np.random.default_rng(seed)
    return generator.uniform(size=(count, side, side, channels)).astype("float32")


def naive_activations(layer, images):
    kernel, bias = (weights.astype("float64") for weights in layer.get_weights())
    size, grid = layer.size, layer.grid
    results = []
    for image in images.astype("float64"):
        side = image.shape[0] - size + 1
        active = np.zeros((side, side, layer.entries))
        for row in range(side):
            for column in range(side):
                patch = image[row : row + size, column : column + size].ravel()
                patch = patch - patch.mean()
                patch /= np.sqrt(np.mean(patch**2) + layer.contrast_floor)
                active[row, column] = np.maximum(patch @ kernel + bias, 0)
        cells = []
        for row in range(grid):
            for column in range(grid):
                rows = slice(row * side // grid, -(-(row + 1) * side // grid))
                columns = slice(column * side // grid, -(-(column + 1) * side // grid))
                cells.append(active[rows, columns].mean(axis=(0, 1)))
        results.append(np.sqrt(np.concatenate(cells)))
    return np.array(results)


@one_everywhere("channels", [3, 1])
def test_activations_are_those_of_each_patch(channels):
    layer = PatchActivations(3, 5, 3)
    images = pictures(2, 9, channels)
    layer.build((None, *images.shape[1:]))
    generator = np.random.default_rng(1)
    layer.set_weights([generator.normal(size=w.shape) for w in layer.get_weights()])
    given = keras.ops.convert_to_numpy(layer(images))
    np.testing.assert_allclose(given, naive_activations(layer, images), atol=2e-5)


def test_what_is_nowhere_active_has_a_gradient():
    layer = PatchActivations(3, 5, 2)
    network = keras.Sequential([keras.Input((6, 6, 1)), layer, keras.layers.Dense(1)])
    kernel, bias = layer.get_weights()
    layer.set_weights([kernel, np.full_like(bias, -1.0)])
    network.compile(keras.optimizers.SGD(0.1), loss="mse")
    network.fit(np.zeros((2, 6, 6, 1)), np.ones((2, 1)), verbose=0)
    assert all(np.isfinite(weight).all() for weight in network.get_weights())


@pytest.mark.any_backend
def test_features_have_length_1_and_are_the_same_for_a_seed(tmp_path):
    images = pictures()
    make = {"entries": 8, "sizes": (3, 4), "grids": (2, 3), "components": 6}
    alone = fit_patch_network(images, seed=1, gradients=False, **make)
    assert alone.output_shape == (None, 12)
    network = fit_patch_network(images, seed=1, **make)
    features = network.predict(images, verbose=0)
    # As many directions of gradients as there are images.
    assert features.shape == (40, 12 + 40)
    np.testing.assert_allclose(np.linalg.norm(features[:, :12], axis=1), 0.5**0.5, 1e-4)
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, atol=1e-5)
    again = fit_patch_network(images, seed=1, **make).predict(images, verbose=0)
    np.testing.assert_allclose(features, again, atol=1e-4)
    assert not network.trainable_weights
    network.save(tmp_path / "patches.keras")
    loaded = keras.saving.load_model(tmp_path / "patches.keras")
    np.testing.assert_allclose(loaded.predict(images, verbose=0), features, atol=1e-5)


@one_everywhere("channels", [3, 1])
def test_gradients_are_those_of_a_loop(channels):
    images = pictures(3, 10, channels)
    images[0] = 0.5
    given = keras.ops.convert_to_numpy(OrientedGradients(4, 8)(images))
    expected = [oriented_gradients(image, 4, 8) for image in images]
    np.testing.assert_allclose(given, expected, atol=1e-5)


@pytest.mark.any_backend
def test_directions_are_evened_out():
    generator = np.random.default_rng(0)
    values = generator.normal(size=(500, 4)) * [10.0, 5.0, 1.0, 0.1] + 3
    full = fit_directions(values, 3, 1.0, "full")
    kernel, bias = full.get_weights()
    np.testing.assert_allclose((values @ kernel + bias).std(axis=0), 1, atol=0.02)
    half = values @ fit_directions(values, 3, 0.5, "half").get_weights()[0]
    expected = np.sqrt([10.0, 5.0, 1.0])
    np.testing.assert_allclose(half.std(axis=0), expected, rtol=0.1)


def test_a_joined_network_has_the_features_of_its_parts():
    images = pictures(3)
    inputs = keras.Input((10, 10, 1))
    flat = keras.Model(inputs, keras.layers.Flatten()(inputs))
    maps = keras.Model(inputs, keras.layers.Conv2D(2, 3)(inputs))
    joined = joined_backbone([(flat, None, 1.0), (maps, None, 0.5)], (10, 10, 1))
    first = images.reshape(3, -1)
    second = maps.predict(images, verbose=0).mean(axis=(1, 2))
    expected = [
        weight * part / np.linalg.norm(part, axis=1, keepdims=True)
        for weight, part in ((1.0, first), (0.5, second))
    ]
    given = joined.predict(images, verbose=0)
    np.testing.assert_allclose(given, np.concatenate(expected, axis=1), atol=1e-5)


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("images", "arguments", "match"),
    [
        (pictures() * 255, {}, "must lie in \\[0, 1\\].*Divide"),
        (pictures()[0], {}, "at least two"),
        (np.full((3, 10, 10, 1), np.nan), {}, "must lie in"),
        (pictures(), {"sizes": (3,)}, "each with one of `grids`"),
        (pictures(), {"sizes": (9,), "grids": (3,)}, "leave room"),
        (pictures(), {"entries": 0}, "`entries` must be an integer of at least 1"),
        (pictures(), {"whitening": 2.0}, "`whitening` must lie"),
    ],
)
def test_wrong_arguments_are_refused(images, arguments, match):
    with pytest.raises(ValueError, match=match):
        fit_patch_network(images, **arguments)
