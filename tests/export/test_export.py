"""Models for use elsewhere: the same numbers, and what is refused."""

import keras
import numpy as np
import pytest
from keras import ops
from toys import one_everywhere

import semppl_keras
from semppl_keras.distillation import FineTuner, ImageClassifier
from semppl_keras.evaluation import linear_probe, sgd_linear_probe
from semppl_keras.export import (
    FORMATS,
    ImageEmbedder,
    export_model,
    linear_classifier,
    script_path,
)

_GENERATOR = np.random.default_rng(0)
_IMAGES = _GENERATOR.integers(0, 256, (24, 11, 9, 1)).astype("uint8")


def _backbone():
    return semppl_keras.backbones.SmallResNet((4,), input_shape=(None, None, 1))


def _views(**settings):
    return semppl_keras.views.MultiCrop(1, 0, 8, **settings)


def _classifier(**options):
    head = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3)])
    return ImageClassifier(_backbone(), head, _views(), **options)


@one_everywhere("classes", [[0, 1, 2], [0, 2], [1, 2]])
@one_everywhere("fit", [linear_probe, sgd_linear_probe])
def test_a_linear_classifier_says_what_the_probe_says(fit, classes):
    embedder = ImageEmbedder(_backbone(), _views())
    features = embedder.predict(_IMAGES, verbose=0)
    probe = fit(features, np.resize(classes, len(_IMAGES)))
    classifier = linear_classifier(embedder.backbone, embedder.views, probe, 3)
    given = classifier.predict(_IMAGES, verbose=0)
    np.testing.assert_allclose(
        given[:, classes], probe.predict_proba(features), atol=2e-6
    )
    np.testing.assert_array_equal(np.delete(given, classes, axis=1), 0)


def test_a_probe_without_standardisation_is_taken_as_it_is():
    embedder = ImageEmbedder(_backbone(), _views())
    features = embedder.predict(_IMAGES, verbose=0) + 3
    probe = linear_probe(features, np.resize([0, 1, 2], 24), standardize=False)
    head = linear_classifier(embedder.backbone, embedder.views, probe, 3).head
    given = ops.convert_to_numpy(ops.softmax(head(features)))
    np.testing.assert_allclose(given, probe.predict_proba(features), atol=1e-6)


def test_a_probe_of_more_classes_is_refused():
    probe = linear_probe(_GENERATOR.normal(size=(9, 4)), np.resize([0, 1, 5], 9))
    with pytest.raises(ValueError, match=r"among 0 \.\. 2. Received: 0 \.\. 5"):
        linear_classifier(_backbone(), _views(), probe, 3)


def test_class_names_are_saved_and_go_along(tmp_path):
    classifier = _classifier(class_names=["a", "b", "ö"])
    path = export_model(classifier, tmp_path / "deep" / "it.keras", "keras")
    loaded = keras.models.load_model(path)
    assert loaded.class_names == ("a", "b", "ö")
    np.testing.assert_array_equal(
        loaded.predict(_IMAGES, verbose=0), classifier.predict(_IMAGES, verbose=0)
    )
    labels = tmp_path / "deep" / "it.keras.labels.txt"
    assert labels.read_text("utf-8") == "a\nb\nö\n"
    assert sorted(path.parent.iterdir()) == [path, labels, script_path(path)]
    assert FineTuner(classifier, 3).classifier.class_names == ("a", "b", "ö")


def test_class_names_must_be_as_many_as_classes():
    with pytest.raises(ValueError, match="name every class once. Received: 2 names"):
        _classifier(class_names=["a", "b"])


def test_an_embedder_gives_what_embed_gives(tmp_path):
    model = semppl_keras.SimCLR(
        _backbone(),
        views=semppl_keras.views.MultiCrop(2, 0, 8),
        projection_dim=4,
        hidden_dim=8,
    )
    path = export_model(model, tmp_path / "backbone.keras", "keras")
    loaded = keras.models.load_model(path)
    np.testing.assert_allclose(
        loaded.predict(_IMAGES, verbose=0), model.embed(_IMAGES), atol=1e-6
    )
    # It has no classes.
    assert sorted(tmp_path.iterdir()) == [path, script_path(path)]


def test_feature_maps_are_averaged():
    images = keras.Input((None, None, 1))
    maps = keras.Model(images, keras.layers.Conv2D(5, 3)(images))
    assert ImageEmbedder(maps, _views())(_IMAGES).shape == (24, 5)


@pytest.mark.parametrize(
    ("model", "path", "format", "error", "message"),
    [
        (_classifier, "x.onnx", "tflite", ValueError, "must be one of saved_model"),
        (_classifier, "x.tflite", "onnx", ValueError, r"must end in \.onnx"),
        (_classifier, "taken.keras", "keras", FileExistsError, "taken.keras exists"),
        (_classifier, "labels.keras", "keras", FileExistsError, "labels.txt exists"),
        (_classifier, "asks.keras", "keras", FileExistsError, "asks.keras.serve.py ex"),
        (_backbone, "x.keras", "keras", TypeError, "Received: Functional"),
    ],
)
def test_what_cannot_be_written_is_told(tmp_path, model, path, format, error, message):
    (tmp_path / "taken.keras").write_text("")
    (tmp_path / "labels.keras.labels.txt").write_text("")
    (tmp_path / "asks.keras.serve.py").write_text("")
    model = model(class_names="abc") if model is _classifier else model()
    before = sorted(tmp_path.iterdir())
    with pytest.raises(error, match=message):
        export_model(model, tmp_path / path, format)
    assert sorted(tmp_path.iterdir()) == before


def test_a_network_that_cannot_be_converted_is_told(tmp_path):
    images = keras.Input((8, 8, 1))
    # LiteRT has no such operation.
    features = ops.erfinv(ops.mean(images, axis=(1, 2)))
    model = ImageEmbedder(keras.Model(images, features), _views())
    with pytest.raises(RuntimeError, match="cannot be written as litert: .*Erfinv"):
        export_model(model, tmp_path / "x.tflite", "litert")
    assert list(tmp_path.iterdir()) == []


def test_the_formats_are_those_of_the_command_line():
    from semppl_keras.cli import parser

    for format in FORMATS:
        parsed = parser().parse_args(["export", "RUN", "--format", format])
        assert parsed.what == "classifier"
