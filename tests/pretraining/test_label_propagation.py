"""Pseudo-labels from a graph over all images: numbers, times, weights, going on."""

import types

import keras
import numpy as np
import pytest
import references
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

import semppl_keras
from semppl_keras.data.checks import ImageSpec
from semppl_keras.data.feed.feed import make_feed
from semppl_keras.evaluation import propagate_labels
from semppl_keras.memory import ImageLabels
from semppl_keras.pretraining import semppl
from semppl_keras.pretraining.label_propagation import LabelPropagation
from semppl_keras.training.global_batch import GlobalBatch

IMAGES, LABELS = toy_images(60)
SIZES = {"batch_size": 20, "labelled_batch_size": 6, "verbose": 0}


# TensorFlow traces for longer than a few steps take; JAX is slow without.
UNTRACED = {"run_eagerly": keras.backend.backend() != "jax"}


def propagating(**settings):
    return toy_model(labeller="propagation", compile_arguments=UNTRACED, **settings)


def plain(tensor):
    return keras.ops.convert_to_numpy(tensor)


def fit(model, images=IMAGES[12:], **arguments):
    return model.fit(images, (IMAGES[:12], LABELS[:12]), **{**SIZES, **arguments})


@pytest.mark.any_backend
def test_image_labels_stand_over_others_where_there_are_any():
    kept = ImageLabels(5)
    numbers, labels = np.array([4, 0, 3, 4]), np.array([2, 2, 1, 0])
    shares = np.array([0.4, 0.5, 0.6, 0.7], "float32")
    untouched = kept.over(numbers, labels, shares)
    for array, before in zip(untouched, (labels, shares), strict=True):
        np.testing.assert_array_equal(plain(array), before)
    of_all = np.array(
        [[0.2, 0.8, 0], [1, 0, 0], [0, 0, 1], [0.6, 0.4, 0], [0.1, 0.2, 0.7]]
    )
    kept.assign(of_all)
    own, own_shares = kept.over(numbers, labels, shares)
    np.testing.assert_array_equal(plain(own), [2, 1, 0, 2])
    np.testing.assert_allclose(plain(own_shares), [0.7, 0.8, 0.6, 0.7], rtol=1e-6)
    assert ImageLabels.from_config(kept.get_config()).labels.shape == (5,)
    for count in (5, 3):
        kept.make_room(count)
        np.testing.assert_array_equal(plain(kept.labels.value), np.full(count, -1))
        assert len(kept.variables) == 2


def test_batches_tell_which_images_they_hold():
    images = np.arange(10, dtype="uint8")[:, None, None, None]
    images = images * np.ones((1, 2, 2, 1), "uint8")
    feed = make_feed(
        (images, np.arange(10) % 3),
        (images[:3], [0, 1, 2]),
        ImageSpec(3, (1,)),
        numbered=True,
        batch_size=4,
        labelled_batch_size=2,
        seed=0,
    )
    feed.seek(2)
    batches = iter(feed.fit_arguments()["x"])
    # Among them one that is filled up from the beginning of its pass.
    for _ in range(3):
        (unlabelled, labelled), labels = next(batches)
        numbers = plain(labels["number"])
        np.testing.assert_array_equal(plain(unlabelled)[:, 0, 0, 0], numbers)
        np.testing.assert_array_equal(plain(labels["hidden_label"]), numbers % 3)
        assert len(numbers) == 4
        np.testing.assert_array_equal(
            plain(labels["label"]), plain(labelled)[:, 0, 0, 0]
        )


@one_everywhere("objective", ["relicv2", "byol"])
def test_labels_and_weights_by_number_reach_the_loss(monkeypatch, objective):
    drawn = {}

    def recorded(*arguments):
        drawn["labels"] = plain(arguments[0])
        # The entry of each image's label, twice.
        entries = np.stack([drawn["labels"], drawn["labels"]]).astype("int32")
        return keras.ops.convert_to_tensor(entries), keras.ops.ones((11,), "bool")

    monkeypatch.setattr(semppl, "sample_semantic_positives", recorded)
    negatives = (np.arange(11)[:, None] + np.arange(1, 5)) % 11
    monkeypatch.setattr(
        semppl, "sample_negatives", lambda *_: keras.ops.convert_to_tensor(negatives)
    )
    model = toy_model(
        labeller="propagation",
        weight_positives=True,
        memory_policy="fifo",
        objective=objective,
    )
    model.image_labels.make_room(20)
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(np.ones(3), 20)
    shares[7] = -1, -2, -3
    model.image_labels.assign(np.maximum(shares, 0))
    model.image_labels.labels.assign(
        np.where(np.arange(20) == 7, -1, shares.argmax(axis=1)).astype("int32")
    )
    online, target, memory = (
        references.unit(rng.normal(size=shape)).astype("float32")
        for shape in ((3, 11, 4), (2, 11, 4), (2, 12, 4))
    )
    # The labelled images of the batch are entries 9 to 11 of the memory.
    memory[:, 9:], known = target[:, 8:], np.array([1, 1, 2])
    memory_labels = np.concatenate([np.arange(9) % 3, known])
    state = memory, memory_labels, 9
    for variable, value in zip(model.memory.state, state, strict=True):
        variable.assign(value)
    monkeypatch.setattr(model, "write_state", lambda variable, value: None)
    numbers = np.array([3, 7, 19, 0, 3, 11, 5, 2])
    parts = model.loss_parts(
        {
            "online": keras.ops.convert_to_tensor(online),
            "target": keras.ops.convert_to_tensor(target),
        },
        {
            "label": keras.ops.convert_to_tensor(known),
            "number": keras.ops.convert_to_tensor(numbers),
        },
        GlobalBatch(8, 3),
    )
    voted, confidences = references.knn_votes(online[:2, :8], memory, memory_labels, 1)
    ungraphed = numbers == 7
    labels = np.where(ungraphed, voted, shares[numbers].argmax(axis=1))
    certain = np.where(ungraphed, confidences, shares[numbers].max(axis=1))
    assert (labels != voted).any()
    np.testing.assert_array_equal(drawn["labels"], [*labels, *known])
    np.testing.assert_allclose(
        plain(parts["pseudo_label_confidence"]), certain, rtol=1e-6
    )
    positives = np.stack(2 * [memory[:, drawn["labels"]]])
    batch, options = [online, target, positives, np.ones(11, bool)], {}
    reference = references.byol_loss
    if objective == "relicv2":
        batch.insert(2, negatives)
        reference = references.semppl_loss
        options = {
            "temperature": 0.2,
            "contrastive_weight": 1.0,
            "invariance_weight": 1.0,
        }
    expected = reference(
        *batch,
        semantic_weight=0.2,
        semantic_positive_weight=np.concatenate([certain, np.ones(3)]),
        **options,
    )
    for name, value in expected.items():
        np.testing.assert_allclose(plain(parts[name]), value, rtol=1e-4, err_msg=name)


def test_fit_takes_what_the_graph_says_of_each_image():
    # A backbone that stays as it is: what the graph is made of is known.
    model = propagating(
        propagation_start=0,
        balance_labels=True,
        trainable="heads",
        batch_norm="inference",
    )
    # Some of them right by chance: which images are told is in the metric.
    hidden = np.random.default_rng(0).integers(0, 3, 48)
    history = fit(model, (IMAGES[12:], hidden)).history
    features = model.embed(np.concatenate([IMAGES[:12], IMAGES[12:]]))
    known = np.concatenate([LABELS[:12], np.full(48, -1)])
    shares = propagate_labels(features, known, balance=True)[12:]
    kept = model.image_labels
    np.testing.assert_array_equal(plain(kept.labels.value), shares.argmax(axis=1))
    np.testing.assert_allclose(plain(kept.shares.value), shares.max(axis=1), rtol=1e-4)
    # 48 images in three batches of 20: twelve of them come twice.
    right = np.mean(shares.argmax(axis=1) == hidden)
    assert 0 < right < 1
    times = history["pseudo_label_accuracy"][0] * 60
    assert abs(times - round(times)) < 1e-3
    assert 48 * right <= round(times) + 1e-3 <= 48 * right + 12 + 2e-3
    assert history["propagation_seconds"][0] > 0


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("start", "every", "at_once", "expected"),
    [
        (0, 1, 1, [0, 6, 12]),
        (0.5, 1, 1, [3, 9, 15]),
        (1, 1 / 3, 1, [6, 8, 10, 12, 14, 16]),
        (1.5, 0.01, 1, [9, 10, 11, 12, 13, 14, 15, 16, 17]),
        (0.5, 0.5, 2, [4, 6, 10, 12, 16]),
        (4, 1, 1, []),
    ],
)
def test_the_place_in_the_training_tells_when(start, every, at_once, expected):
    def propagated(first):
        images = np.zeros((2, 1))
        callback = LabelPropagation(
            images, images, np.arange(2), start=start, every=every
        )
        callback.set_model(
            types.SimpleNamespace(
                steps_per_execution=at_once,
                image_labels=types.SimpleNamespace(make_room=lambda count: None),
            )
        )
        epoch, batch = divmod(first, 6)
        callback.set_params({"steps": 6, "initial_batch": batch})
        done = []
        callback._propagate = lambda: done.append(6 * epoch + batch)
        while epoch < 3:
            callback.on_epoch_begin(epoch)
            for batch in range(batch, 6, at_once):  # noqa: B020
                callback.on_train_batch_begin(batch)
            epoch, batch = epoch + 1, 0
        return done

    assert propagated(0) == expected
    # As from any place where it may go on.
    for first in range(at_once, 18, at_once):
        assert propagated(first) == [step for step in expected if step >= first]


class Save(keras.callbacks.Callback):
    def __init__(self, path, epoch, batch):
        super().__init__()
        self.path, self.place = path, (epoch, batch)

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        if (self.epoch, batch) == self.place:
            self.model.save(self.path)


@slow_on_jax
@one_everywhere("place", [(1, 0), (1, 2)])
def test_it_goes_on_as_if_uninterrupted(tmp_path, place):
    keras.utils.set_random_seed(0)
    model = propagating(weight_positives=True, propagation_every=0.34)
    fit(model, epochs=2, callbacks=[Save(tmp_path / "part.keras", *place)])
    part = keras.models.load_model(tmp_path / "part.keras")
    assert part.image_labels.num_images == 48
    assert (plain(part.image_labels.labels.value) >= 0).all()
    fit(part, epochs=2, initial_epoch=place[0], initial_batch=place[1])
    assert_same_weights(weights_of(model), weights_of(part))
    assert (plain(model.image_labels.labels.value) >= 0).all()


@pytest.mark.any_backend
@slow_on_jax
def test_another_fit_has_other_images():
    model = propagating(propagation_start=0)
    fit(model)
    fit(model, IMAGES[30:])
    assert model.image_labels.num_images == 30
    assert (plain(model.image_labels.labels.value) >= 0).all()
    # One that ends before the graph's first time is left with none.
    model.propagation_start = 5
    fit(model, IMAGES[30:])
    assert (plain(model.image_labels.labels.value) == -1).all()


@pytest.mark.any_backend
def test_what_cannot_be_is_refused():
    for argument, match in (
        ({"labeller": "graph"}, "`labeller` must be one of.*'graph'"),
        ({"propagation_every": 0}, "propagation_every=0"),
        ({"propagation_start": -1}, "propagation_start=-1"),
    ):
        with pytest.raises(ValueError, match=match):
            toy_model(**argument)
    model = toy_model(labeller="propagation")
    few = IMAGES[:12], LABELS[:12]
    with pytest.raises(TypeError, match='`unlabelled` must be arrays.*"memory"'):
        model.fit([IMAGES[12:36], IMAGES[36:]], few)
    with pytest.raises(TypeError, match="`labelled` must be arrays"):
        model.fit(IMAGES[12:], [few])
    assert int(model.step) == 0
    with pytest.raises(ValueError, match="num_images=0"):
        ImageLabels().make_room(0)


@pytest.mark.any_backend
def test_models_saved_without_these_settings_ask_the_memory():
    model = toy_model()
    config = model.get_config()
    assert "num_images" not in config
    for name in (
        "labeller",
        "weight_positives",
        "propagation_start",
        "propagation_every",
        "balance_labels",
    ):
        del config[name]
    before = semppl_keras.SemPPL.from_config(config)
    assert before.labeller == "memory"
    assert len(before.variables) == len(
        semppl_keras.SemPPL(
            toy_backbone(), 3, views=toy_views(), projection_dim=4, hidden_dim=32
        ).variables
    )
