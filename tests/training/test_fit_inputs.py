"""What `fit` takes, what it gives, and what it says to what it cannot take."""

import keras
import numpy as np
import pytest
from toys import (
    one_everywhere,
    slow_on_jax,
    toy_images,
    toy_model,
    toy_views,
    weights_of,
)

from semppl_keras import FineTuner
from semppl_keras.callbacks import TargetEMA
from semppl_keras.data.checks import ImageSpec, check_labels
from semppl_keras.data.feed.feed import make_feed
from semppl_keras.training.metrics import check_metrics

SPEC = ImageSpec(num_classes=3, channels=(1,), min_size=6, value_range=(0, 255))


def as_tf_dataset(*arrays, batch=None):
    import tensorflow as tf

    dataset = tf.data.Dataset.from_tensor_slices(
        arrays if len(arrays) > 1 else arrays[0]
    )
    return dataset if batch is None else dataset.batch(batch)


class Batches(keras.utils.PyDataset):
    def __init__(self, *arrays, batch, **kwargs):
        super().__init__(**kwargs)
        self.arrays, self.batch = arrays, batch

    def __len__(self):
        return -(-len(self.arrays[0]) // self.batch)

    def __getitem__(self, index):
        part = slice(index * self.batch, (index + 1) * self.batch)
        return tuple(array[part] for array in self.arrays)


def as_loader(*arrays, batch):
    import torch

    tensors = [torch.as_tensor(array) for array in arrays]
    dataset = torch.utils.data.TensorDataset(*tensors)
    return torch.utils.data.DataLoader(dataset, batch_size=batch)


FORMS = {
    "arrays": (lambda x, y: (x, y), lambda x, y: (x, y)),
    "images alone": (lambda x, y: x, lambda x, y: (x, y)),
    "tf.data": (
        lambda x, y: as_tf_dataset(x, y, batch=9),
        lambda x, y: as_tf_dataset(x, y, batch=3),
    ),
    "tf.data of images": (
        lambda x, y: as_tf_dataset(x, batch=9),
        lambda x, y: as_tf_dataset(x, y, batch=3),
    ),
    "tf.data and arrays": (
        lambda x, y: as_tf_dataset(x, y, batch=9),
        lambda x, y: (x, y),
    ),
    "tf.data unbatched": (
        lambda x, y: as_tf_dataset(x, y),
        lambda x, y: as_tf_dataset(x, y),
    ),
    "PyDataset": (
        lambda x, y: Batches(x, y, batch=9),
        lambda x, y: Batches(x, y, batch=3),
    ),
    "DataLoader": (
        lambda x, y: as_loader(x, y, batch=9),
        lambda x, y: as_loader(x, y, batch=3),
    ),
    "lists of batches": (
        lambda x, y: [(x[:9], y[:9]), (x[9:], y[9:])],
        lambda x, y: [(x[:3], y[:3]), (x[3:], y[3:])],
    ),
}


def batches_of(feed, count):
    """The batches that Keras would get, on any backend."""
    feed.seek(0)
    data = feed.fit_arguments()["x"]
    if isinstance(data, keras.utils.PyDataset):
        batches = [data[index] for index in range(count)]
    else:
        batches = list(data.take(count).as_numpy_iterator())
    return batches


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_data_gives_the_same_batches(form):
    images, labels = toy_images(24)
    unlabelled, labelled = FORMS[form]
    feed = make_feed(
        unlabelled(images[6:], labels[6:]),
        labelled(images[:6], labels[:6]),
        SPEC,
        batch_size=9,
        labelled_batch_size=3,
        seed=0,
    )
    assert feed.steps_per_epoch == 2
    assert feed.has_hidden_labels == ("images" not in form)
    drawn = batches_of(feed, 4)
    for (own, few), y in drawn:
        assert own.shape == (9, 8, 8, 1)
        assert few.shape == (3, 8, 8, 1)
        # Every image keeps its own label.
        for batch, name in ((own, "hidden_label"), (few, "label")):
            if name in y:
                for image, label in zip(batch, y[name], strict=True):
                    place = np.flatnonzero((images == image).all(axis=(1, 2, 3)))
                    assert label == labels[place[0]]
    # A pass has every image once.
    passes = [np.concatenate([own for (own, _), _ in drawn[i : i + 2]]) for i in (0, 2)]
    for whole in passes:
        np.testing.assert_array_equal(
            np.sort(whole.sum(axis=(1, 2, 3))), np.sort(images[6:].sum(axis=(1, 2, 3)))
        )
    few = np.concatenate([few for (_, few), _ in drawn[:2]])
    assert len(np.unique(few.sum(axis=(1, 2, 3)))) == 6


@pytest.mark.parametrize(
    "form", ["arrays", "tf.data", "tf.data unbatched", "PyDataset", "DataLoader"]
)
def test_the_last_batch_is_filled_from_the_beginning(form):
    images, labels = toy_images(22)
    unlabelled, labelled = FORMS[form]
    feed = make_feed(
        unlabelled(images, labels),
        labelled(images[:5], labels[:5]),
        SPEC,
        batch_size=9,
        labelled_batch_size=3,
        seed=0,
    )
    assert feed.steps_per_epoch == 3
    drawn = batches_of(feed, 6)
    for start in (0, 3):
        epoch = np.concatenate([own for (own, _), _ in drawn[start : start + 3]])
        assert len(epoch) == 27
        assert len(np.unique(epoch.sum(axis=(1, 2, 3)))) == 22
    # The labelled ones go round without an end: 18 are three passes and three more.
    few = np.concatenate([few for (_, few), _ in drawn])
    _, times = np.unique(few.sum(axis=(1, 2, 3)), return_counts=True)
    assert sorted(times) == [3, 3, 4, 4, 4]


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_passes_over_arrays_run_on_from_one_epoch_to_the_next(steps):
    images, labels = toy_images(22)
    arrays = {"unlabelled": images, "labelled": (images[:5], labels[:5])}
    passes = make_feed(**arrays, spec=SPEC, batch_size=9, seed=0)
    feed = make_feed(**arrays, spec=SPEC, batch_size=9, steps_per_epoch=steps, seed=0)
    assert feed.steps_per_epoch == steps
    for (own, few), (other, others) in zip(
        (x for x, _ in batches_of(feed, 6)),
        (x for x, _ in batches_of(passes, 6)),
        strict=True,
    ):
        np.testing.assert_array_equal(own, other)
        np.testing.assert_array_equal(few, others)


def ragged(images, sizes):
    """A tf.data.Dataset of batches of these sizes, whose number it knows."""
    import tensorflow as tf

    stops = np.cumsum(sizes)
    starts = tf.data.Dataset.from_tensor_slices((stops - sizes, stops))
    dataset = starts.map(lambda start, stop: tf.constant(images)[start:stop])
    assert int(dataset.cardinality()) == len(sizes)
    return dataset


@pytest.mark.parametrize("form", ["tf.data", "list"])
@pytest.mark.parametrize(
    ("sizes", "batch_size", "steps"),
    [((9, 15), 9, 3), ((9, 3, 3, 3), 9, 2), ((15, 1, 1, 1, 1, 1, 2), 20, 2)],
)
def test_an_epoch_of_batches_of_several_sizes_is_one_pass(
    form, sizes, batch_size, steps
):
    images, labels = toy_images(sum(sizes))
    data = ragged(images, sizes)
    if form == "list":
        data = list(data.as_numpy_iterator())
    feed = make_feed(data, (images, labels), SPEC, batch_size=batch_size, seed=0)
    assert feed.steps_per_epoch == steps
    drawn = batches_of(feed, 2 * steps)
    for start in (0, steps):
        epoch = np.concatenate([own for (own, _), _ in drawn[start : start + steps]])
        assert len(np.unique(epoch.sum(axis=(1, 2, 3)))) == len(images)


def test_a_loader_counts_what_its_sampler_draws():
    import torch

    images, labels = toy_images(24)
    for count, drop_last, steps in ((12, False, 3), (13, True, 3), (13, False, 4)):
        loader = torch.utils.data.DataLoader(
            torch.utils.data.TensorDataset(torch.as_tensor(images)),
            batch_size=4,
            sampler=torch.utils.data.SubsetRandomSampler(range(count)),
            drop_last=drop_last,
        )
        feed = make_feed(loader, (images, labels), SPEC, seed=0)
        assert feed.steps_per_epoch == steps


def test_data_of_one_batch_size_is_not_read_to_count_it():
    import tensorflow as tf
    import torch

    images, labels = toy_images(24)
    read = []

    class Watched(torch.utils.data.Dataset):
        def __len__(self):
            return 24

        def __getitem__(self, index):
            read.append(index)
            return images[index]

    def watched(index):
        return tf.numpy_function(lambda i: Watched()[i], [index], tf.float32)

    def singles():
        return tf.data.Dataset.range(24).map(
            lambda i: tf.ensure_shape(watched(i), (8, 8, 1))
        )

    for data, batch_size in (
        (torch.utils.data.DataLoader(Watched(), batch_size=6), None),
        (torch.utils.data.DataLoader(Watched(), batch_size=6), 9),
        (singles().batch(6), None),
        (singles().batch(6, num_parallel_calls=1).prefetch(1), None),
        (singles().batch(6, drop_remainder=True).map(lambda x: x), None),
        (singles(), 6),
    ):
        read.clear()
        feed = make_feed(data, (images, labels), SPEC, batch_size=batch_size, seed=0)
        assert feed.steps_per_epoch == (3 if batch_size == 9 else 4)
        # The first batch is; tf.data may go a little ahead.
        assert len(set(read)) < 24


def test_the_order_of_arrays_follows_from_seed_and_step():
    images, labels = toy_images(24)

    def batches(seed, step, count):
        feed = make_feed(
            images, (images[:5], labels[:5]), SPEC, batch_size=9, seed=seed
        )
        feed.seek(step)
        data = feed.fit_arguments()["x"]
        if isinstance(data, keras.utils.PyDataset):
            return [data[index] for index in range(count)]
        return list(data.take(count).as_numpy_iterator())

    whole = batches(seed=1, step=0, count=7)
    rest = batches(seed=1, step=4, count=3)
    other = batches(seed=2, step=0, count=1)
    for ((own, few), y), ((same, same_few), same_y) in zip(
        whole[4:], rest, strict=True
    ):
        np.testing.assert_array_equal(own, same)
        np.testing.assert_array_equal(few, same_few)
        np.testing.assert_array_equal(y["label"], same_y["label"])
    assert np.abs(whole[0][0][0] - other[0][0][0]).max() > 0
    assert np.abs(whole[0][0][0] - whole[3][0][0]).max() > 0


def test_a_labelled_dataset_goes_on_where_it_was():
    images, labels = toy_images(24)
    for form in ("tf.data", "PyDataset"):
        unlabelled, labelled = FORMS[form]
        feed = make_feed(
            unlabelled(images, labels), labelled(images[:7], labels[:7]), SPEC, seed=0
        )
        whole = batches_of(feed, 4)
        feed = make_feed(
            unlabelled(images, labels), labelled(images[:7], labels[:7]), SPEC, seed=0
        )
        feed.seek(3)
        data = feed.fit_arguments()["x"]
        if isinstance(data, keras.utils.PyDataset):
            (_, few), _ = data[0]
        else:
            (_, few), _ = next(iter(data.take(1).as_numpy_iterator()))
        np.testing.assert_array_equal(few, whole[3][0][1])


def test_an_endless_dataset_needs_steps():
    import tensorflow as tf

    images, labels = toy_images(24)
    endless = as_tf_dataset(images, batch=9).repeat()
    feed = make_feed(endless, (images[:5], labels[:5]), SPEC, steps_per_epoch=4, seed=0)
    assert feed.steps_per_epoch == 4
    assert len(batches_of(feed, 8)) == 8
    feed = make_feed(
        endless, (images[:5], labels[:5]), SPEC, steps_per_epoch=np.int64(4), seed=0
    )
    assert feed.steps_per_epoch == 4
    with pytest.raises(ValueError, match="`steps_per_epoch` must say"):
        make_feed(endless, (images[:5], labels[:5]), SPEC, seed=0)
    unknown = tf.data.Dataset.from_generator(
        lambda: iter(images), output_signature=tf.TensorSpec((8, 8, 1))
    ).batch(10)
    feed = make_feed(unknown, (images[:5], labels[:5]), SPEC, seed=0)
    assert feed.steps_per_epoch == 3


def test_data_of_unknown_length_is_not_counted_where_steps_are_given():
    import tensorflow as tf

    images, labels = toy_images(24)

    def for_ever():
        while True:
            yield from zip(images, labels, strict=True)

    endless = tf.data.Dataset.from_generator(
        for_ever,
        output_signature=(tf.TensorSpec((8, 8, 1)), tf.TensorSpec((), tf.int32)),
    )
    feed = make_feed(
        endless.batch(9), endless.batch(5), SPEC, steps_per_epoch=4, seed=0
    )
    assert feed.steps_per_epoch == 4
    drawn = batches_of(feed, 8)
    assert len(drawn) == 8
    np.testing.assert_array_equal(drawn[4][0][1], images[np.arange(20, 25) % 24])


def test_labels_may_be_a_list():
    images, labels = toy_images(12)
    feeds = [
        make_feed(images, (images, few), SPEC, batch_size=6, seed=0)
        for few in (labels, labels.tolist())
    ]
    first, second = (batches_of(feed, 2) for feed in feeds)
    for (_, y), (_, same) in zip(first, second, strict=True):
        np.testing.assert_array_equal(y["label"], same["label"])


def test_fit_takes_every_form_of_data():
    images, labels = toy_images(24)
    eager = keras.backend.backend() != "jax"
    model = toy_model(compile_arguments={"run_eagerly": eager})
    for count, (unlabelled, labelled) in enumerate(FORMS.values(), start=1):
        history = model.fit(
            unlabelled(images[6:], labels[6:]),
            labelled(images[:6], labels[:6]),
            batch_size=9,
            labelled_batch_size=3,
            verbose=0,
        ).history
        assert np.isfinite(history["loss"]).all()
        assert int(model.step) == 2 * count


def test_evaluation_takes_arrays_and_datasets():
    images, labels = toy_images(24)
    eager = keras.backend.backend() != "jax"
    model = toy_model(compile_arguments={"run_eagerly": eager})
    validation = as_tf_dataset(images, np.eye(3)[labels], batch=3)
    history = model.fit(
        images,
        (images[:6], labels[:6]),
        batch_size=12,
        validation_data=validation,
        verbose=0,
    ).history
    expected = model.evaluate(images, labels, verbose=0)
    assert history["val_accuracy"][-1] == pytest.approx(expected)
    for data in (validation, Batches(images, labels, batch=7)):
        assert model.evaluate(data, verbose=0) == pytest.approx(expected)
    shares = model.predict(images, verbose=0)
    dataset = as_tf_dataset(images, batch=7)
    np.testing.assert_allclose(model.predict(dataset, verbose=0), shares, atol=1e-6)
    np.testing.assert_allclose(model.embed(dataset), model.embed(images), atol=1e-5)

    dicts = as_tf_dataset(images, batch=3).map(lambda x: {"picture": x})
    for call, error, message in (
        (lambda: model.predict(dicts), ValueError, "`x`.*a dict.*'picture'"),
        (lambda: model.embed(dicts), ValueError, "`images`.*a dict.*'picture'"),
        (lambda: model.predict(as_tf_dataset(images)), ValueError, "`x`.*batches"),
        (lambda: model.embed((images, labels)), TypeError, "`images`.*tuple"),
        (lambda: model.predict(images[:0]), ValueError, "`x` is empty"),
        (
            lambda: model.fit(images, (images, labels), validation_data=dicts),
            ValueError,
            "`validation_data`.*a dict",
        ),
        (
            lambda: model.fit(images, (images, labels), validation_data=(images,)),
            ValueError,
            r"`validation_data`.*1 part\(s\)",
        ),
    ):
        with pytest.raises(error, match=message):
            call()
    assert int(model.step) == 2


def test_one_hot_labels_are_integers_spelled_out():
    images, labels = toy_images(12)
    one_hot = np.eye(3, dtype="float32")[labels]
    feeds = [
        make_feed(images, (images, y), SPEC, batch_size=6, seed=0)
        for y in (labels, one_hot, labels[:, None])
    ]
    drawn = [batches_of(feed, 2) for feed in feeds]
    for other in drawn[1:]:
        for (_, y), (_, same) in zip(drawn[0], other, strict=True):
            np.testing.assert_array_equal(y["label"], same["label"])


def test_one_hot_labels_of_a_dataset_that_does_not_tell_their_shape():
    import tensorflow as tf

    images, labels = toy_images(12)
    one_hot = np.eye(3, dtype="float32")[labels]
    dataset = tf.data.Dataset.range(3).map(
        lambda i: tf.numpy_function(
            lambda i: (images[4 * i : 4 * i + 4], one_hot[4 * i : 4 * i + 4]),
            [i],
            (tf.float32, tf.float32),
        )
    )
    feed = make_feed(images, dataset, SPEC, batch_size=6, seed=0)
    (_, y), *_ = batches_of(feed, 1)
    np.testing.assert_array_equal(y["label"], labels[:4])


def raise_explained(feed):
    try:
        batches_of(feed, 4)
    except Exception as error:
        raise feed.explain(error) from None


NAN = toy_images(12)[0].copy()
NAN[5, 2, 2] = np.nan
IMAGES, LABELS = toy_images(12)
# Tracing costs more than a few steps, except on JAX.
EAGERLY = keras.backend.backend() != "jax"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labelled": None}, "`labelled` is missing"),
        ({"unlabelled": None}, "`unlabelled` is missing"),
        ({"unlabelled": IMAGES[:0]}, "`unlabelled` is empty"),
        ({"labelled": (IMAGES[:0], LABELS[:0])}, "`labelled` is empty"),
        ({"unlabelled": []}, "`unlabelled` is empty"),
        ({"labelled": IMAGES}, r"`labelled` must hold \(images, labels\)"),
        (
            {"labelled": (IMAGES, LABELS + 1)},
            "`labelled`.*from 1 to 3 with num_classes=3",
        ),
        ({"labelled": (IMAGES, LABELS - 1)}, "`labelled`.*from -1 to 1"),
        ({"labelled": (IMAGES, LABELS.astype("float32"))}, "`labelled`.*float32"),
        ({"labelled": (IMAGES, np.eye(4)[LABELS])}, r"`labelled`.*\(12, 4\)"),
        ({"labelled": (IMAGES, np.ones((12, 3)))}, "`labelled`.*not one-hot"),
        ({"labelled": (IMAGES, LABELS[:5])}, "`labelled`.*12 images.*5"),
        ({"unlabelled": (IMAGES, LABELS + 5)}, "`unlabelled`.*from 5 to 7"),
        ({"unlabelled": IMAGES[..., 0]}, r"`unlabelled`.*rank 4.*\(12, 8, 8\)"),
        ({"unlabelled": np.zeros((12, 8, 8, 3))}, "`unlabelled`.*1 channel"),
        (
            {"labelled": (np.zeros((12, 9, 9, 1)), LABELS)},
            "`unlabelled` and `labelled`",
        ),
        (
            {
                "unlabelled": np.zeros((12, 4, 4, 1)),
                "labelled": (np.zeros((12, 4, 4, 1)), LABELS),
            },
            "4 x 4 pixels, smaller than the smallest views",
        ),
        ({"unlabelled": NAN}, "`unlabelled`.*NaN"),
        ({"unlabelled": np.full((12, 8, 8, 1), "a")}, "`unlabelled`.*dtype"),
        ({"batch_size": 0}, "`batch_size`.*integer of at least 1.*batch_size=0"),
        ({"labelled_batch_size": 1.5}, "`labelled_batch_size`.*1.5"),
        ({"batch_size": 13}, "`batch_size`.*13 for 12"),
        ({"steps_per_epoch": 0}, "`steps_per_epoch`.*integer of at least 1"),
        (
            {"steps_per_epoch": 5, "unlabelled": Batches(IMAGES, batch=6)},
            "`steps_per_epoch`.*steps_per_epoch=5 with finite",
        ),
        (
            {"unlabelled": [{"picture": IMAGES, "label": LABELS}]},
            r"`unlabelled`.*dict.*\['label', 'picture'\]",
        ),
        ({"unlabelled": {"picture": IMAGES}}, "`unlabelled`.*dict"),
        ({"labelled": {"image": IMAGES}}, r"`labelled` must hold \(images, labels\)"),
        (
            {"labelled": {"img": IMAGES, "fine_label": LABELS, "coarse_label": LABELS}},
            "`labelled`.*dict.*'coarse_label'",
        ),
        (
            {"unlabelled": {"image": IMAGES, "pixel_values": IMAGES}},
            "`unlabelled`.*dict.*'pixel_values'",
        ),
        ({"unlabelled": 3}, "`unlabelled` must be an array.*int"),
        ({"unlabelled": [(IMAGES, LABELS, LABELS)]}, "`unlabelled`.*3 part"),
        ({"unlabelled": [IMAGES[:6], NAN[6:], NAN[:6]]}, "`unlabelled`.*NaN"),
        (
            {"unlabelled": IMAGES / 255},
            r"`unlabelled` must lie in \[0, 255\].*by 255.*value_range=\(0, 1\)",
        ),
        ({"unlabelled": IMAGES - 128}, "`unlabelled`.*from -1.* to "),
        (
            {"labelled": ((IMAGES * 9).astype("uint16"), LABELS)},
            "`labelled`.*from .* to [0-9]{4}",
        ),
        ({"unlabelled": [IMAGES[:6], IMAGES[6:] * 2]}, "`unlabelled`.*from .* to "),
        ({"labelled": [IMAGES, LABELS]}, "`labelled` is a list.*Pass a tuple"),
        ({"labelled": [IMAGES, LABELS.tolist()]}, "`labelled` is a list"),
        ({"labelled": ([*IMAGES], LABELS)}, "`labelled`.*one array.*a list of 12"),
        ({"labelled": ([*IMAGES], [*LABELS])}, r"`labelled`.*numpy\.stack\(images"),
        ({"steps_per_epoch": True, "unlabelled": iter([IMAGES])}, "steps_per_epoch=T"),
    ],
)
def test_bad_data_is_named(changes, message):
    data = {"unlabelled": IMAGES, "labelled": (IMAGES, LABELS), **changes}
    if "batch_size" not in data:
        data["batch_size"] = 6
    with pytest.raises((ValueError, TypeError), match=message):
        # What comes later in a stream is found when it is drawn; `fit` gives the
        # user the error that the feed explains the backend's with.
        raise_explained(make_feed(**data, spec=SPEC, seed=0))


def test_a_dict_dataset_is_named():
    dataset = as_tf_dataset({"photo": IMAGES, "label": LABELS}, batch=6)
    with pytest.raises(ValueError, match="`unlabelled`.*dict.*photo"):
        make_feed(dataset, (IMAGES, LABELS), SPEC, seed=0)


class Rows:
    """As a `datasets.Dataset` of Hugging Face: rows, or what its `batch` gives."""

    def __init__(self, size=1):
        self.rows = [
            {"img": image, "label": int(label), "id": str(n)}
            for n, (image, label) in enumerate(zip(IMAGES, LABELS, strict=True))
        ]
        self.size = size

    def __len__(self):
        return len(IMAGES) // self.size

    def __iter__(self):
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index):
        if self.size == 1:
            return self.rows[index]
        part = self.rows[index * self.size : (index + 1) * self.size]
        return {key: [row[key] for row in part] for key in part[0]}


def torch_dicts():
    import torch

    rows = [
        {"pixel_values": image, "labels": label}
        for image, label in zip(IMAGES, LABELS, strict=True)
    ]
    return torch.utils.data.DataLoader(rows, batch_size=4)


@pytest.mark.parametrize(
    "data",
    [
        lambda: {"image": IMAGES, "label": LABELS},
        lambda: as_tf_dataset(
            {"id": LABELS, "image": IMAGES, "label": LABELS}, batch=4
        ),
        lambda: as_tf_dataset({"image": IMAGES, "label": LABELS}),
        lambda: Rows(),
        lambda: Rows(4),
        torch_dicts,
    ],
    ids=["arrays", "tfds", "tfds unbatched", "rows", "batches of rows", "DataLoader"],
)
def test_dicts_of_image_and_label_are_batches(data):
    feed = make_feed(data(), data(), SPEC, batch_size=6, labelled_batch_size=4, seed=0)
    places = []
    for (own, few), y in batches_of(feed, 2):
        for batch, labels in ((own, y["hidden_label"]), (few, y["label"])):
            for image, label in zip(batch, labels, strict=True):
                (place,) = np.flatnonzero((image == IMAGES).all(axis=(1, 2, 3)))
                assert label == LABELS[place]
        places += [np.flatnonzero((x == IMAGES).all(axis=(1, 2, 3)))[0] for x in own]
    assert sorted(places) == list(range(12))


@pytest.mark.any_backend
def test_dicts_are_evaluated(trained):
    expected = trained.evaluate(IMAGES, LABELS, verbose=0)
    dicts = {"image": IMAGES, "label": LABELS}
    for data in (dicts, as_tf_dataset(dicts, batch=5), Rows(4)):
        assert trained.evaluate(data, verbose=0) == pytest.approx(expected)
    shares = trained.predict(IMAGES, verbose=0)
    for data in ({"image": IMAGES}, as_tf_dataset({"image": IMAGES}, batch=5)):
        np.testing.assert_allclose(trained.predict(data, verbose=0), shares, atol=1e-6)


# -- the range of the images ---------------------------------------------------

MASKS = (IMAGES > 100).astype("uint8")
BLACK = np.zeros_like(IMAGES)


def unit_range(form, images):
    """What `fit` and its like would be given of them in this form."""
    return {
        "array": lambda: images,
        "dict": lambda: {"image": images},
        "tf.data": lambda: as_tf_dataset(images, batch=3),
        "PyDataset": lambda: Batches(images, batch=3),
        "DataLoader": lambda: as_loader(images, batch=3),
        "list": lambda: [images[:6], images[6:]],
        "generator": lambda: (images[i : i + 3] for i in range(0, len(images), 3)),
    }[form]()


SCALED = r"must lie in \[0, 255\].*looks like \[0, 1\]: multiply by 255"
RANGE_FORMS = ["array", "dict", "tf.data", "PyDataset", "DataLoader", "generator"]


@pytest.mark.parametrize("form", [*RANGE_FORMS, "list"])
@pytest.mark.parametrize(
    "images",
    [
        IMAGES / 255,
        (IMAGES / 255).astype("float16"),
        # Cubic splines lead beyond the range.
        IMAGES / 255 * 1.3,
        MASKS,
        MASKS.astype("int64"),
        MASKS.astype("float32"),
        # Black images at the beginning are no excuse.
        np.concatenate([BLACK[:6], IMAGES[6:] / 255]),
        np.concatenate([MASKS[:6] * 0, MASKS[6:]]),
    ],
    ids=lambda images: f"{images.dtype}, {images.max():.3g}, {images[0].max():.3g}",
)
def test_images_scaled_to_0_and_1_are_refused_in_every_form(form, images):
    with pytest.raises(ValueError, match=f"`unlabelled` {SCALED}.*range=.0, 1."):
        make_feed(
            unit_range(form, images),
            (IMAGES, LABELS),
            SPEC,
            steps_per_epoch=1 if form == "generator" else None,
            seed=0,
        )


@pytest.mark.parametrize("form", RANGE_FORMS)
def test_every_method_refuses_images_scaled_to_0_and_1(form, trained):
    def scaled():
        return unit_range(form, IMAGES / 255)

    with pytest.raises(ValueError, match=f"`x` {SCALED}"):
        trained.predict(scaled(), verbose=0)
    with pytest.raises(ValueError, match=f"`images` {SCALED}"):
        trained.embed(scaled())
    with pytest.raises(ValueError, match=f"`x` {SCALED}"):
        trained.pseudo_label(scaled())

    def labelled():
        return {
            "array": (IMAGES / 255, LABELS),
            "dict": {"image": IMAGES / 255, "label": LABELS},
            "tf.data": as_tf_dataset(IMAGES / 255, LABELS, batch=3),
            "PyDataset": Batches(IMAGES / 255, LABELS, batch=3),
            "DataLoader": as_loader(IMAGES / 255, LABELS, batch=3),
            "generator": iter([(IMAGES / 255, LABELS)]),
        }[form]

    with pytest.raises(ValueError, match=f"`validation_data` {SCALED}"):
        trained.fit(
            IMAGES,
            (IMAGES, LABELS),
            validation_data=labelled(),
            validation_steps=1 if form == "generator" else None,
        )
    with pytest.raises(ValueError, match=f"`labelled` {SCALED}"):
        trained.fit(IMAGES, labelled())
    with pytest.raises(ValueError, match=f"`x` {SCALED}"):
        trained.evaluate(*labelled() if form == "array" else [labelled()])


@pytest.mark.parametrize("form", ["tf.data", "PyDataset", "DataLoader", "list"])
def test_batches_that_are_scaled_otherwise_than_the_first_are_refused(form):
    images = np.concatenate([IMAGES[:6], IMAGES[6:] / 255])
    with pytest.raises(ValueError, match=r"`unlabelled` must lie.*looks like \[0, 1\]"):
        raise_explained(
            make_feed(unit_range(form, images), (IMAGES, LABELS), SPEC, seed=0)
        )


@pytest.mark.parametrize(
    "images",
    [
        BLACK,
        # Drawings in black and white.
        MASKS * 255,
        # Dark photographs, one of them first.
        np.concatenate([MASKS[:1], IMAGES[1:].astype("uint8")]),
        np.concatenate([IMAGES[:6].astype("uint8"), MASKS[6:]]),
        np.concatenate([BLACK[:9], IMAGES[9:]]),
        IMAGES / 128 + 1,
    ],
    ids=["black", "drawings", "first dark", "last dark", "first black", "from 1 to 3"],
)
@pytest.mark.parametrize("form", RANGE_FORMS)
def test_dark_images_are_taken(form, images):
    data = unit_range(form, images)
    steps = 1 if form == "generator" else None
    feed = make_feed(data, (IMAGES, LABELS), SPEC, steps_per_epoch=steps, seed=0)
    drawn = batches_of(feed, 1 if form == "generator" else 2)
    assert drawn[0][0][0].dtype == images.dtype


@pytest.mark.parametrize("value_range", [(0, 1), (-1, 1), (0, 10_000), (-1000, 1000)])
def test_the_range_of_the_views_is_that_of_the_images(value_range):
    low, high = value_range
    spec = ImageSpec(3, (1,), value_range=value_range)
    whole = low + IMAGES / 255 * (high - low)
    labelled = (whole, LABELS)
    for images in (whole, [whole[:6], whole[6:]], as_tf_dataset(whole, batch=6)):
        assert batches_of(make_feed(images, labelled, spec, seed=0), 1)
    wrong = IMAGES if high == 1 else IMAGES / 255
    for images in (wrong, [wrong], as_tf_dataset(wrong, batch=6)):
        with pytest.raises(ValueError, match="`unlabelled` must lie in") as error:
            make_feed(images, labelled, spec, seed=0)
    if high == 10_000:
        assert "multiply by 10000" in str(error.value)


@one_everywhere("what", ["nan", "label", "one_hot", "shape", "range"])
def test_an_error_amid_a_dataset_reaches_the_user(what):
    """Found only while training: the message is ours, the model is kept."""
    labels = LABELS.copy()
    images = NAN
    if what == "label":
        images, labels[8] = IMAGES, 7
    if what == "range":
        images = IMAGES.copy()
        images[8] += 300
    if what == "one_hot":
        # Unlabelled images are not read through before training.
        images, labels = IMAGES, np.eye(3, dtype="float32")[labels]
        labels[8] = [0.2, 0.5, 0.3]
    # Tracing costs more than the few steps, except on JAX.
    eager = keras.backend.backend() != "jax"
    model = toy_model(compile_arguments={"run_eagerly": eager})
    unlabelled, labelled = IMAGES, as_tf_dataset(images, labels, batch=4)
    if what == "one_hot":
        unlabelled, labelled = labelled, (IMAGES, LABELS)
    if what == "shape":
        import tensorflow as tf

        signature = (
            tf.TensorSpec((None, None, None, 1)),
            tf.TensorSpec((None,), tf.int32),
        )
        labelled = tf.data.Dataset.from_generator(
            lambda: iter([(IMAGES[:4], LABELS[:4]), (IMAGES[4:, :7], LABELS[4:])]),
            output_signature=signature,
        )
    expected = {
        "nan": "finite",
        "label": "integer labels from 0 to 2",
        "one_hot": "one-hot rows.*that are not one-hot",
        "shape": "images of one shape",
        "range": r"must lie in \[0, 255\].*Received: values from .* to 3",
    }[what]
    with pytest.raises(ValueError, match=f"labelled`.*{expected}"):
        model.fit(unlabelled, labelled, batch_size=4, labelled_batch_size=4, verbose=0)
    assert all(np.isfinite(value).all() for value in weights_of(model).values())


@pytest.mark.any_backend
def test_labels_beside_their_images_are_told_to_come_with_them():
    with pytest.raises(TypeError, match=r"at most 2.*: 3.*as one: \(images, labels\)"):
        toy_model().fit(IMAGES, IMAGES, LABELS)


def test_bad_sizes_are_named():
    model = toy_model(num_negatives=10)
    with pytest.raises(ValueError, match="`batch_size` is too small.*num_negatives=10"):
        model.fit(IMAGES, (IMAGES, LABELS), batch_size=6)
    with pytest.raises(ValueError, match="of few images, a smaller `num_negatives`"):
        model.fit(IMAGES[:6], (IMAGES[:3], LABELS[:3]))
    if keras.backend.backend() != "torch":
        model = toy_model(compile_arguments={"steps_per_execution": 2})
        with pytest.raises(ValueError, match="must divide.*=2 for 3 steps"):
            model.fit(IMAGES, (IMAGES, LABELS), batch_size=4)
    model = toy_model(memory_size=4)
    with pytest.raises(ValueError, match="`memory_size`.*memory_size=4"):
        model.fit(IMAGES, (IMAGES, LABELS), batch_size=6, labelled_batch_size=5)


@pytest.mark.parametrize(
    "argument",
    [
        {"num_classes": 1},
        {"memory_size": 0},
        {"neighbours": 13},
        {"temperature": 0.0},
        {"temperature": None},
        {"seed": -1},
        {"contrastive_weight": -1.0},
        {"semantic_weight": -0.1},
        {"invariance_weight": float("nan")},
        {"target_momentum": 1.5},
        {"num_negatives": 2.5},
        {"views": "cifar"},
        {"views": ["digits"]},
        {"temperature": float("inf")},
        {"semantic_weight": float("inf")},
        {"neighbours": True},
        {"seed": True},
    ],
)
def test_bad_arguments_are_named(argument):
    (name, value), *_ = argument.items()
    with pytest.raises(ValueError, match=f"`{name}`") as error:
        toy_model(**argument)
    assert str(value) in str(error.value)


@pytest.fixture(scope="module")
def trained():
    """A model with a filled memory; nothing here changes it."""
    model = toy_model(compile_arguments={"run_eagerly": EAGERLY})
    memory = np.random.default_rng(0).normal(size=model.memory.embeddings.shape)
    model.memory.embeddings.assign(memory.astype("float32"))
    model.memory.labels.assign(np.arange(12) % 3)
    return model


LATER = {
    "label": (None, "integer labels from 0 to 2"),
    "nan": (np.nan, "finite"),
    "range": (300.0, r"must lie in \[0, 255\]"),
}


# Keras says so of every generator that comes to its end.
ends = pytest.mark.filterwarnings("ignore:Your input ran out of data")


@ends
@pytest.mark.parametrize("form", ["tf.data", "PyDataset", "DataLoader", "generator"])
@one_everywhere("what", LATER)
def test_every_batch_of_an_evaluation_is_checked(form, what, trained):
    value, message = LATER[what]
    images, labels = IMAGES.copy(), LABELS.copy()
    if what == "label":
        labels[10] = 7
    else:
        images[10, 2, 2] = value

    def batches(*arrays):
        if form == "generator":
            return (tuple(a[i : i + 3] for a in arrays) for i in range(0, 12, 3))
        make = {"tf.data": as_tf_dataset, "PyDataset": Batches, "DataLoader": as_loader}
        return make[form](*arrays, batch=3)

    with pytest.raises(ValueError, match=f"^`x`.*{message}"):
        trained.evaluate(batches(images, labels), verbose=0)
    if what == "label":
        # Labels that are not looked at are no matter.
        assert trained.predict(batches(images, labels), verbose=0).shape == (12, 3)
        return
    with pytest.raises(ValueError, match=f"^`x`.*{message}"):
        trained.predict(batches(images), verbose=0)
    with pytest.raises(ValueError, match=f"^`images`.*{message}"):
        trained.embed(batches(images))
    assert np.isfinite(trained.embed(IMAGES)).all()  # The weights are still there.
    with pytest.raises(ValueError, match=f"^`validation_data`.*{message}"):
        trained.fit(
            IMAGES,
            (IMAGES, LABELS),
            batch_size=12,
            validation_data=batches(images, labels),
            validation_steps=4 if form == "generator" else None,
            verbose=0,
        )


@ends
@pytest.mark.parametrize("form", ["tf.data", "PyDataset", "DataLoader", "generator"])
def test_prediction_takes_every_form_of_batches(form, trained):
    expected = trained.predict(IMAGES, verbose=0)
    features = trained.embed(IMAGES)

    def batches():
        return {
            "tf.data": lambda: as_tf_dataset(IMAGES, batch=5).filter(lambda x: True),
            "PyDataset": lambda: Batches(IMAGES, batch=5),
            "DataLoader": lambda: as_loader(IMAGES, batch=5),
            "generator": lambda: (IMAGES[i : i + 5] for i in (0, 5, 10)),
        }[form]()

    np.testing.assert_allclose(
        trained.predict(batches(), verbose=0), expected, atol=1e-6
    )
    np.testing.assert_allclose(trained.embed(batches()), features, atol=1e-5)


@ends
def test_validation_of_unknown_length_serves_every_epoch():
    model = toy_model(compile_arguments={"run_eagerly": EAGERLY})
    validation = as_tf_dataset(IMAGES, LABELS, batch=5).filter(lambda x, y: True)
    history = model.fit(
        IMAGES,
        (IMAGES, LABELS),
        batch_size=12,
        epochs=2,
        validation_data=validation,
        verbose=0,
    ).history
    assert len(history["val_accuracy"]) == 2
    expected = model.evaluate(IMAGES, LABELS, verbose=0)
    assert history["val_accuracy"][-1] == pytest.approx(expected)


def test_a_generator_validates_every_epoch_on_the_same_batches():
    model = toy_model(compile_arguments={"run_eagerly": EAGERLY})
    drawn = []

    def batches():
        while True:
            for start in (0, 3, 6, 9):
                drawn.append(start)
                yield IMAGES[start : start + 3], LABELS[start : start + 3]

    told = model.fit(
        IMAGES,
        (IMAGES, LABELS),
        batch_size=12,
        epochs=2,
        validation_data=batches(),
        validation_steps=4,
        verbose=0,
    ).history["val_accuracy"]
    expected = model.evaluate(IMAGES, LABELS, verbose=0)
    assert told[1] == pytest.approx(expected)
    assert drawn == [0, 3, 6, 9]


def endless(form):
    if form == "tf.data":
        return as_tf_dataset(IMAGES, LABELS, batch=3).repeat()

    class Endless(Batches):
        def __len__(self):
            raise NotImplementedError

        @property
        def num_batches(self):
            return None

    return Endless(IMAGES, LABELS, batch=3)


@pytest.mark.parametrize("form", ["tf.data", "PyDataset"])
def test_what_has_no_end_is_read_for_so_many_steps_or_not_at_all(form, trained):
    fit = {"batch_size": 12, "verbose": 0}
    for name, call in (
        ("x", lambda: trained.predict(endless(form))),
        ("x", lambda: trained.evaluate(endless(form))),
        ("images", lambda: trained.embed(endless(form))),
        (
            "validation_data",
            lambda: trained.fit(
                IMAGES, (IMAGES, LABELS), validation_data=endless(form), **fit
            ),
        ),
    ):
        with pytest.raises(ValueError, match=f"^`{name}` must come to an end"):
            call()
    batches = iter([(IMAGES, LABELS)])
    with pytest.raises(ValueError, match="`validation_data` must come to an end"):
        trained.fit(IMAGES, (IMAGES, LABELS), validation_data=batches, **fit)
    assert next(batches)[0] is IMAGES  # It was not touched.
    some = trained.predict(endless(form), steps=2, verbose=0)
    expected = trained.predict(IMAGES[:6], verbose=0)
    np.testing.assert_allclose(some, expected, atol=1e-6)


@pytest.mark.parametrize("form", ["tf.data", "PyDataset"])
def test_a_classifier_by_itself_reads_so_many_steps_of_what_has_no_end(form, trained):
    classifier = FineTuner(trained, 3).classifier
    classifier.compile(
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        run_eagerly=EAGERLY,
    )
    for method in (classifier.predict, classifier.evaluate):
        with pytest.raises(ValueError, match="^`x` must come to an end"):
            method(endless(form), verbose=0)
    told = classifier.evaluate(endless(form), steps=4, verbose=0)
    expected = classifier.evaluate(IMAGES, LABELS, batch_size=3, verbose=0)
    np.testing.assert_allclose(told, expected, rtol=1e-5)
    history = classifier.fit(
        IMAGES,
        LABELS,
        validation_data=endless(form),
        validation_steps=4,
        verbose=0,
    ).history
    assert np.isfinite(history["val_loss"]).all()


@one_everywhere("steps", [0, -1, 1.5, 2.0, True])
def test_a_number_of_batches_is_an_integer_above_0(steps, trained):
    classifier = FineTuner(trained, 3).classifier
    classifier.compile(loss="sparse_categorical_crossentropy")
    batches = iter([(IMAGES, LABELS)])
    message = f"must be an integer of at least 1. Received: .*steps={steps}"
    with pytest.raises(ValueError, match=f"^`validation_steps` {message}"):
        trained.fit(
            IMAGES,
            (IMAGES, LABELS),
            validation_data=batches,
            validation_steps=steps,
            batch_size=12,
        )
    for method in (
        trained.predict,
        trained.evaluate,
        classifier.predict,
        classifier.evaluate,
    ):
        with pytest.raises(ValueError, match=f"^`steps` {message}"):
            method(batches, steps=steps)
    assert next(batches)[0] is IMAGES  # It was not touched.


@one_everywhere("kind", [">u2", ">f4"])
def test_arrays_of_another_byte_order_are_taken(kind):
    def trained_on(images, labels):
        keras.utils.set_random_seed(0)
        model = toy_model(compile_arguments={"run_eagerly": EAGERLY})
        model.fit(images, (images, labels), batch_size=12, verbose=0)
        return model.predict(images, verbose=0)

    swapped = trained_on(IMAGES.astype(kind), LABELS.astype(">i8"))
    np.testing.assert_array_equal(swapped, trained_on(IMAGES.astype(kind[1:]), LABELS))


@one_everywhere(
    ("labels", "remedy"),
    [
        (np.array(["cat", "dog", "cow"] * 4), "Number them: names, labels = numpy"),
        (np.where(LABELS == 0, np.nan, LABELS), "NaN is no class"),
        (LABELS.astype("float32"), "cast them"),
        (LABELS - 1, "labels from -1 to 1.*leave the image out"),
    ],
)
def test_labels_of_another_kind_are_told_how_they_become_classes(labels, remedy):
    with pytest.raises(ValueError, match=f"`labelled` must hold integer.*{remedy}"):
        toy_model().fit(IMAGES, (IMAGES, labels))


@pytest.mark.any_backend
def test_unknown_labels_that_are_allowed_are_not_to_be_left_out():
    labels = np.array([-1, 0, 3])
    with pytest.raises(ValueError, match=r"\(-1 where unknown\).*num_classes=3\.$"):
        check_labels("unlabelled", labels, 3, unknown_allowed=True)
    with pytest.raises(ValueError, match=r"leave the image out\.$"):
        check_labels("labelled", labels, 3)


def test_one_image_alone_is_told_how_it_becomes_a_batch(trained):
    with pytest.raises(ValueError, match=r"make a batch: image\[None\]"):
        trained.predict(IMAGES[0])
    with pytest.raises(ValueError, match=r"Add a channel axis: images\[\.\.\., None\]"):
        trained.predict(IMAGES[..., 0])
    with pytest.raises(TypeError, match=r"Received: list.*numpy\.stack\(images\)"):
        trained.predict([*IMAGES])


def test_arrays_to_evaluate_are_checked(trained):
    for images, labels, message in (
        (IMAGES, LABELS[:5], "`y` must hold one label per image.*12 images and 5"),
        (IMAGES / 255, LABELS, "`x` must lie in.*multiply by 255"),
        (IMAGES * 2, LABELS, "`x` must lie in.*from .* to "),
        (as_tf_dataset(IMAGES, batch=5), LABELS, "`y` holds labels.*as a dataset"),
    ):
        with pytest.raises(ValueError, match=message):
            trained.evaluate(images, labels)
    with pytest.raises(ValueError, match="`validation_data`.*one label per image"):
        trained.fit(IMAGES, (IMAGES, LABELS), validation_data=(IMAGES, LABELS[:5]))


def test_views_of_another_range_take_images_of_it():
    model = toy_model(views=toy_views(value_range=(0, 1)))
    assert model.embed(IMAGES / 255).shape == (12, 8)
    with pytest.raises(ValueError, match=r"`images` must lie in \[0, 1\]"):
        model.embed(IMAGES.astype("uint8"))


@pytest.mark.parametrize(
    ("metric", "remedy"),
    [
        ("categorical_accuracy", "Use SparseCategoricalAccuracy"),
        (keras.metrics.categorical_crossentropy, "sparse_categorical_crossentropy"),
        (keras.metrics.TopKCategoricalAccuracy(2), "SparseTopKCategoricalAccuracy"),
        (keras.metrics.F1Score(average="macro"), "what `predict` gives"),
        (keras.metrics.AUC(), "what `predict` gives"),
        (keras.metrics.MeanIoU(3), "what `predict` gives"),
        ("mse", "what `predict` gives"),
    ],
)
def test_metrics_of_one_hot_labels_are_refused(metric, remedy, trained):
    for argument in ("metrics", "weighted_metrics"):
        with pytest.raises(ValueError, match=f"`metrics`.*{remedy}"):
            trained.compile("sgd", **{argument: ["accuracy", metric]})


@pytest.mark.parametrize(
    "metric",
    [
        "sparse_top_k_categorical_accuracy",
        keras.metrics.sparse_top_k_categorical_accuracy,
        keras.metrics.SparseTopKCategoricalAccuracy(),
    ],
)
def test_metrics_of_more_classes_than_there_are_are_refused(metric, trained):
    with pytest.raises(ValueError, match="`metrics`.*the 3 classes.*k=5"):
        trained.compile("sgd", metrics=[metric])


def test_a_single_metric_is_taken():
    model = toy_model()
    model.compile("sgd", metrics="accuracy", weighted_metrics="accuracy")
    model.fit(IMAGES, (IMAGES, LABELS), verbose=0)
    assert len(model.evaluate(IMAGES, LABELS, verbose=0)) == 3


def test_metrics_of_integer_labels_are_taken():
    def of_my_own(y_true, y_pred):
        return keras.ops.cast(y_true == keras.ops.argmax(y_pred, axis=-1), "float32")

    model = toy_model()
    model.compile(
        "sgd",
        metrics=[
            "acc",
            keras.metrics.SparseTopKCategoricalAccuracy(2),
            keras.metrics.SparseCategoricalCrossentropy(),
            of_my_own,
        ],
        run_eagerly=EAGERLY,
    )
    model.memory.labels.assign(np.arange(12) % 3)
    results = model.evaluate(IMAGES, LABELS, return_dict=True, verbose=0)
    assert len(results) == 4
    # Which on JAX warns of its own.
    check_metrics([keras.metrics.MeanIoU(3, sparse_y_pred=False)], 3)
    assert results["acc"] == pytest.approx(results["of_my_own"])


def test_nothing_to_measure_is_said_before_training(trained):
    model = toy_model(compile_arguments={"metrics": None})
    with pytest.raises(ValueError, match="`validation_data` needs `metrics`"):
        model.fit(IMAGES, (IMAGES, LABELS), validation_data=(IMAGES, LABELS))
    with pytest.raises(ValueError, match="`evaluate` needs `metrics`"):
        model.evaluate(IMAGES, LABELS)
    assert int(model.step) == 0


@pytest.mark.parametrize(
    "argument",
    [
        {"base_momentum": "a"},
        {"base_momentum": 1.5},
        {"total_steps": 2.5},
        {"total_steps": 0},
    ],
)
def test_a_bad_schedule_is_named(argument):
    (name,) = argument
    with pytest.raises(ValueError, match=f"`{name}`"):
        TargetEMA(**argument)


def test_a_model_that_is_not_compiled_or_not_trained_says_so():
    model = toy_model()
    with pytest.raises(ValueError, match=r"`predict` needs.*Call `fit` first"):
        model.predict(IMAGES)
    with pytest.raises(ValueError, match=r"`evaluate` needs.*Call `fit` first"):
        model.evaluate(IMAGES, LABELS)
    from semppl_keras import SemPPL

    raw = SemPPL(model.backbone, 3, views=toy_views(), hidden_dim=8)
    with pytest.raises(ValueError, match="compiled before `fit`"):
        raw.fit(IMAGES, (IMAGES, LABELS))


@slow_on_jax
def test_another_fit_may_have_other_batches():
    model = toy_model()
    for batch_size, image_size in ((6, 8), (9, 8), (9, 12)):
        images, labels = toy_images(24, size=image_size)
        history = model.fit(
            images,
            (images[:6], labels[:6]),
            batch_size=batch_size,
            labelled_batch_size=batch_size // 3,
            verbose=0,
        ).history
        assert np.isfinite(history["loss"]).all()
