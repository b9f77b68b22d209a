"""`semppl_keras.runs`: the commands from Python, with their defaults and checks."""

import inspect
import json
import pathlib

import keras
import numpy as np
import pytest
from short_run import make_training_quick, short_run, write_own_images

import semppl_keras
from semppl_keras import cli, runs

pytestmark = pytest.mark.any_backend

COMMANDS = {
    "train": {},
    "label": {"run": "RUN", "source": "DIR"},
    "views": {"source": "DIR"},
    "report": {"run": "RUN"},
    "evaluate": {"runs": ["RUN", "-2"]},
    "finetune": {"run": "RUN"},
    "distil": {"run": "RUN"},
    "export": {"run": "RUN", "format": "onnx"},
}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    write_own_images(folder)
    return folder


@pytest.fixture(scope="module")
def run(photos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "short"
    sources = ("--unlabelled", photos / "many", "--labelled", photos / "few")
    with short_run(folder, *map(str, sources), "--test", str(photos / "few")):
        yield folder


@pytest.fixture
def received(monkeypatch):
    """The namespaces that commands are run with, none of which does anything."""
    namespaces = []
    for command in COMMANDS:
        monkeypatch.setattr(cli.load_command(command), "run", namespaces.append)
    return namespaces


def _metrics(folder):
    return json.loads((folder / "metrics.json").read_text())


def test_a_run_is_trained_and_gone_on_with(run, photos, tmp_path):
    out = tmp_path / "run"
    metrics = semppl_keras.runs.train(
        unlabelled=photos / "many",
        labelled=str(photos / "few"),
        test=photos / "few",
        epochs=1,
        out=out,
    )
    assert metrics == _metrics(out)
    without = [
        {**m, "train_seconds": 0, "read_seconds": 0} for m in (metrics, _metrics(run))
    ]
    assert without[0] == without[1]
    assert runs.train(resume=out) == metrics
    assert runs.train(resume=True, out=out) == metrics


def test_labels_are_those_of_the_command(run, photos, tmp_path):
    out = tmp_path / "labels.csv"
    labels = runs.label(run, photos / "many", out=out, review=3, min_confidence=0.5)
    assert labels.probabilities.shape == (40, 2)
    assert [pathlib.Path(entry.name).name for entry in labels.skipped] == ["broken.png"]
    assert (tmp_path / "labels.review.html").is_file()
    table = out.read_bytes()
    options = ("--out", str(out), "--min-confidence", "0.5", "--overwrite")
    assert cli.main(["label", str(run), str(photos / "many"), *options]) == 0
    assert out.read_bytes() == table


def test_page_picture_and_model_are_written(run, photos, tmp_path):
    page = runs.report(run)
    assert page == run / "report.html"
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    picture = runs.views(
        photos / "many", out=tmp_path / "v.png", views="small_images", images=2, draws=1
    )
    assert picture.read_bytes().startswith(b"\x89PNG")
    model = keras.models.load_model(runs.export(run, format="keras"))
    assert list(model.class_names) == ["bright", "dark"]


@pytest.mark.slow
def test_a_run_is_evaluated_and_becomes_classifiers(run, tmp_path, monkeypatch):
    make_training_quick(monkeypatch)
    (evaluation,) = runs.evaluate([run], out=tmp_path)
    assert json.loads((tmp_path / "evaluation.json").read_text()) == evaluation
    for classify in (runs.finetune, runs.distil):
        out = tmp_path / classify.__name__
        settings = classify(run, epochs=1, out=out)
        assert settings == json.loads((out / "classifier.json").read_text())


@pytest.mark.parametrize("command", COMMANDS)
def test_defaults_are_those_of_the_command_line(command, received):
    call, given = getattr(runs, command), COMMANDS[command]
    call(**given)
    # One that looks like an option comes after what ends them.
    words = {"run": ["RUN"], "source": ["DIR"], "runs": ["--", "RUN", "-2"]}
    options = ["--format", "onnx"] if "format" in given else []
    words = [word for name in given for word in words.get(name, ())]
    expected = vars(cli.parser().parse_args([command, *options, *words]))
    assert expected.pop("command") == command
    assert vars(received[0]) == expected
    # Every option can be given, and those in the signature are options.
    explicit = {
        name: parameter.default
        for name, parameter in inspect.signature(call).parameters.items()
        if name != "options"
    }
    assert set(explicit) <= set(expected)
    for name, default in explicit.items():
        assert default in (None, False, inspect.Parameter.empty), name
    call(**given, **{name: None for name in expected if name not in given})
    assert vars(received[1]) == expected


def test_values_pass_the_command_line(received):
    runs.train(epochs=np.int64(3), learning_rate=1e-5, max_skipped="5%", resume=False)
    runs.train(unlabelled=pathlib.Path("a b=c"), labelled="-x", resume="run")
    runs.evaluate(
        "RUN",
        robustness=True,
        severities=(5, 1),
        corruptions=["fog"],
        data="tfds:mnist",
    )
    runs.label("-1", "déep\udcff", move_into="sorted", move=True)
    first, second, evaluate, label = received
    assert (first.epochs, first.learning_rate, first.max_skipped) == (3, 1e-5, 0.05)
    assert first.resume is None
    assert (second.unlabelled, second.labelled) == ("a b=c", "-x")
    assert second.resume == "run"
    assert (evaluate.severities, evaluate.corruptions) == ([1, 5], ["fog"])
    assert evaluate.robustness is True
    assert (label.run, label.source, label.move) == ("-1", "déep\udcff", True)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: runs.train(epoch=3), "`train` must be among .*epochs.* Received: epo"),
        (lambda: runs.label("RUN", "DIR", help=True), "Received: help"),
        (lambda: runs.label("RUN"), "source"),
        (lambda: runs.export("RUN"), "format"),
        (lambda: runs.label("RUN", "DIR", move="yes"), "`move` must be True or False"),
        (lambda: runs.train(out=3), "`out` must be text or a path. Received: 3"),
        (lambda: runs.report(None), "`run` must be text or a path. Received: None"),
        (lambda: runs.evaluate([3]), "`runs` must be text or a path"),
    ],
)
def test_wrong_keywords_are_named(call, message, received):
    with pytest.raises(TypeError, match=message):
        call()
    assert not received


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: runs.label("RUN", "a\0b"), "`source` must have no zero byte"),
        (lambda: runs.train(epochs=0), "--epochs: must be an integer of at least 1"),
        (lambda: runs.train(epochs=2.5), "received '2.5'"),
        (lambda: runs.label("RUN", "DIR", review=True), "received 'True'"),
        (lambda: runs.label("RUN", "DIR", min_confidence=2), "from 0% to 100%"),
        (lambda: runs.export("RUN", format="pdf"), "invalid choice: 'pdf'"),
        (lambda: runs.evaluate("RUN", severities=[6]), "integers from 1 to 5"),
        (lambda: runs.evaluate([]), "required: RUN"),
    ],
)
def test_wrong_values_are_told_as_on_the_command_line(call, message, received):
    with pytest.raises(ValueError, match=message):
        call()
    assert not received


def test_what_cannot_be_done_is_a_value_error(run, photos, tmp_path, capsys):
    with pytest.raises(ValueError, match="a folder that semppl train has written"):
        runs.report(tmp_path)
    (tmp_path / "there.csv").write_text("mine")
    with pytest.raises(ValueError, match="there.csv exists already"):
        runs.label(run, photos / "many", out=tmp_path / "there.csv")
    with pytest.raises(ValueError, match="without --labelled"):
        runs.train(unlabelled=photos / "many")
    assert (tmp_path / "there.csv").read_text() == "mine"
    assert not capsys.readouterr().err
