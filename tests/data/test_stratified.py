"""Labelled batches of several images of each class."""

import itertools

import keras
import numpy as np
import pytest
from toys import toy_backbone, toy_images, toy_model, toy_views

from semppl_keras import SuNCEt
from semppl_keras.data.checks import ImageSpec
from semppl_keras.data.feed.sources import make_source
from semppl_keras.data.feed.stratified import StratifiedSource

pytestmark = pytest.mark.any_backend

COUNTS = (9, 1, 4, 3, 2)
LABELS = np.repeat(np.arange(5), COUNTS).astype("int32")


def source(per_class, batch_size, seed=3):
    # Every image is told from the others by its value.
    images = np.arange(len(LABELS), dtype="float32")[:, None, None, None] * np.ones(
        (1, 2, 2, 1), "float32"
    )
    arrays = make_source(
        "labelled", (images, LABELS), ImageSpec(5, (1,)), labelled=True, seed=seed
    )
    return StratifiedSource(arrays, per_class, batch_size, seed)


def batches(count, per_class=2, classes=2, step=0, seed=3):
    size = per_class * classes
    stream = source(per_class, size, seed).stream(size, step)
    return [
        (batch.images[:, 0, 0, 0].astype(int), batch.labels)
        for batch in itertools.islice(stream, count)
    ]


def test_every_batch_has_so_many_images_of_each_class():
    seen = np.zeros(5, int)
    for rows, labels in batches(400):
        np.testing.assert_array_equal(LABELS[rows], labels)
        classes, counts = np.unique(labels, return_counts=True)
        assert len(classes) == 2
        assert (counts == 2).all()
        for label in classes:
            # Twice the same image only of the class that has no other.
            distinct = len(set(rows[labels == label]))
            assert distinct == min(2, COUNTS[label])
        seen[classes] += 1
    # However many labels they have: 160 each, a binomial deviation of 6 at most.
    assert np.abs(seen - 160).max() < 40


def test_every_image_of_a_class_is_seen():
    rows = np.concatenate([rows for rows, _ in batches(400)])
    times = np.bincount(rows, minlength=len(LABELS))
    for label in range(5):
        own = times[label == LABELS]
        assert own.min() > 0.5 * own.mean()


def test_the_batch_of_a_step_follows_from_the_seed():
    whole = batches(12)
    for start in (1, 5, 8):
        for (rows, _), (same, _) in zip(
            batches(3, step=start), whole[start:], strict=False
        ):
            np.testing.assert_array_equal(rows, same)
    assert any(
        (rows != other).any()
        for (rows, _), (other, _) in zip(whole, batches(12, seed=4), strict=True)
    )


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="images_per_class=2, labelled_batch_size=5"):
        source(2, 5)
    with pytest.raises(ValueError, match="the 5 classes.*images_per_class=1 each, 6"):
        source(1, 6)
    images, labels = toy_images(12)
    model = toy_model()
    with pytest.raises(TypeError, match="`images_per_class` is for `labelled` as arr"):
        model.fit(images, [(images, labels)], batch_size=6, images_per_class=2)
    with pytest.raises(ValueError, match="`images_per_class` must be an integer"):
        model.fit(images, (images, labels), batch_size=6, images_per_class=0)


def test_suncet_trains_on_pairs():
    images, labels = toy_images(24)
    model = SuNCEt(
        toy_backbone(), 3, views=toy_views(), projection_dim=4, hidden_dim=8, seed=0
    )
    model.compile("adam", jit_compile=keras.backend.backend() == "jax")
    history = model.fit(
        images,
        (images, labels),
        batch_size=12,
        labelled_batch_size=4,
        images_per_class=2,
        verbose=0,
    ).history
    assert history["suncet"][0] > 0
