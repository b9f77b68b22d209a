"""Histograms of gradients against loops in float64, and the graph over them."""

import math

import numpy as np
import pytest

from semppl_keras.evaluation import (
    as_pixels,
    fit_svm,
    hog_features,
    image_graph_accuracy,
)

pytestmark = pytest.mark.any_backend


def _reference(image, cell_size, orientations):
    """The features of one image, pixel by pixel."""
    height, width, channels = image.shape
    image = image.astype("float64")
    rows, columns = (max(1, round(side / cell_size)) for side in (height, width))
    cells = np.zeros((orientations, rows, columns))
    for y in range(height):
        for x in range(width):
            gradients = []
            for channel in range(channels):
                above, below = max(y - 1, 0), min(y + 1, height - 1)
                left, right = max(x - 1, 0), min(x + 1, width - 1)
                down = (image[below, x, channel] - image[above, x, channel]) / 2
                along = (image[y, right, channel] - image[y, left, channel]) / 2
                gradients.append((math.hypot(down, along), down, along))
            # Of equally long ones the first.
            length, down, along = max(gradients, key=lambda gradient: gradient[0])
            angle = math.atan2(down, along) % (2 * math.pi)
            place = angle / (2 * math.pi) * orientations
            for step in (0, 1):
                direction = (math.floor(place) + step) % orientations
                nearness = 1 - abs(place - math.floor(place) - step)
                for row in range(rows):
                    off_row = abs((y + 0.5) * rows / height - (row + 0.5))
                    for column in range(columns):
                        off_column = abs((x + 0.5) * columns / width - (column + 0.5))
                        if off_row < 1 and off_column < 1:
                            share = (1 - off_row) * (1 - off_column)
                            cells[direction, row, column] += length * nearness * share
    return np.sqrt(cells / (cells.sum() or 1)).ravel()


@pytest.mark.parametrize(
    ("shape", "settings"),
    [
        ((8, 8, 1), {}),
        ((9, 14, 3), {"cell_size": 3, "orientations": 5}),
        ((2, 3, 2), {"cell_size": 8, "orientations": 2}),
        ((1, 1, 1), {}),
    ],
)
def test_features_are_those_of_a_loop(shape, settings):
    images = np.random.default_rng(0).integers(0, 256, (3, *shape)).astype("uint8")
    features = hog_features(images, **settings)
    settings = {"cell_size": 4, "orientations": 16, **settings}
    expected = [_reference(image, **settings) for image in images]
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, expected, atol=1e-5)


def test_images_are_independent_of_each_other_and_of_the_unit_of_brightness():
    # More than are looked at together.
    images = np.random.default_rng(0).uniform(0, 255, (4000, 8, 8, 1))
    whole = hog_features(images)
    for part in (slice(0, 5), slice(3100, 3200), slice(3990, None)):
        np.testing.assert_allclose(hog_features(images[part]), whole[part], atol=1e-6)
        scaled = images[part] / 255
        np.testing.assert_allclose(hog_features(scaled), whole[part], atol=1e-5)


def test_an_image_of_one_colour_has_no_gradients():
    features = hog_features(np.full((2, 8, 8, 3), 200, "uint8"))
    np.testing.assert_array_equal(features, np.zeros((2, 64)))


@pytest.mark.parametrize(
    ("images", "settings", "told"),
    [
        (np.zeros((8, 8, 1)), {}, r"\(N, h, w, c\).*\(8, 8, 1\)"),
        (np.zeros((0, 8, 8, 1)), {}, "at least one"),
        (np.zeros((1, 8, 8, 1)), {"cell_size": 0}, "`cell_size`.*at least 1"),
        (np.zeros((1, 8, 8, 1)), {"orientations": 1}, "`orientations`.*at least 2"),
    ],
)
def test_what_features_cannot_be_made_of(images, settings, told):
    with pytest.raises(ValueError, match=told):
        hog_features(images, **settings)


def _bars(count, seed=0):
    """Images of an upright or a level bar somewhere, under noise."""
    generator = np.random.default_rng(seed)
    images = generator.uniform(0, 40, (count, 12, 12, 1))
    labels = np.arange(count) % 2
    for image, label in zip(images, labels, strict=True):
        place = generator.integers(4, 8)
        image[(slice(None), place) if label else (place,)] = 250
    return images, labels


def test_a_graph_over_images():
    images, labels = _bars(120)
    tested, truth = _bars(40, seed=1)
    parts = (images[:4], labels[:4], images[4:], tested, truth)
    accuracy = image_graph_accuracy(*parts)
    assert accuracy > 0.9
    assert accuracy == image_graph_accuracy(*parts)
    assert image_graph_accuracy(*parts, features=as_pixels, dimensions=None) <= 1
    # Fewer images than are labelled, and no others.
    assert image_graph_accuracy(*parts, max_images=2) >= 0.5
    nothing = images[:0]
    assert image_graph_accuracy(images, labels, nothing, tested, truth) > 0.9


def test_what_is_tested_is_not_in_the_graph():
    images, labels = _bars(60)
    tested, truth = _bars(30, seed=1)
    parts = (images[:4], labels[:4], images[4:])
    each = [
        image_graph_accuracy(*parts, tested[i : i + 1], truth[i : i + 1])
        for i in range(30)
    ]
    assert np.mean(each) == pytest.approx(image_graph_accuracy(*parts, tested, truth))


def test_what_no_graph_is_laid_over():
    images, labels = _bars(8)
    with pytest.raises(ValueError, match="images of one shape"):
        image_graph_accuracy(images, labels, images, images[:, :6], labels)
    for wrong in ({"max_images": 1}, {"dimensions": 0}):
        with pytest.raises(ValueError, match="must be an integer of at least"):
            image_graph_accuracy(images, labels, images, images, labels, **wrong)


def test_a_support_vector_machine():
    images, labels = _bars(40)
    tested, truth = _bars(40, seed=1)
    svm = fit_svm(hog_features(images), labels)
    assert svm.C in (1, 10, 100)
    assert svm.score(hog_features(tested), truth) == 1
    # Nothing can be held out.
    assert fit_svm(hog_features(images[:3]), labels[:3]).C == 10
    with pytest.raises(ValueError, match="two classes"):
        fit_svm(as_pixels(images[:2]), np.zeros(2, int))
