"""Models that were saved on another backend: their optimiser is that of this one."""

import json
import zipfile

import keras
import pytest
from toys import one_everywhere, toy_backbone, toy_images, toy_views

from semppl_keras import FineTuner
from semppl_keras.networks import ImageClassifier

IMAGES, LABELS = toy_images(12)
EAGERLY = keras.backend.backend() != "jax"


def config_in(path):
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("config.json"))


def as_torch_saved_it(path, target):
    """The same file with the module that Keras names on torch."""
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(target, "w") as written:
        for name in archive.namelist():
            content = archive.read(name)
            if name == "config.json":
                config = json.loads(content)
                optimizer = config["compile_config"]["optimizer"]
                while "inner_optimizer" in optimizer["config"]:
                    optimizer = optimizer["config"]["inner_optimizer"]
                optimizer["module"] = "keras.src.backend.torch.optimizers.torch_adam"
                optimizer["registered_name"] = "Adam"
                content = json.dumps(config)
            written.writestr(name, content)


@one_everywhere("scaled", [False, True])
def test_a_model_that_torch_has_saved_goes_on(scaled, tmp_path):
    tuner = FineTuner(toy_backbone(), 3, views=toy_views(), seed=0)
    optimizer = keras.optimizers.Adam(1e-2)
    if scaled:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    tuner.compile(optimizer, run_eagerly=EAGERLY)
    optimizer.iterations.assign(7)
    tuner.save(tmp_path / "saved.keras")
    assert "keras.src.backend" not in json.dumps(config_in(tmp_path / "saved.keras"))
    as_torch_saved_it(tmp_path / "saved.keras", tmp_path / "torch.keras")
    again = keras.models.load_model(tmp_path / "torch.keras")
    inner = getattr(again.optimizer, "inner_optimizer", again.optimizer)
    assert type(inner) is type(keras.optimizers.Adam())
    assert int(again.optimizer.iterations) == 7
    again.fit(IMAGES, LABELS, verbose=0)
    assert int(again.optimizer.iterations) == 8


@pytest.mark.any_backend
def test_so_does_a_classifier_that_was_trained_by_itself(tmp_path):
    classifier = FineTuner(toy_backbone(), 3, views=toy_views(), seed=0).classifier
    loss = "sparse_categorical_crossentropy"
    classifier.compile("adam", loss, run_eagerly=EAGERLY)
    classifier.fit(IMAGES, LABELS, verbose=0)
    classifier.save(tmp_path / "saved.keras")
    as_torch_saved_it(tmp_path / "saved.keras", tmp_path / "torch.keras")
    again = keras.models.load_model(tmp_path / "torch.keras")
    assert isinstance(again, ImageClassifier)
    again.fit(IMAGES, LABELS, verbose=0)
