"""What each of several processes reads of the images."""

import keras
import numpy as np
import pytest

from semppl_keras.data.checks import ImageSpec
from semppl_keras.data.feed.feed import make_feed, make_labelled_feed

pytestmark = pytest.mark.any_backend

SPEC = ImageSpec(3, (1,))
LABELLED = np.ones((5, 4, 4, 1), "uint8"), np.arange(5) % 3


def numbered(count):
    """Images whose pixels are their number."""
    pixels = np.arange(count, dtype="uint8").reshape(-1, 1, 1, 1)
    return pixels * np.ones((1, 4, 4, 1), "uint8")


class Asked(keras.utils.PyDataset):
    """Batches of images, which notes for what it was asked, and turns round after a
    pass."""

    def __init__(self, sizes, **options):
        super().__init__(**options)
        ends = np.cumsum(sizes)
        self.batches = np.split(numbered(ends[-1]), ends[:-1])
        self.asked, self.turned = [], 0

    @property
    def num_batches(self):
        return len(self.batches)

    def __getitem__(self, index):
        self.asked.append(index)
        batch = self.batches[index]
        return batch[::-1] if self.turned % 2 else batch

    def on_epoch_end(self):
        self.turned += 1


def drawn(images, part=None, steps=None, first_batch=0, **sizes):
    """The numbers of the images of each step."""
    feed = make_feed(images, LABELLED, SPEC, seed=0, labelled_batch_size=4, **sizes)
    feed = getattr(feed, "_feed", feed)
    if part is not None:
        feed.take_part(*part)
    feed.skip_to(first_batch)
    feed.seek(first_batch)
    steps = steps or 2 * feed.steps_per_epoch
    return [feed[step][0][0][:, 0, 0, 0] for step in range(steps)]


class Rows:
    """An array that notes which of its rows are read."""

    def __init__(self, images):
        self.images, self.read = images, []

    def __getitem__(self, rows):
        self.read.append(rows)
        return self.images[rows]

    def __len__(self):
        return len(self.images)


def test_of_an_array_only_the_own_rows_are_read():
    feed = make_feed(
        numbered(23), LABELLED, SPEC, batch_size=8, labelled_batch_size=4, seed=0
    )
    feed = getattr(feed, "_feed", feed)
    feed.unlabelled.images = Rows(feed.unlabelled.images)
    feed.take_part(1, 4)
    own = [feed[step][0][0][:, 0, 0, 0] for step in range(3)]
    assert [len(rows) for rows in feed.unlabelled.images.read] == [2, 2, 2]
    np.testing.assert_array_equal(feed.unlabelled.images.read, own)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("size", [2, 3, 4, 8, 10])
def test_the_parts_of_a_py_dataset_are_the_whole(size, workers):
    def dataset():
        return Asked([size] * (24 // size) + [24 % size or 1], workers=workers)

    whole = drawn(dataset(), batch_size=8)
    parts = [drawn(dataset(), (index, 4), batch_size=8) for index in range(4)]
    for step, expected in enumerate(whole):
        joined = np.concatenate([part[step] for part in parts])
        np.testing.assert_array_equal(joined, expected)


def test_of_a_py_dataset_only_what_holds_the_own_images_is_asked_for():
    images = Asked([4] * 6)
    feed = make_feed(
        images, LABELLED, SPEC, batch_size=12, labelled_batch_size=3, seed=0
    )
    feed = getattr(feed, "_feed", feed)
    feed.take_part(1, 3)
    images.asked.clear()
    for step in range(4):
        feed[step]
    assert images.asked == [1, 4] * 2


def test_a_part_goes_on_within_a_pass():
    whole = drawn(Asked([4] * 6), (1, 2), batch_size=8, steps=5)
    rest = drawn(Asked([4] * 6), (1, 2), batch_size=8, steps=4, first_batch=1)
    np.testing.assert_array_equal(rest, whole[1:])


def test_batches_of_several_sizes_are_told():
    with pytest.raises(ValueError, match="batches of one size.*1 images in batch 1"):
        drawn(Asked([4, 1, 4, 4, 4]), (1, 2), batch_size=4, steps=4)


def test_weights_and_labels_are_those_of_the_own_images():
    labels = np.arange(12) % 3
    data = numbered(12), labels, np.arange(12) / 12
    spec = ImageSpec(3, (1,), weighted=True)
    feed = make_labelled_feed(data, spec, batch_size=6, seed=0)
    feed = getattr(feed, "_feed", feed)
    feed.take_part(2, 3)
    (images,), beside = feed[0]
    own = images[:, 0, 0, 0]
    assert len(own) == 2
    np.testing.assert_array_equal(beside["label"], labels[own])
    np.testing.assert_allclose(beside["weight"], own / 12)
