"""Views against per-image NumPy loops, and the randomness of every image."""

import itertools

import keras
import numpy as np
import pytest
from toys import one_everywhere, slow_on_jax

from semppl_keras import views
from semppl_keras.views import MultiCrop, spatial


def as_numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def random_images(count=5, height=9, width=12, channels=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.random((count, height, width, channels)).astype("float32")


def resampled_axis(start, extent, size, source_size, flip):
    """Triangle-filter weights, pixel by pixel."""
    weights = np.zeros((size, source_size))
    width = max(extent / size, 1.0)
    for out in range(size):
        centre = (out + 0.5) / size
        position = start + (1 - centre if flip else centre) * extent - 0.5
        for pixel in range(source_size):
            weights[out, pixel] = max(0.0, 1 - abs(position - pixel) / width)
        weights[out] /= weights[out].sum()
    return weights


def test_crop_and_resize_equals_the_loop():
    images = random_images()
    rng = np.random.default_rng(1)
    height, width = rng.uniform(2, 9, 5), rng.uniform(2, 12, 5)
    top, left = rng.uniform(0, 9 - height), rng.uniform(0, 12 - width)
    flip = np.array([True, False, True, False, True])
    boxes = [value.astype("float32") for value in (top, left, height, width)]
    actual = as_numpy(
        views.crop_and_resize(
            images, *map(keras.ops.convert_to_tensor, boxes), (6, 7),
            keras.ops.convert_to_tensor(flip),
        )
    )  # fmt: skip
    for index, image in enumerate(images.astype("float64")):
        rows = resampled_axis(top[index], height[index], 6, 9, flip=False)
        columns = resampled_axis(left[index], width[index], 7, 12, flip=flip[index])
        expected = np.einsum("hi,wj,ijc->hwc", rows, columns, image)
        np.testing.assert_allclose(actual[index], expected, atol=2e-5)


@pytest.mark.any_backend
def test_a_crop_of_the_whole_image_is_the_image():
    images = random_images()
    zero, full = np.zeros(5, "float32"), np.ones(5, "float32")
    actual = views.crop_and_resize(images, zero, zero, 9 * full, 12 * full, (9, 12))
    np.testing.assert_allclose(as_numpy(actual), images, atol=1e-6)
    flipped = views.crop_and_resize(
        images, zero, zero, 9 * full, 12 * full, (9, 12), flip=full > 0
    )
    np.testing.assert_allclose(as_numpy(flipped), images[:, :, ::-1], atol=1e-6)


def test_rotation_and_shear_equal_the_loop():
    images = random_images()
    rng = np.random.default_rng(1)
    angle = rng.uniform(-2, 2, 5).astype("float32")
    shear = rng.uniform(-0.5, 0.5, 5).astype("float32")
    actual = as_numpy(views.rotate_and_shear(images, angle, shear))
    for index, image in enumerate(images.astype("float64")):
        cosine, sine = np.cos(angle[index]), np.sin(angle[index])
        for row, column in np.ndindex(9, 12):
            x, y = column - 5.5, row - 4.0
            x, y = cosine * x - sine * y, sine * x + cosine * y
            x = np.clip(x + shear[index] * y + 5.5, 0, 11)
            y = np.clip(y + 4.0, 0, 8)
            expected = sum(
                max(0, 1 - abs(y - i)) * max(0, 1 - abs(x - j)) * image[i, j]
                for i, j in np.ndindex(9, 12)
            )
            np.testing.assert_allclose(actual[index, row, column], expected, atol=2e-5)


@pytest.mark.any_backend
def test_a_quarter_turn_is_counter_clockwise():
    images = random_images(height=7, width=7)
    turn = np.full(5, np.pi / 2, "float32")
    actual = views.rotate_and_shear(images, turn, np.zeros(5, "float32"))
    expected = np.rot90(images, axes=(1, 2))
    np.testing.assert_allclose(as_numpy(actual), expected, atol=1e-5)


@pytest.mark.any_backend
def test_shear_moves_the_rows_below_the_centre_to_the_left():
    images = random_images(count=1, height=3, width=6)
    actual = views.rotate_and_shear(images, np.zeros(1), np.ones(1))
    above, centre, below = as_numpy(actual)[0]
    np.testing.assert_allclose(above[1:], images[0, 0, :-1], atol=1e-6)
    np.testing.assert_allclose(centre, images[0, 1], atol=1e-6)
    np.testing.assert_allclose(below[:-1], images[0, 2, 1:], atol=1e-6)


def test_gaussian_blur_equals_the_loop():
    images = random_images(4, 24, 44, 1)
    sigma = np.array([0.0, 0.3, 1.0, 2.0], "float32")
    actual = as_numpy(views.gaussian_blur(images, keras.ops.convert_to_tensor(sigma)))

    def blurred(line, sigma, radius):
        result = np.empty(len(line))
        for i in range(len(line)):
            near = range(max(0, i - radius), min(len(line), i + radius + 1))
            weights = [np.exp(-0.5 * ((i - j) / sigma) ** 2) for j in near]
            result[i] = np.dot(weights, line[list(near)]) / np.sum(weights)
        return result

    np.testing.assert_allclose(actual[0], images[0], atol=1e-6)
    for index in range(1, 4):
        image = images[index, ..., 0].astype("float64")
        expected = np.apply_along_axis(blurred, 0, image, sigma[index], 1)
        expected = np.apply_along_axis(blurred, 1, expected, sigma[index], 2)
        np.testing.assert_allclose(actual[index, ..., 0], expected, atol=1e-5)


def jittered(image, brightness, contrast, saturation, hue, order):
    """One image, one operation after the other; clipped at the end alone."""
    luma = np.array([0.299, 0.587, 0.114]) if image.shape[-1] == 3 else np.ones(1)
    yiq = np.array(
        [luma, [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]]
        if len(luma) == 3
        else [[1.0]]
    )
    for operation in order:
        grey = (image * luma).sum(-1, keepdims=True)
        if operation == 0:
            image = image * brightness
        elif operation == 1:
            image = contrast * image + (1 - contrast) * grey.mean()
        elif operation == 2:
            image = saturation * image + (1 - saturation) * grey
        elif len(luma) == 3:
            turn = 2 * np.pi * hue
            rotation = np.eye(3)
            rotation[1:, 1:] = [
                [np.cos(turn), -np.sin(turn)],
                [np.sin(turn), np.cos(turn)],
            ]
            image = image @ (np.linalg.inv(yiq) @ rotation @ yiq).T
    return image.clip(0, 1)


@pytest.mark.parametrize("channels", [1, 3])
def test_color_jitter_equals_the_operations_in_any_order(channels):
    orders = list(itertools.permutations(range(4)))
    images = random_images(len(orders), 5, 4, channels)
    rng = np.random.default_rng(2)
    brightness, contrast, saturation = rng.uniform(0.6, 1.4, (3, len(images)))
    hue = rng.uniform(-0.1, 0.1, len(images))
    factors = [brightness, contrast, saturation, hue]
    tensors = [keras.ops.convert_to_tensor(f.astype("float32")) for f in factors]
    actual = as_numpy(views.color_jitter(images, *tensors))
    for index, image in enumerate(images.astype("float64")):
        expected = jittered(image, *(f[index] for f in factors), orders[index])
        np.testing.assert_allclose(actual[index], expected, atol=2e-5)


def test_a_full_turn_of_the_hue_changes_nothing():
    images = random_images(2)
    one = np.ones(2, "float32")
    turned = views.color_jitter(images, one, one, one, one)
    np.testing.assert_allclose(as_numpy(turned), images, atol=1e-5)


def test_grayscale_and_solarize_where_they_apply():
    images = random_images(2)
    apply = keras.ops.convert_to_tensor(np.array([True, False]))
    gray = as_numpy(views.grayscale(images, apply))
    luma = (images[0] * [0.299, 0.587, 0.114]).sum(-1, keepdims=True)
    np.testing.assert_allclose(gray[0], np.repeat(luma, 3, -1), atol=1e-6)
    np.testing.assert_allclose(gray[1], images[1], atol=1e-6)
    solar = as_numpy(views.solarize(images, apply))
    expected = np.where(images[0] >= 0.5, 1 - images[0], images[0])
    np.testing.assert_allclose(solar[0], expected, atol=1e-6)
    np.testing.assert_array_equal(solar[1], images[1])


@pytest.mark.parametrize(("height", "width"), [(32, 32), (20, 50), (64, 16)])
def test_boxes_have_the_drawn_area_and_lie_inside(height, width):
    u = np.random.default_rng(0).random((4000, 1, 4)).astype("float32")
    area = np.array([[0.14, 1.0]], "float32")
    top, left, box_height, box_width = map(
        as_numpy,
        spatial.random_boxes(
            keras.ops.convert_to_tensor(u),
            height,
            width,
            keras.ops.convert_to_tensor(area),
            (3 / 4, 4 / 3),
        ),
    )
    share = box_height * box_width / (height * width)
    ratio = box_width / box_height
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (top + box_height <= height * (1 + 1e-5)).all()
    assert (left + box_width <= width * (1 + 1e-5)).all()
    # Where no box of the drawn area and a permitted shape fits, the shape gives way.
    fits = (ratio > 0.74) & (ratio < 1.34)
    drawn = 0.14 + 0.86 * u[..., 0]
    np.testing.assert_allclose(share, drawn, rtol=1e-4)
    assert fits.mean() > (0.99 if height == width else 0.2)
    if height == width:
        # Log-uniform, so as often upright as lying.
        assert abs((ratio > 1).mean() - 0.5) < 0.03


@pytest.mark.any_backend
def test_beyond_the_edge_a_crop_repeats_it():
    images = random_images(1, 6, 8)[0]
    padded = np.pad(images, ((3, 3), (3, 3), (0, 0)), mode="edge")
    for top, left, flip in ((-3.0, 2.0, False), (2.0, -1.0, True), (3.0, 3.0, False)):
        actual = views.crop_and_resize(
            images[None],
            np.array([top]),
            np.array([left]),
            np.array([6.0]),
            np.array([8.0]),
            (6, 8),
            keras.ops.convert_to_tensor([flip]),
        )
        row, column = int(top) + 3, int(left) + 3
        expected = padded[row : row + 6, column : column + 8]
        expected = expected[:, ::-1] if flip else expected
        np.testing.assert_allclose(as_numpy(actual)[0], expected, atol=1e-6)


@pytest.mark.any_backend
def test_mild_views_are_moved_by_whole_pixels():
    # Columns and rows say where they come from; no two images are moved alike.
    ramp = np.arange(16, dtype="float32") * 16
    images = np.stack(np.broadcast_arrays(ramp, ramp[:, None], ramp), axis=-1)
    layer = views.recipe(
        "mild", large_size=16, shift=0.15, flip=0.0, output_range=(0, 255)
    )
    drawn = as_numpy(layer(np.repeat(images[None], 400, 0), seed=0)["large"])[:, 0]
    moved = (drawn[:, 8, 8] - images[8, 8])[:, :2] / 16
    np.testing.assert_allclose(moved, moved.round(), atol=1e-4)
    for pixels in moved.round().T:
        assert {*pixels} == {-2, -1, 0, 1, 2}
    assert abs(np.corrcoef(moved.T)[0, 1]) < 0.15
    corner = np.clip(moved, 0, None) * 16
    np.testing.assert_allclose(drawn[:, 0, 0, :2], corner, atol=1e-2)
    np.testing.assert_array_equal(drawn[..., 0], drawn[..., 2])


SETTINGS = {"num_large": 2, "num_small": 2, "large_size": 10, "small_size": 6}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_every_view_of_every_image_has_its_own_randomness(channels, dtype):
    image = 255 * random_images(1, 12, 12, channels)
    images = np.repeat(image, 6, axis=0).astype(dtype)
    layer = MultiCrop(**SETTINGS)
    drawn = compiled(lambda images: layer(images, seed=3))(images)
    drawn = {name: as_numpy(view) for name, view in drawn.items()}
    assert drawn["large"].shape == (6, 2, 10, 10, channels)
    assert drawn["small"].shape == (6, 2, 6, 6, channels)
    for batch in drawn.values():
        assert batch.dtype == np.float32
        assert batch.min() >= 0
        assert batch.max() <= 1
        flat = batch.reshape(12, -1)
        distances = np.abs(flat[:, None] - flat).max(-1) + np.eye(12)
        assert distances.min() > 1e-3


def test_views_follow_the_seed():
    images = 255 * random_images(3)
    layer = MultiCrop(**SETTINGS)

    def draw(seed):
        return as_numpy(layer(images, seed=seed)["large"])

    np.testing.assert_array_equal(draw(1), draw(1))
    assert np.abs(draw(1) - draw(2)).max() > 0.01
    generator = keras.random.SeedGenerator(1)
    assert np.abs(draw(generator) - draw(generator)).max() > 0.01


def compiled(function):
    """The function in its real pipeline: compiled where the backend compiles."""
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        return jax.jit(function)
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.function(function)
    return function


# JAX takes float32 for float64.
@slow_on_jax
@pytest.mark.filterwarnings("ignore:.*dtype.*float64")
def test_views_are_float32_whatever_keras_makes_of_floats():
    images = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3)).astype("uint8")
    crop = views.recipe("imagenet", large_size=8, small_size=6)
    weak_and_strong = views.WeakStrong(
        weak=views.recipe("mild", large_size=8), cutout=0.5
    )
    for floatx in ("float64", "float16"):
        keras.config.set_floatx(floatx)
        try:
            for layer in (crop, weak_and_strong):
                made = layer(images, seed=1)
                for name, view in made.items():
                    assert keras.backend.standardize_dtype(view.dtype) == "float32", (
                        name
                    )
            centre = crop.center_view(images)
            assert keras.backend.standardize_dtype(centre.dtype) == "float32"
        finally:
            keras.config.set_floatx("float32")


def test_compiled_views_equal_eager_ones():
    images = keras.ops.convert_to_tensor(255 * random_images(4, 12, 12))
    layer = MultiCrop(**{**SETTINGS, "small_size": 10}, rotation=30, shear=0.3)

    def draw(images):
        return layer(images, seed=5)

    eager, graph = draw(images), compiled(draw)(images)
    for name, value in eager.items():
        np.testing.assert_allclose(as_numpy(graph[name]), as_numpy(value), atol=1e-4)


@pytest.mark.any_backend
def test_settings_alternate_over_the_views():
    # Solarised are the odd views alone; an even grey of 0.75 shows it.
    images = np.full((4, 8, 8, 1), 0.75 * 255, "float32")
    layer = MultiCrop(
        num_large=3,
        num_small=2,
        large_size=4,
        small_size=4,
        color_jitter=0,
        solarize=(0, 1),
    )
    drawn = layer(images, seed=0)
    means = {
        name: as_numpy(view).mean(axis=(0, 2, 3, 4)) for name, view in drawn.items()
    }
    np.testing.assert_allclose(means["large"], [0.75, 0.25, 0.75], atol=1e-3)
    np.testing.assert_allclose(means["small"], [0.25, 0.75], atol=1e-3)


@pytest.mark.any_backend
def test_probabilities_are_kept():
    # A bright spot on the left, colour on dark: flips and greyscale can be told.
    images = np.zeros((2000, 4, 4, 3), "float32")
    images[:, :, 0, 0] = 255
    layer = MultiCrop(
        num_large=1,
        num_small=0,
        large_size=4,
        large_area=(1, 1),
        aspect_ratio=(1, 1),
        flip=0.3,
        color_jitter=0,
        grayscale=0.2,
        blur=(0, 0),
        solarize=(0, 0),
    )
    drawn = as_numpy(layer(images, seed=0)["large"])[:, 0]
    flipped = drawn[:, 0, 3].sum(-1) > drawn[:, 0, 0].sum(-1)
    gray = drawn.max(axis=(1, 2))[:, 1] > 0.2
    assert abs(flipped.mean() - 0.3) < 0.04
    assert abs(gray.mean() - 0.2) < 0.04


def test_the_background_is_removed_from_large_views_alone():
    images = np.full((300, 8, 8, 2), 255, "float32")
    images[:, :, :4, 1] = 0
    layer = MultiCrop(
        **SETTINGS,
        large_area=(1, 1),
        small_area=(1, 1),
        aspect_ratio=(1, 1),
        color_jitter=0,
        solarize=(0, 0),
        background_removal=0.25,
    )
    drawn = compiled(lambda images: layer(images, seed=0))(images)
    assert drawn["large"].shape == (300, 2, 10, 10, 1)
    removed = as_numpy(drawn["large"]).min(axis=(2, 3, 4)) < 0.1
    assert abs(removed.mean() - 0.25) < 0.07
    np.testing.assert_allclose(as_numpy(drawn["small"]), 1.0, atol=1e-4)


def test_the_center_view_is_the_central_square():
    images = 255 * random_images(2, 10, 16)
    actual = as_numpy(MultiCrop(num_small=0, large_size=10).center_view(images))
    np.testing.assert_allclose(actual, images[:, :, 3:13] / 255, atol=1e-5)


@one_everywhere(("height", "width"), [(10, 16), (23, 9), (8, 30), (3, 17)])
def test_the_center_view_of_all_of_an_image(height, width):
    images = 255 * random_images(2, height, width)
    padded = MultiCrop(1, 0, 8, fit="pad", output_range=(0, 255))
    stretched = MultiCrop(1, 0, 8, fit="stretch", output_range=(0, 255))
    longer = max(height, width)

    def weights(length, shown):
        matrix = np.zeros((8, length))
        for out in range(8):
            centre = (out + 0.5) * shown / 8 - (shown - length) / 2
            if 0 < centre < length:
                for pixel in range(length):
                    distance = abs(centre - pixel - 0.5) / max(shown / 8, 1)
                    matrix[out, pixel] = max(0, 1 - distance)
                matrix[out] /= matrix[out].sum()
        return matrix

    for layer, sides in ((padded, (longer, longer)), (stretched, (height, width))):
        rows, columns = weights(height, sides[0]), weights(width, sides[1])
        expected = np.einsum("hi,wj,bijc->bhwc", rows, columns, images)
        beside = 1 - rows.sum(1)[:, None] * columns.sum(1)
        assert (beside > 0.5).any() == (layer is padded)
        expected += 127 * beside[..., None]
        for one in (layer, MultiCrop.from_config(layer.get_config())):
            actual = as_numpy(one.center_view(images))
            np.testing.assert_allclose(actual, expected, atol=1e-3)


@pytest.mark.any_backend
def test_of_a_square_each_center_view_is_the_same():
    images = 255 * random_images(2, 12, 12)
    views = [
        as_numpy(MultiCrop(1, 0, 8, fit=fit).center_view(images))
        for fit in ("crop", "pad", "stretch")
    ]
    for view in views[1:]:
        np.testing.assert_allclose(view, views[0], atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fit": "squash"}, "`fit` must be one of crop, pad, stretch. Received"),
        ({"fit": "pad", "center_crop": 0.875}, "are for the central square"),
        (
            {"fit": "stretch", "center_interpolation": "bicubic"},
            "are for the central square",
        ),
    ],
)
def test_fits_that_are_none_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        MultiCrop(**options)


def keys_weights(first, length, size, source_size):
    """Weights of Keys' cubic (a = -1/2) within a crop, pixel by pixel."""
    weights = np.zeros((size, source_size))
    for out in range(size):
        position = first + (out + 0.5) / size * length - 0.5
        for pixel in range(first, first + length):
            x = abs(position - pixel)
            if x < 1:
                weights[out, pixel] = 1.5 * x**3 - 2.5 * x**2 + 1
            elif x < 2:
                weights[out, pixel] = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
        weights[out] /= weights[out].sum()
    return weights


@one_everywhere(("height", "width"), [(16, 23), (40, 17), (8, 8)])
def test_the_center_view_as_the_authors_of_published_networks_crop(height, width):
    images = 255 * np.round(random_images(2, height, width))
    layer = MultiCrop(
        1, 0, 10, center_crop=0.875, center_interpolation="bicubic", output_range=(0, 2)
    )
    side = int(0.875 * min(height, width))
    rows, columns = (
        keys_weights((length - side + 1) // 2, side, 10, length)
        for length in (height, width)
    )
    expected = np.einsum("hi,wj,bijc->bhwc", rows, columns, images.astype("float64"))
    assert expected.max() > 255  # It overshoots.
    expected = 2 * np.clip(expected / 255, 0, 1)
    actual = as_numpy(layer.center_view(images))
    np.testing.assert_allclose(actual, expected, atol=1e-5)
    copy = MultiCrop.from_config(layer.get_config())
    np.testing.assert_array_equal(as_numpy(copy.center_view(images)), actual)


@pytest.mark.parametrize(
    "expected",
    [
        [1.022, 44.219, 33.281, 51.022],
        [-0.659, 2.353, 15.755, 47.028, 33.125, 27.289, 84.102, 67.647, 36.706],
    ],
)
def test_bicubic_weights_are_those_of_tensorflow(expected):
    # tf.image.resize(row, (1, 4 or 9), "bicubic"), TensorFlow 2.21; its weights come
    # from a table of 1,024 positions.
    row = np.array([0, 10, 50, 20, 90, 40], "float32")
    start, extent = keras.ops.zeros(()), keras.ops.full((), 6.0)
    weights = as_numpy(spatial.bicubic_matrix(start, extent, len(expected), 6))
    np.testing.assert_allclose(weights @ row, expected, atol=0.1)


@pytest.mark.any_backend
def test_a_share_of_the_central_square():
    images = 255 * random_images(2, 12, 16)
    actual = as_numpy(MultiCrop(1, 0, 6, center_crop=0.5).center_view(images))
    np.testing.assert_allclose(actual, images[:, 3:9, 5:11] / 255, atol=1e-5)


@pytest.mark.parametrize(
    "options", [{"center_crop": 0}, {"center_crop": 1.1}, {"center_crop": "a"}]
)
def test_a_share_that_is_none_is_refused(options):
    with pytest.raises(ValueError, match="`center_crop` must "):
        MultiCrop(**options)


def test_an_interpolation_that_is_none_is_refused():
    message = '`center_interpolation` must be "bilinear" or "bicubic". Received'
    with pytest.raises(ValueError, match=message):
        MultiCrop(center_interpolation="lanczos")


@pytest.mark.any_backend
def test_the_center_view_of_many_images_is_that_of_each():
    # As one product of unequal ranks this corrupted TensorFlow's memory.
    images = 255 * random_images(64, 40, 48)
    layer = MultiCrop(num_small=0, large_size=16)
    together = as_numpy(layer.center_view(images))
    alone = [as_numpy(layer.center_view(image[None]))[0] for image in images]
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_the_value_ranges():
    images = random_images(2, 10, 10) * 2 - 1
    layer = MultiCrop(
        num_small=0, large_size=10, value_range=(-1, 1), output_range=(0, 255)
    )
    actual = as_numpy(layer.center_view(images))
    np.testing.assert_allclose(actual, (images + 1) / 2 * 255, atol=1e-2)


@pytest.mark.parametrize("name", ["imagenet", "small_images", "digits", "mild"])
def test_recipes_and_their_configuration(name):
    layer = views.recipe(name)
    copy = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(layer)
    )
    assert copy.get_config() == layer.get_config()
    with pytest.raises(ValueError, match="imagenet.*Received: 'cifar'"):
        views.recipe("cifar")


def test_mild_views_are_mirrored_and_turned_where_the_others_are():
    own = views.recipe("digits", large_size=20, fit="pad", value_range=(0, 1))
    mild = views.mild_views(own)
    assert (mild.num_large, mild.num_small, mild.large_size) == (1, 0, 20)
    assert (mild.flip, mild.rotation, mild.shear) == (0.0, 10.0, 0.1)
    assert (mild.large_area, mild.shift, mild.blur) == ((1.0, 1.0), 0.075, (0.0, 0.0))
    assert (mild.fit, mild.value_range) == ("pad", (0, 1))
    assert views.mild_views(views.recipe("imagenet")).flip == 0.5


def test_the_views_of_the_paper():
    layer = views.recipe("imagenet")
    assert (layer.num_large, layer.large_size, layer.large_area) == (4, 224, (0.14, 1))
    assert (layer.num_small, layer.small_size) == (2, 96)
    assert layer.small_area == (0.05, 0.14)
    assert (layer.blur, layer.solarize) == ((1.0, 0.1), (0.0, 0.2))
    assert (layer.color_jitter, layer.grayscale) == (0.8, 0.2)
    assert (layer.brightness, layer.contrast) == (0.4, 0.4)
    assert (layer.saturation, layer.hue) == (0.2, 0.1)


@pytest.mark.parametrize(
    "argument",
    [
        {"num_large": 0},
        {"num_small": -1},
        {"large_size": 2.5},
        {"large_area": (0.5, 1.5)},
        {"small_area": (0.5, 0.1)},
        {"aspect_ratio": (0, 1)},
        {"shift": 1.1},
        {"flip": 1.1},
        {"rotation": 181},
        {"shear": -0.1},
        {"hue": 0.6},
        {"blur": (0.5, 2)},
        {"solarize": (0.5,)},
        {"blur_sigma": (2, 1)},
        {"value_range": (1, 1)},
        {"background_removal": -0.1},
        {"flip": None},
        {"flip": True},
        {"shear": float("inf")},
        {"blur": 0.5},
        {"solarize": (None, 0.5)},
        {"large_area": 0.5},
        {"value_range": "01"},
    ],
)
def test_bad_settings_are_named(argument):
    (name, value), *_ = argument.items()
    with pytest.raises(ValueError, match=f"`{name}`.*Received: {name}=") as error:
        MultiCrop(**argument)
    assert str(value) in str(error.value)


@pytest.mark.parametrize("shape", [(8, 8, 3), (2, 8, 8, 2), (2, 8, 8, 5)])
def test_bad_images_are_named(shape):
    with pytest.raises(ValueError, match="1 or 3 channels.*Received"):
        MultiCrop(num_small=0, large_size=8)(np.zeros(shape, "float32"))
