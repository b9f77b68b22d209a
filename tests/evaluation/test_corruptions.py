"""Corruptions against references, and what holds for all of them."""

import keras
import numpy as np
import pytest
from keras import ops

from semppl_keras.evaluation import (
    CORRUPTIONS,
    SEVERITIES,
    corrupt,
    corruption_errors,
    mean_corruption_error,
)
from semppl_keras.evaluation.corruption_functions import (
    elastic_transform,
    smear,
    zoom,
)
from semppl_keras.evaluation.corruptions import PUBLISHED


def _photos(number=2, height=32, width=32, channels=3):
    """Smooth shapes with some texture; uint8."""
    generator = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width] / max(height, width)
    waves = generator.uniform(2, 9, (number, channels, 2))
    phases = generator.uniform(0, 6, (number, channels))
    angles = np.einsum("ncd,dhw->nhwc", waves, np.stack([y, x]))
    images = 128 + 90 * np.sin(angles + phases[:, None, None])
    return np.uint8(images + generator.uniform(-20, 20, images.shape))


@pytest.mark.any_backend
@pytest.mark.parametrize(
    "shape", [(8, 8, 1), (28, 28, 1), (17, 30, 3), (96, 90, 3)], ids=str
)
def test_every_corruption_at_every_size(shape):
    images = _photos(2, *shape)
    for name in CORRUPTIONS:
        corrupted = [corrupt(images, name, severity) for severity in (1, 5)]
        for result in corrupted:
            assert result.shape == images.shape
            assert result.dtype == np.uint8
        assert np.any(corrupted[1] != images), name
        # Equal pixels in float give equal values.
        in_float = corrupt(images.astype("float32"), name, 5)
        assert in_float.dtype == np.float32
        np.testing.assert_array_equal(in_float, corrupted[1], name)


@pytest.mark.any_backend
def test_what_an_image_meets_depends_on_seed_and_place_alone():
    images = _photos(3, 16, 16)
    others = images.copy()
    others[:2] = others[1::-1]
    at_once = {name: corrupt(images, name, 3, seed=4) for name in CORRUPTIONS}
    without_chance = set()
    for name, expected in at_once.items():
        in_chunks = corrupt(images, name, 3, seed=4, chunk_size=2)
        np.testing.assert_array_equal(in_chunks, expected, name)
        alone = corrupt(images[1:], name, 3, seed=4, first=1)
        np.testing.assert_array_equal(alone, expected[1:], name)
        beside_others = corrupt(others, name, 3, seed=4, chunk_size=2)
        np.testing.assert_array_equal(beside_others[2], expected[2], name)
        if np.array_equal(corrupt(images, name, 3, seed=5, chunk_size=2), expected):
            without_chance.add(name)
    assert without_chance == {
        "defocus_blur",
        "zoom_blur",
        "brightness",
        "contrast",
        "pixelate",
        "jpeg_compression",
    }


@pytest.mark.any_backend
@pytest.mark.parametrize("side", [32, 96])
def test_the_last_severity_changes_more_than_the_first(side):
    images = _photos(8, side, side)
    for name in CORRUPTIONS:
        # In both benchmarks these bend far first, and finely at last.
        if name == "elastic_transform":
            continue
        first, last = (
            np.abs(corrupt(images, name, severity).astype(float) - images).mean()
            for severity in (1, 5)
        )
        assert last > first, name


@pytest.mark.any_backend
def test_there_are_fifteen_corruptions_at_five_severities():
    assert len(CORRUPTIONS) == 15
    assert SEVERITIES == (1, 2, 3, 4, 5)
    assert tuple(PUBLISHED) == CORRUPTIONS
    for _, *constants in PUBLISHED.values():
        assert [len(values) for values in constants] == [5, 5]


class _LegacyState(np.random.RandomState):
    """NumPy's old random state under the names of the new one."""

    integers = np.random.RandomState.randint
    random = np.random.RandomState.random_sample


@pytest.mark.any_backend
def test_against_the_functions_of_tensorflow_datasets(monkeypatch):
    """Those that run without OpenCV, ImageMagick and downloads; ImageNet-C's."""
    from tensorflow_datasets.image_classification import corruptions as reference

    plasma = reference.plasma_fractal
    # Theirs fills 512 pixels whatever the image is.
    monkeypatch.setattr(
        reference,
        "plasma_fractal",
        lambda mapsize, wibbledecay: plasma(32, wibbledecay),
    )
    image = _photos(1)[0]
    for name in ("gaussian_noise", "shot_noise", "fog", "contrast", "jpeg_compression"):
        function, _, constants = PUBLISHED[name]
        for severity in SEVERITIES:
            state = _LegacyState(7)
            result = function(image[None] / 255, [state], *constants[severity - 1])
            np.random.seed(7)
            expected = getattr(reference, name)(image, severity)
            # Rounding: they have 8 bits, and so had we.
            result = np.rint(255 * np.clip(result[0], 0, 1))
            np.testing.assert_allclose(result, expected, atol=1, err_msg=name)


@pytest.mark.any_backend
def test_noise_has_the_published_strength():
    grey = np.full((20, 32, 32, 3), 128, np.uint8)
    noise = corrupt(grey, "gaussian_noise", 3) / 255 - 128 / 255
    assert noise.std() == pytest.approx(0.08, rel=0.05)
    shot = corrupt(grey, "shot_noise", 5) / 255
    assert shot.std() == pytest.approx(np.sqrt(128 / 255 / 50), rel=0.05)
    impulse = corrupt(grey, "impulse_noise", 5)
    assert np.mean(impulse == 0) == pytest.approx(0.035, rel=0.1)
    assert np.mean(impulse == 255) == pytest.approx(0.035, rel=0.1)


@pytest.mark.any_backend
def test_blurs_keep_what_is_uniform():
    grey = np.full((1, 20, 26, 3), 100, np.uint8)
    for name in ("defocus_blur", "glass_blur", "motion_blur", "zoom_blur", "pixelate"):
        # The authors' glass blur rounds down in between.
        np.testing.assert_allclose(corrupt(grey, name, 4), grey, atol=1, err_msg=name)


@pytest.mark.any_backend
def test_brightness_keeps_hue_and_saturation():
    from matplotlib.colors import rgb_to_hsv

    images = _photos(1)
    brighter = corrupt(images, "brightness", 2)
    before, after = rgb_to_hsv(images / 255), rgb_to_hsv(brighter / 255)
    expected = np.minimum(before[..., 2] + 0.1, 1)
    np.testing.assert_allclose(after[..., 2], expected, atol=0.003)
    np.testing.assert_allclose(after[..., 1], before[..., 1], atol=0.02)
    black = np.zeros((1, 8, 8, 3), np.uint8)
    np.testing.assert_array_equal(corrupt(black, "brightness", 2), black + 26)


@pytest.mark.any_backend
def test_motion_blur_smears_along_one_line():
    image = np.zeros((21, 21, 1))
    image[10, 10] = 1
    smeared = smear(image, radius=3, sigma=2, degrees=0)
    weights = np.exp(-(np.arange(7) ** 2) / 8)
    expected = np.zeros((21, 21))
    expected[10, 10:3:-1] = weights / weights.sum()
    np.testing.assert_allclose(smeared[..., 0], expected, atol=1e-12)


@pytest.mark.any_backend
def test_zoom_is_that_of_scipy():
    from scipy import ndimage

    images = np.random.default_rng(0).random((2, 20, 20, 3))
    zoomed = zoom(images, 1.23)
    kept = 17  # ceil(20 / 1.23), the middle of 20 but for one row
    middle = images[:, 1 : 1 + kept, 1 : 1 + kept]
    expected = ndimage.zoom(middle, (1, 1.23, 1.23, 1), order=1)[:, :20, :20]
    np.testing.assert_allclose(zoomed, expected, atol=1e-12)


@pytest.mark.any_backend
def test_elastic_transform_of_no_strength_changes_nothing():
    images = _photos(2) / 255
    generators = [np.random.default_rng(0), np.random.default_rng(1)]
    still = elastic_transform(images, generators, 0, 0.1, 0)
    np.testing.assert_allclose(still, images, atol=1e-9)


@pytest.mark.any_backend
def test_corruption_errors_of_a_classifier():
    images = _photos(6, 8, 8)
    labels = np.arange(6) % 2
    seen = []

    def predict(batch):
        seen.append(batch)
        return ops.one_hot(np.zeros(len(batch), "int32"), 2)

    errors = corruption_errors(
        predict, images, labels, corruptions=["fog", "snow"], severities=(2, 4), seed=3
    )
    assert errors == {"fog": [0.5, 0.5], "snow": [0.5, 0.5]}
    np.testing.assert_array_equal(seen[3], corrupt(images, "snow", 4, seed=3))
    labelled = corruption_errors(
        lambda batch: labels, images, labels, severities=(1,), verbose=1
    )
    assert labelled == {name: [0.0] for name in CORRUPTIONS}
    # Whatever can be gone through once.
    once = corruption_errors(
        predict,
        images,
        labels,
        corruptions=iter(["fog", "snow"]),
        severities=iter([2, 4]),
        seed=3,
    )
    assert once == errors


@pytest.mark.any_backend
@pytest.mark.filterwarnings("ignore:2 of 600 rows")
def test_many_images_are_corrupted_in_blocks():
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (600, 8, 8, 1), "uint8").astype("float32")
    # What a block of dark ones holds is no share of 1.
    images[512:] = 0.6
    labels = generator.integers(0, 3, 600)
    labels[[0, 599]] = -1
    known = labels >= 0

    class InPieces:
        """Images that are never to be had at once."""

        read_in_pieces, dtype = True, np.dtype("float32")

        def __init__(self):
            self.read = []

        def __len__(self):
            return 600

        def __getitem__(self, rows):
            self.read += rows.tolist()
            return images[rows]

    sizes = []

    def predict(batch):
        sizes.append(len(batch))
        return np.rint(batch.mean((1, 2, 3))).astype(int) % 3

    options = {"corruptions": ["fog", "impulse_noise"], "severities": (3,), "seed": 1}
    errors = corruption_errors(predict, images, labels, **options)
    assert sizes == [512, 512, 86, 86]
    whole = [corrupt(images[known], name, 3, 1) for name in options["corruptions"]]
    assert errors == {
        name: [np.mean(predict(corrupted) != labels[known])]
        for name, corrupted in zip(options["corruptions"], whole, strict=True)
    }
    images[512:] = 1
    pieces = InPieces()
    in_pieces = corruption_errors(predict, pieces, labels, **options)
    assert in_pieces == corruption_errors(predict, images, labels, **options)
    assert pieces.read == np.flatnonzero(known).tolist()


def test_corruption_errors_of_a_keras_model():
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3)]
    )
    errors = corruption_errors(
        lambda images: model.predict(images, verbose=0),
        ops.convert_to_tensor(_photos(5, 8, 8, 1).astype("float32")),
        np.arange(5) % 3,
        corruptions=["contrast"],
    )
    assert len(errors["contrast"]) == 5


@pytest.mark.any_backend
def test_mean_corruption_error_is_the_mean_of_the_ratios():
    errors = {"fog": [0.1, 0.3], "snow": [0.2, 0.4]}
    baseline = {"snow": [0.4, 0.8], "fog": [0.4, 0.4]}
    assert mean_corruption_error(errors, baseline) == pytest.approx(50)
    assert mean_corruption_error(errors, errors) == 100
    other = {"fog": [0.2, 0.2], "snow": [0.4, 0.8]}
    assert mean_corruption_error(errors, other) == pytest.approx(75)


@pytest.mark.any_backend
def test_corrupt_with_wrong_input():
    wrong = [
        (_photos(), {"name": "rain"}, "`name` must be one of.*name='rain'"),
        (_photos(), {"severity": 6}, "severity=6"),
        (_photos(), {"seed": -1}, "seed=-1"),
        (
            _photos(),
            {"chunk_size": 0},
            "`chunk_size` must be an integer of at least 1.*size=0",
        ),
        (_photos()[0], {}, r"`images` must have the shape.*\(32, 32, 3\)"),
        (_photos(1, 7, 9), {}, r"at least 8.*\(1, 7, 9, 3\)"),
        (_photos(channels=2), {}, r"\(2, 32, 32, 2\)"),
        (_photos().astype(int), {}, "uint8 or float.*int"),
        (_photos() / 255, {}, "multiply them by 255"),
        (_photos() * 2.0, {}, r"in \[0, 255\]"),
        (np.full((1, 8, 8, 1), np.nan), {}, r"in \[0, 255\].*nan"),
    ]
    for images, arguments, message in wrong:
        with pytest.raises(ValueError, match=message):
            corrupt(images, **{"name": "fog", "severity": 1, **arguments})


@pytest.mark.any_backend
def test_errors_with_wrong_input():
    images = _photos(3, 8, 8)
    with pytest.raises(ValueError, match="`labels`.*2 labels for 3 rows"):
        corruption_errors(len, images, np.arange(2))
    with pytest.raises(ValueError, match="`images` must hold at least one image"):
        corruption_errors(len, images[:0], np.arange(0))
    with pytest.raises(ValueError, match=r"`predict` must return.*\(2,\) for 3"):
        corruption_errors(lambda batch: np.arange(2), images, np.arange(3))
    with pytest.raises(ValueError, match=r"must be finite.*3 of 3 rows"):
        corruption_errors(lambda x: np.full((3, 3), np.nan), images, np.arange(3))
    with pytest.raises(ValueError, match=r"`labels` must lie in \[0, 2\)"):
        corruption_errors(lambda x: np.eye(3)[:, :2], images, np.arange(3))
    with pytest.raises(ValueError, match="same corruptions.*'fog'.*'snow'"):
        mean_corruption_error({"fog": [0.1]}, {"snow": [0.1]})
    with pytest.raises(ValueError, match="for fog: 1 and 2 values"):
        mean_corruption_error({"fog": [0.1]}, {"fog": [0.1, 0.2]})
    with pytest.raises(ValueError, match="above 0.*for fog"):
        mean_corruption_error({"fog": [0.1]}, {"fog": [0.0]})
