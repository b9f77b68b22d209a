"""Evaluators against naive references, and ScalarLogs against TensorBoard."""

import inspect
import json
import subprocess
import sys
import textwrap
import tracemalloc

import keras
import numpy as np
import pytest
from keras import ops

from semppl_keras.callbacks import ScalarLogs
from semppl_keras.evaluation import (
    SGDProbe,
    SupervisedAccuracy,
    as_pixels,
    calibration_curve,
    confidence_interval,
    confusion_matrix,
    corruption_errors,
    cross_validated_predictions,
    encode_dataset,
    expected_calibration_error,
    fit_probe,
    knn_accuracy,
    knn_predict,
    knn_probabilities,
    linear_probe,
    per_class_accuracy,
    probe,
    sgd_linear_probe,
    summarize,
    supervised_accuracy,
    supervised_steps,
    top_k_accuracy,
)


def _clusters(per_class, seed=0, spread=0.3, classes=3):
    """Three directions in eight dimensions, with noise."""
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), per_class)
    features = np.eye(8)[labels] + spread * generator.normal(size=(len(labels), 8))
    return features.astype("float32"), labels


def _naive_knn(train, train_labels, test, k, temperature=None):
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
            similarity = similarities[index]
            vote = 1 if temperature is None else np.exp(similarity / temperature)
            score[train_labels[index]] = (votes + vote, total + similarity)
        predicted.append(max(sorted(score), key=lambda label: score[label]))
    return np.array(predicted)


@pytest.mark.parametrize(
    ("k", "temperature"), [(1, None), (2, None), (5, None), (5, 0.07), (60, 10.0)]
)
def test_knn_against_a_naive_reference(k, temperature):
    train, train_labels = _clusters(20, spread=0.8)
    test, test_labels = _clusters(15, seed=1, spread=0.8)
    train_labels, test_labels = train_labels * 5 + 2, test_labels * 5 + 2
    expected = _naive_knn(train, train_labels, test, k, temperature)
    arguments = {"k": k, "temperature": temperature}
    predicted = knn_predict(train, train_labels, test, chunk_size=7, **arguments)
    np.testing.assert_array_equal(predicted, expected)
    accuracy = knn_accuracy(train, train_labels, test, test_labels, **arguments)
    assert accuracy == np.mean(expected == test_labels)


def test_knn_ties_go_to_the_nearer_class_then_to_the_smaller_label():
    train = np.array([[1.0, 0.0], [0.0, 1.0]])
    nearer_second = np.array([[0.6, 0.8]])
    equal = np.array([[1.0, 1.0]])
    assert knn_predict(train, np.array([4, 9]), nearer_second, k=2) == 9
    assert knn_predict(train, np.array([9, 4]), equal, k=2) == 4


def test_of_equally_near_rows_the_first_count():
    generator = np.random.default_rng(0)
    # Few directions, so that many rows are equally near, to the last bit.
    train = np.eye(4, dtype="float32")[generator.integers(4, size=60)]
    labels = generator.integers(5, size=60)
    test = generator.normal(size=(20, 4)).astype("float32")
    for k in (1, 2, 7, 30, 59):
        np.testing.assert_array_equal(
            knn_predict(train, labels, test, k), _naive_knn(train, labels, test, k)
        )


def test_knn_probabilities_are_the_shares_of_the_votes():
    train = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
    test = np.array([[2.0, 0.0]])
    labels = np.array([3, 1, 1])
    equal = knn_probabilities(train, labels, test, k=3, num_classes=5)
    np.testing.assert_allclose(equal, [[0, 2 / 3, 0, 1 / 3, 0]], atol=1e-6)
    weights = np.exp(np.array([1, 0.8, 0]) / 0.5)
    expected = [0, weights[1:].sum(), 0, weights[0]] / weights.sum()
    shares = knn_probabilities(train, labels, test, k=3, temperature=0.5)
    np.testing.assert_allclose(shares, [expected], atol=1e-6)
    # Two rows outweigh one, or not: the temperature decides.
    assert knn_predict(train, labels, test, k=3) == 1
    assert knn_predict(train, labels, test, k=3, temperature=0.1) == 3
    # Neither extreme leaves the numbers that exist.
    assert knn_predict(train, labels, test, k=3, temperature=1e-6) == 3
    assert knn_predict(train, labels, test, k=3, temperature=1e9) == 1


@pytest.mark.slow
def test_knn_of_fifty_thousand_by_fifty_thousand_fits_in_memory():
    generator = np.random.default_rng(0)
    train, test = generator.normal(size=(2, 50_000, 128)).astype("float32")
    labels = generator.integers(1000, size=50_000)
    tracemalloc.start()
    try:
        knn_accuracy(train, labels, test, labels, k=200, temperature=0.07)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 0.5 * 2**30


def test_knn_takes_tensors_and_ignores_length():
    features, labels = _clusters(10)
    scales = np.random.default_rng(2).uniform(0.1, 10, (len(features), 1))
    tensor = ops.convert_to_tensor(features * scales.astype("float32"))
    assert knn_accuracy(features, labels, tensor, labels) == 1


@pytest.mark.any_backend
def test_linear_probe_learns_and_is_reproducible():
    features, labels = _clusters(10)
    test, test_labels = _clusters(100, seed=1)
    probe = linear_probe(ops.convert_to_tensor(features), labels)
    assert probe.score(test, test_labels) > 0.9
    again = linear_probe(features, labels)
    np.testing.assert_array_equal(probe.predict_proba(test), again.predict_proba(test))


@pytest.mark.any_backend
def test_linear_probe_regularises_noise_more_than_signal():
    clear, labels = _clusters(20, spread=0.05)
    noise = np.random.default_rng(0).normal(size=clear.shape)
    assert linear_probe(noise, labels)[-1].C < linear_probe(clear, labels)[-1].C


@pytest.mark.any_backend
def test_linear_probe_with_one_label_of_a_class():
    features, labels = _clusters(5)
    rows = [0, 5, 6, 7, 10]
    probe = linear_probe(features[rows], labels[rows], single_label_c=0.25)
    assert probe[-1].C == 0.25
    assert set(probe.predict(features)) == {0, 1, 2}


@pytest.mark.any_backend
def test_linear_probe_does_not_depend_on_the_scale_of_features():
    features, labels = _clusters(10)
    test, _ = _clusters(20, seed=1)
    scales = np.array([1, 10, 100, 1, 1, 1, 0.01, 1], "float32")
    np.testing.assert_allclose(
        linear_probe(features, labels).predict_proba(test),
        linear_probe(features * scales, labels).predict_proba(test * scales),
        atol=1e-3,
    )


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("features", "labels", "message"),
    [
        (np.zeros((4, 2, 2)), np.arange(4), r"shape \(N, F\).*\(4, 2, 2\)"),
        (np.zeros((0, 2)), np.arange(0), "at least one row"),
        (np.full((4, 2), np.nan), np.arange(4), "4 of 4 rows"),
        (np.full((4, 2), -1e39), np.arange(4), "4 of 4 rows"),
        (np.zeros((4, 2)), np.arange(3), "3 labels for 4 rows"),
        (np.zeros((4, 2)), np.arange(4.0), "must be integers"),
        (np.zeros((4, 2)), np.zeros(4, int), "at least two classes"),
    ],
)
def test_linear_probe_with_wrong_input(features, labels, message):
    with pytest.raises(ValueError, match=message):
        linear_probe(features, labels)


@pytest.mark.any_backend
def test_linear_probe_with_a_wrong_penalty():
    features, labels = _clusters(2)
    with pytest.raises(ValueError, match="single_label_c=0"):
        linear_probe(features, labels, single_label_c=0)


def test_knn_with_wrong_input():
    features, labels = _clusters(2)
    with pytest.raises(ValueError, match="`k` must lie in"):
        knn_predict(features, labels, features, k=7)
    with pytest.raises(ValueError, match="`k` must be an integer"):
        knn_predict(features, labels, features, k=1.5)
    with pytest.raises(ValueError, match="temperature=0"):
        knn_predict(features, labels, features, temperature=0)
    with pytest.raises(ValueError, match="chunk_size=0"):
        knn_predict(features, labels, features, chunk_size=0)
    with pytest.raises(
        ValueError, match=r"`train_labels` must lie in \[0, 2\).*0 to 2"
    ):
        knn_probabilities(features, labels, features, num_classes=2)
    with pytest.raises(ValueError, match="same width"):
        knn_predict(features, labels, features[:, :3])
    with pytest.raises(ValueError, match="`test_labels`"):
        knn_accuracy(features, labels, features, labels[:-1])


def test_sgd_probe_agrees_with_the_exact_optimum():
    from sklearn.linear_model import LogisticRegression

    features, labels = _clusters(40, spread=0.6)
    test, test_labels = _clusters(100, seed=1, spread=0.6)
    decay = 0.1
    probe = sgd_linear_probe(
        7 + 100 * features,
        3 * labels + 1,
        learning_rates=[0.5],
        weight_decays=[decay],
        epochs=400,
    )
    standardized = (features - features.mean(axis=0)) / features.std(axis=0)
    exact = LogisticRegression(C=1 / (decay * len(labels)), tol=1e-8)
    exact.fit(standardized, labels)
    np.testing.assert_allclose(
        probe.predict_proba(7 + 100 * features),
        exact.predict_proba(standardized),
        atol=5e-4,
    )
    np.testing.assert_array_equal(probe.classes_, [1, 4, 7])
    predicted = probe.predict(7 + 100 * test)
    assert probe.score(7 + 100 * test, 3 * test_labels + 1) == np.mean(
        predicted == 3 * test_labels + 1
    )


def test_sgd_probe_against_a_naive_reference():
    """One step at a time, in float64, with the look-ahead form of Nesterov."""
    features, labels = _clusters(4)
    probe = sgd_linear_probe(
        features, labels, epochs=5, learning_rates=[0.3], weight_decays=[0.01]
    )
    x = (features - features.mean(axis=0)) / features.std(axis=0)
    targets = np.eye(3)[labels]
    weights, bias = np.zeros((8, 3)), np.zeros(3)
    velocities = [0.0, 0.0]
    for step in range(5):
        rate = 0.3 * (1 + np.cos(np.pi * step / 5)) / 2
        exponentials = np.exp(x @ weights + bias)
        error = exponentials / exponentials.sum(axis=1, keepdims=True) - targets
        slopes = [x.T @ error / 12 + 0.01 * weights, error.mean(axis=0)]
        velocities = [
            0.9 * v - rate * g for v, g in zip(velocities, slopes, strict=True)
        ]
        weights = weights + 0.9 * velocities[0] - rate * slopes[0]
        bias = bias + 0.9 * velocities[1] - rate * slopes[1]
    np.testing.assert_allclose(probe.weights, weights, atol=1e-5)
    np.testing.assert_allclose(probe.bias, bias, atol=1e-5)


def test_sgd_probe_has_the_paper_s_rate_and_chooses_on_held_out_rows():
    features, labels = _clusters(60, spread=0.1)
    # The paper's rate, a tenth, a hundredth; the batch is the whole set.
    rates = 0.3 * 180 / 256 * np.array([1, 0.1, 0.01])
    clear = sgd_linear_probe(features, labels, epochs=10)
    assert clear.learning_rate == pytest.approx(rates[0])
    assert clear.weight_decay == 0
    noise = np.random.default_rng(0).normal(size=features.shape)
    noisy = sgd_linear_probe(noise, labels, epochs=10, weight_decays=[0, 10.0])
    assert (noisy.learning_rate, noisy.weight_decay) != (clear.learning_rate, 0)
    again = sgd_linear_probe(ops.convert_to_tensor(features), labels, epochs=10)
    np.testing.assert_array_equal(again.weights, clear.weights)
    other = sgd_linear_probe(features, labels, epochs=10, batch_size=32, seed=1)
    assert other.learning_rate in 0.3 * 32 / 256 * np.array([1, 0.1, 0.01])
    assert other.score(features, labels) > 0.95


def test_nearest_neighbours_show_their_progress(capsys):
    features, labels = _clusters(5)
    quiet = knn_predict(features, labels, features, chunk_size=4)
    assert capsys.readouterr().out == ""
    shown = knn_predict(features, labels, features, chunk_size=4, verbose=1)
    assert "4/4" in capsys.readouterr().out
    np.testing.assert_array_equal(shown, quiet)


def test_sgd_probe_with_one_row_of_a_class_and_a_constant_feature(capsys):
    features, labels = _clusters(5)
    features[:, 7] = 3
    rows = [0, 5, 6, 7, 10]
    probe = sgd_linear_probe(features[rows], labels[rows], epochs=20, verbose=1)
    assert set(probe.predict(features)) == {0, 1, 2}
    assert "epoch" in capsys.readouterr().out
    single = sgd_linear_probe(
        features[[0, 5, 10]], labels[[0, 5, 10]], epochs=5, weight_decays=[0.5, 0]
    )
    assert single.weight_decay == 0.5


@pytest.mark.any_backend
@pytest.mark.parametrize("fit", [linear_probe, sgd_linear_probe])
def test_hyperparameters_are_chosen_without_test_data(fit):
    # Nothing that a probe is fitted with can carry test rows.
    arrays = [
        parameter.name
        for parameter in inspect.signature(fit).parameters.values()
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY
    ]
    assert arrays == ["features", "labels"]
    features, labels = _clusters(12, spread=0.8)
    test, test_labels = _clusters(30, seed=1)
    probe = fit(features, labels)
    expected = probe.predict_proba(test)
    # Scoring, on true labels or wrong ones, leaves the probe as it was.
    assert probe.score(test, test_labels) > probe.score(test, (test_labels + 1) % 3)
    probe.score(1e3 * test, test_labels)
    np.testing.assert_array_equal(probe.predict_proba(test), expected)
    np.testing.assert_array_equal(fit(features, labels).predict_proba(test), expected)


def test_sgd_probe_with_wrong_input():
    features, labels = _clusters(2)
    wrong = [
        ({"labels": np.zeros(6, int)}, "at least two classes.*6 labels, all 0"),
        ({"labels": np.arange(5)}, "5 labels for 6 rows"),
        ({"epochs": 0}, "epochs=0"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"learning_rates": [0.1, 0]}, "`learning_rates` must"),
        ({"weight_decays": []}, "`weight_decays` must"),
        ({"weight_decays": [-1]}, "`weight_decays` must"),
        ({"held_out": 1}, "held_out=1"),
    ]
    for arguments, message in wrong:
        with pytest.raises(ValueError, match=message):
            sgd_linear_probe(**{"features": features, "labels": labels, **arguments})


def test_sgd_probe_with_other_features_than_fitted():
    features, labels = _clusters(2)
    probe = sgd_linear_probe(features, labels, epochs=1)
    with pytest.raises(ValueError, match=r"\(N, 8\).*\(6, 3\)"):
        probe.predict(features[:, :3])


class _Batches(keras.utils.PyDataset):
    def __init__(self, batches):
        super().__init__()
        self._batches = batches

    def __len__(self):
        return len(self._batches)

    def __getitem__(self, index):
        # As many do: without an end.
        return self._batches[index % len(self._batches)]


def _generated(batches):
    yield from batches


def test_encode_dataset_takes_every_kind_of_data(capsys):
    images, labels = _bars(5)
    seen = []

    def encode(batch):
        assert isinstance(batch, np.ndarray)
        seen.append(len(batch))
        return ops.mean(ops.convert_to_tensor(batch), axis=(1, 3))

    expected = images.mean(axis=(1, 3))
    starts = range(0, len(images), 4)
    pairs = [(images[start : start + 4], labels[start : start + 4]) for start in starts]
    alone = [batch for batch, _ in pairs]
    for data in ((images, labels), pairs, _Batches(pairs), _generated(pairs)):
        features, found = encode_dataset(encode, data, batch_size=4)
        assert features.dtype == np.float32
        np.testing.assert_allclose(features, expected, rtol=1e-5)
        np.testing.assert_array_equal(found, labels)
    tensor = ops.convert_to_tensor(images)
    for data in (images, tensor, alone, _Batches(alone), _generated(alone)):
        features, found = encode_dataset(encode, data, batch_size=4)
        np.testing.assert_allclose(features, expected, rtol=1e-5)
        assert found is None
    assert set(seen) == {4, 3}
    assert capsys.readouterr().out == ""
    encode_dataset(encode, images, batch_size=4, verbose=1)
    assert "4/4" in capsys.readouterr().out


def test_encode_dataset_of_backend_datasets():
    images, labels = _bars(5)
    if keras.backend.backend() == "torch":
        import torch

        data = torch.utils.data.DataLoader(
            torch.utils.data.TensorDataset(
                torch.from_numpy(images), torch.from_numpy(labels)
            ),
            batch_size=4,
        )
    else:
        import tensorflow as tf

        data = tf.data.Dataset.from_tensor_slices((images, labels)).batch(4)
    features, found = encode_dataset(_encode_in_half_precision, data)
    np.testing.assert_allclose(features, images.mean(axis=(1, 3)), rtol=0.01)
    np.testing.assert_array_equal(found, labels)


def _encode_in_half_precision(batch):
    features = ops.mean(ops.convert_to_tensor(batch), axis=(1, 3))
    return ops.cast(features, "bfloat16")


def test_encode_dataset_with_wrong_input():
    images, labels = _bars(2)

    def encode(batch):
        return batch.mean(axis=(1, 3))

    wrong = [
        (encode, [], {}, "at least one image"),
        (encode, images, {"batch_size": 0}, "batch_size=0"),
        (encode, (images, labels, labels), {}, "3 entries"),
        (encode, (images, labels[:-1]), {}, "5 labels for 6 rows"),
        (encode, (images, labels / 2), {}, "must be integers"),
        (encode, [(images, labels), images], {}, "1 of 2 batches"),
        (encode, [()], {}, "an empty one"),
        (lambda batch: batch, images, {}, r"`encode` must.*\(6, 8, 8, 1\)"),
        (lambda batch: batch[1:, 0, 0], images, {}, r"\(5, 1\)"),
    ]
    for function, data, arguments, message in wrong:
        with pytest.raises(ValueError, match=message):
            encode_dataset(function, data, **arguments)


def _predictions(rows=200, num_classes=7, seed=0):
    generator = np.random.default_rng(seed)
    logits = 2 * generator.normal(size=(rows, num_classes))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return shares, generator.integers(num_classes, size=rows)


@pytest.mark.any_backend
def test_top_k_accuracy_against_a_naive_reference():
    shares, labels = _predictions()
    # Coarse, so that many are equal.
    shares = np.round(shares, 1)
    for k in (1, 2, 5, 7):
        # The true class comes behind its equals.
        hits = [
            sorted(range(7), key=lambda c: (-row[c], c == label)).index(label) < k
            for row, label in zip(shares, labels, strict=True)
        ]
        assert top_k_accuracy(shares, labels, k) == np.mean(hits)
        tensor = ops.convert_to_tensor(shares.astype("float32"))
        assert top_k_accuracy(tensor, labels, k) == np.mean(hits)


@pytest.mark.any_backend
def test_no_class_is_found_by_its_number():
    """With one neighbour a single class has a vote: nothing else can be right."""
    generator = np.random.default_rng(0)
    test = generator.normal(size=(200, 10))
    shares = knn_probabilities(np.eye(10), np.arange(10), test, k=1, num_classes=10)
    for labels in (
        np.zeros(200, int),
        np.full(200, 9),
        generator.integers(10, size=200),
    ):
        summary = summarize(shares, labels)
        assert (
            summary["top5"] == summary["top1"] == np.mean(test.argmax(axis=1) == labels)
        )
    # Nor where nothing is known at all.
    equal = np.full((6, 6), 1 / 6)
    summary = summarize(equal, np.arange(6))
    assert (summary["top1"], summary["top5"]) == (0, 0)
    assert summary["per_class"] == [0] * 6
    assert summary["ece"] == pytest.approx(1 / 6)


@pytest.mark.any_backend
def test_all_parts_of_a_summary_count_the_same_rows():
    shares, labels = _predictions()
    shares = np.round(8 * shares) + 1
    shares /= shares.sum(axis=1, keepdims=True)
    summary, curve = summarize(shares, labels), calibration_curve(shares, labels)
    right = np.trace(summary["confusion"])
    assert summary["top1"] == right / len(labels)
    accuracies = [accuracy or 0 for accuracy in curve["accuracy"]]
    assert np.dot(curve["count"], accuracies) == pytest.approx(right)


@pytest.mark.parametrize("k", [1, 2, 4])
def test_the_largest_share_of_neighbours_is_that_of_their_label(k):
    train, train_labels = _clusters(20, spread=0.8)
    test, test_labels = _clusters(15, seed=1, spread=0.8)
    shares = knn_probabilities(train, train_labels, test, k)
    predicted = knn_predict(train, train_labels, test, k)
    np.testing.assert_array_equal(shares.argmax(axis=1), predicted)
    assert top_k_accuracy(shares, test_labels) == knn_accuracy(
        train, train_labels, test, test_labels, k
    )


def _partly_known():
    features, labels = _clusters(20, spread=0.3)
    partly = np.where(np.arange(len(labels)) % 4 < 3, labels, -1)
    known = partly >= 0
    return features, labels, partly, known


@pytest.mark.any_backend
@pytest.mark.parametrize(
    "measure",
    [
        lambda x, y, all_x, all_y: knn_predict(x, y, all_x, 3),
        lambda x, y, all_x, all_y: knn_probabilities(x, y, all_x, 3),
        lambda x, y, all_x, all_y: knn_accuracy(x, y, all_x, all_y, 3),
        lambda x, y, all_x, all_y: knn_accuracy(all_x, all_y, x, y, 3),
        lambda x, y, all_x, all_y: linear_probe(x, y).predict_proba(all_x),
        lambda x, y, all_x, all_y: fit_probe(x, y).predict_proba(all_x),
        lambda x, y, all_x, all_y: sgd_linear_probe(x, y, epochs=2).predict_proba(
            all_x
        ),
        lambda x, y, all_x, all_y: sgd_linear_probe(all_x, all_y).score(x, y),
        lambda x, y, all_x, all_y: linear_probe(all_x, all_y).score(x, y),
        lambda x, y, all_x, all_y: top_k_accuracy(np.exp(x[:, :3]), y, 2),
        lambda x, y, all_x, all_y: confusion_matrix(np.arange(len(y)) * 0, y, 3),
        lambda x, y, all_x, all_y: per_class_accuracy(np.arange(len(y)) * 0, y, 3),
        lambda x, y, all_x, all_y: expected_calibration_error(_softmax(x[:, :3]), y),
        lambda x, y, all_x, all_y: str(summarize(_softmax(x[:, :3]), y)),
        lambda x, y, all_x, all_y: str(calibration_curve(_softmax(x[:, :3]), y)),
    ],
)
def test_rows_of_unknown_label_are_left_out_and_told(measure):
    features, labels, partly, known = _partly_known()
    expected = measure(features[known], partly[known], features, labels)
    with pytest.warns(UserWarning, match="15 of 60 rows are left out.*-1"):
        measured = measure(features, partly, features, labels)
    if isinstance(expected, str):
        assert measured == expected
    else:
        np.testing.assert_allclose(measured, expected, rtol=1e-6)
    with pytest.raises(ValueError, match="60 labels, all -1"):
        measure(features, np.full(60, -1), features, labels)
    with pytest.raises(ValueError, match="Received: -2"):
        measure(features, labels - 2, features, labels)


def _softmax(scores):
    shares = np.exp(scores)
    return shares / shares.sum(axis=1, keepdims=True)


def test_unknown_labels_of_images():
    images, labels = _bars(12)
    partly = np.where(np.arange(len(labels)) % 4 < 3, labels, -1)
    known = partly >= 0
    with pytest.warns(UserWarning, match="left out"):
        measured = supervised_accuracy(images, partly, images, partly)
    assert measured == supervised_accuracy(
        images[known], labels[known], images[known], labels[known]
    )
    with pytest.raises(ValueError, match="must all be known here"):
        cross_validated_predictions(np.eye(len(labels)), partly)


@pytest.mark.any_backend
def test_one_probe_for_every_measure(monkeypatch):
    features, labels = _clusters(20, spread=0.6)
    exact = fit_probe(features, labels, seed=1)
    np.testing.assert_array_equal(
        exact.predict_proba(features),
        linear_probe(features, labels, seed=1).predict_proba(features),
    )
    monkeypatch.setattr(probe, "MOST_ROWS_FOR_EXACT_PROBE", 59)
    for standardize in (True, False):
        many = fit_probe(features, labels, standardize=standardize, seed=1)
        assert isinstance(many, SGDProbe)
        expected = sgd_linear_probe(features, labels, standardize=standardize, seed=1)
        np.testing.assert_array_equal(many.weights, expected.weights)
        assert (many.scale == 1).all() == (not standardize)
    # What is unknown does not count among the rows.
    with pytest.warns(UserWarning, match="1 of 60 rows"):
        assert not isinstance(fit_probe(features, [-1, *labels[1:]]), SGDProbe)


@pytest.mark.any_backend
def test_confusion_matrix_and_per_class_accuracy_against_loops():
    _, labels = _predictions(num_classes=4)
    _, predicted = _predictions(num_classes=4, seed=1)
    expected = np.zeros((50, 50), int)
    for label, guess in zip(labels, predicted, strict=True):
        expected[label, guess] += 1
    # 8 bits hold the labels, and not the places in the matrix.
    counts = confusion_matrix(predicted.astype("int8"), labels.astype("int8"), 50)
    np.testing.assert_array_equal(counts, expected)
    shares = per_class_accuracy(predicted, labels, 5)
    for label in range(4):
        assert shares[label] == np.mean(predicted[labels == label] == label)
    assert np.isnan(shares[4])


@pytest.mark.any_backend
def test_expected_calibration_error_against_loops():
    shares, labels = _predictions()
    confidence, predicted = shares.max(axis=1), shares.argmax(axis=1)
    for bins in (1, 10, 15):
        expected = 0
        for index in range(bins):
            inside = (confidence > index / bins) & (confidence <= (index + 1) / bins)
            if inside.any():
                accuracy = np.mean(predicted[inside] == labels[inside])
                expected += inside.mean() * abs(accuracy - confidence[inside].mean())
        ece = expected_calibration_error(shares, labels, bins)
        assert ece == pytest.approx(expected, abs=1e-12)
    sure = np.eye(7)[labels]
    assert expected_calibration_error(sure, labels) == 0
    assert expected_calibration_error(sure, (labels + 1) % 7) == 1
    # The upper edge belongs to its bin: 0.5 and 0.4 are apart in two bins.
    halves = np.array([[0.5, 0.5, 0], [0.6, 0.4, 0]])
    assert expected_calibration_error(halves, [0, 1], 2) == pytest.approx(0.55)


@pytest.mark.any_backend
def test_confidence_interval_of_student():
    mean, half_width = confidence_interval([0.90, 0.92, 0.94])
    assert mean == pytest.approx(0.92)
    # t(0.975, 2) from a table.
    assert half_width == pytest.approx(4.302653 * 0.02 / np.sqrt(3), rel=1e-6)
    assert confidence_interval([2, 2], level=0.5) == (2, 0)
    generator = np.random.default_rng(0)
    intervals = [confidence_interval(row) for row in generator.normal(size=(2000, 4))]
    held = np.mean([abs(mean) <= half_width for mean, half_width in intervals])
    assert held == pytest.approx(0.95, abs=0.02)


@pytest.mark.any_backend
def test_summary_can_be_written():
    shares, labels = _predictions()
    labels = np.where(labels == 2, 3, labels)
    summary = json.loads(json.dumps(summarize(shares.astype("float32"), labels)))
    assert summary["top1"] == top_k_accuracy(shares, labels, 1)
    assert summary["top5"] == top_k_accuracy(shares, labels, 5)
    assert summary["per_class"][2] is None
    assert np.trace(summary["confusion"]) == round(200 * summary["top1"])
    expected = expected_calibration_error(shares, labels)
    assert summary["ece"] == pytest.approx(expected, abs=1e-6)
    assert summarize(np.full((3, 5), 0.2), [0, 1, 2])["top5"] is None


@pytest.mark.any_backend
def test_metrics_with_wrong_input():
    shares, labels = _predictions(rows=4)
    wrong = [
        (top_k_accuracy, (shares, labels, 8), r"`k` must lie in \[1, 7\].*k=8"),
        (top_k_accuracy, (shares, labels[:3]), "3 labels for 4 rows"),
        (top_k_accuracy, (shares, labels + 7), r"`labels` must lie in \[0, 7\)"),
        (confusion_matrix, (labels, labels, 0), "num_classes=0"),
        (confusion_matrix, (labels[:3], labels, 7), "`predicted`.*3 labels for 4"),
        (per_class_accuracy, (labels - 9, labels, 7), "`predicted` must lie"),
        (expected_calibration_error, (shares, labels, 0), "num_bins=0"),
        (expected_calibration_error, (3 * shares, labels), "Apply a softmax"),
        (summarize, (shares - 1, labels), "`probabilities` must not be negative"),
        (confidence_interval, ([1.0],), r"at least two.*\[1.0\]"),
        (confidence_interval, ([1.0, 2.0], 1), "level=1"),
    ]
    for function, arguments, message in wrong:
        with pytest.raises(ValueError, match=message):
            function(*arguments)


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


@pytest.mark.any_backend
def test_cross_validation_predicts_each_row_without_it():
    features, labels = _clusters(8, spread=0.1)
    predicted = cross_validated_predictions(features, labels, seed=2)
    assert np.mean(predicted == labels) > 0.9
    np.testing.assert_array_equal(
        predicted, cross_validated_predictions(features, labels, seed=2)
    )
    # Features that name each row, and nothing else, help nobody who has not seen it:
    # a probe that had would know them all.
    alone = np.eye(24, dtype="float32")
    assert linear_probe(alone, labels, single_label_c=1e3).score(alone, labels) == 1
    assert np.mean(cross_validated_predictions(alone, labels) == labels) < 0.6


@pytest.mark.any_backend
def test_cross_validation_with_two_rows_of_many_classes():
    features, labels = _clusters(2, classes=6, spread=0.1)
    assert cross_validated_predictions(features, labels).shape == (12,)
    with pytest.raises(ValueError, match=r"1 row.s. of 5"):
        cross_validated_predictions(features[:-1], labels[:-1])
    with pytest.raises(ValueError, match=r"1 class.es.*2 row"):
        cross_validated_predictions(features[:2], labels[:2])


def test_pixels_of_large_images_are_shrunk():
    generator = np.random.default_rng(0)
    small = generator.integers(0, 256, (3, 8, 6, 3), "uint8")
    np.testing.assert_array_equal(as_pixels(small), small.reshape(3, -1) / 255)
    large = np.repeat(np.repeat(small, 16, axis=1), 16, axis=2)
    pixels = as_pixels(large)
    assert pixels.shape == (3, 32 * 32 * 3)
    assert pixels.dtype == np.float64
    assert 0 <= pixels.min() < pixels.max() <= 1 + 1e-6
    np.testing.assert_allclose(pixels.mean(), large.mean() / 255, atol=5e-3)


def test_supervised_accuracy_of_both_classifiers():
    keras.utils.set_random_seed(0)
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
        steps=200,
        batch_size=16,
        learning_rate=0.05,
    )
    assert accuracy.logistic_regression > 0.9
    assert accuracy.network > 0.9
    assert accuracy.best == max(accuracy.logistic_regression, accuracy.network)
    # Drawn in blocks of one size.
    assert set(seen) == {(160, 8, 8, 1)}


@pytest.mark.any_backend
def test_what_takes_long_tells_how_far_it_is():
    told = []
    images, labels = _bars(8)
    features = images.reshape(len(images), -1)

    def progress(*step):
        told.append(step)

    def taken():
        whole = list(told)
        told.clear()
        return whole

    supervised_accuracy(
        images,
        labels,
        images,
        labels,
        make_backbone=_backbone,
        steps=3,
        batch_size=4,
        progress=progress,
    )
    what = "steps of the network without unlabelled images"
    assert taken() == [(what, 1, 3), (what, 2, 3), (what, 3, 3)]
    cross_validated_predictions(features, labels, progress=progress)
    what = "folds of cross-validation"
    assert taken() == [(what, fold, 5) for fold in range(1, 6)]
    # Batches of a generator end when they end.
    for data, total in ((images[:6], 2), (_generated([images[:4], images[:2]]), None)):
        encode_dataset(lambda x: x[:, 0, :, 0], data, batch_size=4, progress=progress)
        assert taken() == [("batches of images", done, total) for done in (1, 2)]
    corruption_errors(
        lambda x: labels,
        images,
        labels,
        corruptions=["fog", "contrast"],
        severities=(1,),
        progress=progress,
    )
    what, number = "corrupted images to test on", len(images)
    assert taken() == [(what, number, 2 * number), (what, 2 * number, 2 * number)]
    sgd_linear_probe(
        features, labels, epochs=2, weight_decays=[0.0, 1e-3], progress=progress
    )
    # Six candidates, three learning rates, and the fit that is kept.
    assert taken()[-1] == ("epochs of linear probes", 14, 14)


def test_supervised_accuracy_without_a_network():
    images, labels = _bars(4)
    accuracy = supervised_accuracy(images, labels, images, labels)
    assert accuracy.network is None
    assert accuracy.best == accuracy.logistic_regression
    assert SupervisedAccuracy(0.5, 0.75).best == 0.75


def test_the_network_on_labels_alone_is_trained_longer_on_more():
    assert [supervised_steps(n) for n in (1, 960, 4000, 6000, 10**6)] == [
        1000,
        1000,
        1250,
        1875,
        4000,
    ]
    assert supervised_steps(6000, batch_size=32) == 3750


def test_supervised_accuracy_with_wrong_input():
    images, labels = _bars(2)
    with pytest.raises(ValueError, match="images of one shape"):
        supervised_accuracy(images, labels, images[:, :4], labels)
    with pytest.raises(ValueError, match="steps=0"):
        supervised_accuracy(images, labels, images, labels, steps=0)
    with pytest.raises(ValueError, match="learning_rate=0"):
        supervised_accuracy(images, labels, images, labels, learning_rate=0)


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


@pytest.mark.any_backend
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
