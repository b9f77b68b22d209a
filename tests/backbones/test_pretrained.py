"""Networks that others have trained: scaled, pooled, saved and copied as they are."""

import json
import sys
import urllib.error
import zipfile

import keras
import keras_hub
import numpy as np
import pytest
from keras import ops
from toys import one_everywhere, toy_backbone, toy_model

from semppl_keras import backbones
from semppl_keras.backbones.application_table import APPLICATIONS
from semppl_keras.backbones.scaling import scaled
from semppl_keras.networks.backbone_contract import check_backbone
from semppl_keras.networks.copying import copy_model
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.safety.loading import load_model

any_backend = pytest.mark.any_backend

# What an ImageConverter of KerasHub has for ImageNet's mean and deviation.
DEVIATION = (0.229, 0.224, 0.225)
SCALE = [1 / 255 / deviation for deviation in DEVIATION]
OFFSET = [-m / d for m, d in zip((0.485, 0.456, 0.406), DEVIATION, strict=True)]

SMALL = {"patch_size": 4, "num_layers": 1, "num_heads": 2, "hidden_dim": 8}


def views(*shape, seed=0):
    return np.random.default_rng(seed).uniform(size=shape).astype("float32")


def outputs(model, inputs):
    return ops.convert_to_numpy(model(inputs, training=False))


def hub_images(pixels, size=None):
    """What a network of KerasHub gets of views, in NumPy."""
    pixels = pixels if pixels.shape[-1] == 3 else pixels.repeat(3, axis=-1)
    if size is not None:
        pixels = ops.convert_to_numpy(ops.image.resize(pixels, (size, size)))
    return (255 * pixels * SCALE + OFFSET).astype("float32")


def vit():
    return keras_hub.models.ViTBackbone(image_shape=(16, 16, 3), mlp_dim=8, **SMALL)


def dinov2(size=16):
    return keras_hub.models.DINOV2Backbone(
        image_shape=(size, size, 3),
        position_embedding_shape=(16, 16, 3),
        num_register_tokens=2,
        intermediate_dim=8,
        **SMALL,
    )


# -- keras.applications -------------------------------------------------------------


@any_backend
@pytest.mark.parametrize("name", APPLICATIONS)
def test_views_are_scaled_as_the_architecture_expects(name):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 3))
    pixels = pixels.astype("float32")
    module = sys.modules[getattr(keras.applications, name).__module__]
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, scaled(inputs, APPLICATIONS[name].scaling))
    # It writes to what it gets.
    expected = module.preprocess_input(pixels.copy())
    received = outputs(model, pixels / 255)
    largest = np.abs(expected).max()
    np.testing.assert_allclose(received, expected, rtol=0, atol=1e-5 * max(1, largest))


@pytest.mark.any_backend
def test_an_architecture_is_a_backbone():
    backbone = backbones.pretrained("keras:MobileNetV3Small@none", channels=1)
    network = backbone.layers[-1]
    images = views(2, 40, 48, 1)
    expected = outputs(network, 255 * images.repeat(3, axis=-1))
    np.testing.assert_allclose(outputs(backbone, images), expected, atol=1e-5)
    assert check_backbone(backbone, [64, 32]) == (1, 576)
    # In whose graph numbers are added to tensors, and layers are called Add, too.
    copy = copy_model(backbone)
    np.testing.assert_allclose(outputs(copy, images), expected, atol=1e-5)


@any_backend
def test_weights_that_cannot_be_fetched_are_named(tmp_path, monkeypatch):
    files = sys.modules["keras.src.utils.file_utils"]

    def unreachable(address, *arguments, **options):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(files, "urlretrieve", unreachable)
    monkeypatch.setattr(files.config, "keras_home", lambda: str(tmp_path))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(backbones.MissingWeights, match="--backbone FILE.keras") as told:
        backbones.pretrained("keras:MobileNetV3Small")
    error = told.value
    assert error.file == "weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5"
    assert error.address.endswith(f"/{error.file}")
    assert error.folder == str(tmp_path / "models")
    assert all(part in str(error) for part in (error.file, error.address, error.folder))


# -- KerasHub -----------------------------------------------------------------------


@one_everywhere("channels", [1, 3])
def test_a_vit_gives_its_class_token(channels):
    network = vit()
    backbone = backbones.from_hub(
        network, scale=SCALE, offset=OFFSET, channels=channels
    )
    images = views(2, 16, 16, channels)
    expected = outputs(network, hub_images(images))[:, 0]
    np.testing.assert_allclose(outputs(backbone, images), expected, atol=1e-5)
    # Views of any size are resized to the one that it is built for.
    small = views(2, 11, 11, channels)
    expected = outputs(network, hub_images(small, 16))[:, 0]
    np.testing.assert_allclose(outputs(backbone, small), expected, atol=1e-5)
    assert check_backbone(backbone, [16, 11]) == (channels, 8)


def test_dinov2_gives_class_token_and_mean_of_patches():
    network = dinov2()
    backbone = backbones.from_hub(network, scale=SCALE, offset=OFFSET)
    images = views(2, 16, 16, 3)
    tokens = outputs(network, {"images": hub_images(images)})
    # A class token, two registers, then sixteen patches.
    assert tokens.shape == (2, 19, 8)
    expected = np.concatenate([tokens[:, 0], tokens[:, 3:].mean(axis=1)], axis=-1)
    np.testing.assert_allclose(outputs(backbone, images), expected, atol=1e-5)
    for pooling, part in (
        ("class_token", expected[:, :8]),
        ("mean_patches", expected[:, 8:]),
    ):
        backbone = backbones.from_hub(
            network, scale=SCALE, offset=OFFSET, pooling=pooling
        )
        np.testing.assert_allclose(outputs(backbone, images), part, atol=1e-5)


@pytest.mark.any_backend
def test_dinov2_has_weights_that_are_not_trained():
    network = backbones.from_hub(dinov2(), image_size=20)
    frozen = {weight.name for weight in network.weights if not weight.trainable}
    assert {"mask_token", "interpolated_position_embeddings"} <= frozen
    # All others get a gradient, so that Keras has nothing to warn of.
    trained = {weight.name for weight in network.trainable_weights}
    assert "cls_token" in trained
    assert not frozen & trained


@pytest.mark.any_backend
def test_what_is_saved_and_copied_computes_the_same(tmp_path):
    images = views(2, 20, 20, 3)
    for network in (vit(), dinov2()):
        backbone = backbones.from_hub(
            network, scale=SCALE, offset=OFFSET, image_size=20
        )
        expected = outputs(backbone, images)
        copy = copy_model(backbone)
        np.testing.assert_allclose(outputs(copy, images), expected, atol=1e-5)
        backbone.save(tmp_path / "model.keras")
        again = load_model(tmp_path / "model.keras")
        np.testing.assert_allclose(outputs(again, images), expected, atol=1e-5)


@pytest.mark.any_backend
def test_position_embeddings_are_interpolated():
    network = vit()
    embedding = next(
        layer for layer in network._flatten_layers() if layer.name.startswith("vit_pat")
    ).position_embedding
    # A class token, then a square of 4 x 4 whose values rise from row to row.
    table = np.zeros((17, 8), "float32")
    table[0] = 7
    table[1:] = np.repeat(np.arange(4.0), 4)[:, None]
    embedding.embeddings.assign(table)
    for size, side in ((32, 8), (17, 4), (8, 2)):
        backbone = backbones.from_hub(network, image_size=size)
        layers = backbone._flatten_layers()
        twin = next(layer for layer in layers if layer.name.startswith("vit_pat"))
        received = ops.convert_to_numpy(twin.position_embedding.embeddings)
        assert received.shape == (1 + side**2, 8)
        np.testing.assert_allclose(received[0], 7, atol=1e-6)
        rows = received[1:].reshape(side, side, 8)
        # Each row is one value, they rise, and their mean stays.
        np.testing.assert_allclose(rows, rows[:, :1, :1] + 0 * rows, atol=1e-5)
        assert (np.diff(rows[:, 0, 0]) > 0).all()
        np.testing.assert_allclose(rows.mean(), 1.5, atol=1e-5)


@any_backend
def test_a_preset_folder_is_a_preset(tmp_path):
    network = dinov2()
    network.save_to_preset(tmp_path)
    converter = keras_hub.layers.DINOV2ImageConverter(
        image_size=(16, 16), scale=SCALE, offset=OFFSET
    )
    converter.save_to_preset(tmp_path)
    images = views(2, 16, 16, 3)
    expected = outputs(backbones.from_hub(network, scale=SCALE, offset=OFFSET), images)
    backbone = backbones.pretrained(f"hub:{tmp_path}")
    np.testing.assert_allclose(outputs(backbone, images), expected, atol=1e-5)
    # The converter itself on the same pixels, which are in [0, 255].
    inputs = ops.convert_to_numpy(converter(255 * images))
    np.testing.assert_allclose(inputs, hub_images(images), atol=1e-4)
    assert backbones.usual_size(f"hub:{tmp_path}") == 16
    again = backbones.pretrained(f"hub:{tmp_path}@none", image_size=24)
    assert again.output_shape == (None, 16)
    (tmp_path / "model.weights.h5").unlink()
    with pytest.raises(ValueError, match="preset folder of KerasHub.*model.weights.h5"):
        backbones.pretrained(f"hub:{tmp_path}")


@any_backend
def test_what_a_hub_cannot_give_is_told(monkeypatch):
    with pytest.raises(ValueError, match="Near it: hub:dinov2_small.*'dinov2_smal'"):
        backbones.pretrained("hub:dinov2_smal")

    def unreachable(preset, **options):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(keras_hub.models.Backbone, "from_preset", unreachable)
    with pytest.raises(backbones.MissingWeights, match="hub:./folder") as told:
        backbones.pretrained("hub:dinov2_small")
    assert "/dinov2_small/" in told.value.address
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    with pytest.raises(ImportError, match="pip install keras-hub"):
        backbones.pretrained("hub:dinov2_small")


@any_backend
def test_networks_of_the_hub_that_are_none_for_images():
    bert = keras_hub.models.BertBackbone(
        vocabulary_size=5, num_layers=1, num_heads=1, hidden_dim=4, intermediate_dim=4
    )
    with pytest.raises(ValueError, match="ViTBackbone.*Received: BertBackbone"):
        backbones.from_hub(bert)
    with pytest.raises(ValueError, match="class_token, mean_patches, both.*'avg'"):
        backbones.from_hub(vit(), pooling="avg")


@any_backend
@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("module", "keras_hub.src.models.bert.bert_backbone"),
        ("module", "somewhere.else"),
        ("registered_name", "keras_hub>BertBackbone"),
        ("registered_name", "mine>ViTBackbone"),
        ("class_name", "BertBackbone"),
        ("class_name", "ViTImageClassifierPreprocessor"),
    ],
)
def test_only_networks_for_images_are_harmless(tmp_path, entry, value, monkeypatch):
    backbones.from_hub(vit()).save(tmp_path / "model.keras")
    changed = tmp_path / "changed.keras"
    with (
        zipfile.ZipFile(tmp_path / "model.keras") as source,
        zipfile.ZipFile(changed, "w") as target,
    ):
        for name in source.namelist():
            content = source.read(name)
            if name == "config.json":
                config = json.loads(content)
                network = next(
                    layer
                    for layer in config["config"]["layers"]
                    if layer["class_name"] == "ViTBackbone"
                )
                network[entry] = value
                content = json.dumps(config)
            target.writestr(name, content)
    monkeypatch.setattr(keras.models, "load_model", None)
    with pytest.raises(RunError, match="not known to be one"):
        load_model(changed)


# -- files --------------------------------------------------------------------------


def saved(model, tmp_path):
    model.save(tmp_path / "model.keras")
    return str(tmp_path / "model.keras")


def test_a_file_is_a_backbone(tmp_path):
    network = toy_backbone(channels=3)
    backbone = backbones.pretrained(saved(network, tmp_path))
    images = views(2, 9, 9, 3)
    np.testing.assert_allclose(
        outputs(backbone, images), outputs(network, images), atol=1e-6
    )
    grey = backbones.pretrained(saved(network, tmp_path), channels=1)
    np.testing.assert_allclose(
        outputs(grey, images[..., :1]),
        outputs(network, images[..., :1].repeat(3, axis=-1)),
        atol=1e-6,
    )


@any_backend
def test_a_model_of_this_package_gives_its_backbone():
    model = toy_model()
    assert backbones.features_of(model, channels=1) is model.backbone


def _classifier(*top):
    return keras.Sequential(
        [
            keras.Input((12, 12, 3)),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.GlobalAveragePooling2D(name="features"),
            *top,
        ]
    )


@any_backend
@pytest.mark.parametrize(
    "top",
    [
        [keras.layers.Dense(5, activation="softmax")],
        [keras.layers.Dropout(0.5), keras.layers.Dense(1, activation="sigmoid")],
        [keras.layers.Dense(5), keras.layers.Softmax()],
        [keras.layers.Dense(5), keras.layers.Activation("softmax")],
        [keras.layers.Dense(5, name="predictions")],
        [],
    ],
)
def test_classes_are_cut_off(top, tmp_path):
    classifier = _classifier(*top)
    images = views(2, 12, 12, 3)
    features = keras.Model(
        classifier.inputs[0], classifier.get_layer("features").output
    )
    backbone = backbones.pretrained(saved(classifier, tmp_path))
    np.testing.assert_allclose(
        outputs(backbone, images), outputs(features, images), atol=1e-6
    )
    # Of the one size that it takes, views of others are made.
    assert check_backbone(backbone, [12, 7]) == (3, 4)


@any_backend
def test_maps_are_pooled():
    inputs = keras.Input((None, None, 3))
    network = keras.Model(inputs, keras.layers.Conv2D(4, 3)(inputs))
    images = views(2, 6, 6, 3)
    maps = outputs(network, images)
    for pooling, expected in (("avg", maps.mean((1, 2))), ("max", maps.max((1, 2)))):
        backbone = backbones.features_of(network, pooling=pooling)
        np.testing.assert_allclose(outputs(backbone, images), expected, atol=1e-5)


@any_backend
def test_files_that_are_no_backbone_are_told(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file 'not_there.keras'"):
        backbones.pretrained("not_there.keras")
    with pytest.raises(ValueError, match="does not tell how its images are scaled"):
        backbones.features_of(vit())
    with pytest.raises(ValueError, match=r"3 channel\(s\). Received: one for 1"):
        backbones.features_of(toy_backbone(channels=1))
    rows = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    with pytest.raises(ValueError, match="one batch of images"):
        backbones.features_of(rows)
    tokens = keras.Sequential(
        [keras.Input((4, 4, 3)), keras.layers.Reshape((16, 3)), keras.layers.Dense(2)]
    )
    with pytest.raises(ValueError, match=r"output shape \(None, 16, 2\)"):
        backbones.features_of(tokens)
    with pytest.raises(ValueError, match='"avg" or "max". Received: .both'):
        backbones.pretrained("keras:MobileNetV2@none", pooling="both")
    with pytest.raises(ValueError, match="`channels` must be 1 or 3. Received: 4"):
        backbones.pretrained("small", channels=4)


@any_backend
def test_own_names_are_new_networks():
    backbone = backbones.pretrained("small", channels=1)
    assert backbone.input_shape == (None, None, None, 1)
    assert backbones.pretrained("conv", channels=3).output_shape == (None, 128)
    with pytest.raises(ValueError, match="averages"):
        backbones.pretrained("small", pooling="max")
