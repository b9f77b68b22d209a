"""Histograms of gradients against loops in float64, and the graph over them."""

import numpy as np
import pytest
from references import oriented_gradients

from semppl_keras.evaluation import (
    as_pixels,
    fit_svm,
    hog_features,
    image_graph_accuracy,
)

pytestmark = pytest.mark.any_backend


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
    expected = [oriented_gradients(image, **settings) for image in images]
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
