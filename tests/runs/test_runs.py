"""`semppl_keras.runs`: what the commands do, from Python, with the same checks."""

import dataclasses
import inspect
import json
import pathlib
import pickle

import keras
import numpy as np
import pytest
from short_run import make_training_quick, short_run, write_own_images

import semppl_keras
from semppl_keras import cli, runs
from semppl_keras.evaluation.classifier_titles import TITLES
from semppl_keras.losses.classification import distillation_loss
from semppl_keras.recipes.classifiers import DISTILLATION
from semppl_keras.runs.options import export as export_options
from semppl_keras.runs.options import views as views_options
from semppl_keras.runs.options.classifier import DistillationOptions, FineTuningOptions
from semppl_keras.runs.options.evaluate import EvaluateOptions
from semppl_keras.runs.options.export import ExportOptions
from semppl_keras.runs.options.importing import ImportOptions
from semppl_keras.runs.options.label import LabelOptions
from semppl_keras.runs.options.pack import PackOptions
from semppl_keras.runs.options.report import ReportOptions
from semppl_keras.runs.options.train import TrainOptions
from semppl_keras.runs.options.views import ViewsOptions

pytestmark = pytest.mark.any_backend

# With what they need.
COMMANDS = {
    "train": [],
    "label": ["RUN", "DIR"],
    "views": ["DIR"],
    "report": ["RUN"],
    "evaluate": ["RUN"],
    "finetune": ["RUN"],
    "distil": ["RUN"],
    "export": ["RUN", "--format", "onnx"],
    "pack": ["RUN", "FILE.zip"],
    "import": ["CHECKPOINT"],
}
OPTIONS = {
    "train": TrainOptions,
    "label": LabelOptions,
    "views": ViewsOptions,
    "report": ReportOptions,
    "evaluate": EvaluateOptions,
    "finetune": FineTuningOptions,
    "distil": DistillationOptions,
    "export": ExportOptions,
    "pack": PackOptions,
    "import": ImportOptions,
}


def _function(command):
    # A keyword can be no name.
    return getattr(runs, {"import": "import_checkpoint"}.get(command, command))


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
        {**m, "train_seconds": 0, "read_seconds": 0, "seconds": 0}
        for m in (metrics, _metrics(run))
    ]
    assert without[0] == without[1]
    assert runs.train(resume=out) == metrics
    assert runs.train(resume=True, out=out) == metrics


def test_labels_are_those_of_the_command(run, photos, tmp_path):
    out = tmp_path / "labels.csv"
    labels = runs.label(run, photos / "many", out=out, review=3, min_confidence=0.5)
    assert labels.probabilities.shape == (40, 2)
    assert [pathlib.Path(entry.name).name for entry in labels.skipped] == ["broken.png"]
    page = (tmp_path / "labels.review.html").read_text(encoding="utf-8")
    assert len(labels.review) == 3
    assert all(pathlib.Path(labels.names[row]).name in page for row in labels.review)
    table = out.read_bytes()
    options = ("--out", str(out), "--min-confidence", "0.5", "--overwrite")
    assert cli.main(["label", str(run), str(photos / "many"), *options]) == 0
    assert out.read_bytes() == table


def test_labels_print_short(run, photos, tmp_path, capsys):
    out = tmp_path / "labels.csv"
    labels = runs.label(
        run, photos / "many", out=out, min_confidence=0.9, trust=True, verbose=0
    )
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "")
    sure = labels.confidences >= 0.9
    bright, dark = (int((labels.predicted[sure] == label).sum()) for label in (0, 1))
    expected = [
        f"Labels of {bright + dark} image{'' if bright + dark == 1 else 's'}",
        f"  bright{bright:>8}",
        f"  dark  {dark:>8}",
        f"  left out, less certain: {40 - bright - dark}",
        f"  expected to be wrong: {labels.expected_mistakes:.0f}",
        "  not read: 1",
        f"  table: {out}",
    ]
    if sure.all():
        del expected[3]
    assert repr(labels).splitlines() == expected
    assert len(out.read_text().splitlines()) == 1 + bright + dark


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
        assert "test images, linear probe" in repr(settings)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_options_of_a_command_are_the_keywords_of_its_function(command):
    keywords = {
        name: parameter.default
        for name, parameter in inspect.signature(_function(command)).parameters.items()
    }
    assert keywords.pop("verbose") == 1
    parsed = vars(cli.parser().parse_args([command, *COMMANDS[command]]))
    assert parsed.pop("command") == command
    parsed.pop("verbose", None)
    assert set(parsed) == set(keywords)
    for name, default in keywords.items():
        if default is not inspect.Parameter.empty:
            assert parsed[name] == default, name


@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_checked_is_what_a_function_takes(command):
    expected = dict(inspect.signature(_function(command)).parameters)
    del expected["verbose"]
    fields = {field.name: field for field in dataclasses.fields(OPTIONS[command])}
    assert sorted(fields) == sorted(expected)
    for name, field in fields.items():
        if field.default is not dataclasses.MISSING:
            assert field.default == expected[name].default, name


def test_values_may_be_of_any_fitting_kind():
    train = TrainOptions.of(
        epochs=np.int64(3),
        learning_rate=1,
        max_skipped=np.float32(0.5),
        resume=False,
        unlabelled=pathlib.Path("a b=c"),
        labelled="-x",
        value_range=[0, 4095],
        keep_labels=["none", "none"],
    )
    assert (train.epochs, train.learning_rate, train.max_skipped) == (3, 1.0, 0.5)
    assert (train.unlabelled, train.labelled) == ("a b=c", "-x")
    assert train.resume is False
    assert (train.value_range, train.keep_labels) == ((0, 4095), ("none",))
    assert TrainOptions.of(resume=pathlib.Path("run")).resume == "run"
    assert TrainOptions.of(
        labelled=b"d\xc3\xa9ep\xff".decode("utf-8", "surrogateescape")
    )
    evaluate = EvaluateOptions.of(
        runs="RUN",
        robustness=True,
        severities=(5, 1, 5),
        corruptions=["fog"],
        data="tfds:mnist",
        labels_per_class="10.0%",
    )
    assert (evaluate.runs, evaluate.severities) == (("RUN",), (1, 5))
    assert (evaluate.corruptions, evaluate.labels_per_class) == (("fog",), "10%")
    assert EvaluateOptions.of(runs=[pathlib.Path("a"), "-2"]).runs == ("a", "-2")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: runs.train(epoch=3), "unexpected keyword argument 'epoch'"),
        (lambda: runs.train("photos"), "positional"),
        (lambda: runs.label("RUN"), "source"),
        (lambda: runs.export("RUN"), "format"),
        (lambda: runs.train(out=3), "`out` must be text or a path. Received: 3"),
        (lambda: runs.train(epochs=2.5), "`epochs` must be an integer .*Received: 2.5"),
        (lambda: runs.train(epochs="3"), "`epochs` must be an integer .*Received: '3'"),
        (lambda: runs.train(seed=True), "`seed` must be an integer"),
        (lambda: runs.train(learning_rate="1e-3"), "`learning_rate` must be a number"),
        (lambda: runs.train(max_skipped="5%"), "a number from 0 to 1. Received: '5%'"),
        (lambda: runs.train(keep_labels="none"), "`keep_labels` must be a list of"),
        (lambda: runs.train(value_range=4095), "`value_range` must be two numbers"),
        (lambda: runs.train(dataset=pathlib.Path("digits")), "`dataset` must be text"),
        (lambda: runs.train(trust="yes"), "`trust` must be True or False"),
        (lambda: runs.train(labels_per_class=2.5), "`labels_per_class` must be an int"),
        (lambda: runs.label("RUN", "DIR", help=True), "argument 'help'"),
        (lambda: runs.label("RUN", "DIR", move="yes"), "`move` must be True or False"),
        (lambda: runs.label("RUN", "DIR", review=True), "`review` must be an integer"),
        (lambda: runs.report(None), "`run` must be text or a path. Received: None"),
        (lambda: runs.views("DIR", images=2.5), "`images` must be an integer"),
        (lambda: runs.distil("RUN", temperature="1"), "`temperature` must be a number"),
        (lambda: runs.evaluate([3]), "`runs` must be text or a path"),
        (lambda: runs.evaluate(None), "`runs` must be text or a path. Received: None"),
        (lambda: runs.evaluate("RUN", severities=5), "`severities` must be a list"),
        (lambda: runs.evaluate("RUN", fine_tune=None), "`fine_tune` must be True or"),
    ],
)
def test_values_of_a_wrong_kind_are_type_errors(call, message):
    with pytest.raises(TypeError, match=message):
        call()


@pytest.mark.parametrize(
    ("keywords", "option", "expected"),
    [
        ({"epochs": -1}, "--epochs=-1", "an integer of at least 0"),
        ({"seed": 2**32}, f"--seed {2**32}", "an integer of at least 0"),
        ({"image_size": 7}, "--image-size 7", "an integer of at least 8"),
        ({"learning_rate": -1.0}, "--learning-rate=-1.0", "a number above 0"),
        ({"max_skipped": 1.5}, "--max-skipped 1.5", "a share from 0% to 100%"),
        ({"cache": "cloud"}, "--cache cloud", "one of auto, memory, disk"),
        ({"backbone": "vgg"}, "--backbone vgg", "resnet18"),
        ({"labels_per_class": "x"}, "--labels-per-class x", "or 'all'"),
        ({"dataset": "mnist"}, "--dataset mnist", "digits, npz:FILE"),
        ({"value_range": (5.0, 5.0)}, "--value-range 5.0 5.0", "the lower first"),
        ({"checkpoint_minutes": 0.0}, "--checkpoint-minutes 0.0", "a number above 0"),
        ({"split_column": "fold"}, "--split-column fold", "Your own images are --un"),
    ],
)
def test_wrong_values_are_told_alike_on_both_ways(
    keywords, option, expected, tmp_path, capsys
):
    out = tmp_path / "run"
    with pytest.raises(ValueError, match=expected) as raised:
        runs.train(**keywords, out=out)
    assert isinstance(raised.value, runs.RunError)
    assert option.partition(" ")[0].partition("=")[0] in str(raised.value)
    assert cli.main(["train", *option.split(), "--out", str(out)]) == 2
    assert capsys.readouterr().err == f"semppl train: error: {raised.value}\n"
    assert not out.exists()


@pytest.mark.parametrize(
    ("command", "given", "keywords", "option", "expected"),
    [
        (
            "label",
            ["RUN", "DIR"],
            {"min_confidence": 2.0},
            "--min-confidence 2.0",
            "0%",
        ),
        ("label", ["RUN", "DIR"], {"review": 0}, "--review 0", "at least 1"),
        ("label", ["RUN", "DIR"], {"review_out": "x"}, "--review-out x", "--review. "),
        ("views", ["DIR"], {"views": "semppl"}, "--views semppl", "one of digits, "),
        ("views", ["DIR"], {"draws": 0}, "--draws 0", "at least 1"),
        ("finetune", ["RUN"], {"from_layer": -1}, "--from-layer=-1", "at least 0"),
        (
            "distil",
            ["RUN"],
            {"student": "vgg"},
            "--student vgg",
            "one of small, conv, resnet18",
        ),
        ("distil", ["RUN"], {"temperature": 0.0}, "--temperature 0.0", "above 0"),
        ("export", ["RUN"], {"format": "pdf"}, "--format pdf", "one of saved_model, "),
        ("import", ["FILE"], {"family": "x"}, "--family x", "one of auto, deepmind"),
    ],
)
def test_other_commands_tell_wrong_values_alike(
    command, given, keywords, option, expected, run, tmp_path, monkeypatch, capsys
):
    given = [{"RUN": str(run)}.get(word, word) for word in given]
    monkeypatch.chdir(tmp_path)
    with pytest.raises(runs.RunError, match=expected) as raised:
        _function(command)(*given, **keywords)
    assert option.partition(" ")[0].partition("=")[0] in str(raised.value)
    assert cli.main([command, *given, *option.split()]) == 2
    assert capsys.readouterr().err == f"semppl {command}: error: {raised.value}\n"
    assert not list(tmp_path.iterdir())


def test_names_and_defaults_are_those_of_where_they_belong():
    assert sorted(views_options.VIEWS) == sorted(semppl_keras.views.RECIPES)
    assert sorted(export_options.FORMATS) == sorted(semppl_keras.export.FORMATS)
    # What stands where a model or a loss is used by itself is no other number.
    for call in (semppl_keras.Distiller, distillation_loss):
        temperature = inspect.signature(call).parameters["temperature"].default
        assert temperature in (DISTILLATION.temperature, inspect.Parameter.empty)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: runs.train(unlabelled="a\0b"),
            "--unlabelled must be without a zero byte",
        ),
        (lambda: runs.label("RUN", "a\0b"), "DIR must be without a zero byte"),
        (lambda: runs.evaluate([]), "`runs` must name at least one"),
        (
            lambda: runs.evaluate("RUN", robustness=True, severities=[6]),
            "--severities must be integers from 1 to 5. Received: '6'",
        ),
        (
            lambda: runs.evaluate("RUN", robustness=True, corruptions=["rain"]),
            "--corruptions must be out of gaussian_noise, .* Received: rain",
        ),
        (lambda: runs.evaluate("RUN", severities=[5]), "--severities is for --robust"),
        (lambda: runs.train(verbose=3), "`verbose` must be 0, 1 or 2. Received: 3"),
    ],
)
def test_wrong_values_are_run_errors(call, message):
    with pytest.raises(runs.RunError, match=message):
        call()


def test_nothing_is_said_where_nothing_is_asked_for(run, capsys):
    finished = runs.train(resume=run, verbose=0)
    assert not capsys.readouterr().out
    assert finished == runs.train(resume=run)
    assert f"{finished.table()}\n" in capsys.readouterr().out


def test_results_print_short_and_read_like_the_file(run):
    finished = runs.train(resume=run, verbose=0)
    assert finished == _metrics(run) == json.loads(json.dumps(finished))
    assert finished.folder == run
    shown = repr(finished)
    assert shown.startswith("<TrainedRun many, 6 labels, seed 0, ")
    accuracy = finished["classifier_accuracy"]
    assert f"{TITLES[finished['classifier']]} {accuracy:.1%}" in shown
    assert len(shown) < 200
    assert "SemPPL, linear probe" in finished.table()
    assert pickle.loads(pickle.dumps(finished)).folder == run


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
