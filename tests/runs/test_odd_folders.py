"""Generated folders of every disorder through `semppl train`: an error or a result."""

import dataclasses
import hashlib
import json
import os

import numpy as np
import pytest
from odd_folders import OddFolder
from tiny_runs import tiny_recipe

from semppl_keras import recipes
from semppl_keras.cli import main
from semppl_keras.evaluation import supervised_accuracy
from semppl_keras.runs import measures as run_metrics

pytestmark = pytest.mark.any_backend


@pytest.fixture
def quick(monkeypatch):
    """Steps that are not compiled, and no picture, which takes longer than they do."""
    make_model = recipes.Recipe.make_model

    def make_eager_model(*arguments, **keywords):
        model = make_model(*arguments, **keywords)
        # Compiling a step takes longer than the few that are made.
        model.compile(model.optimizer, run_eagerly=True, jit_compile=False)
        return model

    monkeypatch.setattr(recipes, "own_images", tiny_recipe)
    monkeypatch.setattr(recipes.Recipe, "make_model", make_eager_model)
    monkeypatch.setattr(run_metrics, "supervised_accuracy", _without_network)


def _without_network(*arguments, make_backbone, **keywords):
    measured = supervised_accuracy(*arguments, **keywords)
    return dataclasses.replace(measured, network=0.0)


def _snapshot(folder):
    """What is in a folder; the content of what can be read without waiting for it."""
    found = {}
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = os.path.join(parent, name)
            status = os.lstat(path)
            content = None
            if os.path.isfile(path) and not os.path.islink(path):
                with open(path, "rb") as file:
                    content = hashlib.sha256(file.read()).hexdigest()
            found[path] = (status.st_mode, status.st_mtime_ns, content)
    return found


def _train(folder, seed, capsys):
    """The exit status of a run on the odd folder of a seed, after what must be so."""
    data = folder / "data"
    data.mkdir()
    odd = OddFolder(data, seed)
    before = _snapshot(data)
    out = folder / "run"
    status = main(["train", *odd.options, "--epochs", "1", "--out", str(out)])
    told = capsys.readouterr()
    assert _snapshot(data) == before, seed
    if status == 0:
        assert told.err == "", (seed, told.err)
        metrics = json.loads((out / "metrics.json").read_text())
        skipped = out / "skipped.tsv"
        assert (metrics["num_skipped"] > 0) == skipped.exists(), seed
        for name in ("linear_accuracy", "knn_accuracy"):
            assert metrics["num_test"] == 0 or np.isfinite(metrics[name]), seed
    else:
        assert status == 2, seed
        assert told.err.startswith("semppl train: error: "), (seed, told.err)
        assert told.err.count("\n") == 1, (seed, told.err)
        assert not (out / "metrics.json").exists(), seed
    return status


def _check_seeds(seeds, tmp_path, capsys):
    statuses = []
    for seed in seeds:
        folder = tmp_path / str(seed)
        folder.mkdir()
        statuses.append(_train(folder, seed, capsys))
    return statuses


@pytest.mark.parametrize("seed", [0, 2, 4, 6, 8, 10])
def test_odd_folders_that_cannot_be_trained_on(quick, seed, tmp_path, capsys):
    assert _check_seeds([seed], tmp_path, capsys) == [2]


@pytest.mark.slow
@pytest.mark.parametrize("block", range(10))
def test_odd_folders(quick, block, tmp_path, capsys):
    statuses = _check_seeds(range(20 * block, 20 * block + 20), tmp_path, capsys)
    # Neither of the two is rare.
    assert statuses.count(0) >= 4
    assert statuses.count(2) >= 1
