"""Averaged weights: what moves them, what they predict, saving and going on."""

import keras
import numpy as np
import pytest
from keras import layers
from toy_classifiers import numpy
from toys import (
    QUICK,
    assert_same_weights,
    toy_backbone,
    toy_images,
    toy_views,
    weights_of,
)

from semppl_keras import FineTuner
from semppl_keras.training.weight_average import decay_at

BACKEND = keras.backend.backend()
IMAGES, LABELS = toy_images(24)


def make_tuner(**arguments):
    settings = {"views": toy_views(), "weight_average": 0.7, "seed": 0, **arguments}
    tuner = FineTuner(toy_backbone(), 3, **settings)
    tuner.compile(keras.optimizers.SGD(0.5), **QUICK)
    return tuner


def values(model):
    return [numpy(weight).astype("float64") for weight in model.weights]


def fit(tuner, **arguments):
    tuner.fit(IMAGES, LABELS, **{"batch_size": 8, "verbose": 0, **arguments})


def test_the_decay_begins_small():
    steps = np.array([0, 1, 10, 1000, 100_000])
    expected = np.minimum(0.99, (1 + steps) / (10 + steps))
    given = [float(numpy(decay_at(step, 0.99))) for step in steps]
    np.testing.assert_allclose(given, expected, rtol=1e-6)


def test_the_average_is_the_oracles():
    tuner = make_tuner()
    expected = values(tuner.classifier)
    for step in range(4):
        # Of whole batches: each is a step of its own.
        fit(tuner, batch_size=24)
        decay = min(0.7, (1 + step) / (10 + step))
        expected = [
            decay * mean + (1 - decay) * weight
            for mean, weight in zip(expected, values(tuner.online), strict=True)
        ]
    for mean, own in zip(values(tuner.classifier), expected, strict=True):
        np.testing.assert_allclose(mean, own, rtol=1e-4, atol=1e-6)
    changed = zip(values(tuner.classifier), values(tuner.online), strict=True)
    assert any(np.abs(mean - weight).max() > 1e-3 for mean, weight in changed)


def test_the_average_predicts_and_is_not_trained():
    tuner = make_tuner()
    plain = make_tuner(weight_average=None)
    fit(tuner)
    own = {id(weight) for weight in tuner.online.trainable_weights}
    assert {id(weight) for weight in tuner.trainable_weights} == own
    assert len(tuner.trainable_variables) == len(plain.trainable_variables)
    assert len(tuner.optimizer.variables) == len(plain.optimizer.variables)
    predicted = tuner.predict(IMAGES, verbose=0)
    views = tuner.views.center_view(IMAGES)
    for classifier, same in ((tuner.classifier, True), (tuner.online, False)):
        expected = numpy(keras.ops.softmax(classifier.logits(views)))
        assert np.allclose(predicted, expected, atol=1e-5) is same
    # Another training begins with the average.
    again = FineTuner(tuner, 3)
    np.testing.assert_allclose(again.predict(IMAGES, verbose=0), predicted, atol=1e-5)
    assert len(again.trainable_variables) == len(tuner.trainable_variables)


@pytest.mark.any_backend
def test_the_training_is_the_same_without():
    backbone = toy_backbone()
    tuners = [
        FineTuner(backbone, 3, views=toy_views(), weight_average=decay, seed=0)
        for decay in (None, 0.9)
    ]
    for tuner in tuners:
        tuner.compile(keras.optimizers.SGD(0.1), **QUICK)
        fit(tuner)
    for one, other in zip(*(values(tuner.online) for tuner in tuners), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_gradients_that_are_added_up_move_it_once():
    tuner = make_tuner()
    optimizer = keras.optimizers.SGD(0.5, gradient_accumulation_steps=3)
    tuner.compile(optimizer, **QUICK)
    before, expected = [], values(tuner.classifier)

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            before.append(values(self.model.classifier))

    fit(tuner, callbacks=[Watch()])
    for own, mean in zip(before[1], expected, strict=True):
        np.testing.assert_array_equal(own, mean)
    kernel = np.abs(before[2][0] - expected[0])
    assert kernel.max() > 0


@pytest.mark.any_backend
def test_what_is_frozen_is_not_averaged():
    tuner = make_tuner(freeze_backbone=True)
    assert not tuner.classifier.backbone.trainable
    before = values(tuner.classifier.backbone)
    fit(tuner)
    for own, weight in zip(values(tuner.classifier.backbone), before, strict=True):
        np.testing.assert_array_equal(own, weight)
    tuner.train_part("all")
    assert tuner.classifier.backbone.trainable
    fit(tuner)
    moved = zip(values(tuner.classifier.backbone), before, strict=True)
    assert any(np.abs(own - weight).max() > 1e-3 for own, weight in moved)


def test_a_saved_model_goes_on_with_its_average(tmp_path):
    backbone = keras.Sequential([toy_backbone(), layers.Dropout(0.2, seed=1)])
    tuner = FineTuner(backbone, 3, views=toy_views(), weight_average=0.7, seed=5)
    tuner.compile(keras.optimizers.Adam(1e-2), **QUICK)
    fit(tuner)
    tuner.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.weight_average == 0.7
    assert_same_weights(weights_of(tuner), weights_of(loaded))
    for each in (tuner, loaded):
        fit(each, epochs=2, initial_epoch=1)
    tolerance = {} if BACKEND != "torch" else {"rtol": 1e-4, "atol": 1e-6}
    assert_same_weights(weights_of(tuner), weights_of(loaded), **tolerance)
    tuner.classifier.save(tmp_path / "classifier.keras")
    alone = keras.models.load_model(tmp_path / "classifier.keras")
    np.testing.assert_allclose(
        alone.predict(IMAGES, verbose=0), tuner.predict(IMAGES, verbose=0), atol=1e-6
    )


@pytest.mark.parametrize("decay", [-0.1, 1, 1.5, "much", True])
def test_other_decays_are_refused(decay):
    with pytest.raises(ValueError, match="`weight_average` must"):
        FineTuner(toy_backbone(), 3, views=toy_views(), weight_average=decay)
