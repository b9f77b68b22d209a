"""RandAugment against Pillow, against NumPy, and what is drawn for each image."""

import functools

import keras
import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps
from toys import slow_on_jax

from semppl_keras import views
from semppl_keras.views import RandAugment, spatial

BACKEND = keras.backend.backend()


def as_numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def bytes_of_images(channels=3):
    """Dark, bright, flat and ordinary images of 8 bits, `(8, 24, 20, C)`."""
    images = np.random.default_rng(0).integers(0, 256, (8, 24, 20, channels))
    images[1] //= 4
    images[2] = 200 + images[2] // 16
    images[3] = 77
    images[4] = np.where(images[4] < 128, 30, 31)
    images[5, 1:] = 0
    return images.astype("uint8")


def compiled(function, xla=False):
    """The function in its real pipeline: compiled where the backend compiles."""
    if BACKEND == "jax":
        import jax

        return jax.jit(function)
    if BACKEND == "tensorflow":
        import tensorflow as tf

        return tf.function(function, jit_compile=xla)
    return function


EVERY = tuple({**views.OPERATIONS["fixmatch"], **views.OPERATIONS["imagenet"]})


@functools.cache
def chosen(operations=EVERY, fill="edge"):
    """A function of images and of what is drawn for them, compiled once."""
    layer = RandAugment(1, operations, fill=fill)
    return compiled(lambda images, u: layer(images, uniform=lambda shape, seed: u))


def only(name, images, magnitude, operations=EVERY, fill="edge", sides=0.0):
    """Images of 8 bits, all with one operation, in [0, 255] again.

    `sides`, a number or one of each image, is below 0.5 where what has a sign is
    turned round.
    """
    names = views.OPERATIONS[operations] if operations == "imagenet" else operations
    u = np.zeros((len(images), 1, 4), "float32")
    u[..., 0] = (list(names).index(name) + 0.5) / len(names)
    u[:, 0, 1] = magnitude
    u[:, 0, 2] = sides
    images = keras.ops.convert_to_tensor(images.astype("float32") / 255)
    draw = chosen(operations, fill)
    return 255 * as_numpy(draw(images, keras.ops.convert_to_tensor(u)))


def drawn_by(layer, images, seed=0):
    """What a layer makes of images, compiled."""
    images = keras.ops.convert_to_tensor(images)
    return as_numpy(compiled(lambda images: layer(images, seed=seed))(images))


def by_pillow(operation, images):
    """What Pillow makes of each image; of grey ones and of single bands as such."""
    if images.shape[-1] == 3:
        made = [np.asarray(operation(Image.fromarray(image))) for image in images]
        return np.stack(made).astype("float64")
    bands = np.moveaxis(images, -1, 1)
    made = [[np.asarray(operation(Image.fromarray(b))) for b in bs] for bs in bands]
    return np.moveaxis(np.array(made, "float64"), 1, -1)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(
    ("name", "magnitude", "operation", "tolerance"),
    [
        # Beside float32, the levels are the same.
        ("equalize", 0.0, ImageOps.equalize, 1e-3),
        ("posterize", 0.5, lambda image: ImageOps.posterize(image, 6), 1e-3),
        ("posterize", 1.0, lambda image: ImageOps.posterize(image, 4), 1e-3),
        ("solarize", 0.5, lambda image: ImageOps.solarize(image, 128), 1e-3),
        ("invert", 0.0, ImageOps.invert, 1e-3),
        ("autocontrast", 0.0, ImageOps.autocontrast, 1.5),
        ("brightness", 0.5, lambda x: ImageEnhance.Brightness(x).enhance(0.5), 1.5),
        ("contrast", 0.5, lambda x: ImageEnhance.Contrast(x).enhance(0.5), 1.5),
        ("contrast", 1.0, lambda x: ImageEnhance.Contrast(x).enhance(0.05), 1.5),
        ("color", 0.5, lambda x: ImageEnhance.Color(x).enhance(0.5), 1.5),
        ("sharpness", 1.0, lambda x: ImageEnhance.Sharpness(x).enhance(0.05), 1.5),
    ],
)
def test_operations_are_those_of_pillow(
    name, magnitude, operation, tolerance, channels
):
    images = bytes_of_images(channels)
    actual = only(name, images, magnitude)
    expected = by_pillow(operation, images)
    assert np.abs(actual - expected).max() <= tolerance
    if name not in ("color", "posterize"):
        assert np.abs(expected - images).max() > 5


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("brightness", ImageEnhance.Brightness),
        ("color", ImageEnhance.Color),
        ("contrast", ImageEnhance.Contrast),
        ("sharpness", ImageEnhance.Sharpness),
    ],
)
def test_factors_go_both_ways_with_the_operations_of_imagenet(name, kind):
    images = bytes_of_images()
    sides = [0.1, 0.9] * 4
    actual = only(name, images, 1.0, "imagenet", sides=sides)
    for image, changed, side in zip(images, actual, sides, strict=True):
        factor = 0.1 if side < 0.5 else 1.9
        expected = kind(Image.fromarray(image)).enhance(factor)
        assert np.abs(changed - np.asarray(expected, "float64")).max() <= 1.5


def test_solarize_add_adds_below_the_middle():
    images = bytes_of_images()
    values = images.astype("float64")
    expected = np.where(images < 128, np.minimum(values + 55, 255), values)
    actual = only("solarize_add", images, 0.5)
    np.testing.assert_allclose(actual, expected, atol=1e-3)


def warped(image, across, down, fill):
    """An affine look-up, pixel by pixel."""
    height, width = image.shape[:2]
    result = np.empty(image.shape)
    for row, column in np.ndindex(height, width):
        x, y = column - (width - 1) / 2, row - (height - 1) / 2
        source_x = across[0] * x + across[1] * y + across[2] + (width - 1) / 2
        source_y = down[0] * x + down[1] * y + down[2] + (height - 1) / 2
        x, y = np.clip(source_x, 0, width - 1), np.clip(source_y, 0, height - 1)
        left, above = int(x), int(y)
        right, below = min(left + 1, width - 1), min(above + 1, height - 1)
        upper = image[above, left] + (x - left) * (
            image[above, right] - image[above, left]
        )
        lower = image[below, left] + (x - left) * (
            image[below, right] - image[below, left]
        )
        result[row, column] = upper + (y - above) * (lower - upper)
        outside = max(abs(source_x - x), abs(source_y - y)) > 0.5
        if fill is not None and outside:
            result[row, column] = fill
    return result


@pytest.mark.parametrize("fill", ["edge", 0.25])
@pytest.mark.parametrize(
    ("name", "maps"),
    [
        ("rotate", lambda s: ((_C, -_S * s, 0), (_S * s, _C, 0))),
        ("shear_x", lambda s: ((1, 0.3 * s, 0), (0, 1, 0))),
        ("shear_y", lambda s: ((1, 0, 0), (0.3 * s, 1, 0))),
        ("translate_x", lambda s: ((1, 0, 6 * s), (0, 1, 0))),
        ("translate_y", lambda s: ((1, 0, 0), (0, 1, 7.2 * s))),
    ],
)
def test_images_move_to_either_side(name, maps, fill):
    images = bytes_of_images()
    sides = [0.1, 0.9] * 4
    actual = only(name, images, 1.0, fill=fill, sides=sides) / 255
    fill = None if fill == "edge" else fill
    for image, moved, side in zip(images / 255, actual, sides, strict=True):
        expected = warped(image, *maps(-1 if side < 0.5 else 1), fill)
        # Where a pixel comes from the very edge, rounding decides what it shows.
        wrong = (np.abs(expected - moved) > 1e-4).any(-1).sum()
        assert wrong <= 4


_C, _S = np.cos(np.pi / 6), np.sin(np.pi / 6)


def test_a_rotation_is_that_of_pillow():
    images = np.kron(bytes_of_images()[:2], np.ones((1, 2, 2, 1))).astype("uint8")
    actual = only("rotate", images, 0.5, sides=[0.1, 0.9])
    for image, rotated, angle in zip(images, actual, (-15, 15), strict=True):
        expected = Image.fromarray(image).rotate(angle, Image.Resampling.BILINEAR)
        inside = Image.fromarray(np.full((48, 40), 255, "uint8"))
        inside = np.asarray(inside.rotate(angle, Image.Resampling.BILINEAR)) == 255
        error = np.abs(rotated - np.asarray(expected, "float64")).max(-1)
        assert error[inside].max() <= 1.5


@pytest.mark.parametrize("size", [1, 2])
def test_images_may_be_small(size):
    images = np.random.default_rng(0).integers(0, 256, (6, size, size, 1))
    for name in EVERY:
        drawn = only(name, images, 0.5)
        assert drawn.shape == images.shape
        assert np.isfinite(drawn).all()


def test_what_is_not_drawn_leaves_an_image_as_it_is():
    images = (bytes_of_images() / 255).astype("float32")
    none = drawn_by(RandAugment(1, "imagenet", probability=0.0), images)
    np.testing.assert_allclose(none, images, atol=1e-6)
    np.testing.assert_array_equal(as_numpy(RandAugment(0)(images)), images)


def test_each_image_has_its_own_operations():
    # One inversion or two of them are done with the probability, one by one.
    images = np.full((4000, 3, 3, 1), 0.25, "float32")
    layer = RandAugment(2, ("identity", "invert"), probability=0.5)
    inverted = drawn_by(layer, images)[:, 0, 0, 0] > 0.5
    assert abs(inverted.mean() - 2 * 0.25 * 0.75) < 0.03


def test_strengths_are_uniform():
    images = np.ones((4000, 3, 3, 1), "float32")
    drawn = drawn_by(RandAugment(1, ("brightness",)), images)[:, 0, 0, 0]
    assert 0.05 <= drawn.min() < 0.06
    assert 0.94 < drawn.max() <= 0.95 + 1e-6
    assert np.abs(np.histogram(drawn, 9, (0.05, 0.95))[0] / 4000 - 1 / 9).max() < 0.02
    strong = RandAugment(1, ("brightness",), magnitude=(0.5, 0.6))
    strong = drawn_by(strong, images)
    assert 0.41 - 1e-6 <= strong.min() <= strong.max() <= 0.5 + 1e-6
    # 255 loses what is dropped: none to four bits, each as often.
    drawn = drawn_by(RandAugment(1, ("posterize",)), images)[:, 0, 0, 0]
    values, counts = np.unique(np.round(255 - 255 * drawn), return_counts=True)
    assert values.tolist() == [0, 1, 3, 7, 15]
    assert np.abs(counts / 4000 - 0.2).max() < 0.03


def test_every_operation_of_a_list_is_drawn():
    images = (bytes_of_images()[:1] / 255).astype("float32").repeat(600, axis=0)
    drawn = drawn_by(RandAugment(1, magnitude=1.0), images).reshape(600, -1)
    # Nine of one outcome, and five to either side.
    groups = np.unique(np.round(drawn, 3), axis=0, return_counts=True)[1]
    assert len(groups) == 9 + 2 * 5
    assert groups.max() < 3 * 600 / 14


@pytest.mark.any_backend
def test_operations_follow_each_other():
    images = bytes_of_images(4)[:4].astype("float32") / 255
    drawn = drawn_by(RandAugment(2), images)
    assert drawn.shape == images.shape
    assert drawn.dtype == np.float32
    assert 0 <= drawn.min() <= drawn.max() <= 1
    # Invert, of which the first two images have an odd number.
    u = np.full((4, 2, 4), 0.1, "float32")
    u[:2, 0, 0] = u[3, :, 0] = 0.9
    layer = RandAugment(2, ("identity", "invert"))
    draws = keras.ops.convert_to_tensor(u)
    twice = as_numpy(layer(images, uniform=lambda shape, seed: draws))
    expected = np.concatenate([1 - images[:2], images[2:]])
    np.testing.assert_allclose(twice, expected, atol=1e-6)


def test_operations_follow_the_seed():
    images = bytes_of_images()[:4].astype("float32") / 255
    layer = RandAugment(2, ("brightness", "solarize"))
    first, again, other = (drawn_by(layer, images, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1


def test_views_are_float32_under_mixed_precision():
    images = bytes_of_images().astype("float32") / 255
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        layer = RandAugment(1, ("brightness",))
        actual = drawn_by(layer, images)
    finally:
        keras.config.set_dtype_policy(before)
    assert actual.dtype == np.float32
    expected = drawn_by(RandAugment(1, ("brightness",)), images)
    np.testing.assert_array_equal(actual, expected)


@slow_on_jax
@pytest.mark.parametrize("xla", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_compiled_operations_equal_eager_ones(xla):
    # Of values of 8 bits, which rounding takes to no other level.
    images = (bytes_of_images() / 255).astype("float32").repeat(4, axis=0)
    images = keras.ops.convert_to_tensor(images)
    layer = RandAugment(1, "imagenet", fill=0.5)
    # XLA draws other numbers.
    u = np.random.default_rng(0).random((32, 1, 4)).astype("float32")
    draws = keras.ops.convert_to_tensor(u)

    def draw(images):
        return layer(images, uniform=lambda shape, seed: draws)

    expected = as_numpy(draw(images))
    draw = compiled(draw, xla)
    error = np.abs(as_numpy(draw(images)) - expected)
    assert (error > 1e-4).mean() < 1e-3


@pytest.mark.parametrize(
    "layer",
    [
        RandAugment(0, "imagenet"),
        RandAugment(1, ("rotate",), probability=0.5, magnitude=0.9, fill=0.5),
        RandAugment(2, ("invert", "solarize"), magnitude=(0.2, 0.4)),
    ],
)
def test_it_is_saved_with_a_model(layer):
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(layer)
    )
    assert again.get_config() == layer.get_config()
    images = (bytes_of_images() / 255).astype("float32")
    np.testing.assert_array_equal(drawn_by(again, images), drawn_by(layer, images))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_ops": -1}, "`num_ops` must be an integer of at least 0"),
        ({"num_ops": 1.5}, "`num_ops` must be an integer of at least 0"),
        ({"operations": "cifar"}, r"one of \['fixmatch', 'imagenet'\].*'cifar'"),
        ({"operations": ("rotate", "mirror")}, "solarize_add.*Received: 'mirror'"),
        ({"operations": ()}, r"Received: operations=\(\)"),
        ({"operations": None}, "Received: operations=None"),
        ({"probability": 2}, "`probability` must lie in .*Received: probability=2"),
        ({"magnitude": 9}, "`magnitude` must lie in .*Received: magnitude=9"),
        ({"magnitude": (0.5, 0.1)}, "`magnitude` must be a share or a pair"),
        ({"fill": "grey"}, '`fill` must be "edge" or a number.*grey'),
        ({"fill": 127}, "`fill` must lie in .*127"),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        RandAugment(**settings)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((8, 8, 3), "float32"), r"\(batch, height, width, channels\)"),
        (np.zeros((2, 8, 8, 3), "uint8"), r"floats in \[0, 1\].*uint8.*Divide"),
    ],
)
def test_bad_images_are_named(images, message):
    with pytest.raises(ValueError, match=message):
        RandAugment()(images)


def test_what_is_too_large_to_look_up_is_told():
    class Large:
        shape = (2**15, 1, 2**8, 2**8)

    with pytest.raises(ValueError, match="fewer than 2.31 pixels.*`operations`"):
        spatial.warp(Large(), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
