"""`--balance`: how much each class counts in the trainings of a run."""

import numpy as np
import pytest

from semppl_keras.runs import balance, network_training
from semppl_keras.runs.balance import (
    class_weight,
    estimated_shares,
    prior_to_adjust_by,
    repeated_rows,
    wanted_shares,
)
from semppl_keras.runs.embedded import Embedded

pytestmark = pytest.mark.any_backend

# Six labels of one class, two of another, one of the third.
LABELS = np.array([0, 0, 1, 0, 2, 0, 1, 0, 0])


def _embedded(of_each, num_labels=3, seed=0):
    """Directions of three classes, so many images of each, a few of them labelled."""
    generator = np.random.default_rng(seed)
    classes = np.repeat(np.arange(3), of_each)
    features = 4 * np.eye(3)[classes] + generator.normal(0, 0.3, (len(classes), 3))
    first = np.concatenate(
        [np.flatnonzero(classes == label)[:num_labels] for label in range(3)]
    )
    order = np.concatenate([first, np.setdiff1d(np.arange(len(classes)), first)])
    labels = classes[first]
    return Embedded(features[order].astype("float32"), labels, None, None, 3)


def test_weights_make_classes_so_much_of_a_loss():
    wanted = np.array([0.2, 0.5, 0.3])
    weights = class_weight(wanted, LABELS)
    sums = [sum(weights[label] for label in LABELS if label == c) for c in range(3)]
    np.testing.assert_allclose(sums, len(LABELS) * wanted)
    # A class without labels has none to be weighed.
    weights = class_weight(wanted, LABELS[LABELS != 2])
    assert weights[2] == 1
    assert sum(weights[label] for label in LABELS if label != 2) == pytest.approx(8)


def test_adjusted_logits_have_the_wanted_prior():
    wanted = np.array([0.2, 0.5, 0.3])
    counts = np.bincount(LABELS)
    prior = prior_to_adjust_by(wanted, LABELS)
    # What the labels say without it, by Bayes: their shares, over the prior.
    found = counts / counts.sum() / prior
    np.testing.assert_allclose(found / found.sum(), wanted)


def test_rows_are_repeated_to_the_wanted_shares():
    rows = repeated_rows(np.full(3, 1 / 3), LABELS)
    np.testing.assert_array_equal(np.bincount(LABELS[rows]), [6, 6, 6])
    assert set(rows) == set(range(len(LABELS)))
    # Each image of a class as often as the others, as nearly as that goes.
    for label in range(3):
        own = np.flatnonzero(label == LABELS)
        times = np.bincount(rows, minlength=len(LABELS))[own]
        assert times.max() - times.min() <= 1
    rows = repeated_rows(np.array([0.5, 0.25, 0.25]), LABELS)
    np.testing.assert_array_equal(np.bincount(LABELS[rows]), [6, 3, 3])


def test_the_frequency_of_classes_is_estimated_from_all_images(capsys):
    of_each = [60, 30, 10]
    found = estimated_shares(_embedded(of_each))
    np.testing.assert_allclose(found, [0.6, 0.3, 0.1], atol=0.03)
    # A class that hardly any image is taken for keeps some of it.
    least = estimated_shares(_embedded([200, 3, 3]))
    assert least.min() == pytest.approx(balance.LEAST_SHARE / 3, rel=0.1)
    of = _embedded(of_each)
    assert wanted_shares({}, of) is None
    assert wanted_shares({"balance": "labels"}, of) is None
    np.testing.assert_allclose(wanted_shares({"balance": "classes"}, of), 1 / 3)
    wanted_shares({"balance": "estimated"}, of, ["a", "b", "c"])
    assert "frequent the classes are, by what their labels become: a 6" in (
        capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("balance", "expected"),
    [
        (None, {"labelled_batch_size": 6}),
        ("labels", {"labelled_batch_size": 6}),
        ("estimated", {"labelled_batch_size": 6}),
        # No image twice in a batch: of the rarest class there is one.
        ("classes", {"labelled_batch_size": 3, "images_per_class": 1}),
    ],
)
def test_batches_of_semppl_have_all_classes(balance, expected):
    class Data:
        unlabelled_indices = np.arange(40)
        labelled_indices = np.arange(9)
        y_labelled = LABELS

    class Recipe:
        batch_size, labelled_batch_size = 12, 6

    class Job:
        settings, data, recipe = {"balance": balance}, Data, Recipe

    assert network_training.batches_of(Job) == (12, expected)
