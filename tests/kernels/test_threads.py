"""Predictions from several threads, and what an error leaves of a model."""

import concurrent.futures

import keras
import numpy as np
import pytest
from toys import toy_backbone, toy_images, toy_views

from semppl_keras import FineTuner
from semppl_keras.networks.image_classifier import as_probabilities

IMAGES, LABELS = toy_images(12)
THREADS = 4


class Unreadable(keras.utils.PyDataset):
    """Images of which some can be read."""

    def __len__(self):
        return 3

    def __getitem__(self, index):
        if index == 2:
            raise OSError("The disk is gone.")
        return IMAGES[:4], LABELS[:4]


class UnreadableImages(Unreadable):
    def __getitem__(self, index):
        return super().__getitem__(index)[0]


def tuner_of():
    tuner = FineTuner(toy_backbone(), 3, views=toy_views(), seed=0)
    tuner.compile("sgd")
    return tuner


def test_threads_predict_by_one_model():
    tuner = tuner_of()
    expected = tuner.predict(IMAGES, verbose=0)

    def predict(number):
        # They share their variables.
        model = tuner if number % 2 else tuner.classifier
        return model.predict(IMAGES, verbose=0)

    with concurrent.futures.ThreadPoolExecutor(THREADS) as executor:
        for found in executor.map(predict, range(2 * THREADS)):
            np.testing.assert_allclose(found, expected, atol=1e-6)


def test_models_that_share_nothing_predict_while_another_does():
    outer, inner = tuner_of(), tuner_of()
    inner.predict(IMAGES, verbose=0)
    seen = []

    class Asking(keras.callbacks.Callback):
        """Has another thread predict, and waits for it."""

        def on_predict_batch_end(self, batch, logs=None):
            with concurrent.futures.ThreadPoolExecutor(1) as executor:
                asked = executor.submit(inner.predict, IMAGES, verbose=0)
                seen.append(asked.result(timeout=60))

    outer.predict(IMAGES, verbose=0, callbacks=[Asking()])
    assert len(seen) == 1


def test_what_is_called_waits_for_a_prediction():
    """It needs the weights that JAX takes out of the variables meanwhile."""
    classifier = tuner_of().classifier
    features = np.ones((3, classifier.head.input_shape[-1]), "float32")
    expected = as_probabilities(classifier, features)
    asked = []

    class Asking(keras.callbacks.Callback):
        """Leaves another thread time to call the head, which goes on after it."""

        def on_predict_batch_end(self, batch, logs=None):
            work = executor.submit(as_probabilities, classifier, features)
            concurrent.futures.wait([work], timeout=0.5)
            asked.append(work)

    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        classifier.predict(IMAGES, verbose=0, callbacks=[Asking()])
    np.testing.assert_allclose(asked[0].result(), expected, atol=1e-6)


@pytest.mark.parametrize("method", ["predict", "evaluate"])
def test_after_an_error_a_model_is_what_it_was(method):
    tuner = tuner_of()
    classifier = tuner.classifier
    classifier.compile("sgd", "sparse_categorical_crossentropy")
    expected = tuner.predict(IMAGES, verbose=0)
    data = UnreadableImages() if method == "predict" else Unreadable()
    for model in (tuner, classifier):
        # TensorFlow wraps it.
        with pytest.raises(Exception, match="The disk is gone"):
            getattr(model, method)(data, verbose=0)
        np.testing.assert_array_equal(tuner.predict(IMAGES, verbose=0), expected)
