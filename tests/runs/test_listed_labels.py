"""`semppl train --recipe imagenet --dataset tfds:NAME --labelled-list FILE`."""

import json

import pytest
from tiny_imagenet import WORDNET_IDS, store_tiny_imagenet
from tiny_runs import tiny_runs

from semppl_keras import recipes, runs
from semppl_keras.data import OwnDataset
from semppl_keras.recipes.defaults import RECIPE_NAMES
from semppl_keras.recipes.imagenet import of_share
from semppl_keras.runs.folder import read_settings, recipe_of
from semppl_keras.runs.listed_labels import with_listed
from semppl_keras.runs.options.train import TrainOptions
from semppl_keras.runs.run_place import run_folder

pytestmark = pytest.mark.any_backend


# Importing TensorFlow Datasets and its protocol buffers warns of what is to come.
@pytest.mark.filterwarnings("default")
def test_the_papers_run_on_a_stand_in(tmp_path, monkeypatch, capsys):
    tfds = pytest.importorskip("tensorflow_datasets")
    pytest.importorskip("tensorflow")
    names = store_tiny_imagenet(tmp_path)
    builder = tfds.builder
    monkeypatch.setattr(
        tfds, "builder", lambda name, **_: builder(name, data_dir=tmp_path)
    )
    (tmp_path / "10percent.txt").write_text("\n".join(names[:6]), encoding="utf-8")
    asked = {
        "recipe": "imagenet",
        "dataset": "tfds:imagenet2012",
        "labelled_list": tmp_path / "10percent.txt",
        "image_size": 16,
        "cache": "none",
    }
    out = tmp_path / "run"
    with tiny_runs():
        trained = runs.train(**asked, epochs=1, out=out)
        settings = read_settings(out)
        recipe = recipe_of(settings)
        # The run is finished, and begun with what is asked for again.
        runs.train(**asked, resume=out)
    assert (trained["num_labelled"], trained["num_unlabelled"]) == (6, 54)
    assert trained["num_test"] == 9
    assert settings["class_names"] == list(WORDNET_IDS)
    # Labelled images are as large a part of the batch as of the set.
    assert settings["labelled_share"] == pytest.approx(0.1)
    assert (recipe.batch_size, recipe.labelled_batch_size) == (16, 2)
    assert settings["dataset"]["fit"] == "crop"
    printed = capsys.readouterr().out
    assert "54 unlabelled and 6 labelled images of 3 classes, 9 to test on" in printed
    assert "nothing to resume" in printed
    # What it is asked for later finds them, too.
    with tiny_runs():
        (measured,) = runs.evaluate(str(out))
    assert json.loads(json.dumps(measured))["num_test"] == 9


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "--labelled-list .*--dataset"),
        ({"dataset": "digits"}, "--dataset tfds:NAME. Received: it with --dataset"),
        ({"dataset": "npz:a.npz"}, "Write a table of path,label for --labelled"),
        ({"dataset": "tfds:x", "labelled": "few"}, "and --labelled"),
    ],
)
def test_a_list_is_of_a_data_set_of_tensorflow_datasets(options, told):
    options = TrainOptions.of(labelled_list="list.txt", **options)
    with pytest.raises(runs.RunError, match=told):
        with_listed(options)


def test_a_list_and_a_number_contradict_each_other():
    with pytest.raises(runs.RunError, match="--labels-per-class"):
        TrainOptions.of(dataset="tfds:x", labelled_list="list.txt", labels_per_class=3)
    with pytest.raises(runs.RunError, match="--recipe.*--backbone"):
        TrainOptions.of(recipe="imagenet", backbone="small")


def test_the_folder_of_a_run_with_a_list_is_called_by_the_data_set():
    options = TrainOptions.of(dataset="tfds:imagenet2012", labelled_list="list.txt")
    assert run_folder(options).name == "imagenet2012_own_labels_seed_0"


def test_the_names_of_recipes_are_known_without_loading_them():
    assert tuple(recipes.RECIPES) == RECIPE_NAMES


def test_batches_of_a_recipe_have_the_share_of_the_images():
    paper = recipes.imagenet()
    one = of_share(paper, 0.01)
    assert (one.batch_size, one.labelled_batch_size) == (4055, 41)
    assert one.optimizer == paper.optimizer
    assert one.model == paper.model
    small = of_share(paper, 0.1, batch_size=230)
    assert (small.batch_size, small.labelled_batch_size) == (230, 26)
    # In proportion to the batch, labelled images and all.
    assert small.optimizer[1]["learning_rate"] == pytest.approx(0.3)
    assert small.model["memory_size"] == 20 * 256
    assert of_share(paper, None) == paper


def test_a_recipe_stands_in_the_place_of_that_of_the_images():
    own = OwnDataset("many", "few", image_size=224, fit="crop")
    found = recipes.for_dataset(own, recipe="imagenet", labelled_share=0.1, epochs=3)
    assert (found.name, found.epochs, found.image_size) == ("imagenet", 3, 224)
    assert found.backbone == ("ResNet50", {})
    digits = recipes.for_dataset(own, recipe="digits", batch_size=8)
    assert (digits.name, digits.batch_size) == ("digits", 8)
