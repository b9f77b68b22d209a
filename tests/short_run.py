"""A finished run that took a moment, for the commands that work on one."""

import contextlib
import dataclasses
import io
import json

import keras
import numpy as np
import pytest
from sketches import sketched_pictures

import semppl_keras
from semppl_keras import recipes
from semppl_keras.cli import main
from semppl_keras.distillation import Distiller, FineTuner
from semppl_keras.evaluation import supervised_accuracy
from semppl_keras.recipes import choice
from semppl_keras.recipes import classifiers as classifier_recipes
from semppl_keras.runs import candidates
from semppl_keras.runs import ending as run_ending
from semppl_keras.runs import measures as run_metrics
from semppl_keras.runs.safety.own_runs import signed


@contextlib.contextmanager
def short_run(folder, *options, num_small=0):
    """Trains one epoch with a network for a moment's training.

    Within the context recipes are as short, so that other commands find the images of
    the run in its size.

    Args:
        folder: what to write.
        *options: of `semppl train`.
        num_small: small views beside the large one.
    """
    with short_recipes(num_small):
        with contextlib.redirect_stdout(io.StringIO()), sketched_pictures():
            assert main(["train", "--epochs", "1", "--out", str(folder), *options]) == 0
        yield folder


@contextlib.contextmanager
def short_recipes(num_small=0):
    """A context in which recipes are as short as that of `short_run`.

    Args:
        num_small: small views beside the large one.
    """

    def get(name, epochs=None):
        return dataclasses.replace(
            recipes.RECIPES[name](),
            epochs=epochs,
            batch_size=128,
            image_size=8,
            backbone=("SmallResNet", {"widths": (8,), "stem_strides": 2}),
            model={
                "views": semppl_keras.views.MultiCrop(1, num_small, 8, 6),
                "projection_dim": 8,
                "hidden_dim": 16,
                "memory_size": 128,
            },
            optimizer=("adam", {"learning_rate": 3e-3, "warmup_epochs": 0}),
        )

    def own_images(image_size, backbone=None, epochs=None):
        views = semppl_keras.views.MultiCrop(1, num_small, image_size, 6)
        recipe = get("small_images", epochs)
        return dataclasses.replace(
            recipe, image_size=image_size, model={**recipe.model, "views": views}
        )

    make_model = recipes.Recipe.make_model

    def make_uncompiled_model(*arguments, **keywords):
        model = make_model(*arguments, **keywords)
        # XLA would take longer to compile the few steps than they take.
        model.compile(model.optimizer, jit_compile=keras.backend.backend() == "jax")
        return model

    def measure_regression_alone(*arguments, make_backbone, **keywords):
        measured = supervised_accuracy(*arguments, **keywords)
        # In place of the network that would have to be trained.
        return dataclasses.replace(measured, network=measured.logistic_regression)

    with pytest.MonkeyPatch.context() as patch:
        for module in (recipes, choice):
            patch.setattr(module, "get", get)
            patch.setattr(module, "own_images", own_images)
        patch.setattr(recipes.Recipe, "make_model", make_uncompiled_model)
        # A further training, which tests/runs/test_ending.py is for.
        patch.setattr(run_ending, "ending_of", lambda labels, size, *, pretrained: None)
        # The views are no part of what is tested, and no plain container.
        patch.setattr(recipes.Recipe, "to_dict", lambda self: {"name": self.name})
        patch.setattr(run_metrics, "supervised_accuracy", measure_regression_alone)
        # Each classifier would be fitted three times as often.
        patch.setattr(candidates, "REPEATS", 1)
        yield


def move_sources(folder, **sources):
    """Makes a run of a person's own images one of others, as if trained with them.

    Args:
        folder: of the run.
        **sources: what is `unlabelled`, `labelled` or `test` from then on.
    """
    path = folder / "run.json"
    settings = json.loads(path.read_text())
    settings["dataset"].update(sources)
    path.write_text(json.dumps(signed(settings)))


def make_training_quick(patch):
    """As few steps of fine-tuning, self-training and distillation as possible.

    Args:
        patch: `pytest.MonkeyPatch`.
    """

    def uncompiled(compile_fully):
        def compile(self, *arguments, **options):
            options.setdefault("jit_compile", keras.backend.backend() == "jax")
            compile_fully(self, *arguments, **options)

        return compile

    for trainer in (FineTuner, Distiller):
        patch.setattr(trainer, "compile", uncompiled(trainer.compile))
    for name in ("FINE_TUNING", "SELF_TRAINING", "DISTILLATION"):
        recipe = getattr(classifier_recipes, name)
        short = dataclasses.replace(recipe, steps=2, least_epochs=1)
        patch.setattr(classifier_recipes, name, short)


def write_own_images(folder, labels=3):
    """Writes image files: `few/CLASS`, `many`, and in the latter one that is empty.

    Args:
        folder: where to.
        labels: how many of each of the classes "bright" and "dark".

    Returns:
        Options of `semppl train`.
    """
    from PIL import Image

    generator = np.random.default_rng(0)
    for name, brightness in (("bright", 170), ("dark", 40)):
        (folder / "few" / name).mkdir(parents=True)
        (folder / "many").mkdir(exist_ok=True)
        for index in range(labels + 20):
            pixels = brightness + generator.integers(0, 60, (9, 12, 3))
            place = f"few/{name}/{index}" if index < labels else f"many/{name}_{index}"
            Image.fromarray(pixels.astype("uint8")).save(folder / f"{place}.png")
    (folder / "many" / "broken.png").write_bytes(b"")
    return ("--unlabelled", str(folder / "many"), "--labelled", str(folder / "few"))
