"""The suite runs once per backend: `KERAS_BACKEND=jax pytest`."""

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# As the package sets it, and the processes that tests start will find it: before
# TensorFlow loads.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

# Keras' own suite found that torch has to be loaded before the others.
if os.environ["KERAS_BACKEND"] == "torch":
    import torch  # noqa: F401

import keras
import pytest


def pytest_addoption(parser):
    parser.addoption(
        "--runslow", action="store_true", help="run the tests that take minutes"
    )


def pytest_collection_modifyitems(config, items):
    """Leaves the slow tests out of a default run (deselected, not skipped)."""
    if config.getoption("--runslow"):
        return
    slow = [item for item in items if "slow" in item.keywords]
    config.hook.pytest_deselected(items=slow)
    items[:] = [item for item in items if "slow" not in item.keywords]


@pytest.fixture(autouse=True)
def seeded():
    """Every test starts from the same random state and an empty Keras session."""
    # Collecting garbage after each of many hundred tests would cost minutes.
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(0)
