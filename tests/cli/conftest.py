"""What the tests of several commands begin with."""

import shutil

import pytest
from short_run import make_training_quick, short_recipes, short_run


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """The folder of one epoch on the digits, with a network for a moment's training."""
    with short_run(tmp_path_factory.mktemp("trained") / "run") as folder:
        return folder


@pytest.fixture(scope="module")
def run(trained, tmp_path_factory):
    """A module's own copy of that folder."""
    folder = tmp_path_factory.mktemp("runs") / "short"
    shutil.copytree(trained, folder)
    with short_recipes():
        yield folder


@pytest.fixture
def quick(monkeypatch):
    """As few steps of fine-tuning and distilling as possible."""
    make_training_quick(monkeypatch)
