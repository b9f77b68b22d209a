"""Of which runs a mean is taken."""

import pathlib
from types import SimpleNamespace

import numpy as np
import pytest

from semppl_keras.data import NamedDataset, OwnDataset
from semppl_keras.runs import RunError
from semppl_keras.runs.alike_runs import check_alike
from semppl_keras.runs.options.evaluate import EvaluateOptions
from semppl_keras.runs.run_images import LabelledImages

pytestmark = pytest.mark.any_backend

IMAGES = np.arange(3 * 4, dtype="uint8").reshape(3, 2, 2, 1)


def _run(name, *, dataset=None, rows=(0, 1, 2), packed=False, **settings):
    """What is asked of a `FinishedRun` in whose folder the tables of its images are."""
    own = OwnDataset(f"/{name}/many.csv", f"/{name}/few.csv", f"/{name}/test.csv")
    rows = list(rows)
    return SimpleNamespace(
        named=pathlib.Path(name),
        packed=packed,
        dataset=dataset or own,
        class_names=("a", "b"),
        test=LabelledImages(IMAGES[rows], np.array(rows) % 2, [f"{r}" for r in rows]),
        settings={
            "labels_per_class": "all",
            "epochs": 2,
            "seed": 0,
            "labels": {"digest": name, "counts": {"a": 2, "b": 3}},
            "images_digest": "d",
            **settings,
        },
    )


def _check(*runs, **options):
    check_alike(runs, EvaluateOptions.of(runs=[str(run.named) for run in runs]))


def test_the_same_test_images_may_be_called_in_two_ways(capsys):
    _check(_run("one"))
    _check(_run("one"), _run("two"), _run("three", rows=(2, 0, 1)))
    assert capsys.readouterr().out == ""
    more = {"digest": "x", "counts": {"a": 6}}
    _check(_run("one"), _run("two", labels=more, seed=1))
    told = capsys.readouterr().out
    assert "with more labels and with fewer: 5 labels in one, 6 labels in two." in told


def test_what_is_not_alike_is_told():
    other = _run("two", rows=(0, 1))
    with pytest.raises(RunError, match="test on, 3 of /one/test.csv in 'one' and 2 of"):
        _check(_run("one"), other)
    # With images of its own for both it makes no difference.
    options = EvaluateOptions.of(runs=["one", "two"], test="held_out")
    check_alike([_run("one"), other], options)
    for packed in (False, True):
        other = _run("two", rows=(0, 1), packed=packed, dataset=_run("one").dataset)
        if not packed:
            # What lies in one place is not read twice.
            _check(_run("one"), other)
            continue
        with pytest.raises(RunError, match="images to test on"):
            _check(_run("one"), other)
    other = _run("two")
    other.class_names = ("a", "c")
    with pytest.raises(RunError, match="classes a, b in 'one' and a, c in 'two'"):
        _check(_run("one"), other)
    with pytest.raises(RunError, match="epochs 2 in 'one' and 3 in 'two'"):
        _check(_run("one"), _run("two", epochs=3))
    _check(_run("one", minutes=2), _run("two", minutes=2, epochs=3))
    for name, value in (
        ("learning_rate", 0.1),
        ("batch_size", 64),
        ("recipe", "imagenet"),
        ("labelled_share", 0.1),
        ("strangers", True),
        ("balance", "classes"),
    ):
        told = f"{name} None in 'one' and {value} in 'two'"
        with pytest.raises(RunError, match=told):
            _check(_run("one"), _run("two", **{name: value}))
        alike = {name: value}
        _check(_run("one", **alike), _run("two", **alike))
    _check(_run("one"), _run("two", strangers=False, balance="labels"))
    resized = OwnDataset("/two/many.csv", "/two/few.csv", image_size=64)
    with pytest.raises(RunError, match="image_size None in 'one' and 64 in 'two'"):
        _check(_run("one"), _run("two", dataset=resized))
    same = {"digest": "one", "counts": {}}
    with pytest.raises(RunError, match="different seeds, or different labels"):
        _check(_run("one"), _run("two", labels=same))
    _check(_run("one"), _run("two", labels=same, seed=1))
    for name in ("digits", "npz:a.npz"):
        named = _run("two", dataset=NamedDataset(name), seed=1)
        named.settings["dataset"] = name
        one = _run("one", dataset=NamedDataset("digits"))
        one.settings["dataset"] = "digits"
        if name == "digits":
            _check(one, named)
        else:
            with pytest.raises(RunError, match="dataset digits in 'one' and npz"):
                _check(one, named)
