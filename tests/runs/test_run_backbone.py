"""The network that a run begins with: named, fetched, or a file of one's own."""

import dataclasses
import importlib
import json

import keras
import numpy as np
import pytest
from short_run import make_training_quick, short_run, write_own_images
from toys import toy_backbone

from semppl_keras import backbones, recipes, runs
from semppl_keras.recipes import choice
from semppl_keras.runs import asked_data
from semppl_keras.runs.folder import recipe_of
from semppl_keras.runs.options.train import TrainOptions
from semppl_keras.runs.run_backbone import new_backbone
from semppl_keras.runs.settings import new_settings, sources_are_given
from semppl_keras.views import MultiCrop

pytestmark = pytest.mark.any_backend


@pytest.fixture
def photos(tmp_path):
    write_own_images(tmp_path / "photos")
    return tmp_path / "photos"


@pytest.fixture
def network(tmp_path):
    toy_backbone(channels=3).save(tmp_path / "mine.keras")
    return tmp_path / "mine.keras"


def _options(photos, **changes):
    return TrainOptions.of(
        unlabelled=photos / "many", labelled=photos / "few", **changes
    )


def _short(image_size, backbone, epochs=None):
    recipe = recipes.own_images(image_size, None, epochs)
    views = MultiCrop(1, 0, image_size, 6)
    return dataclasses.replace(
        recipe,
        name="pretrained",
        backbone=("pretrained", {"spec": backbone}),
        model={**recipe.model, "views": views},
    )


def test_a_run_needs_the_file_no_longer(photos, network, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(choice, "pretrained", _short)
    sources = ("--unlabelled", photos / "many", "--labelled", photos / "few")
    options = ("--backbone", network, "--image-size", 8, "--test", photos / "few")
    with short_run(tmp_path / "run", *map(str, (*sources, *options))) as run:
        settings = json.loads((run / "run.json").read_text())
        assert settings["dataset"]["backbone"] == str(network)
        assert recipe_of(settings).name == "pretrained"
        kept = keras.models.load_model(run / "backbone.keras")
        network.unlink()
        # What a training would begin with is that of the folder.
        begun = new_backbone(recipe_of(settings), 3, run)
        for one, other in zip(kept.weights, begun.weights, strict=True):
            np.testing.assert_array_equal(one.numpy(), other.numpy())
        with pytest.raises(runs.RunError, match=r"mine.keras.*no such file"):
            new_backbone(recipe_of(settings), 3)
        capsys.readouterr()
        runs.label(run, photos / "many", out=tmp_path / "labels.csv", verbose=0)
        assert runs.train(resume=run, verbose=0).folder == run
        with pytest.raises(runs.RunError, match="--student: .*which is not"):
            runs.distil(run, student=network)
        toy_backbone(channels=3).save(network)
        make_training_quick(monkeypatch)
        found = runs.distil(run, student=network, out=tmp_path / "other", verbose=0)
        assert found["settings"]["student"] == str(network)


def test_files_are_loaded_by_the_rules_of_run_folders(photos, tmp_path):
    path = tmp_path / "mine.keras"
    inputs = keras.Input((None, None, 3))
    features = keras.layers.Lambda(lambda x: x[:, 0, 0])(inputs)
    keras.Model(inputs, features).save(path)
    recipe = recipes.pretrained(8, str(path))
    with pytest.raises(runs.RunError, match="must hold no layer that brings code"):
        new_backbone(recipe, 3)


@pytest.mark.parametrize(
    ("asked", "size"), [({}, 40), ({"image_size": 12}, 12)], ids=str
)
def test_images_get_the_size_of_the_network(photos, tmp_path, asked, size):
    path = tmp_path / "sized.keras"
    network = [keras.Input((40, 40, 3)), keras.layers.GlobalAveragePooling2D()]
    keras.Sequential(network).save(path)
    settings, data = new_settings(_options(photos, backbone=path, **asked))
    assert settings["dataset"]["image_size"] == data.image_size == size
    recipe = recipe_of(settings)
    assert (recipe.name, recipe.image_size) == ("pretrained", size)
    assert recipe.make_views().large_size == size


def test_a_network_without_weights_is_a_new_one(photos):
    options = _options(photos, backbone="keras:mobilenetv2@none", image_size=96)
    settings, _ = new_settings(options)
    assert settings["dataset"]["backbone"] == "keras:MobileNetV2@none"
    recipe = recipe_of(settings)
    assert recipe.name == "own_images"
    assert recipe.make_backbone(3).output_shape == (None, 1280)


@pytest.mark.parametrize("fetched", [True, False])
def test_larger_images_get_a_pretrained_network(photos, monkeypatch, capsys, fetched):
    asked = []

    def pretrained(spec, *arguments, **options):
        asked.append(spec)
        if not fetched:
            raise backbones.MissingWeights(
                "The file is b0.h5, to be had from there; put it here.",
                file="b0.h5",
                address="there",
                folder="here",
            )

    monkeypatch.setattr(asked_data.backbones, "pretrained", pretrained)
    settings, _ = new_settings(_options(photos))
    assert not asked
    assert settings["dataset"]["backbone"] is None
    settings, _ = new_settings(_options(photos, image_size=96))
    told = capsys.readouterr().out
    dataset, recipe = settings["dataset"], recipe_of(settings)
    assert asked == ["keras:EfficientNetV2B0"]
    assert dataset["image_size"] == 96
    if fetched:
        assert dataset["backbone"] == "keras:EfficientNetV2B0"
        assert recipe.name == "pretrained"
        assert not told
    else:
        assert dataset["backbone"] == "resnet18"
        assert recipe.backbone[0] == "ResNet18"
        assert told == (
            "Note: The file is b0.h5, to be had from there; put it here. Training "
            "begins from nothing, with resnet18.\n"
        )


def test_a_network_that_is_asked_for_must_be_had(photos, tmp_path, monkeypatch):
    def application(name, *arguments, **options):
        raise backbones.MissingWeights(
            f"The weights of {name}.", file="", address="", folder=""
        )

    module = importlib.import_module("semppl_keras.backbones.pretrained")
    monkeypatch.setattr(module, "application", application)
    with pytest.raises(runs.RunError, match="The weights of EfficientNetB0"):
        runs.train(
            unlabelled=photos / "many",
            labelled=photos / "few",
            backbone="keras:EfficientNetB0",
            image_size=16,
            out=tmp_path / "run",
        )
    assert not (tmp_path / "run").exists()
    with pytest.raises(runs.RunError, match="Near it: keras:EfficientNetB"):
        runs.train(
            unlabelled=photos / "many",
            labelled=photos / "few",
            backbone="keras:EfficientNetB9",
        )


def test_another_machine_fetches_nothing_for_a_stranger(photos, tmp_path):
    settings, data = new_settings(_options(photos, backbone="hub:dinov2_small"))
    sources = {"unlabelled": photos / "many", "labelled": photos / "few"}
    given = TrainOptions.of(**sources)
    assert not sources_are_given(data, given)
    given = TrainOptions.of(**sources, backbone="hub:dinov2_small")
    assert sources_are_given(data, given)
    assert settings["dataset"]["image_size"] == 224


def test_views_of_a_network(photos, tmp_path):
    out = runs.views(
        photos / "many",
        backbone="keras:ResNet50",
        image_size=24,
        images=1,
        draws=1,
        out=tmp_path / "views.png",
        verbose=0,
    )
    assert out.exists()
