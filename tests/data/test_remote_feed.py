"""Batches that a host in another process draws, without a Python function.

The host is this process's own, taken for another's: what is sent to it and the graph of
its pipeline are the same. `test_distribution` trains on one that is another's.
"""

import keras
import numpy as np
import pytest
from toys import toy_images

from semppl_keras.data.checks import ImageSpec
from semppl_keras.data.feed.feed import make_feed, make_labelled_feed

if keras.backend.backend() != "tensorflow":
    pytest.skip("a host of TensorFlow's", allow_module_level=True)

import tensorflow as tf

from semppl_keras.data.feed import tf_feed, tf_remote_host

IMAGES, LABELS = toy_images(30)
SPEC = ImageSpec(3, (1,))
SOFT = ImageSpec(3, (1,), weighted=True, soft_labels=True)
Dataset = tf.data.Dataset


class OneWorker:
    """Stands in for a strategy: what its worker draws from."""

    def __init__(self, replicas=1):
        self._context = tf.distribute.InputContext(num_replicas_in_sync=replicas)

    def distribute_datasets_from_function(self, function):
        return function(self._context)


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch):
    monkeypatch.setattr(tf_feed, "in_other_processes", lambda strategy: True)


def paired(unlabelled=IMAGES[7:], labelled=(IMAGES[:7], LABELS[:7]), **changes):
    sizes = {"batch_size": 8, "labelled_batch_size": 4, **changes}
    return make_feed(unlabelled, labelled, SPEC, seed=3, **sizes)


def soft():
    targets = np.eye(3)[LABELS] * 0.7 + 0.1
    weights = np.arange(30) / 30
    return make_labelled_feed(
        (IMAGES, targets, weights),
        SOFT,
        batch_size=8,
        class_weight=np.array([1, 2, 3], "float32"),
        seed=3,
    )


def batched(*arrays, size=5):
    return Dataset.from_tensor_slices(arrays if len(arrays) > 1 else arrays[0]).batch(
        size
    )


FEEDS = {
    "arrays": paired,
    "hidden labels": lambda: paired((IMAGES[7:], LABELS[7:])),
    "images alone": lambda: make_feed(
        IMAGES.astype("uint8"), None, SPEC, labels_required=False, batch_size=8, seed=3
    ),
    "numbered": lambda: paired(numbered=True),
    "stratified": lambda: paired(images_per_class=2),
    "steps beyond a pass": lambda: paired(steps_per_epoch=5),
    "probabilities and weights": soft,
    "labelled dataset": lambda: paired(labelled=batched(IMAGES[:7], LABELS[:7])),
    "single images": lambda: paired(
        labelled=Dataset.from_tensor_slices((IMAGES[:7], LABELS[:7]))
    ),
    "datasets": lambda: paired(
        batched(IMAGES[7:], LABELS[7:]), batched(IMAGES[:7], LABELS[:7])
    ),
    "endless datasets": lambda: paired(
        batched(IMAGES[7:]).repeat(),
        batched(IMAGES[:7], LABELS[:7]).repeat(),
        steps_per_epoch=3,
    ),
}


def here(feed):
    return feed.fit_arguments()["x"]


def there(feed, replicas=1):
    return feed.divided_arguments(OneWorker(replicas))["x"]


@pytest.mark.parametrize("name", FEEDS)
def test_a_host_elsewhere_draws_the_same_batches(name):
    def drawn(feed, dataset_of, first_batch, step):
        feed.skip_to(first_batch)
        dataset = dataset_of(feed)
        feed.seek(step)
        for _ in range(2):
            feed.begin_epoch()
        return list(dataset.take(7).as_numpy_iterator())

    for place in ((0, 0), (1, 4)):
        expected = drawn(FEEDS[name](), here, *place)
        for batch, same in zip(
            drawn(FEEDS[name](), there, *place), expected, strict=True
        ):
            tf.nest.assert_same_structure(batch, same)
            for part, other in zip(
                tf.nest.flatten(batch), tf.nest.flatten(same), strict=True
            ):
                assert part.dtype == other.dtype
                np.testing.assert_array_equal(part, other)


@pytest.mark.parametrize("name", FEEDS)
def test_its_pipeline_holds_no_python_function(name):
    dataset = there(FEEDS[name]())
    graph = tf.raw_ops.DatasetToGraphV2(
        input_dataset=tf.data.experimental.to_variant(dataset)
    )
    ops = tf_remote_host.graph_ops(graph.numpy())
    assert "MapDataset" in ops
    assert not {op for op in ops if "PyFunc" in op or "Generator" in op}
    # Without an end, and of shapes that are known, which TPUs ask for.
    assert int(dataset.cardinality()) == tf.data.INFINITE_CARDINALITY
    for part in tf.nest.flatten(dataset.element_spec):
        assert part.shape.is_fully_defined()


def test_replicas_of_a_host_elsewhere_share_its_batches():
    feeds = paired(), paired()
    dataset = there(feeds[1], replicas=2)
    for feed in feeds:
        feed.seek(0)
        feed.begin_epoch()
    (whole,) = here(feeds[0]).take(1).as_numpy_iterator()
    parts = list(dataset.take(2).as_numpy_iterator())
    for index in range(2):
        joined = np.concatenate([part[0][index] for part in parts])
        np.testing.assert_array_equal(joined, whole[0][index])


def test_arrays_are_sent_once(monkeypatch):
    sent = []
    placed = tf_remote_host.PlacedArray
    monkeypatch.setattr(
        tf_remote_host,
        "PlacedArray",
        lambda device, array: sent.append(array) or placed(device, array),
    )
    # A block for each image.
    monkeypatch.setattr(tf_remote_host, "BLOCK_BYTES", 1)
    feed = paired()
    for first_batch in (1, 0):
        feed.skip_to(first_batch)
        dataset = there(feed)
    assert len(sent) == 3
    feed.seek(0)
    (images, _), _ = next(dataset.as_numpy_iterator())
    assert all((image == IMAGES[7:]).all(axis=(1, 2, 3)).any() for image in images)


def test_what_python_makes_is_refused():
    def generated():
        return Dataset.from_generator(
            lambda: iter(IMAGES), output_signature=tf.TensorSpec((8, 8, 1))
        ).batch(8)

    def mapped():
        return Dataset.from_tensor_slices(IMAGES).map(
            lambda image: tf.ensure_shape(
                tf.numpy_function(lambda x: x, [image], tf.float32), (8, 8, 1)
            )
        )

    for data, message in (
        ([IMAGES[:8], IMAGES[8:]], "must be arrays or a tf.data.Dataset.*: list"),
        (iter([IMAGES[:8]] * 9), "must be arrays or a tf.data.Dataset.*iterator"),
        (generated(), "must not call Python.*PyFunc"),
        (mapped(), "must not call Python.*PyFunc"),
    ):
        feed = paired(data, steps_per_epoch=2 if hasattr(data, "__next__") else None)
        with pytest.raises(TypeError, match=f"`unlabelled` {message}"):
            there(feed)


def test_this_process_is_no_other():
    assert not tf_remote_host.in_other_processes(
        tf.distribute.OneDeviceStrategy("/cpu:0")
    )
    with tf.distribute.MirroredStrategy(["/cpu:0"]).scope():
        strategy = tf.distribute.get_strategy()
        assert not tf_remote_host.in_other_processes(strategy)
