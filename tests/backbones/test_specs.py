"""What names a backbone."""

import json

import keras
import pytest

from semppl_keras.backbones import check_spec, is_pretrained, usual_size
from semppl_keras.backbones.application_table import APPLICATIONS
from semppl_keras.backbones.registry import BACKBONES
from semppl_keras.backbones.specs import parse

pytestmark = pytest.mark.any_backend


@pytest.mark.parametrize(
    ("spec", "parsed", "pretrained"),
    [
        ("small", ("own", "small", False), False),
        ("conv", ("own", "conv", False), False),
        ("keras:ResNet50", ("keras", "ResNet50", True), True),
        ("keras:resnet50", ("keras", "ResNet50", True), True),
        ("keras:NASNetMobile@none", ("keras", "NASNetMobile", False), False),
        ("hub:dinov2_small", ("hub", "dinov2_small", True), True),
        ("hub:dinov2_small@none", ("hub", "dinov2_small", False), False),
        ("hub:./my folder", ("hub", "./my folder", True), True),
        ("hub:kaggle://a/b/keras/c/1", ("hub", "kaggle://a/b/keras/c/1", True), True),
        ("nets/Mine.keras", ("file", "nets/Mine.keras", True), True),
        # A drive of Windows' is no kind.
        ("C:/nets/mine.keras", ("file", "C:/nets/mine.keras", True), True),
    ],
)
def test_specs(spec, parsed, pretrained):
    assert parse(spec) == parsed
    assert is_pretrained(spec) is pretrained


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("resnet19", "Near it: resnet18, resnet152.*Received: 'resnet19'"),
        ("efficientnetv2b0", "Near it: keras:EfficientNetV2B0"),
        ("keras:vgg", "such as keras:EfficientNetV2B0. Near it: keras:VGG1"),
        ("keras:", "must be followed by an architecture"),
        ("keras:ResNet50@imagenet", "Received: 'keras:ResNet50@imagenet'"),
        ("hub:", "must be followed by the name of a preset"),
        ("timm:resnet50", "must be one of small, conv, resnet18"),
        ("", "must be one of small, conv, resnet18"),
        ("pretrain_res50x1.pkl", "by semppl import, which writes FILE.keras"),
        ("weights.h5", "or FILE.keras"),
        ("a\0.keras", "must be one of"),
    ],
)
def test_what_is_none_is_told_with_what_is_near(spec, told):
    with pytest.raises(ValueError, match=told):
        parse(spec)
    with pytest.raises(ValueError, match=told):
        is_pretrained(spec)


def test_nothing_is_loaded_to_check(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert check_spec("keras:mobilenetv2@none") == "keras:MobileNetV2@none"
    assert check_spec("resnet34") == "resnet34"
    assert check_spec("hub:no_such_preset") == "hub:no_such_preset"
    with pytest.raises(FileNotFoundError, match="'mine.keras', which is not"):
        check_spec("mine.keras")
    (tmp_path / "mine.keras").write_bytes(b"")
    assert check_spec("mine.keras") == str(tmp_path / "mine.keras")
    (tmp_path / "folder").mkdir()
    with pytest.raises(FileNotFoundError, match="without config.json"):
        check_spec("hub:./folder")
    (tmp_path / "folder" / "config.json").write_text("{}")
    assert check_spec("hub:folder@none") == f"hub:{tmp_path / 'folder'}@none"
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match="pip install keras-hub"):
        check_spec("hub:dinov2_small")
    with pytest.raises(TypeError, match="Received: 3"):
        check_spec(3)
    assert not is_pretrained(None)


@pytest.mark.parametrize(
    ("spec", "size"),
    [
        ("keras:EfficientNetB3", 300),
        ("keras:Xception@none", 299),
        ("resnet50", 224),
        ("hub:vit_base_patch16_384_imagenet21k", 384),
        ("hub:swin_large_patch4_window12_384", 384),
        ("hub:efficientnet_b1_ra4_e3600_r240_imagenet", 240),
        ("hub:dinov2_with_registers_small", 224),
        ("hub:resnet_152_imagenet", 224),
        ("hub:densenet_201_imagenet", 224),
        ("hub:clip_vit_large_patch14_336", 336),
        ("not_there.keras", 224),
    ],
)
def test_usual_sizes(spec, size):
    assert usual_size(spec) == size


def test_files_and_folders_tell_their_size(tmp_path):
    path = tmp_path / "mine.keras"
    for shape, size in (((40, 40, 3), 40), ((None, None, 3), 224)):
        keras.Sequential(
            [keras.Input(shape), keras.layers.GlobalAveragePooling2D()]
        ).save(path)
        assert usual_size(str(path)) == size
    config = {"config": {"image_shape": [96, 96, 3]}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert usual_size(f"hub:{tmp_path}") == 96
    (tmp_path / "config.json").write_text("[")
    assert usual_size(f"hub:{tmp_path}") == 224


def test_all_architectures_of_keras_are_known():
    functions = {name for name in dir(keras.applications) if name[0].isupper()}
    assert set(APPLICATIONS) == functions
    assert not set(APPLICATIONS) & set(BACKBONES)
