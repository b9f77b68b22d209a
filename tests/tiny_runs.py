"""Runs of `semppl train` that take a moment, for the tests of what happens to them."""

import contextlib
import dataclasses
import importlib
import json

import keras
import numpy as np
import pytest
from sketches import sketched_pictures

from semppl_keras import recipes
from semppl_keras.backbones import SmallResNet
from semppl_keras.cli import main
from semppl_keras.evaluation import supervised_accuracy
from semppl_keras.recipes import choice
from semppl_keras.runs import candidates
from semppl_keras.runs import ending as run_ending
from semppl_keras.runs import measures as run_metrics
from semppl_keras.runs import resuming as safe_training


def tiny_recipe(image_size=None, backbone=None, epochs=None, name="own_images"):
    """A recipe of which an epoch takes a moment."""
    assert backbone in (None, "small")
    return dataclasses.replace(
        recipes.small_images(epochs or 4),
        name=name,
        batch_size=12,
        labelled_batch_size=6,
        image_size=image_size,
        backbone=("SmallResNet", {"widths": (4,)}),
        model={
            "views": ("small_images", {"num_large": 1, "large_size": 8}),
            "projection_dim": 4,
            "hidden_dim": 8,
            "memory_size": 12,
        },
        optimizer=("adam", {"learning_rate": 1e-3, "warmup_epochs": 0}),
    )


@contextlib.contextmanager
def tiny_runs(*, pictures=False):
    """A context in which `semppl train` has such recipes and compiles little.

    Args:
        pictures: whether they are drawn, and not sketched.
    """
    make_model = recipes.Recipe.make_model

    def make_uncompiled_model(*arguments, **keywords):
        model = make_model(*arguments, **keywords)
        # XLA would take longer to compile the few steps than they take.
        model.compile(model.optimizer, jit_compile=keras.backend.backend() == "jax")
        return model

    def train_network_for_a_moment(*arguments, make_backbone, **keywords):
        shape = (None, None, arguments[0].shape[-1])
        return supervised_accuracy(
            *arguments,
            **keywords,
            make_backbone=lambda: SmallResNet((4,), input_shape=shape),
            steps=2,
        )

    drawing = contextlib.nullcontext() if pictures else sketched_pictures()
    with drawing, pytest.MonkeyPatch.context() as patch:
        for module in (recipes, choice):
            patch.setattr(
                module, "get", lambda name, epochs=None: tiny_recipe(None, None, epochs)
            )
            patch.setattr(module, "own_images", tiny_recipe)
        patch.setattr(recipes.Recipe, "make_model", make_uncompiled_model)
        # A further training, which tests/runs/test_ending.py is for.
        patch.setattr(run_ending, "ending_of", lambda labels, size, *, pretrained: None)
        patch.setattr(run_metrics, "supervised_accuracy", train_network_for_a_moment)
        make_measuring_quick(patch)
        patch.setattr(safe_training, "SECONDS_BETWEEN_CHECKPOINTS", 0)
        yield


def make_measuring_quick(patch):
    """Has each classifier of a run fitted as few times as possible.

    Args:
        patch: `pytest.MonkeyPatch`.
    """
    patch.setattr(candidates, "REPEATS", 1)
    # Two penalties of seven, of which those that are left out take longest;
    # tests/evaluation is for how one is chosen.
    module = importlib.import_module("semppl_keras.evaluation.linear_probe")
    patch.setattr(module, "CANDIDATES", [0.01, 1.0])


def exit_status(arguments):
    """With which status the command line ends, wherever it finds what is wrong."""
    try:
        return main(arguments)
    except SystemExit as ended:
        return ended.code


def write_archive(path):
    """Writes 36 images of 3 classes to train on, and 12 to test.

    Args:
        path: of the npz file.

    Returns:
        Options of `semppl train`.
    """
    generator = np.random.default_rng(0)
    labels = np.tile(np.arange(3), 16)
    images = 80 * labels[:, None, None] + generator.uniform(0, 90, (48, 8, 8))
    np.savez(
        path,
        x_train=images[:36],
        y_train=labels[:36],
        x_test=images[36:],
        y_test=labels[36:],
    )
    return ("--dataset", f"npz:{path}", "--labels-per-class", "2")


def interrupting(epoch):
    """A class of callbacks: Ctrl-C, twice, after a batch of an epoch."""

    class Interrupting(keras.callbacks.Callback):
        def __init__(self, *arguments, **keywords):
            super().__init__()

        def on_epoch_begin(self, number, logs=None):
            self._epoch = number

        def on_train_batch_end(self, batch, logs=None):
            if self._epoch == epoch:
                raise KeyboardInterrupt

    return Interrupting


def assert_same_results(one, two):
    """Two run folders hold the same model, history and measures, bit for bit."""
    histories = [json.loads((f / "history.json").read_text()) for f in (one, two)]
    assert histories[0] == histories[1]
    metrics = [json.loads((f / "metrics.json").read_text()) for f in (one, two)]
    for measured in metrics:
        # Where the images come from may be said in another way.
        for name in ("read_seconds", "train_seconds", "seconds", "dataset"):
            del measured[name]
    assert metrics[0] == metrics[1]
    first, second = (keras.models.load_model(f / "model.keras") for f in (one, two))
    pairs = [
        *zip(first.variables, second.variables, strict=True),
        *zip(first.optimizer.variables, second.optimizer.variables, strict=True),
    ]
    for variable, other in pairs:
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(variable),
            keras.ops.convert_to_numpy(other),
            err_msg=variable.path,
        )
