"""The model from outside: methods, metrics, saving, export, backbones."""

import contextlib
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import references
from keras import layers
from toys import (
    SINGLE_OUTCOME,
    assert_same_weights,
    toy_backbone,
    toy_images,
    toy_model,
    toy_views,
    weights_of,
)

import semppl_keras
from semppl_keras import backbones, networks, recipes
from semppl_keras.callbacks import ScalarLogs
from semppl_keras.memory import behind_its_ties, knn_votes
from semppl_keras.pretraining import semppl
from semppl_keras.training.global_batch import GlobalBatch

TESTS = pathlib.Path(__file__).parents[1]
IMAGES, LABELS = toy_images(60)
METRICS = {
    "loss",
    "augmentation",
    "semantic",
    "invariance",
    "semantic_invariance",
    "pseudo_label_confidence",
    "pseudo_label_accuracy",
    "memory_fill",
    "target_momentum",
    "embedding_std",
}


def fit(model, **arguments):
    return model.fit(
        (IMAGES[12:], LABELS[12:]),
        (IMAGES[:12], LABELS[:12]),
        **{"batch_size": 24, "labelled_batch_size": 6, "verbose": 0, **arguments},
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A toy that was trained once, with everything that a fit can be given."""
    keras.utils.set_random_seed(0)
    folder = tmp_path_factory.mktemp("logs")
    model = toy_model()
    history = fit(
        model,
        epochs=30,
        validation_data=(IMAGES[:12], LABELS[:12]),
        callbacks=[
            keras.callbacks.TensorBoard(folder / "keras"),
            ScalarLogs(folder / "own"),
        ],
    )
    return model, history.history, folder


def test_history_has_every_metric(trained):
    _, history, _ = trained
    assert set(history) == METRICS | {"val_accuracy"}
    assert all(np.isfinite(values).all() for values in history.values())
    assert history["memory_fill"][-1] == 1.0
    total = (
        np.array(history["augmentation"])
        + 0.2 * np.array(history["semantic"])
        + np.array(history["invariance"])
        + np.array(history["semantic_invariance"])
    )
    np.testing.assert_allclose(history["loss"], total, rtol=1e-4)
    assert 0 < history["embedding_std"][-1] <= 0.5
    assert history["loss"][-1] < history["loss"][0]


@pytest.mark.parametrize("logs", ["keras", "own"])
def test_tensorboard_has_every_metric(trained, logs):
    from tensorboard.backend.event_processing import event_accumulator

    _, _, folder = trained
    for part, names in (("train", METRICS), ("validation", {"accuracy"})):
        events = event_accumulator.EventAccumulator(str(folder / logs / part))
        events.Reload()
        tags = set(events.Tags()["scalars"]) | set(events.Tags()["tensors"])
        assert {f"epoch_{name}" for name in names} <= tags


def test_it_learns_the_classes(trained):
    # Some sixty steps of a toy: well above one in three, and no more than that.
    _, history, _ = trained
    assert max(history["val_accuracy"]) > 0.5
    assert max(history["pseudo_label_accuracy"]) > 0.45


def test_prediction_is_the_vote_of_the_memory(trained):
    model, _, _ = trained
    shares = model.predict(IMAGES, verbose=0)
    labels, confidences = model.pseudo_label(IMAGES)
    query = model.target(model.views.center_view(keras.ops.convert_to_tensor(IMAGES)))
    expected = knn_votes(
        query[None],
        model.memory.embeddings.value,
        model.memory.labels.value,
        1,
        3,
    )
    assert shares.shape == (60, 3)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, rtol=1e-5)
    np.testing.assert_array_equal(shares.argmax(axis=1), labels)
    np.testing.assert_array_equal(labels, keras.ops.convert_to_numpy(expected[0]))
    np.testing.assert_allclose(confidences, keras.ops.convert_to_numpy(expected[1]))
    assert labels.dtype == np.int32
    accuracy = model.evaluate(IMAGES, LABELS, verbose=0)
    np.testing.assert_allclose(accuracy, np.mean(labels == LABELS), rtol=1e-5)
    assert model.evaluate(IMAGES, LABELS, verbose=0, return_dict=True) == {
        "accuracy": accuracy
    }


# What pyproject.toml allows Keras is lost where `pytest.warns` hands it on.
keras_converts = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning"
)


def plain(tensor):
    return keras.ops.convert_to_numpy(tensor)


@pytest.fixture(scope="module")
def wrapped():
    """A toy with k = 3 after four steps, and the batches that it saw, in order.

    Views without randomness and a target that stays make what it must have written
    known.
    """
    keras.utils.set_random_seed(0)
    model = toy_model(
        views=toy_views(**SINGLE_OUTCOME),
        memory_size=10,
        memory_policy="fifo",
        neighbours=3,
        # TensorFlow traces for longer than it runs; JAX is slow without.
        compile_arguments={"run_eagerly": keras.backend.backend() != "jax"},
    )
    unlabelled = [IMAGES[16 + 8 * step : 24 + 8 * step] for step in range(4)]
    labelled = [
        (IMAGES[4 * step : 4 * step + 4], LABELS[4 * step : 4 * step + 4])
        for step in range(4)
    ]
    model.fit(
        unlabelled,
        labelled,
        callbacks=[semppl_keras.callbacks.TargetEMA(1.0)],
        verbose=0,
    )
    return model, unlabelled, labelled


def test_the_memory_holds_the_last_labelled_embeddings(wrapped):
    model, unlabelled, labelled = wrapped
    embeddings = np.zeros((2, 10, 4))
    memory_labels = np.full(10, -1)
    written = 0
    for images, (few, labels) in zip(unlabelled, labelled, strict=True):
        views = model.views(keras.ops.convert_to_tensor(np.concatenate([images, few])))
        target = plain(model.target.embed_views(views["large"], training=True))
        for image, label in enumerate(labels, start=len(images)):
            embeddings[:, written % 10] = target[:, image]
            memory_labels[written % 10] = label
            written += 1
    assert int(model.step) == 4
    assert written == 16
    assert int(model.memory.position.value) == 6
    np.testing.assert_array_equal(plain(model.memory.labels.value), memory_labels)
    np.testing.assert_allclose(
        plain(model.memory.embeddings.value), embeddings, atol=1e-5
    )
    # The entries are told apart by what they hold.
    distances = np.linalg.norm(embeddings[0][:, None] - embeddings[0], axis=-1)
    assert distances[~np.eye(10, dtype=bool)].min() > 1e-3


@pytest.mark.any_backend
@keras_converts
def test_a_rare_class_stays_in_the_memory():
    # 24 labels of two classes and two of a third, of which a queue of twelve entries
    # would have let go long before the last step.
    images, labels = toy_images(78)
    rare = np.flatnonzero(labels == 2)
    chosen = np.sort(np.concatenate([np.flatnonzero(labels < 2)[:24], rare[:2]]))
    few, known = images[chosen], labels[chosen]
    held = {}
    for policy in ("balanced", "fifo"):
        model = toy_model(
            memory_policy=policy,
            compile_arguments={"run_eagerly": keras.backend.backend() != "jax"},
        )
        # The rare images come first: 24 others follow.
        order = np.argsort(known != 2, kind="stable")
        batches = [
            (few[order][start : start + 4], known[order][start : start + 4])
            for start in range(0, 24, 4)
        ]
        unlabelled = [images[8 * step : 8 * step + 8] for step in range(6)]
        told = contextlib.nullcontext()
        if policy == "fifo":
            told = pytest.warns(UserWarning, match="1 of 3 classes have no image.*: 2")
        with told:
            model.fit(unlabelled, batches, verbose=0)
        held[policy] = np.bincount(plain(model.memory.labels.value) + 1, minlength=4)
    np.testing.assert_array_equal(held["balanced"], [2, 4, 4, 2])
    np.testing.assert_array_equal(held["fifo"], [0, 6, 6, 0])


@keras_converts
def test_more_classes_than_entries_are_told():
    with pytest.warns(UserWarning, match="memory_size=12 for 20 classes.*20 entries"):
        model = toy_model(num_classes=20)
    assert model.memory_policy == "fifo"
    assert model.memory.num_classes is None
    with pytest.warns(UserWarning, match="neighbours=8, with 4 entries"):
        toy_model(neighbours=8)
    toy_model(neighbours=7)
    with pytest.raises(ValueError, match="`memory_policy`.*'lifo'"):
        toy_model(memory_policy="lifo")


@pytest.mark.any_backend
@keras_converts
def test_no_class_without_votes_is_among_the_first_k():
    # One neighbour under one view: a single class of four has the vote.
    model = toy_model(num_classes=4, memory_policy="fifo", views=toy_views(num_large=1))
    model.compile(
        "sgd",
        metrics=["accuracy", keras.metrics.SparseTopKCategoricalAccuracy(3)],
        run_eagerly=keras.backend.backend() != "jax",
    )
    rng = np.random.default_rng(0)
    memory = references.unit(rng.normal(size=model.memory.embeddings.shape))
    model.memory.embeddings.assign(memory.astype("float32"))
    model.memory.labels.assign(np.arange(12) % 4)
    voted, _ = model.pseudo_label(IMAGES)
    for labels in (np.zeros(60, "int32"), np.full(60, 3, "int32"), voted):
        accuracy, found = model.evaluate(IMAGES, labels, verbose=0)
        expected = np.mean(voted == labels)
        assert accuracy == pytest.approx(expected, abs=1e-6)
        assert found == pytest.approx(expected, abs=1e-6)
    # An empty memory answers with class 0 as little as with another.
    empty = np.zeros((3, 4), "float32")
    for label in range(4):
        shares = plain(behind_its_ties(empty, np.full(3, label)))
        assert (shares.argmax(axis=1) != label).all()


def test_the_policy_is_saved_and_models_without_one_have_a_queue():
    for policy, shape in (("balanced", (3,)), ("fifo", ())):
        model = toy_model(memory_policy=policy)
        config = model.get_config()
        assert config["memory_policy"] == policy
        again = semppl_keras.SemPPL.from_config(config)
        assert again.memory.position.shape == shape
    del config["memory_policy"], config["predict_with"]
    before = semppl_keras.SemPPL.from_config(config)
    assert (before.memory_policy, before.predict_with) == ("fifo", "online")
    with pytest.raises(ValueError, match="`predict_with`.*'student'"):
        toy_model(predict_with="student")


def test_images_in_the_memory_are_their_own_neighbours():
    # Whatever the online network has become since.
    model = toy_model()
    rng = np.random.default_rng(0)
    for weight in model.online.weights:
        noise = rng.uniform(0.5, 1.5, weight.shape).astype("float32")
        weight.assign(plain(weight.value) * noise)
    views = model.views.center_view(keras.ops.convert_to_tensor(IMAGES[:12]))
    embeddings = plain(model.target(views))
    model.memory.embeddings.assign(np.stack([embeddings, embeddings]))
    model.memory.labels.assign(LABELS[:12])
    labels, confidences = model.pseudo_label(IMAGES[:12])
    np.testing.assert_array_equal(labels, LABELS[:12])
    np.testing.assert_array_equal(confidences, 1.0)


@pytest.fixture
def outvoted(wrapped):
    """The wrapped toy with the entry nearest to its first image alone of its class."""
    model, _, _ = wrapped
    memory = model.memory
    query = model.target(model.views.center_view(keras.ops.convert_to_tensor(IMAGES)))
    embeddings, labels = plain(memory.embeddings.value), plain(memory.labels.value)
    # The same in both views, so that the neighbours are.
    memory.embeddings.assign(embeddings[[0, 0]])
    memory.labels.assign(np.arange(10) != (embeddings[0] @ plain(query)[0]).argmax())
    yield model, query
    memory.embeddings.assign(embeddings)
    memory.labels.assign(labels)


@keras_converts
def test_prediction_asks_all_neighbours(outvoted):
    model, query = outvoted
    votes = plain(query)[None], *map(plain, model.memory.state[:2])
    labels, confidences = references.knn_votes(*votes, k=3)
    nearest, _ = references.knn_votes(*votes, k=1)
    assert (nearest[0], labels[0]) == (0, 1)
    with pytest.warns(UserWarning, match="1 of 3 classes have no image.*: 2"):
        own_labels, own_confidences = model.pseudo_label(IMAGES)
    np.testing.assert_array_equal(own_labels, labels)
    np.testing.assert_allclose(own_confidences, confidences, rtol=1e-6)
    # Told once.
    shares = model.predict(IMAGES, verbose=0)
    np.testing.assert_array_equal(shares.argmax(axis=1), labels)
    np.testing.assert_allclose(shares.max(axis=1), confidences, atol=1e-3)


def test_neighbours_and_semantic_positives_reach_the_loss(monkeypatch):
    drawn = {}

    def record(name):
        draw = getattr(semppl, name)

        def recorded(*arguments):
            result = draw(*arguments)
            drawn[name] = (arguments, result)
            return result

        monkeypatch.setattr(semppl, name, recorded)

    record("sample_semantic_positives")
    record("sample_negatives")
    model = toy_model(neighbours=3, num_semantic_positives=5, memory_policy="fifo")
    rng = np.random.default_rng(0)
    online, target, memory = (
        references.unit(rng.normal(size=shape)).astype("float32")
        for shape in ((3, 11, 4), (2, 11, 4), (2, 12, 4))
    )
    memory_labels = np.arange(12) % 3
    known = np.array([1, 1, 2])
    for variable, value in zip(
        model.memory.state, (memory, memory_labels, 0), strict=True
    ):
        variable.assign(value)
    # On torch a step would write it after the backward pass.
    monkeypatch.setattr(model, "write_state", lambda variable, value: None)
    parts = model.loss_parts(
        {
            "online": keras.ops.convert_to_tensor(online),
            "target": keras.ops.convert_to_tensor(target),
        },
        {"label": keras.ops.convert_to_tensor(known)},
        GlobalBatch(8, 3),
    )

    # The labelled images of the batch are in the memory before it is asked.
    memory[:, :3], memory_labels[:3] = target[:, 8:], known
    asked = online[:2, :8], memory, memory_labels
    pseudo_labels, confidences = references.knn_votes(*asked, k=3)
    assert (pseudo_labels != references.knn_votes(*asked, k=1)[0]).any()
    np.testing.assert_allclose(plain(parts["pseudo_label_confidence"]), confidences)
    (image_labels, *_), (entries, found) = drawn["sample_semantic_positives"]
    np.testing.assert_array_equal(
        plain(image_labels), np.concatenate([pseudo_labels, known])
    )

    entries, found = plain(entries), plain(found)
    assert entries.shape == (5, 11)
    positives = np.swapaxes(memory[:, entries], 0, 1)
    negatives = plain(drawn["sample_negatives"][1])
    weights = {
        "temperature": 0.2,
        "contrastive_weight": 1.0,
        "semantic_weight": 0.2,
        "invariance_weight": 1.0,
    }
    expected, of_one = (
        references.semppl_loss(online, target, negatives, draws, found, **weights)
        for draws in (positives, positives[:1])
    )
    assert abs(expected["semantic"] - of_one["semantic"]) > 1e-2
    for name, value in expected.items():
        np.testing.assert_allclose(plain(parts[name]), value, rtol=1e-4, err_msg=name)


def test_embed_is_the_backbone_on_the_center_view(trained):
    model, _, _ = trained
    features = model.embed(IMAGES, batch_size=7)
    views = model.views.center_view(keras.ops.convert_to_tensor(IMAGES))
    expected = keras.ops.convert_to_numpy(model.backbone(views, training=False))
    np.testing.assert_allclose(features, expected, atol=1e-5)
    # Images of another size are resized to the views'.
    assert model.embed(np.zeros((2, 20, 30, 1), "uint8")).shape == (2, 8)
    with pytest.raises(ValueError, match="`images`.*1 channel"):
        model.embed(np.zeros((2, 8, 8, 3)))


def test_images_of_any_size_are_embedded_and_labelled(trained):
    model, _, _ = trained
    for height, width in ((8, 8), (12, 9), (10, 16)):
        images = np.full((4, height, width, 1), 100, "uint8")
        assert model.embed(images).shape == (4, 8)
        assert model.predict(images, verbose=0).shape == (4, 3)


def test_it_is_saved_with_all_its_state(trained, tmp_path):
    model, _, _ = trained
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert_same_weights(weights_of(model), weights_of(loaded))
    for own, other in zip(
        model.optimizer.variables, loaded.optimizer.variables, strict=True
    ):
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(own), keras.ops.convert_to_numpy(other)
        )
    own, other = model.get_config(), loaded.get_config()
    for name in own.keys() - {"backbone"}:
        assert own[name] == other[name]
    np.testing.assert_array_equal(
        loaded.predict(IMAGES, verbose=0), model.predict(IMAGES, verbose=0)
    )
    assert loaded.evaluate(IMAGES, LABELS, verbose=0) == model.evaluate(
        IMAGES, LABELS, verbose=0
    )
    np.testing.assert_array_equal(
        keras.ops.convert_to_numpy(loaded.memory.labels.value),
        keras.ops.convert_to_numpy(model.memory.labels.value),
    )


GO_ON = """
import sys
import keras
import semppl_keras
sys.path[:0] = [sys.argv[1], sys.argv[1] + "/pretraining"]
from test_semppl import fit
model = keras.models.load_model(sys.argv[2])
fit(model, epochs=4, initial_epoch=2)
model.save(sys.argv[3])
"""


# tests/runs/test_killed_runs.py does so, too, within an epoch.
@pytest.mark.slow
def test_a_saved_run_goes_on_in_a_new_process_as_if_uninterrupted(tmp_path):
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                self.model.save(tmp_path / "half.keras")

    # Dropout has a random state of its own, in the backbone.
    backbone = keras.Sequential(
        [toy_backbone(), layers.Dropout(0.2, seed=1), layers.Dense(6)], name="dropping"
    )
    model = toy_model(backbone)
    fit(model, epochs=4, callbacks=[Stop()])
    paths = [str(tmp_path / name) for name in ("half.keras", "whole.keras")]
    subprocess.run(
        [sys.executable, "-c", GO_ON, str(TESTS), *paths], check=True, timeout=300
    )
    other = keras.models.load_model(paths[1])
    exact = keras.backend.backend() in ("tensorflow", "jax")
    tolerance = {} if exact else {"rtol": 1e-4, "atol": 1e-6}
    assert_same_weights(weights_of(model), weights_of(other), **tolerance)
    assert int(other.step) == int(model.step) == 8


@contextlib.contextmanager
def global_policy(policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


@pytest.mark.parametrize(
    ("policy", "other"),
    [
        ("mixed_bfloat16", "float32"),
        pytest.param("float32", "mixed_bfloat16", marks=pytest.mark.slow),
        pytest.param("mixed_float16", "float32", marks=pytest.mark.slow),
    ],
)
def test_a_saved_run_goes_on_under_another_global_policy(policy, other, tmp_path):
    # TensorFlow traces for longer than it runs; JAX is slow without.
    eagerly = {"run_eagerly": keras.backend.backend() != "jax"}
    with global_policy(policy):
        model = toy_model(compile_arguments=eagerly)
        fit(model)
        model.save(tmp_path / "half.keras")
    with global_policy(other):
        loaded = keras.models.load_model(tmp_path / "half.keras")
        fit(loaded)
        fit(model)
    assert loaded.dtype_policy.name == policy
    assert_same_weights(weights_of(model), weights_of(loaded))


def policies(models):
    return {layer.dtype_policy.name for model in models for layer in model.layers}


@pytest.mark.parametrize(
    "make",
    [
        lambda backbone, **s: semppl_keras.SemPPL(backbone, 3, **s),
        semppl_keras.BYOL,
        semppl_keras.ReLICv2,
        lambda backbone, **s: semppl_keras.SimCLR(backbone, memory_size=8, **s),
        lambda backbone, **s: semppl_keras.SuNCEt(backbone, 3, **s),
    ],
    ids=["semppl", "byol", "relicv2", "simclr", "suncet"],
)
def test_the_heads_have_the_policy_of_their_model(make):
    settings = {"views": toy_views(), "projection_dim": 4, "hidden_dim": 8}
    model = make(toy_backbone(), dtype="mixed_bfloat16", **settings)
    assert policies(model.online.heads) == {"mixed_bfloat16"}
    assert policies([model.backbone]) == {"float32"}
    with global_policy("mixed_float16"):
        other = make(toy_backbone(), **settings)
        again = type(model).from_config(model.get_config())
    assert policies(other.online.heads) == {"mixed_float16"}
    assert policies(again.online.heads) == {"mixed_bfloat16"}
    assert policies([again.backbone]) == {"float32"}
    if again.target is not None:
        assert policies(again.target.heads) == {"mixed_bfloat16"}
        assert again.target.compute_dtype == "float32"


WITHOUT_TENSORFLOW = """
import sys
from importlib.machinery import PathFinder

find = PathFinder.find_spec

def find_others(cls, name, *arguments):
    if name.split(".")[0] in ("tensorflow", "keras_cv", "tensorflow_datasets"):
        return None
    return find(name, *arguments)

PathFinder.find_spec = classmethod(find_others)
sys.path[:0] = [sys.argv[1], sys.argv[1] + "/pretraining"]
import test_semppl
model = test_semppl.toy_model()
history = test_semppl.fit(model)
assert model.embed(test_semppl.IMAGES).shape == (60, 8)
assert "tensorflow" not in sys.modules
print(history.history["loss"])
"""


@pytest.mark.parametrize(
    "backend",
    # With TensorFlow there are the tests of one of the others.
    [pytest.param("torch", marks=pytest.mark.any_backend)]
    if keras.backend.backend() == "tensorflow"
    else [keras.backend.backend()],
)
def test_arrays_train_without_tensorflow(backend):
    result = subprocess.run(
        [sys.executable, "-c", WITHOUT_TENSORFLOW, str(TESTS)],
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr[-2000:]


SERVE = """
import sys
import numpy as np
import tensorflow as tf
backbone = tf.saved_model.load(sys.argv[1])
views = np.load(sys.argv[2])
for count in (1, 3, 5):
    features = backbone.serve(tf.constant(views[:count])).numpy()
    np.testing.assert_allclose(features, np.load(sys.argv[3])[:count], atol=1e-5)
"""

EXPORT = """
import sys
import keras
import semppl_keras
keras.models.load_model(sys.argv[4]).backbone.export(sys.argv[1], verbose=False)
"""


def test_the_backbone_is_served_by_plain_tensorflow(trained, tmp_path):
    model, _, _ = trained
    views = keras.ops.convert_to_numpy(
        model.views.center_view(keras.ops.convert_to_tensor(IMAGES[:5]))
    )
    np.save(tmp_path / "views.npy", views)
    np.save(tmp_path / "features.npy", model.embed(IMAGES[:5]))
    script = SERVE
    if keras.backend.backend() == "torch":
        # The way from torch: the .keras file, loaded where TensorFlow runs it.
        model.save(tmp_path / "model.keras")
        script = EXPORT + SERVE
    else:
        model.backbone.export(tmp_path / "saved", verbose=False)
    names = ("saved", "views.npy", "features.npy", "model.keras")
    subprocess.run(
        [sys.executable, "-c", script, *(str(tmp_path / name) for name in names)],
        env={**os.environ, "KERAS_BACKEND": "tensorflow"},
        check=True,
        timeout=300,
    )


@keras.saving.register_keras_serializable(package="tests")
class Subclassed(keras.Model):
    def __init__(self, features=5, **kwargs):
        super().__init__(**kwargs)
        self.features = features
        self.dense = layers.Dense(features)

    def build(self, input_shape):
        self.dense.build((None, input_shape[-1]))
        self.built = True

    def call(self, images):
        return self.dense(keras.ops.mean(images, axis=(1, 2)))

    def get_config(self):
        return {**super().get_config(), "features": self.features}


def subclassed():
    model = Subclassed()
    model.build((None, None, None, 1))
    return model


def functional(output):
    images = keras.Input((None, None, 1))
    x = layers.Conv2D(4, 3, padding="same")(images)
    return keras.Model(images, output(x))


GOOD_BACKBONES = {
    "feature maps": lambda: functional(lambda x: x),
    "features": lambda: functional(layers.GlobalMaxPooling2D()),
    "subclassed": subclassed,
    "small resnet": lambda: backbones.SmallResNet((4, 6), stem_strides=2),
}


@pytest.mark.parametrize("name", GOOD_BACKBONES)
def test_backbones_and_their_copies(name):
    backbone = GOOD_BACKBONES[name]()
    channels, size = networks.check_backbone(backbone, [8, 6])
    assert channels == 1
    encoder = networks.Encoder(backbone, [networks.mlp_head(size, 8, 4)])
    target = networks.TargetEncoder.copy_of(encoder, num_heads=1)
    views = np.random.default_rng(0).random((3, 2, 8, 8, 1)).astype("float32")
    first, second = encoder.embed_views(views), target.embed_views(views)
    assert first.shape == (2, 3, 4)
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(first), keras.ops.convert_to_numpy(second), atol=1e-5
    )
    assert not target.trainable_variables
    assert {id(v) for v in encoder.weights}.isdisjoint(id(v) for v in target.weights)


def unbuilt():
    return keras.Sequential([layers.GlobalAveragePooling2D(), layers.Dense(3)])


def fixed_size():
    return keras.Sequential(
        [layers.Input((8, 8, 1)), layers.Flatten(), layers.Dense(3)]
    )


def frozen():
    backbone = toy_backbone()
    backbone.trainable = False
    return backbone


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: "resnet50", "must be a keras.Model.*str"),
        (unbuilt, "must be built"),
        (fixed_size, "does not take images of 6 x 6 x 1"),
        (frozen, "no trainable weights"),
        (lambda: functional(layers.Flatten()), "features of one size"),
        (lambda: functional(layers.Reshape((-1, 4))), "must give features"),
        (
            lambda: keras.Sequential([layers.Input((7,)), layers.Dense(2)]),
            "one batch of",
        ),
    ],
)
def test_unsuitable_backbones_are_named(make, message):
    with pytest.raises((ValueError, TypeError), match=f"`backbone`.*{message}"):
        toy_model(make())


def train_a_few_steps(backbone, channels, views):
    model = toy_model(
        backbone, views=views, compile_arguments={"run_eagerly": False}, memory_size=4
    )
    images, labels = toy_images(12, channels=channels, size=40)
    history = model.fit(
        images, (images[:4], labels[:4]), batch_size=12, epochs=3, verbose=0
    ).history
    assert np.isfinite(history["loss"]).all()


@pytest.mark.slow
def test_a_kerascv_backbone_from_its_configuration():
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from keras_cv.models import ResNetV2Backbone

        backbone = ResNetV2Backbone(
            stackwise_filters=[4, 8],
            stackwise_blocks=[2, 2],
            stackwise_strides=[1, 2],
            include_rescaling=False,
            input_shape=(None, None, 3),
        )
        train_a_few_steps(
            backbone, 3, toy_views(num_small=1, large_size=40, small_size=32)
        )


@pytest.mark.slow
def test_a_kerashub_backbone_from_its_configuration():
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from keras_hub.models import ResNetBackbone

        backbone = ResNetBackbone(
            input_conv_filters=[64],
            input_conv_kernel_sizes=[3],
            stackwise_num_filters=[64, 64],
            stackwise_num_blocks=[1, 1],
            stackwise_num_strides=[1, 2],
            block_type="basic_block",
            image_shape=(None, None, 3),
        )
        train_a_few_steps(
            backbone, 3, toy_views(num_small=1, large_size=40, small_size=32)
        )


@pytest.mark.slow
@pytest.mark.parametrize(
    "make",
    [
        lambda: keras.applications.MobileNetV2(
            (None, None, 3), alpha=0.35, include_top=False, weights=None
        ),
        lambda: keras.applications.EfficientNetV2B0(
            input_shape=(None, None, 3),
            include_top=False,
            weights=None,
            include_preprocessing=False,
        ),
        lambda: backbones.ResNet18(stem="small", input_shape=(None, None, 3)),
        lambda: backbones.ResNet50(),
    ],
)
def test_large_backbones_train(make):
    train_a_few_steps(make(), 3, toy_views(large_size=40, small_size=32))


@pytest.mark.parametrize("scaled", [False, True])
def test_lars_leaves_biases_and_normalisation_alone(scaled):
    # Normalisation weights of rank 3, which their rank alone would not exclude.
    images = keras.Input((8, 8, 1))
    x = layers.LayerNormalization(axis=(1, 2, 3))(layers.Conv2D(4, 3)(images))
    lars = semppl_keras.optimizers.LARS(0.1)
    optimizer = keras.optimizers.LossScaleOptimizer(lars) if scaled else lars
    model = toy_model(
        keras.Model(images, x),
        views=toy_views(num_small=0),
        compile_arguments={"optimizer": optimizer},
    )
    (adapted,) = (v for v in lars.variables if v.name == "adapted")
    np.testing.assert_array_equal(
        keras.ops.convert_to_numpy(adapted) > 0,
        [variable.name == "kernel" for variable in model.trainable_variables],
    )


def test_the_recipes_scale_with_their_budget():
    paper = recipes.imagenet()
    assert (paper.epochs, paper.batch_size + paper.labelled_batch_size) == (300, 4096)
    assert paper.model["memory_size"] == 81920
    assert paper.model["memory_policy"] == "fifo"
    # As many of a batch are labelled as of the images.
    for share, labelled in ((0.01, 41), (0.1, 410)):
        few = recipes.imagenet(labelled_share=share)
        assert (few.batch_size, few.labelled_batch_size) == (4096 - labelled, labelled)
    assert paper.optimizer[1]["learning_rate"] == pytest.approx(4.8)
    assert paper.optimizer[1]["warmup_epochs"] == 10
    assert paper.model["target_momentum"] == pytest.approx(0.996)
    short = recipes.get("imagenet", epochs=30)
    assert short.optimizer[1]["warmup_epochs"] == 1
    assert short.model["memory_size"] == 8192
    assert short.model["target_momentum"] == pytest.approx(0.96)
    for name in recipes.RECIPES:
        for epochs in (None, 1, 2):
            recipe = recipes.get(name, epochs)
            recipe.make_optimizer(steps_per_epoch=3)
    with pytest.raises(ValueError, match="Received: 'cifar'"):
        recipes.get("cifar")
    with pytest.raises(ValueError, match="labelled_share=2"):
        recipes.imagenet(labelled_share=2)


def test_a_recipe_makes_a_model():
    model = recipes.get("digits", epochs=2).make_model(1, 10, steps_per_epoch=2, seed=1)
    assert model.num_classes == 10
    assert model.views.large_size == 16
    assert model.compiled
