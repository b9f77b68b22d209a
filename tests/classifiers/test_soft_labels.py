"""Training on probabilities of the classes in the place of labels."""

import keras
import numpy as np
import pytest
from toy_classifiers import (
    Batches,
    Oracle,
    dense_backbone,
    numpy,
    plain_views,
    softmax64,
)
from toys import QUICK, toy_images

from semppl_keras import FineTuner

BACKEND = keras.backend.backend()
IMAGES, LABELS = toy_images(12, size=3)
SHARES = softmax64(3 * np.random.default_rng(0).normal(size=(12, 3))).astype("float32")


def make_tuner(backbone=None, **arguments):
    backbone = backbone or dense_backbone()
    tuner = FineTuner(backbone, 3, views=plain_views(), seed=0, **arguments)
    tuner.compile(keras.optimizers.SGD(0.5), **QUICK)
    return tuner


def flat(images):
    return images.reshape(len(images), -1).astype("float64") / 255


def loss_of(tuner, weights=1.0):
    """Keras' mean, of all 12 images."""
    p = softmax64(Oracle(tuner.classifier, 0).logits(flat(IMAGES)))
    return np.mean(weights * -np.sum(SHARES * np.log(p), axis=1))


def test_steps_on_probabilities_equal_the_oracle():
    own = np.random.default_rng(1).uniform(0, 2, 12)
    classes = np.array([1, 4, 0.5])
    tuner = make_tuner(label_smoothing=0.1)
    oracle = Oracle(tuner.classifier, 0.5)
    history = tuner.fit(
        IMAGES,
        SHARES,
        sample_weight=own,
        class_weight=dict(enumerate(classes)),
        epochs=2,
        validation_data=(IMAGES, SHARES, own),
        verbose=0,
    ).history
    x, targets = flat(IMAGES), 0.9 * SHARES + 0.1 / 3
    weights = own * (SHARES @ classes)
    losses, accuracies = [], []
    for _ in range(2):
        p = softmax64(oracle.logits(x))
        losses.append(np.mean(weights * -np.sum(targets * np.log(p), axis=1)))
        accuracies.append(np.mean(p.argmax(1) == SHARES.argmax(1)))
        oracle.step(x, weights[:, None] * (p - targets) / 12)
    np.testing.assert_allclose(history["loss"], losses, rtol=1e-5)
    np.testing.assert_allclose(history["accuracy"], accuracies, rtol=1e-5)
    oracle.assert_equal(tuner.classifier)
    expected = loss_of(tuner, own)
    assert history["val_loss"][-1] == pytest.approx(expected, rel=1e-5)
    evaluated = tuner.evaluate(
        IMAGES, SHARES, sample_weight=own, verbose=0, return_dict=True
    )
    assert evaluated["loss"] == pytest.approx(expected, rel=1e-5)
    p = tuner.predict(IMAGES, verbose=0)
    agreed = np.mean(p.argmax(1) == SHARES.argmax(1))
    assert evaluated["accuracy"] == pytest.approx(agreed)


@pytest.mark.any_backend
def test_probabilities_come_with_arrays_and_datasets():
    tuner = make_tuner()
    tuner.compile(keras.optimizers.SGD(0.0), **QUICK)
    own = np.random.default_rng(2).uniform(0, 3, 12).astype("float32")
    parts = (IMAGES, SHARES, own)
    forms = {
        "arrays": parts,
        "PyDataset": Batches(*parts),
        "batches": [tuple(part[i : i + 4] for part in parts) for i in (0, 4, 8)],
    }
    if BACKEND == "tensorflow":
        import tensorflow as tf

        forms["tf.data"] = tf.data.Dataset.from_tensor_slices(parts).batch(4)
        forms["tf.data unbatched"] = tf.data.Dataset.from_tensor_slices(parts)
    if BACKEND == "torch":
        import torch

        tensors = torch.utils.data.TensorDataset(*map(torch.from_numpy, parts))
        forms["DataLoader"] = torch.utils.data.DataLoader(tensors, 4)
    balanced = SHARES @ (4 / SHARES.sum(axis=0))
    for class_weight, weights in ((None, own), ("balanced", own * balanced)):
        for form, data in forms.items():
            history = tuner.fit(
                data, class_weight=class_weight, batch_size=4, verbose=0
            ).history
            expected = loss_of(tuner, weights)
            assert history["loss"][0] == pytest.approx(expected, rel=1e-5), form
    for form in ("PyDataset", "tf.data", "DataLoader"):
        if form in forms:
            loss, _ = tuner.evaluate(forms[form], verbose=0)
            assert loss == pytest.approx(loss_of(tuner, own), rel=1e-5), form


@pytest.mark.any_backend
def test_certain_probabilities_are_labels():
    backbone = dense_backbone()
    tuners = [make_tuner(backbone) for _ in range(2)]
    certain = np.eye(3)[LABELS]
    for tuner, labels in zip(tuners, (LABELS, certain), strict=True):
        tuner.fit(IMAGES, labels, batch_size=4, verbose=0)
    for one, other in zip(*(t.trainable_variables for t in tuners), strict=True):
        np.testing.assert_array_equal(numpy(one), numpy(other))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (SHARES * 1.01, "`y` must hold integer.*3 probabilities.*sum 1.01.*row 0"),
        (SHARES - [[0.5, -0.25, -0.25]], "at least 0, and of sum 1.*Received: \\["),
        (np.full((12, 3), np.nan), "`y` must hold.*nan.*in row 0"),
        (np.ones((12, 3), int), "`y` must hold.*not one-hot"),
        (SHARES[:, :2], "shape \\(12, 2\\) with num_classes=3"),
        (SHARES[:7], "one length.*12 images and 7 labels"),
    ],
)
def test_what_are_no_probabilities_is_refused(labels, message):
    tuner = make_tuner()
    with pytest.raises(ValueError, match=message):
        tuner.fit(IMAGES, labels, verbose=0)
    assert int(tuner.step) == 0


def test_batches_hold_labels_or_probabilities():
    tuner = make_tuner()
    mixed = [(IMAGES[:4], SHARES[:4]), (IMAGES[4:], LABELS[4:])]
    with pytest.raises(ValueError, match="`x` must yield labels or probabilities"):
        tuner.fit(mixed, batch_size=4, verbose=0)
    wrong = SHARES.copy()
    wrong[9] *= 2
    datasets = [Batches(IMAGES, wrong)]
    if BACKEND == "tensorflow":
        import tensorflow as tf

        arrays = tf.data.Dataset.from_tensor_slices((IMAGES, wrong))
        datasets.append(arrays.batch(4))
    for dataset in datasets:
        with pytest.raises(ValueError, match="`x` must hold.*of sum 1"):
            tuner.fit(dataset, batch_size=4, verbose=0)


def test_half_precision_is_near_enough():
    tuner = make_tuner()
    tuner.fit(IMAGES, SHARES.astype("float16"), verbose=0)
    assert int(tuner.step) == 1
