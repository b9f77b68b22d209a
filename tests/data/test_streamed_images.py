"""Images that are decoded when they are asked for: as arrays, and in a feed."""

import itertools
import threading

import numpy as np
import pytest
from PIL import Image

from semppl_keras.data import StreamedImages, load_own_images
from semppl_keras.data.checks import ImageSpec
from semppl_keras.data.feed.feed import Feed, make_feed
from semppl_keras.data.feed.sources import make_source
from semppl_keras.data.feed.streamed_batches import StreamedBatches
from semppl_keras.data.images import streamed_images
from semppl_keras.data.images.decoding import TooManyUnreadable
from semppl_keras.data.images.image_list import ImageList, image_list
from semppl_keras.data.images.opening import UnreadableImage
from semppl_keras.data.images.reading_threads import AHEAD, read_ahead

pytestmark = pytest.mark.any_backend

SPEC = ImageSpec(2, (3,), value_range=(0, 255))


@pytest.fixture
def folders(tmp_path):
    """Twelve images without labels, five with, all others, and four to test on."""
    generator = np.random.default_rng(0)
    for count, folder in (
        (12, "many"),
        (3, "few/cat"),
        (2, "few/dog"),
        (4, "held/cat"),
    ):
        (tmp_path / folder).mkdir(parents=True)
        for index in range(count):
            pixels = generator.integers(0, 256, (9, 11, 3), "uint8")
            Image.fromarray(pixels).save(tmp_path / folder / f"{index:02}.png")
    return tmp_path


def _load(folders, cache, **options):
    parts = (folders / "many", folders / "few", folders / "held")
    return load_own_images(*parts, image_size=8, cache=cache, **options)


def _numbered(count, read=None, at=True, **options):
    """Images of one pixel that is their number, or what `read` makes of it."""
    names = tuple(map(str, range(count)))
    images = ImageList(
        names,
        None,
        lambda: iter(range(count)),
        lambda: names,
        at=(lambda index: index) if at else None,
    )
    read = read or (lambda number: np.full((1, 1, 1), number, "uint8"))
    return StreamedImages(images, 1, 1, read, **options)


def test_they_are_what_would_be_decoded_before(folders):
    now, before = _load(folders, "none"), _load(folders, "memory")
    assert isinstance(now.x_train, StreamedImages)
    assert now.x_train.shape == before.x_train.shape
    assert now.x_train.dtype == before.x_train.dtype
    np.testing.assert_array_equal(now.x_train[:], before.x_train)
    np.testing.assert_array_equal(now.x_labelled[:], before.x_labelled)
    np.testing.assert_array_equal(now.x_unlabelled[:], before.x_unlabelled)
    np.testing.assert_array_equal(now.x_test[:], before.x_test)
    np.testing.assert_array_equal(now.y_train, before.y_train)
    np.testing.assert_array_equal(now.x_train[3], before.x_train[3])
    np.testing.assert_array_equal(now.x_train[[4, 1]], before.x_train[[4, 1]])
    mask = np.arange(len(before.x_train)) % 2 == 0
    np.testing.assert_array_equal(now.x_train[mask], before.x_train[mask])
    np.testing.assert_array_equal(np.asarray(now.x_test), before.x_test)
    assert [len(one) for one in now.x_train] == [8] * 17


@pytest.mark.parametrize("step", [0, 7])
def test_a_feed_of_them_has_the_batches_of_arrays_from_any_step_on(folders, step):
    feeds = []
    for cache in ("none", "memory"):
        data = _load(folders, cache)
        # `make_feed`'s own is another class on TensorFlow.
        sources = [
            make_source("unlabelled", data.x_unlabelled, SPEC, labelled=False, seed=3),
            make_source(
                "labelled",
                (data.x_labelled, data.y_labelled),
                SPEC,
                labelled=True,
                seed=3,
            ),
        ]
        feed = Feed(*sources, 5, 2, 3)
        feed.seek(step)
        feeds.append(feed)
    for index in range(8):
        (x, y), (other_x, other_y) = (feed[index] for feed in feeds)
        for part, other in zip(x, other_x, strict=True):
            np.testing.assert_array_equal(part, other)
        np.testing.assert_array_equal(y["label"], other_y["label"])


@pytest.mark.parametrize("sampled", [{}, {"images_per_class": 1}])
def test_make_feed_takes_them(folders, sampled):
    data = _load(folders, "none")
    labelled = (data.x_labelled, data.y_labelled)
    sizes = {"batch_size": 6, "labelled_batch_size": 2}
    feed = make_feed(data.x_unlabelled, labelled, SPEC, seed=0, **sizes, **sampled)
    assert feed.batch_form[:3] == (6, 2, (8, 8, 3))


def test_crops_are_a_function_of_seed_pass_and_image():
    def crop(number, generator):
        return np.full((1, 1, 1), 20 * number + generator.integers(20), "uint8")

    images = _numbered(10).rows(np.arange(4, 10)).cropped(crop)

    def batches(seed, step, count):
        source = make_source(
            "unlabelled", images, ImageSpec(None, (1,)), labelled=False, seed=seed
        )
        taken = itertools.islice(source.passes(3, step), count)
        return [batch.images.ravel().tolist() for batch in taken]

    whole = batches(9, 0, 6)
    # Of a training that goes on from another step what it was.
    assert batches(9, 3, 3) == whole[3:]
    # In each pass all images, and others of each.
    passes = [sorted(whole[n] + whole[n + 1]) for n in (0, 2, 4)]
    for one in passes:
        assert [value // 20 for value in one] == list(range(4, 10))
    assert len({tuple(one) for one in passes}) == 3
    assert batches(8, 0, 6) != whole
    # Outside of training they are whole.
    assert images[:].ravel().tolist() == list(range(4, 10))
    picks = [(np.arange(6), np.zeros(6, int))]
    (_, pixels), *_ = images.batches(picks, None)
    assert pixels.ravel().tolist() == list(range(4, 10))


def test_of_what_cannot_be_read_another_of_the_class_stands_in(folders):
    (folders / "few" / "cat" / "01.png").write_bytes(b"")
    (folders / "many" / "11.png").write_bytes(b"")
    data = _load(folders, "none", max_skipped=0.5)
    assert data.x_train.skipped == []
    cats = data.x_labelled[:3]
    np.testing.assert_array_equal(cats[1], cats[2])
    assert not np.array_equal(cats[0], cats[2])
    # The next one, from the beginning again.
    others = data.x_unlabelled[:]
    np.testing.assert_array_equal(others[11], others[0])
    np.testing.assert_array_equal(data.x_unlabelled[11], others[0])
    names = [one.name for one in data.x_train.skipped]
    assert [name[-10:] for name in names] == ["cat/01.png", "any/11.png"]


def test_too_many_that_cannot_be_read_are_told_when_they_are_met():
    def read(number):
        if number % 2:
            raise UnreadableImage(str(number), "it is broken")
        return np.zeros((1, 1, 1), "uint8")

    images = _numbered(20, read, max_skipped=0.2)
    with pytest.raises(TooManyUnreadable, match="At most 20%.*'1', '3'"):
        images[:]
    labels = np.arange(20)
    with pytest.raises(TooManyUnreadable, match="Of every class"):
        _numbered(20, read, max_skipped=1.0, labels=labels)[1]


def test_batches_are_read_ahead_and_no_further():
    read, lock = [], threading.Lock()

    def remember(number):
        with lock:
            read.append(number)
        return number

    batches = read_ahead(
        remember, itertools.count(), lambda pick: [(2 * pick,), (2 * pick + 1,)]
    )
    for step in range(5):
        pick, numbers, waited = next(batches)
        assert (pick, numbers) == (step, [2 * step, 2 * step + 1])
        assert waited >= 0
        assert max(read) < 2 * (step + AHEAD + 1)
    finite = read_ahead(remember, range(2), lambda pick: [(pick,)])
    assert [pick for pick, _, _ in finite] == [0, 1]


def test_as_one_array_they_need_the_memory(monkeypatch):
    images = _numbered(10)
    assert np.asarray(images).shape == (10, 1, 1, 1)
    monkeypatch.setattr(streamed_images, "free_memory", lambda: 19)
    with pytest.raises(ValueError, match=r"all 10 images take.*images\[start:stop\]"):
        np.asarray(images)
    assert np.asarray(images.rows([1, 2])).ravel().tolist() == [1, 2]


def test_batches_for_keras_come_in_order_and_anew():
    batches = StreamedBatches(_numbered(7), np.arange(7), batch_size=3)
    assert batches.num_batches == 3
    for _ in range(2):
        assert [batches[index][1].tolist() for index in (0, 0, 1, 2)] == [
            [0, 1, 2],
            [0, 1, 2],
            [3, 4, 5],
            [6],
        ]
    assert batches[2][0].ravel().tolist() == [6]


def test_those_that_come_one_after_the_other_are_refused():
    with pytest.raises(ValueError, match="records that can be read alone.*'0'"):
        _numbered(3, at=False)


def test_they_are_refused_where_the_views_take_another_range(folders):
    images = _load(folders, "none").x_train
    spec = ImageSpec(None, (3,), value_range=(0, 1))
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
        make_source("unlabelled", images, spec, labelled=False, seed=0)


def test_some_of_a_list_are_far_from_each_other(tmp_path):
    images = image_list([tmp_path / str(index) for index in range(11)])
    some = images.some(3)
    assert [name[-2:].strip("/") for name in some.names] == ["0", "5", "10"]
    assert list(some.contents()) == [some.at(index) for index in range(3)]
    assert [state[0] for state in some.states()] == list(some.names)
    assert images.some(11) is images


def test_the_same_file_counts_once_and_as_labelled(tmp_path, folders):
    table = tmp_path / "labels.csv"
    rows = [f"many/{index:02}.png,{'ab'[index % 2]}" for index in range(4)]
    table.write_text("\n".join(["path,label", *rows]), encoding="utf-8")
    data = load_own_images(folders / "many", table, image_size=8, cache="none")
    assert (len(data.x_labelled), len(data.x_unlabelled)) == (4, 8)
    assert any("4 of the unlabelled images are labelled" in one for one in data.remarks)
