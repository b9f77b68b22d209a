"""Prediction by torch's own kernels gives what Keras' layers give, on every way."""

import keras
import numpy as np
import pytest

if keras.backend.backend() != "torch":
    pytest.skip("torch's own kernels", allow_module_level=True)

import contextlib
import threading

import torch
from keras import layers
from toys import toy_images

from semppl_keras import FineTuner, SimCLR
from semppl_keras.backbones import ConvNet, ResNet
from semppl_keras.kernels import quick_inference
from semppl_keras.networks import (
    ImageClassifier,
    ImageEmbedder,
    cache_features,
    features_cache,
)
from semppl_keras.views import MultiCrop

VIEWS = {"num_large": 2, "num_small": 0, "large_size": 24}


def light(x, filters, kernel_size, strides):
    """An inverted bottleneck as those of EfficientNet-Lite."""

    def convolved(x, layer):
        return layers.BatchNormalization()(layer(x))

    kept, options = x, {"padding": "same", "use_bias": False}
    x = convolved(x, layers.Conv2D(4 * x.shape[-1], 1, **options))
    x = layers.ReLU(max_value=6.0)(x)
    x = convolved(x, layers.DepthwiseConv2D(kernel_size, strides=strides, **options))
    x = layers.ReLU(max_value=6.0)(x)
    x = convolved(x, layers.Conv2D(filters, 1, **options))
    return layers.Add()([x, kept]) if strides == 1 else x


def efficient_net():
    """Few blocks of it, from images of 24 pixels to features."""
    images = keras.Input((24, 24, 3))
    x = layers.Rescaling(2.0, -1.0)(images)
    x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(x)
    x = layers.ReLU(max_value=6.0)(layers.BatchNormalization()(x))
    for filters, kernel_size, strides in ((12, 3, 2), (12, 5, 1), (16, 5, 2)):
        x = light(x, filters, kernel_size, strides)
    return keras.Model(images, layers.GlobalAveragePooling2D()(x))


NETWORKS = {
    "resnet18": lambda: ResNet(18, 0.125, input_shape=(24, 24, 3)),
    "resnet50": lambda: ResNet(50, 0.0625, version=2, input_shape=(24, 24, 3)),
    "convnet": lambda: ConvNet((8, 12), input_shape=(24, 24, 3)),
    "efficientnet": efficient_net,
}


def randomised(network):
    """Statistics and weights as if it had been trained: of all kinds."""
    draws = np.random.default_rng(0)
    network.set_weights(
        [
            draws.normal(size=w.shape) * np.sqrt(2 / np.prod(w.shape[:-1]))
            if len(w.shape) > 1
            else draws.uniform(0.5, 1.5, w.shape)
            for w in network.weights
        ]
    )
    return network


def classifier_on(backbone, classes=3):
    head = keras.Sequential(
        [layers.Input(backbone.output_shape[1:]), layers.Dense(classes)]
    )
    return ImageClassifier(backbone, randomised(head), MultiCrop(**VIEWS))


def images_of(count=10):
    return toy_images(count, classes=3, channels=3, size=24)


def assert_rounded(found, expected):
    expected = np.asarray(expected)
    assert expected.std() > 1e-3
    np.testing.assert_allclose(
        found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max()
    )


@pytest.fixture(params=NETWORKS)
def backbone(request):
    return randomised(NETWORKS[request.param]())


def test_features_and_predictions_are_keras_own(backbone):
    images, labels = images_of()
    embedder = ImageEmbedder(backbone, MultiCrop(**VIEWS))
    classifier = classifier_on(backbone)
    for model in (embedder, classifier):
        expected = keras.Model.predict(model, images, batch_size=4, verbose=0)
        assert_rounded(model.predict(images, batch_size=4, verbose=0), expected)
        assert_rounded(model.predict_on_batch(images), expected)
    classifier.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    expected = keras.Model.evaluate(classifier, images, labels, verbose=0)
    assert_rounded(classifier.evaluate(images, labels, verbose=0), expected)
    assert_rounded(classifier.test_on_batch(images, labels), expected)


def test_models_in_training_predict_as_keras_does(backbone):
    images, labels = images_of()
    model = FineTuner(backbone, 3, views=MultiCrop(**VIEWS), seed=0)
    model.compile(keras.optimizers.SGD(0.01), metrics=["accuracy"])
    expected = keras.Model.predict(model, images, verbose=0)
    assert_rounded(model.predict(images, verbose=0), expected)
    assert_rounded(model.predict_on_batch(images), expected)
    expected = keras.Model.evaluate(model, images, labels, verbose=0)
    assert_rounded(model.evaluate(images, labels, verbose=0), expected)
    model = SimCLR(backbone, views=MultiCrop(**VIEWS), seed=0)
    expected = keras.Model.predict(model, images, verbose=0)
    assert_rounded(model.embed(images), expected)
    assert_rounded(model.predict(images, verbose=0), expected)


def test_kept_features_are_those_of_keras(backbone, monkeypatch):
    images, _ = images_of()
    found = cache_features(backbone, images, MultiCrop(**VIEWS), 2)
    monkeypatch.setattr(features_cache, "quick_inference", contextlib.nullcontext)
    expected = cache_features(backbone, images, MultiCrop(**VIEWS), 2)
    # They are kept in half precision.
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-3)


def ways(backbone):
    """Every way to features and predictions, by name."""
    images, labels = images_of()
    views = MultiCrop(**VIEWS)
    embedder, classifier = ImageEmbedder(backbone, views), classifier_on(backbone)
    classifier.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    tuner = FineTuner(backbone, 3, views=views, seed=0)
    tuner.compile(keras.optimizers.SGD(0.01), metrics=["accuracy"])
    model = SimCLR(backbone, views=views, seed=0)
    return {
        "embedder.predict": lambda: embedder.predict(images, verbose=0),
        "embedder.predict_on_batch": lambda: embedder.predict_on_batch(images),
        "classifier.predict": lambda: classifier.predict(images, verbose=0),
        "classifier.evaluate": lambda: classifier.evaluate(images, labels, verbose=0),
        "classifier.test_on_batch": lambda: classifier.test_on_batch(images, labels),
        "tuner.predict": lambda: tuner.predict(images, verbose=0),
        "tuner.predict_on_batch": lambda: tuner.predict_on_batch(images),
        "tuner.evaluate": lambda: tuner.evaluate(images, labels, verbose=0),
        "tuner.test_on_batch": lambda: tuner.test_on_batch(images, labels),
        "model.embed": lambda: model.embed(images),
        "model.predict": lambda: model.predict(images, verbose=0),
        "cache_features": lambda: cache_features(backbone, images, views, 1),
    }


def test_no_way_calls_keras_own_layers(monkeypatch):
    every_way = ways(randomised(NETWORKS["convnet"]()))
    every_way["tuner.evaluate"]()  # Metrics are made on the first call.

    def refused(layer, *args, **kwargs):
        raise AssertionError(f"{layer.name} was called as Keras calls it")

    monkeypatch.setattr(layers.BatchNormalization, "call", refused)
    for predict in every_way.values():
        predict()


def test_afterwards_the_layers_are_as_they_were():
    backbone = randomised(NETWORKS["convnet"]())
    every_way = ways(backbone)
    before = {each.name: set(vars(each)) for each in backbone._flatten_layers()}
    for predict in every_way.values():
        predict()
    gained = {
        each.name: set(vars(each)) - before[each.name]
        for each in backbone._flatten_layers()
    }
    assert not any(
        names & {"call", "convolution_op", "_run_through_graph"}
        for names in gained.values()
    )
    outputs = backbone(torch.ones(2, 24, 24, 3), training=True)
    assert outputs.requires_grad


def test_a_callback_of_predict_may_take_gradients():
    backbone = randomised(NETWORKS["convnet"]())
    embedder, (images, _) = ImageEmbedder(backbone, MultiCrop(**VIEWS)), images_of()
    largest = []

    def saliency(batch, logs):
        views = torch.ones(1, 24, 24, 3, requires_grad=True)
        backbone(views).sum().backward()
        largest.append(float(views.grad.abs().max()))

    watching = keras.callbacks.LambdaCallback(on_predict_batch_end=saliency)
    embedder.predict(images, callbacks=[watching], verbose=0)
    assert min(largest) > 0


def test_what_is_called_as_it_is_needs_no_gradients():
    network = randomised(NETWORKS["convnet"]())
    with quick_inference(network, called=True):
        assert not network(torch.ones(1, 24, 24, 3)).requires_grad


def test_weights_that_have_changed_are_those_that_count():
    backbone = randomised(NETWORKS["efficientnet"]())
    embedder, (images, _) = ImageEmbedder(backbone, MultiCrop(**VIEWS)), images_of()
    before = embedder.predict(images, verbose=0)
    backbone.set_weights([0.9 * weight for weight in backbone.get_weights()])
    found = embedder.predict(images, verbose=0)
    assert np.abs(found - before).max() > 1e-3
    assert_rounded(found, keras.Model.predict(embedder, images, verbose=0))


def test_threads_may_predict_by_one_model():
    embedder = ImageEmbedder(randomised(NETWORKS["convnet"]()), MultiCrop(**VIEWS))
    images, _ = images_of(40)
    expected, found = embedder.predict(images, verbose=0), []

    def predict():
        found.append(embedder.predict(images, batch_size=2, verbose=0))

    threads = [threading.Thread(target=predict) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == len(threads)
    for one in found:
        assert_rounded(one, expected)


def test_what_torch_compiles_is_left_alone():
    network = randomised(NETWORKS["convnet"]())
    network.compile(jit_compile=True)
    with quick_inference(network):
        assert "_run_through_graph" not in vars(network)
