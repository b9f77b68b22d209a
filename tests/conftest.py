"""The suite runs once per backend: `KERAS_BACKEND=jax pytest`."""

import gc
import os
import sys
import tempfile

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# As the package sets it, and the processes that tests start will find it: before
# TensorFlow loads.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
if "--runslow" not in sys.argv:
    # JAX takes longer to compile a toy's step well than to run it a few times.
    os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")

# Keras' own suite found that torch has to be loaded before the others.
if os.environ["KERAS_BACKEND"] == "torch":
    import torch  # noqa: F401

import keras
import pytest
from sketches import sketched_pictures

if os.environ["KERAS_BACKEND"] == "tensorflow" and "--runslow" not in sys.argv:
    import tensorflow as tf

    # So does TensorFlow to improve its graph.
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})

# What is imported stays: no collection of garbage need look through it again. And what
# is traced is thousands of objects that stay for a while: to look through them after
# each 700, as Python does, takes a fifteenth of the time of all tests.
gc.freeze()
gc.set_threshold(10_000)

# The key by which runs are known as one's own is not that of whoever runs the tests.
_HOME = tempfile.TemporaryDirectory()
os.environ["SEMPPL_HOME"] = _HOME.name


def pytest_addoption(parser):
    parser.addoption(
        "--runslow", action="store_true", help="run the tests that take minutes"
    )
    parser.addoption(
        "--backend-dependent",
        action="store_true",
        help="leave out what is the same on every backend: files, tables, pages",
    )


def pytest_collection_modifyitems(config, items):
    """Leaves out what is not asked for (deselected, not skipped)."""
    unwanted = set()
    if not config.getoption("--runslow"):
        unwanted.add("slow")
    if config.getoption("--backend-dependent"):
        unwanted.add("any_backend")
    left_out = [item for item in items if unwanted & item.keywords.keys()]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if not unwanted & item.keywords.keys()]


def pytest_collection_finish():
    """The tests and what they import stay, too."""
    gc.freeze()


@pytest.fixture(autouse=True)
def seeded():
    """Every test starts from the same random state and an empty Keras session."""
    # Collecting garbage after each of many hundred tests would cost minutes.
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(0)


@pytest.fixture
def sketched():
    """Pictures that nobody looks at are not drawn."""
    with sketched_pictures():
        yield
