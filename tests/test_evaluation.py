"""Evaluators against naive references, and ScalarLogs against TensorBoard."""

import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
from keras import ops

from semppl_keras.callbacks import ScalarLogs
from semppl_keras.evaluation import (
    SupervisedAccuracy,
    knn_accuracy,
    knn_predict,
    linear_probe,
    supervised_accuracy,
)


def _clusters(per_class, seed=0, spread=0.3, classes=3):
    """Three directions in eight dimensions, with noise."""
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), per_class)
    features = np.eye(8)[labels] + spread * generator.normal(size=(len(labels), 8))
    return features.astype("float32"), labels


def _naive_knn(train, train_labels, test, k):
    predicted = []
    for row in test.astype("float64"):
        similarities = [
            row @ other / (np.linalg.norm(row) * np.linalg.norm(other))
            for other in train.astype("float64")
        ]
        nearest = np.argsort([-s for s in similarities], kind="stable")[:k]
        score = {}
        for index in nearest:
            votes, total = score.get(train_labels[index], (0, 0.0))
            score[train_labels[index]] = (votes + 1, total + similarities[index])
        predicted.append(max(sorted(score), key=lambda label: score[label]))
    return np.array(predicted)


@pytest.mark.parametrize("k", [1, 2, 5])
def test_knn_against_a_naive_reference(k):
    train, train_labels = _clusters(20, spread=0.8)
    test, test_labels = _clusters(15, seed=1, spread=0.8)
    train_labels, test_labels = train_labels * 5 - 2, test_labels * 5 - 2
    expected = _naive_knn(train, train_labels, test, k)
    predicted = knn_predict(train, train_labels, test, k, chunk_size=7)
    np.testing.assert_array_equal(predicted, expected)
    accuracy = knn_accuracy(train, train_labels, test, test_labels, k)
    assert accuracy == np.mean(expected == test_labels)


def test_knn_ties_go_to_the_nearer_class_then_to_the_smaller_label():
    train = np.array([[1.0, 0.0], [0.0, 1.0]])
    nearer_second = np.array([[0.6, 0.8]])
    equal = np.array([[1.0, 1.0]])
    assert knn_predict(train, np.array([4, 9]), nearer_second, k=2) == 9
    assert knn_predict(train, np.array([9, 4]), equal, k=2) == 4


def test_knn_takes_tensors_and_ignores_length():
    features, labels = _clusters(10)
    scales = np.random.default_rng(2).uniform(0.1, 10, (len(features), 1))
    tensor = ops.convert_to_tensor(features * scales.astype("float32"))
    assert knn_accuracy(features, labels, tensor, labels) == 1


def test_linear_probe_learns_and_is_reproducible():
    features, labels = _clusters(10)
    test, test_labels = _clusters(100, seed=1)
    probe = linear_probe(ops.convert_to_tensor(features), labels)
    assert probe.score(test, test_labels) > 0.9
    again = linear_probe(features, labels)
    np.testing.assert_array_equal(probe.predict_proba(test), again.predict_proba(test))


def test_linear_probe_regularises_noise_more_than_signal():
    clear, labels = _clusters(20, spread=0.05)
    noise = np.random.default_rng(0).normal(size=clear.shape)
    assert linear_probe(noise, labels)[-1].C < linear_probe(clear, labels)[-1].C


def test_linear_probe_with_one_label_of_a_class():
    features, labels = _clusters(5)
    rows = [0, 5, 6, 7, 10]
    probe = linear_probe(features[rows], labels[rows], single_label_c=0.25)
    assert probe[-1].C == 0.25
    assert set(probe.predict(features)) == {0, 1, 2}


def test_linear_probe_does_not_depend_on_the_scale_of_features():
    features, labels = _clusters(10)
    test, _ = _clusters(20, seed=1)
    scales = np.array([1, 10, 100, 1, 1, 1, 0.01, 1], "float32")
    np.testing.assert_allclose(
        linear_probe(features, labels).predict_proba(test),
        linear_probe(features * scales, labels).predict_proba(test * scales),
        atol=1e-3,
    )


@pytest.mark.parametrize(
    ("features", "labels", "message"),
    [
        (np.zeros((4, 2, 2)), np.arange(4), r"shape \(N, F\).*\(4, 2, 2\)"),
        (np.zeros((0, 2)), np.arange(0), "at least one row"),
        (np.full((4, 2), np.nan), np.arange(4), "4 of 4 rows"),
        (np.zeros((4, 2)), np.arange(3), "3 labels for 4 rows"),
        (np.zeros((4, 2)), np.arange(4.0), "must be integers"),
        (np.zeros((4, 2)), np.zeros(4, int), "at least two classes"),
    ],
)
def test_linear_probe_with_wrong_input(features, labels, message):
    with pytest.raises(ValueError, match=message):
        linear_probe(features, labels)


def test_linear_probe_with_a_wrong_penalty():
    features, labels = _clusters(2)
    with pytest.raises(ValueError, match="single_label_c=0"):
        linear_probe(features, labels, single_label_c=0)


def test_knn_with_wrong_input():
    features, labels = _clusters(2)
    with pytest.raises(ValueError, match="`k` must lie in"):
        knn_predict(features, labels, features, k=7)
    with pytest.raises(ValueError, match="same width"):
        knn_predict(features, labels, features[:, :3])
    with pytest.raises(ValueError, match="`test_labels`"):
        knn_accuracy(features, labels, features, labels[:-1])


def _bars(per_class, seed=0):
    """Images with a bright bar: upright, lying, or in the diagonal."""
    generator = np.random.default_rng(seed)
    labels = np.tile(np.arange(3), per_class)
    bars = np.zeros((3, 8, 8, 1))
    bars[0, :, 3:5], bars[1, 3:5], bars[2, :, :, 0] = 1, 1, np.eye(8)
    images = 150 * bars[labels] + generator.uniform(0, 100, (len(labels), 8, 8, 1))
    return images.astype("float32"), labels + 4


def _backbone():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(8, 3, strides=2, activation="relu"),
        ]
    )


def test_supervised_accuracy_of_both_classifiers():
    images, labels = _bars(8)
    test_images, test_labels = _bars(20, seed=1)
    seen = []

    def augment(batch):
        seen.append(tuple(batch.shape))
        return batch / 255 + keras.random.normal(batch.shape, stddev=0.05, seed=0)

    accuracy = supervised_accuracy(
        images,
        labels,
        test_images,
        test_labels,
        make_backbone=_backbone,
        augment=augment,
        steps=40,
        batch_size=16,
        learning_rate=0.05,
    )
    assert accuracy.logistic_regression > 0.9
    assert accuracy.network > 0.9
    assert accuracy.best == max(accuracy.logistic_regression, accuracy.network)
    # Drawn in blocks of one size.
    assert set(seen) == {(160, 8, 8, 1)}


def test_supervised_accuracy_without_a_network():
    images, labels = _bars(4)
    accuracy = supervised_accuracy(images, labels, images, labels)
    assert accuracy.network is None
    assert accuracy.best == accuracy.logistic_regression
    assert SupervisedAccuracy(0.5, 0.75).best == 0.75


def test_supervised_accuracy_with_wrong_input():
    images, labels = _bars(2)
    with pytest.raises(ValueError, match="images of one shape"):
        supervised_accuracy(images, labels, images[:, :4], labels)
    with pytest.raises(ValueError, match="steps=0"):
        supervised_accuracy(images, labels, images, labels, steps=0)


def _read(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return {
        tag: [(event.step, event.value) for event in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    }


def test_scalar_logs_are_read_back_by_tensorboard(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"])
    x, y = np.ones((8, 2)), np.ones((8, 1))
    arguments = {"validation_data": (x, y), "verbose": 0}
    first = model.fit(x, y, epochs=3, callbacks=[ScalarLogs(tmp_path)], **arguments)
    # The run was interrupted, and goes on from a checkpoint of epoch 2.
    second = model.fit(
        x, y, epochs=4, initial_epoch=2, callbacks=[ScalarLogs(tmp_path)], **arguments
    )
    train, validation = _read(tmp_path / "train"), _read(tmp_path / "validation")
    assert set(train) == set(validation) == {"epoch_loss", "epoch_mae"}
    losses = first.history["loss"][:2] + second.history["loss"]
    expected = list(enumerate(np.float32(losses).tolist()))
    assert train["epoch_loss"] == expected
    errors = first.history["val_mae"][:2] + second.history["val_mae"]
    assert validation["epoch_mae"] == list(enumerate(np.float32(errors).tolist()))


def test_scalar_logs_do_not_load_tensorflow(tmp_path):
    code = f"""
    import importlib.util, sys, types
    keras = types.ModuleType("keras")
    keras.callbacks = types.SimpleNamespace(Callback=object)
    sys.modules["keras"] = keras
    spec = importlib.util.spec_from_file_location(
        "scalar_logs", {sys.modules[ScalarLogs.__module__].__file__!r}
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    logs = module.ScalarLogs({str(tmp_path)!r})
    logs.on_train_begin()
    logs.on_epoch_begin(0)
    logs.on_epoch_end(0, {{"loss": 1.0}})
    logs.on_train_end()
    assert "tensorflow" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)
    assert _read(tmp_path / "train") == {"epoch_loss": [(0, 1.0)]}
