"""What users of Keras are used to: it works here, or a sentence says what does."""

import threading

import keras
import numpy as np
import pytest
from keras import layers
from toys import (
    assert_same_weights,
    one_everywhere,
    slow_on_jax,
    toy_backbone,
    toy_images,
    toy_model,
    toy_views,
    weights_of,
)

from semppl_keras import Distiller, FineTuner, SimCLR
from semppl_keras.data.checks import ImageSpec
from semppl_keras.data.feed.feed import make_feed
from semppl_keras.data.feed.sources import make_source
from semppl_keras.models import ImageEmbedder

IMAGES, LABELS = toy_images(12)
SPEC = ImageSpec(num_classes=3, channels=(1,), value_range=(0, 255))
# Tracing costs more than a few steps, except on JAX.
EAGERLY = keras.backend.backend() != "jax"


@pytest.fixture(scope="module")
def model():
    model = toy_model(compile_arguments={"run_eagerly": EAGERLY})
    model.fit(IMAGES, (IMAGES, LABELS), batch_size=12, labelled_batch_size=6, verbose=0)
    return model


@pytest.fixture(scope="module")
def tuner(model):
    tuner = FineTuner(model, 3, seed=0)
    tuner.compile("sgd", run_eagerly=EAGERLY)
    return tuner


@pytest.fixture(scope="module")
def student(tuner):
    student = Distiller(tuner, tuner)
    student.compile("sgd", run_eagerly=EAGERLY)
    return student


# -- arguments ----------------------------------------------------------------


def test_unknown_arguments_are_told_in_a_sentence(model, tuner, student):
    pair = (IMAGES, (IMAGES, LABELS))
    steps = [int(each.step) for each in (model, tuner, student)]
    for call, message in (
        (lambda: model.fit(*pair, class_weight={0: 2}), "SemPPL.*FineTuner: fit"),
        (lambda: student.fit(IMAGES, class_weight={0: 2}), "Distiller.*FineTuner: fit"),
        (lambda: model.fit(*pair, sample_weight=LABELS), "SemPPL.*FineTuner: fit"),
        (lambda: model.fit(*pair, validation_split=0.1), "`validation_data`"),
        (lambda: tuner.fit(IMAGES, LABELS, shuffle=False), "shuffled in any case"),
        (lambda: tuner.fit(IMAGES, LABELS, workers=2), "keras.utils.PyDataset"),
        (lambda: model.fit(x=IMAGES), "`fit` of SemPPL has no argument `x`"),
        (lambda: model.fit(*pair, epoch=2), "Did you mean `epochs`"),
        (lambda: model.fit(*pair, batchsize=2), "Did you mean `batch_size`"),
        (lambda: model.compile("sgd", loss="mse"), "the loss is the model's own"),
        (lambda: tuner.compile("sgd", loss="mse"), "the loss is the model's own"),
        (lambda: model.compile("sgd", metric=["accuracy"]), "Did you mean `metrics`"),
        (lambda: model.predict(IMAGES, batchsize=2), "Did you mean `batch_size`"),
        (lambda: model.pseudo_label(IMAGES, size=2), "It has: images, batch_size, v"),
        (lambda: model.embed(IMAGES, batchsize=2), "Did you mean `batch_size`"),
        (lambda: tuner.evaluate(IMAGES, LABELS, step=2), "Did you mean `steps`"),
    ):
        with pytest.raises(TypeError, match=f"has no argument.*{message}|{message}"):
            call()
    assert [int(each.step) for each in (model, tuner, student)] == steps


def test_numbers_and_callbacks_that_are_none_are_refused_at_the_call(
    model, tuner, student
):
    pair, few = (IMAGES, (IMAGES, LABELS)), (IMAGES, LABELS)
    steps = [int(each.step) for each in (model, tuner, student)]
    for call, message in (
        (lambda: model.predict(IMAGES, -3), "`batch_size`.*least 1.*batch_size=-3"),
        (lambda: model.embed(IMAGES, batch_size="4"), "`batch_size`.*='4'"),
        (lambda: model.pseudo_label(IMAGES, 0), "`batch_size`.*=0"),
        (lambda: tuner.evaluate(*few, batch_size=2.5), "`batch_size`.*=2.5"),
        (lambda: tuner.evaluate(*few, steps=-1), "`steps`.*least 1"),
        (lambda: tuner.predict(IMAGES, steps="1"), "`steps`.*='1'"),
        (lambda: model.fit(*pair, epochs="3"), "`epochs` must be an integer.*='3'"),
        (lambda: tuner.fit(*few, epochs=-1), "`epochs` must be an integer of at least"),
        (lambda: student.fit(IMAGES, epochs=None), "`epochs`.*epochs=None"),
        (lambda: student.fit(IMAGES, initial_epoch=0.5), "`initial_epoch`.*=0.5"),
        (lambda: tuner.fit(*few, validation_batch_size=0), "`validation_batch_size`"),
        (lambda: tuner.fit(*few, validation_steps="2"), "`validation_steps`.*='2'"),
        (lambda: tuner.fit(*few, validation_freq=0), "`validation_freq`.*least 1.*=0"),
        (lambda: tuner.fit(*few, validation_freq=(1, "2")), "`validation_freq.1"),
        (lambda: model.fit(*pair, steps_per_epoch=0), "`steps_per_epoch`.*least 1"),
        (lambda: tuner.fit(*few, callbacks="x"), "`callbacks`.*instances.*'x'"),
        (lambda: tuner.predict(IMAGES, callbacks=[keras.callbacks.History]), "History"),
        (lambda: tuner.predict(IMAGES, callbacks=[None]), "instances.*Received: None"),
    ):
        with pytest.raises((ValueError, TypeError), match=message):
            call()
    assert [int(each.step) for each in (model, tuner, student)] == steps


@pytest.mark.parametrize("epochs", [np.int64(2), (2,), range(2, 3)])
def test_numbers_of_numpy_and_any_epochs_are_taken(epochs, tuner):
    three = np.int64(3)
    assert len(tuner.predict(IMAGES, batch_size=three, verbose=0)) == len(IMAGES)
    history = tuner.fit(
        IMAGES,
        LABELS,
        epochs=np.int32(2),
        validation_data=(IMAGES, LABELS),
        validation_batch_size=three,
        validation_freq=epochs,
        verbose=0,
    ).history
    assert (len(history["loss"]), len(history["val_loss"])) == (2, 1)


def test_labels_of_image_dataset_from_directory_are_taken(tuner):
    """`label_mode` "binary" gives floats in a column, "categorical" float rows."""
    two = np.minimum(LABELS, 1)
    spec = ImageSpec(num_classes=2, channels=(1,), value_range=(0, 255))
    for labels in (two[:, None].astype("float32"), np.eye(2, dtype="float32")[two]):
        feed = make_feed(
            [(IMAGES, labels)], (IMAGES, labels), spec, batch_size=12, seed=0
        )
        feed.seek(0)
        data = feed.fit_arguments()["x"]
        pydataset = isinstance(data, keras.utils.PyDataset)
        _, y = data[0] if pydataset else next(data.as_numpy_iterator())
        np.testing.assert_array_equal(y["hidden_label"], two)
    with pytest.raises(ValueError, match="`y` must hold integer labels.*float64"):
        tuner.fit(IMAGES, LABELS[:, None] + 0.5)


def test_columns_of_floats_in_a_tf_dataset(tuner):
    import tensorflow as tf

    column = LABELS[:, None].astype("float32")
    wrong = column.copy()
    wrong[8] = 0.5
    for labels in (column, wrong):
        data = tf.data.Dataset.from_tensor_slices((IMAGES, labels)).batch(6)
        if labels is column:
            assert np.isfinite(tuner.fit(data, verbose=0).history["loss"]).all()
            continue
        with pytest.raises(ValueError, match="`x` must hold integer labels from 0 to"):
            tuner.fit(data, verbose=0)


# -- methods ------------------------------------------------------------------


def test_methods_of_one_batch(model, tuner, student):
    for each in (model, tuner):
        expected = each.predict(IMAGES, verbose=0)
        np.testing.assert_allclose(each.predict_on_batch(IMAGES), expected, atol=1e-6)
        told = each.evaluate(IMAGES, LABELS, return_dict=True, verbose=0)
        results = each.test_on_batch(IMAGES, LABELS, return_dict=True)
        assert results["accuracy"] == pytest.approx(told["accuracy"])
    for each in (model, student):
        with pytest.raises(NotImplementedError, match="`train_on_batch`.*Call `fit`"):
            each.train_on_batch(IMAGES, LABELS)
    for each in (model, tuner, student):
        with pytest.raises(ValueError, match=r"`x` must lie.*multiply by 255"):
            each.predict_on_batch(IMAGES / 255)
    with pytest.raises(ValueError, match="`y` must hold one label per image"):
        tuner.test_on_batch(IMAGES, LABELS[:5])


@pytest.mark.parametrize(
    "argument",
    [{"steps_per_execution": "a"}, {"steps_per_execution": 0}, {"jit_compile": "x"}],
)
def test_bad_arguments_of_compile_are_named(model, argument):
    (name,) = argument
    with pytest.raises(ValueError, match=f"`{name}` must be .*Received: {name}="):
        model.compile("sgd", **argument)


def test_a_fine_tuner_is_trained_on_one_batch():
    # The same initial weights.
    backbone = toy_backbone()
    tuners = [FineTuner(backbone, 3, views=toy_views(), seed=0) for _ in range(2)]
    for tuner in tuners:
        tuner.compile(keras.optimizers.SGD(0.1), run_eagerly=EAGERLY)
    whole = tuners[0].fit(IMAGES, LABELS, batch_size=len(IMAGES), verbose=0).history
    loss, accuracy = tuners[1].train_on_batch(IMAGES, LABELS)
    assert [loss, accuracy] == [whole["loss"][0], whole["accuracy"][0]]
    assert_same_weights(*map(weights_of, tuners))
    results = tuners[1].train_on_batch(IMAGES, LABELS, return_dict=True)
    assert list(results) == ["loss", "accuracy"]
    assert results["loss"] < loss
    with pytest.raises(ValueError, match="`y` must hold integer labels"):
        tuners[1].train_on_batch(IMAGES, LABELS + 1)


def test_export_is_that_of_the_classifier_or_says_what_is(
    model, tuner, tmp_path, monkeypatch
):
    called = []
    monkeypatch.setattr(
        tuner.classifier, "export", lambda *args, **kwargs: called.append(args)
    )
    tuner.export(tmp_path / "served")
    assert called == [(tmp_path / "served",)]
    with pytest.raises(NotImplementedError, match=r"export\.export_model\(.*backbone"):
        model.export(tmp_path / "served")


def test_what_keras_cannot_load_is_not_written(model, tuner, student, tmp_path):
    embedder = ImageEmbedder(model.backbone, model.views)
    for each in (model, tuner, student, tuner.classifier, embedder):
        for ending in ("h5", "hdf5"):
            with pytest.raises(ValueError, match=r"must end in .keras.*model\.keras"):
                each.save(tmp_path / f"model.{ending}")
    checkpoint = keras.callbacks.ModelCheckpoint(tmp_path / "best.h5", monitor="loss")
    step = int(model.step)
    with pytest.raises(ValueError, match=r"must end in \.keras.*best\.h5"):
        model.fit(IMAGES, (IMAGES, LABELS), callbacks=[checkpoint])
    assert int(model.step) == step
    assert not list(tmp_path.iterdir())
    model.save_weights(tmp_path / "x.weights.h5")
    other = toy_model(seed=1)
    other.load_weights(tmp_path / "x.weights.h5")
    np.testing.assert_allclose(other.embed(IMAGES), model.embed(IMAGES), atol=1e-6)


def test_the_summary_tells_shapes(model, tuner):
    for each, shapes in (
        (model, ["Embeddings: (None, 4)", "Small views: (None, 1, 6, 6, 1)"]),
        (tuner, ["Probabilities: (None, 3)", "Large views: (None, 1, 8, 8, 1)"]),
    ):
        lines = []
        each.summary(print_fn=lines.append)
        text = "\n".join(lines)
        shapes += ["Images, 0 to 255: (None, None, None, 1)", "Features: (None, 8)"]
        for shape in shapes:
            assert shape in text


@one_everywhere("dtype", ["float64", "float16", "bfloat16"])
def test_other_weights_than_float32_are_told_at_construction(dtype, model):
    message = r"computes in float32.*set_floatx\('float32'\)"
    with pytest.raises(ValueError, match=message):
        toy_model(dtype=dtype)
    with pytest.raises(ValueError, match=message):
        FineTuner(model, 3, dtype=dtype)
    keras.config.set_floatx(dtype)
    try:
        with pytest.raises(ValueError, match=message):
            SimCLR(toy_backbone(), views=toy_views(), hidden_dim=8, projection_dim=4)
    finally:
        keras.config.set_floatx("float32")


# -- data ---------------------------------------------------------------------


class Watched(keras.utils.PyDataset):
    """Batches of two images, of which so many wait for each other."""

    def __init__(self, together, **kwargs):
        super().__init__(**kwargs)
        self.meeting = threading.Barrier(together)
        self.ends = 0

    def __len__(self):
        return 6

    def __getitem__(self, index):
        self.meeting.wait(timeout=60)
        return IMAGES[2 * index : 2 * index + 2]

    def on_epoch_end(self):
        self.ends += 1


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_the_workers_of_a_dataset_draw_ahead_in_order(workers):
    data = Watched(workers, workers=workers, max_queue_size=workers)
    source = make_source("x", data, SPEC, labelled=False, seed=0)
    drawn = [batch.images for batch in source.batches()]
    np.testing.assert_array_equal(np.concatenate(drawn), IMAGES)
    assert data.ends == 1


def test_processes_of_a_dataset_are_told_to_be_threads():
    data = Watched(1, workers=1, use_multiprocessing=True)
    with pytest.warns(UserWarning, match=r"1 thread\(s\) rather than processes"):
        make_feed(data, None, SPEC, labels_required=False, seed=0)


# -- channels -----------------------------------------------------------------


def banded_views(**changes):
    return toy_views(color_jitter=0, grayscale=0, solarize=(0, 0.5), **changes)


@one_everywhere(
    ("channels", "highest", "dtype"),
    [
        (13, 10_000, "uint16"),
        # Each is compiled anew, on which JAX takes its time.
        pytest.param(2, 255, "uint8", marks=[] if EAGERLY else pytest.mark.slow),
        pytest.param(4, 255, "float32", marks=[] if EAGERLY else pytest.mark.slow),
    ],
)
def test_images_of_any_number_of_channels(channels, highest, dtype):
    images = np.random.default_rng(0).integers(0, highest, (12, 8, 8, channels))
    images = images.astype(dtype)
    model = SimCLR(
        toy_backbone(channels),
        views=banded_views(value_range=(0, highest)),
        hidden_dim=8,
        projection_dim=4,
        seed=0,
    )
    model.compile("sgd", run_eagerly=EAGERLY)
    history = model.fit(images, batch_size=6, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    features = model.embed(images)
    assert features.std(axis=0).max() > 0
    np.testing.assert_allclose(model.embed(images.astype("float32")), features)
    tuner = FineTuner(model, 3, seed=0)
    tuner.compile("sgd", run_eagerly=EAGERLY)
    tuner.fit(images, LABELS, verbose=0)
    assert tuner.predict(images, verbose=0).shape == (12, 3)


@pytest.mark.parametrize("channels", [2, 4, 13])
def test_colours_of_other_channels_are_refused_at_construction(channels):
    message = f"Received: images of {channels} channels.*color_jitter=0"
    with pytest.raises(ValueError, match=message):
        SimCLR(toy_backbone(channels), views=toy_views(), hidden_dim=8)
    with pytest.raises(ValueError, match=message):
        FineTuner(toy_backbone(channels), 3, views=toy_views())
    masked = banded_views(background_removal=0.5)
    with pytest.raises(ValueError, match=f"images of {channels} channels, background"):
        SimCLR(toy_backbone(channels), views=masked, hidden_dim=8)


@slow_on_jax
def test_colours_that_are_left_alone_may_be_of_any_channels():
    """Views of many channels are those of each by itself."""
    images = np.random.default_rng(0).uniform(0, 255, (3, 8, 8, 5)).astype("float32")
    views = banded_views()(images, seed=1)
    for channel in range(5):
        alone = banded_views()(images[..., channel : channel + 1], seed=1)
        for name, own in alone.items():
            np.testing.assert_allclose(
                keras.ops.convert_to_numpy(views[name])[..., channel],
                keras.ops.convert_to_numpy(own)[..., 0],
                atol=1e-6,
            )
    strengths = {"brightness": 0, "contrast": 0, "saturation": 0, "hue": 0}
    assert not toy_views(grayscale=0, **strengths).recolors
    assert toy_views(grayscale=0.1, **strengths).recolors


# JAX takes float32 for it.
@pytest.mark.filterwarnings("ignore:Explicitly requested dtype float64")
def test_a_backbone_in_float64_gives_float32():
    inputs = keras.Input((None, None, 1))
    hidden = layers.Conv2D(4, 3, dtype="float64")(inputs)
    outputs = layers.GlobalAveragePooling2D(dtype="float64")(hidden)
    model = toy_model(keras.Model(inputs, outputs))
    assert model.embed(IMAGES).dtype == "float32"
