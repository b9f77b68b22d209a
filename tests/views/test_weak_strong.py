"""Weak and strong views, and the squares that are cut out."""

import keras
import numpy as np
import pytest
from toys import one_everywhere

from semppl_keras.training.global_batch import GlobalBatch
from semppl_keras.views import (
    CachedViews,
    Cutout,
    MultiCrop,
    RandAugment,
    WeakStrong,
    recipe,
)


def as_numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def drawn_by(layer, images, seed=0, **arguments):
    """What a layer makes of images, in NumPy, compiled where the backend compiles."""

    def draw(images):
        return layer(images, seed=seed, **arguments)

    if keras.backend.backend() == "jax":
        import jax

        draw = jax.jit(draw)
    elif keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        draw = tf.function(draw)
    drawn = draw(keras.ops.convert_to_tensor(images))
    return keras.tree.map_structure(as_numpy, drawn)


def reloaded(layer):
    return keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(layer)
    )


def random_images(count=4, height=12, width=12, channels=3):
    rng = np.random.default_rng(0)
    return rng.random((count, height, width, channels)).astype("float32")


# -- cutout ---------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 4])
def test_a_square_is_cut_out_of_each_image(channels):
    images = np.ones((300, 12, 8, channels), "float32")
    cut = drawn_by(Cutout(0.5, fill=0.25), images)
    assert set(np.unique(cut)) == {0.25, 1.0}
    for image in cut:
        rows, columns = np.nonzero(image[..., 0] == 0.25)
        # All channels, a rectangle without holes, cut off at the edge alone.
        assert (image[rows, columns] == 0.25).all()
        height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert len(rows) == height * width
        assert height == 6 or rows.min() == 0 or rows.max() == 11
        assert width == 4 or columns.min() == 0 or columns.max() == 7
    # Where the centre may lie anywhere, the middle is covered by half of the squares
    # along each axis, a corner by a quarter.
    covered = (cut[..., 0] == 0.25).mean(0)
    assert abs(covered[6, 4] - 0.25) < 0.08
    assert abs(covered[0, 0] - 0.0625 * (13 / 12) * (9 / 8)) < 0.05


def test_squares_have_a_size_and_a_probability():
    images = np.ones((400, 20, 20, 1), "float32")
    cut = drawn_by(Cutout((0.0, 0.5), fill=0.0, probability=0.5), images) == 0
    assert cut.any(axis=(1, 2, 3)).mean() == pytest.approx(0.48, abs=0.08)
    sides = cut.any(axis=(2, 3)).sum(1)
    assert sides.max() == 10
    assert len(set(sides)) > 8
    whole = drawn_by(Cutout(0.0), images)
    np.testing.assert_array_equal(whole, images)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 1.5}, "`size` must lie in .*Received: size=1.5"),
        ({"size": (0.5, 0.2)}, r"`size` must be a share.*\(0.5, 0.2\)"),
        ({"size": (0.5,)}, "`size` must be a share"),
        ({"size": "half"}, "`size` must lie in .*'half'"),
        ({"fill": 2}, "`fill` must lie in .*Received: fill=2"),
        ({"probability": None}, "`probability` must lie in"),
    ],
)
def test_cutouts_that_are_none_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Cutout(**settings)


def test_images_to_cut_have_four_axes():
    with pytest.raises(ValueError, match=r"\(batch, height, width, channels\).*\(8, 8"):
        Cutout()(np.zeros((8, 8, 1)))


# -- weak and strong ------------------------------------------------------------------


NOTHING = RandAugment(0)


def mild(**changes):
    return recipe("mild", large_size=12, **changes)


def test_views_have_shapes_and_ranges():
    images = 255 * random_images()
    layer = WeakStrong(mild(output_range=(-1, 1)), NOTHING, num_strong=3)
    drawn = drawn_by(layer, images)
    assert drawn["weak"].shape == (4, 12, 12, 3)
    assert drawn["strong"].shape == (4, 3, 12, 12, 3)
    for batch in drawn.values():
        assert batch.dtype == np.float32
        assert -1 <= batch.min() < -0.8 < 0.8 < batch.max() <= 1
    centre = as_numpy(layer.center_view(images))
    np.testing.assert_allclose(centre, images / 255 * 2 - 1, atol=1e-4)
    assert (layer.large_size, layer.sizes, layer.min_image_size) == (12, (12,), 12)
    assert (layer.value_range, layer.output_range) == ((0, 255), (-1, 1))


def test_no_two_views_of_an_image_are_alike():
    images = np.repeat(255 * random_images(1), 5, axis=0)
    weak = mild(rotation=20.0)
    drawn = drawn_by(WeakStrong(weak, NOTHING, 0.0, num_strong=2), images)
    weak = drawn["weak"][:, None]
    together = np.concatenate([weak, drawn["strong"]], 1).reshape(15, -1)
    distances = np.abs(together[:, None] - together).max(-1) + np.eye(15)
    assert distances.min() > 0.01


def test_each_strong_view_lacks_a_square_of_its_own():
    images = np.full((50, 12, 12, 1), 255, "float32")
    drawn = drawn_by(WeakStrong(mild(), NOTHING, num_strong=2), images)
    np.testing.assert_allclose(drawn["weak"], 1.0, atol=1e-5)
    cut = drawn["strong"] < 0.75
    assert cut.any(axis=(2, 3, 4)).all()
    assert (cut[:, 0] != cut[:, 1]).any(axis=(1, 2, 3)).mean() > 0.9


@pytest.mark.any_backend
def test_strong_views_may_be_those_of_another_crop():
    images = 255 * random_images()
    # Solarised are the views at odd places alone, which is none of them.
    strong = MultiCrop(4, 2, 12, 6, solarize=(0.0, 1.0), blur=(0.0, 1.0))
    layer = WeakStrong(mild(), strong, cutout=0.0, num_strong=2)
    drawn = drawn_by(layer, images, seed=3)
    expected = MultiCrop(2, 0, 12, solarize=(0, 0), blur=(0, 0))
    expected = drawn_by(expected, images, seed=4)
    np.testing.assert_allclose(drawn["strong"], expected["large"], atol=1e-5)
    weak = drawn_by(mild(), images, seed=3)["large"]
    np.testing.assert_allclose(drawn["weak"], weak[:, 0], atol=1e-5)
    with pytest.raises(ValueError, match="1 or 3 channels"):
        layer.check_channels(4)
    WeakStrong(mild()).check_channels(4)


@one_everywhere(
    "strong",
    [RandAugment(2, ("rotate", "brightness")), MultiCrop(1, 0, 12)],
)
def test_replicas_together_see_what_one_device_would(strong):
    images = 255 * random_images(6)
    layer = WeakStrong(mild(), strong, num_strong=2)
    whole = drawn_by(layer, images, uniform=GlobalBatch(6).uniform)
    for start in (0, 3):

        def uniform(shape, seed, start=start):
            drawn = keras.random.uniform((6, *shape[1:]), seed=seed)
            return drawn[start : start + 3]

        own = drawn_by(layer, images[start : start + 3], uniform=uniform)
        for name, value in own.items():
            expected = whole[name][start : start + 3]
            np.testing.assert_allclose(value, expected, atol=1e-5)


@pytest.mark.parametrize(
    "layer",
    [
        Cutout(),
        Cutout((0.0, 0.5), fill=0.0, probability=0.25),
        WeakStrong(mild(), RandAugment(1, ("color",)), num_strong=2),
        WeakStrong(mild(), MultiCrop(1, 0, 12), cutout=0.0, num_strong=2),
        WeakStrong(mild(), Cutout(0.1)),
    ],
)
def test_views_are_saved_with_a_model(layer):
    again = reloaded(layer)
    assert again.get_config() == layer.get_config()
    images = random_images()
    first, second = drawn_by(layer, images), drawn_by(again, images)
    keras.tree.map_structure(np.testing.assert_array_equal, first, second)


@pytest.mark.any_backend
def test_strong_views_are_augmented_at_random_unless_given():
    layer = WeakStrong()
    assert layer.strong.get_config() == {
        **RandAugment(2).get_config(),
        "name": layer.strong.name,
    }
    images = 255 * random_images(30)
    drawn = drawn_by(WeakStrong(mild(), RandAugment(1, ("invert",)), 0.0), images)
    nothing = drawn_by(WeakStrong(mild(), NOTHING, 0.0), images)
    inverted = 1 - nothing["strong"]
    np.testing.assert_allclose(drawn["strong"], inverted, atol=1e-5)
    np.testing.assert_array_equal(drawn["weak"], nothing["weak"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weak": "strong"}, "must be a MultiCrop or one of .*'strong'"),
        ({"weak": CachedViews()}, "`weak` must be a MultiCrop or its name"),
        ({"strong": "mild"}, "`strong` must be a MultiCrop, another layer or None"),
        ({"strong": MultiCrop(1, 0, 32)}, "`large_size` of `weak`.*32 and 28"),
        ({"weak": recipe("mild", background_removal=0.5)}, "without a mask"),
        ({"cutout": 1.5}, "`cutout` must lie in .*1.5"),
        ({"num_strong": 0}, "`num_strong` must be an integer of at least 1"),
    ],
)
def test_views_that_do_not_go_together_are_refused(arguments, message):
    with pytest.raises((ValueError, TypeError), match=message):
        WeakStrong(**arguments)
