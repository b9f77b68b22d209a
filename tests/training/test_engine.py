"""What a new classifier has to give, and that the engine does all the rest."""

import inspect

import keras
import numpy as np
import pytest
from keras import ops
from toys import (
    QUICK,
    assert_same_weights,
    toy_backbone,
    toy_images,
    toy_views,
    weights_of,
)

from semppl_keras import BYOL, Distiller, FineTuner, SemPPL
from semppl_keras.callbacks import TargetEMA
from semppl_keras.classifiers.base import ClassifierTrainer
from semppl_keras.classifiers.starting_point import make_classifier
from semppl_keras.data.checks import ImageSpec
from semppl_keras.data.feed.feed import make_labelled_feed
from semppl_keras.losses.classification import cross_entropy
from semppl_keras.networks import ImageClassifier, copy_model
from semppl_keras.networks.saved_parts import made_of_parts
from semppl_keras.training.random_state import draw_seeds


@keras.saving.register_keras_serializable(package="tests")
class Consistency(ClassifierTrainer):
    """Labels by an average of its own weights, where that is sure of them."""

    needs_labels = True

    def __init__(self, model, threshold=0.35, seed=0):
        seed, draw_seed = draw_seeds(seed, 1)
        super().__init__(
            make_classifier(model, 3, views=toy_views(num_large=1, num_small=0)),
            draw_seed,
            seed,
        )
        self.threshold = threshold
        with keras.name_scope("average"):
            self.average = ImageClassifier(
                copy_model(self.classifier.backbone),
                copy_model(self.classifier.head),
                self.views,
            )
        for weight in self.average.weights:
            weight.trainable = False
        self.keep_average(0.8)
        self.tell(("supervised", "sure", "agreement"))

    def moving_pairs(self):
        return zip(self.average.weights, self.classifier.weights, strict=True)

    def make_views(self, images):
        weak = self.random_views(images[:1])
        labels = ops.softmax(self.average.logits(weak), axis=-1)
        return {"view": self.random_views(images), "pseudo": labels}

    def loss_parts(self, outputs, labels, batch):
        pseudo, logits = outputs["pseudo"], outputs["logits"]
        assert batch.size == logits.shape[0]
        count = pseudo.shape[0]
        known = ops.one_hot(self.as_indices(labels["label"]), 3)
        supervised = ops.mean(cross_entropy(known, logits[count:]))
        sure = ops.cast(ops.max(pseudo, axis=-1) >= self.threshold, "float32")
        consistency = ops.mean(sure * cross_entropy(pseudo, logits[:count]))
        agreeing = ops.argmax(pseudo, -1) == ops.argmax(logits[:count], -1)
        return {
            "loss": supervised + consistency,
            "supervised": supervised,
            "sure": sure,
            "agreement": (ops.cast(agreeing, "float32"), sure),
        }

    def get_config(self):
        return {
            "model": keras.saving.serialize_keras_object(self.classifier),
            "threshold": self.threshold,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return made_of_parts(cls, config, ("model",), custom_objects)


IMAGES, LABELS = toy_images(18)


def fit(model, **arguments):
    settings = {"batch_size": 12, "labelled_batch_size": 6, "verbose": 0}
    data = IMAGES[6:], (IMAGES[:6], LABELS[:6])
    return model.fit(*data, **{**settings, **arguments}).history


def test_a_classifier_with_an_average_says_its_loss_and_no_more(tmp_path):
    model = Consistency(toy_backbone())
    model.compile(keras.optimizers.SGD(0.1), **QUICK)
    before = [ops.convert_to_numpy(average) for average, _ in model.moving_pairs()]
    history = fit(model, validation_data=(IMAGES, LABELS))
    told = {"loss", "supervised", "sure", "agreement", "target_momentum"}
    assert set(history) == {*told, "val_loss", "val_accuracy"}
    assert all(np.isfinite(values).all() for values in history.values())
    np.testing.assert_allclose(history["target_momentum"], [0.8], rtol=1e-6)
    # One step: every weight has moved a fifth of the way.
    moved = 0
    for start, (average, source) in zip(before, model.moving_pairs(), strict=True):
        expected = start + 0.2 * (ops.convert_to_numpy(source) - start)
        actual = ops.convert_to_numpy(average)
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)
        moved += not np.array_equal(actual, start)
    assert moved > 4

    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert_same_weights(weights_of(model), weights_of(again))
    for each in (model, again):
        schedule = TargetEMA(0.8, total_steps=2)
        fit(each, initial_epoch=1, epochs=2, callbacks=schedule)
    assert_same_weights(weights_of(model), weights_of(again), rtol=1e-5, atol=1e-6)


def test_every_fit_takes_the_same_arguments_of_training():
    shared = set(inspect.signature(FineTuner.fit_feed).parameters) - {"self", "feed"}
    assert {"epochs", "callbacks", "validation_data", "initial_batch"} <= shared
    of_two = {"unlabelled", "labelled", "labelled_batch_size", "images_per_class"}
    for model, of_data in (
        (SemPPL, of_two),
        (BYOL, of_two),
        (Distiller, of_two),
        (FineTuner, {"x", "y", "sample_weight", "class_weight"}),
    ):
        parameters = inspect.signature(model.fit).parameters
        both = {"self", "batch_size", "steps_per_epoch"}
        assert set(parameters) == shared | of_data | both
        assert parameters["epochs"].default == 1


@pytest.mark.parametrize("weighted", [False, True])
def test_the_labels_of_labelled_images_are_called_so(weighted):
    weights = np.linspace(0.1, 1, 18, dtype="float32")
    data = (IMAGES, LABELS, weights) if weighted else (IMAGES, LABELS)
    spec = ImageSpec(3, (1,), value_range=(0, 255), weighted=True)
    feed = make_labelled_feed(data, spec, batch_size=6, seed=0)
    assert (feed.steps_per_epoch, feed.labelled_batch_size) == (3, 0)
    assert not feed.has_hidden_labels
    feed.seek(0)
    batches = feed.fit_arguments()["x"]
    is_pydataset = isinstance(batches, keras.utils.PyDataset)
    (images,), known = batches[0] if is_pydataset else next(batches.as_numpy_iterator())
    assert set(known) == ({"label", "weight"} if weighted else {"label"})
    for place, image in enumerate(images):
        row = np.flatnonzero((image == IMAGES).all(axis=(1, 2, 3)))[0]
        assert known["label"][place] == LABELS[row]
        if weighted:
            assert known["weight"][place] == weights[row]
