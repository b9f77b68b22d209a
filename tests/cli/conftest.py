"""What the tests of several commands begin with."""

import pytest
from short_run import make_training_quick, short_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of one epoch on the digits, with a network for a moment's training."""
    with short_run(tmp_path_factory.mktemp("runs") / "short") as folder:
        yield folder


@pytest.fixture
def quick(monkeypatch):
    """As few steps of fine-tuning and distilling as possible."""
    make_training_quick(monkeypatch)
