"""`semppl export`: served by others with the same numbers; folders that are refused."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest
from toys import toy_backbone, toy_model

from semppl_keras.cli import main
from semppl_keras.distillation import FineTuner
from semppl_keras.evaluation import linear_probe
from semppl_keras.export import FORMATS, script_path
from semppl_keras.runs.finished import FinishedRun
from semppl_keras.runs.safety.loading import check_folder
from semppl_keras.runs.safety.lock import locked

_GENERATOR = np.random.default_rng(0)
# Of another size than those trained on, and each of its own.
_IMAGES = [
    _GENERATOR.integers(0, 256, shape).astype("uint8")
    for shape in ((3, 21, 16, 1), (1, 8, 40, 1))
]


# There TensorFlow writes the files in a process of its own, one for each format.
slow_elsewhere = (
    pytest.mark.slow if keras.backend.backend() != "tensorflow" else lambda test: test
)


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    """A folder with the classifier in all formats, and what it says of the images."""
    out = tmp_path_factory.mktemp("exported")
    for format, ending in FORMATS.items():
        path = out / f"classifier{ending}"
        arguments = ["export", str(run), "--format", format, "--out", str(path)]
        assert main(arguments) == 0
    classifier, _ = FinishedRun(run).classifier()
    return out, [classifier.predict(images, verbose=0) for images in _IMAGES]


@pytest.mark.any_backend
def test_the_classifier_is_the_probe_that_was_measured(run):
    finished = FinishedRun(run)
    classifier, how = finished.classifier("linear")
    assert how == "linear probe"
    data, model = finished.data, finished.model
    probe = linear_probe(model.embed(data.x_labelled), data.y_labelled, seed=0)
    given = classifier.predict(data.x_test, verbose=0)
    metrics = json.loads((run / "metrics.json").read_text())
    temperature = metrics["classifier_temperatures"]["linear"]
    shares = probe.predict_proba(model.embed(data.x_test)) ** (1 / temperature)
    shares /= shares.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(given, shares, atol=1e-5)
    accuracy = np.mean(given.argmax(axis=1) == data.y_test)
    assert accuracy == pytest.approx(metrics["linear_accuracy"])


@slow_elsewhere
def test_plain_tensorflow_serves_the_saved_model(exported, tmp_path):
    out, expected = exported
    np.savez(tmp_path / "images.npz", *_IMAGES)
    program = f"""
import sys
import numpy as np
import tensorflow as tf
model = tf.saved_model.load({str(out / "classifier")!r})
serve = model.signatures["serving_default"]
names = model.signatures["class_names"]()["class_names"].numpy()
given = {{"names": names.astype(str)}}
with np.load({str(tmp_path / "images.npz")!r}) as archive:
    for key, images in archive.items():
        outputs = serve(images=tf.constant(images))
        given[key] = outputs["probabilities"].numpy()
        given[key + "_label"] = outputs["label"].numpy().astype(str)
np.savez({str(tmp_path / "given.npz")!r}, **given)
assert "semppl_keras" not in sys.modules
"""
    # Away from the checkout.
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path)
    with np.load(tmp_path / "given.npz") as given:
        assert given["names"].tolist() == list("0123456789")
        for index, probabilities in enumerate(expected):
            np.testing.assert_allclose(given[f"arr_{index}"], probabilities, atol=1e-4)
            assert (
                given[f"arr_{index}_label"].tolist()
                == given["names"][probabilities.argmax(axis=1)].tolist()
            )
    assets = out / "classifier" / "assets" / "labels.txt"
    assert assets.read_text().split() == list("0123456789")


@slow_elsewhere
def test_onnxruntime_serves_the_onnx_file(exported):
    import onnxruntime

    out, expected = exported
    session = onnxruntime.InferenceSession(
        out / "classifier.onnx", providers=["CPUExecutionProvider"]
    )
    (image,) = session.get_inputs()
    assert (image.name, image.type) == ("images", "tensor(uint8)")
    assert image.shape == ["batch", "height", "width", 1]
    for images, probabilities in zip(_IMAGES, expected, strict=True):
        (given,) = session.run(["probabilities"], {"images": images})
        np.testing.assert_allclose(given, probabilities, atol=1e-4)
    names = session.get_modelmeta().custom_metadata_map["class_names"]
    assert json.loads(names) == list("0123456789")
    labels = out / "classifier.onnx.labels.txt"
    assert labels.read_text().split() == list("0123456789")


@slow_elsewhere
def test_litert_serves_the_tflite_file(exported):
    from ai_edge_litert.interpreter import Interpreter

    out, expected = exported
    path = out / "classifier.tflite"
    serve = Interpreter(str(path)).get_signature_runner("serving_default")
    for images, probabilities in zip(_IMAGES, expected, strict=True):
        given = serve(images=images)["probabilities"]
        np.testing.assert_allclose(given, probabilities, atol=1e-4)
    with zipfile.ZipFile(path) as archive:
        assert archive.read("labels.txt").decode().split() == list("0123456789")


@slow_elsewhere
def test_keras_serves_the_keras_file(exported):
    out, expected = exported
    model = keras.models.load_model(out / "classifier.keras")
    for images, probabilities in zip(_IMAGES, expected, strict=True):
        given = model.predict(images, verbose=0)
        np.testing.assert_allclose(given, probabilities, atol=1e-6)
    assert model.class_names == tuple("0123456789")


@slow_elsewhere
def test_a_backbone_is_exported_for_its_features(run, capsys):
    import onnxruntime

    arguments = ["export", str(run), "--format", "onnx", "--what", "backbone"]
    assert main(arguments) == 0
    path = run / "exported" / "backbone.onnx"
    assert f"to features (B, 8): {path}" in capsys.readouterr().out
    # Features have no names.
    assert sorted(path.parent.iterdir()) == [path, script_path(path)]
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    model = FinishedRun(run).model
    for images in _IMAGES:
        (given,) = session.run(["features"], {"images": images})
        np.testing.assert_allclose(given, model.embed(images), atol=1e-4)
    assert main(arguments) == 2
    assert "exists already" in capsys.readouterr().err


@pytest.mark.any_backend
def test_the_run_s_own_classifier_comes_first(run, tmp_path, capsys):
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    tuned = FineTuner(FinishedRun(folder).model, 10, seed=0).classifier
    tuned.save(folder / "classifier.keras")
    (folder / "classifier.json").write_text('{"how": "fine-tuned"}')
    out = tmp_path / "out.keras"
    assert main(["export", str(folder), "--format", "keras", "--out", str(out)]) == 0
    assert "\nfine-tuned: images (B, height, width, 1" in capsys.readouterr().out
    np.testing.assert_array_equal(
        keras.models.load_model(out).predict(_IMAGES[0], verbose=0),
        tuned.predict(_IMAGES[0], verbose=0),
    )
    # Another one, by its name.
    other = tmp_path / "other.keras"
    arguments = ["export", str(run), "--format", "keras", "--out", str(other)]
    assert main([*arguments, "--classifier", str(folder / "classifier.keras")]) == 0
    assert other.exists()


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--classifier", "nowhere.keras"], "There must be a classifier"),
        (["--classifier", "model.keras"], "must be a classifier that semppl finetune"),
        (
            ["--classifier", "x.keras", "--what", "backbone", "--out", "x.onnx"],
            "is for --what classifier",
        ),
        (["--out", "wrong.keras"], "must end in .onnx"),
    ],
)
def test_what_cannot_be_exported_is_told(run, options, message, capsys):
    options = [str(run / o) if o == "model.keras" else o for o in options]
    assert main(["export", str(run), "--format", "onnx", *options]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.any_backend
def test_a_folder_without_a_run_is_told(tmp_path, capsys):
    assert main(["export", str(tmp_path), "--format", "keras"]) == 2
    assert "RUN must be a folder that semppl train has written" in (
        capsys.readouterr().err
    )


# -- folders from someone else -----------------------------------------------------


def _with_lambda(path, marker):
    images = keras.Input((8, 8, 1))
    features = keras.layers.GlobalAveragePooling2D()(images)
    features = keras.layers.Lambda(
        lambda x: (open(marker, "w").close(), x)[1], name="innocent"
    )(features)
    keras.Model(images, features).save(path)


def _with_pickle_for_a_model(path, marker):
    # As `pickle` would write a call of open(marker, "w").
    path.write_bytes(b"\x80\x04cio\nopen\n(V" + marker.encode() + b"\nVw\ntR.")


def _with_pickle_in_the_archive(path, marker):
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("assets/weights.pkl", b"\x80\x04N.")


@pytest.mark.any_backend
@pytest.mark.parametrize("command", ["export", "evaluate", "train"])
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_with_lambda, "a layer of type Lambda, 'innocent', which would be executed"),
        (_with_pickle_for_a_model, "pickle"),
        (_with_pickle_in_the_archive, "Received: 'assets/weights.pkl' in it"),
    ],
)
def test_a_folder_that_would_execute_something_is_refused(
    run, tmp_path, spoil, message, command, capsys
):
    folder, marker = tmp_path / "run", tmp_path / "executed"
    shutil.copytree(run, folder)
    model = "model.keras"
    if command == "train":
        model = "checkpoints/checkpoint_000000001.keras"
        (folder / "checkpoints").mkdir()
        shutil.copy(folder / "model.keras", folder / model)
    spoil(folder / model, str(marker))
    if command == "train" and zipfile.is_zipfile(folder / model):
        with zipfile.ZipFile(folder / model, "a") as archive:
            archive.writestr("semppl_training_state.json", "{}")
    marker.unlink(missing_ok=True)
    arguments = {
        "export": ["export", str(folder), "--format", "keras"],
        "evaluate": ["evaluate", str(folder)],
        "train": ["train", "--resume", "--out", str(folder)],
    }[command]
    if command == "train":
        (folder / "metrics.json").unlink()
    # Whatever the process has allowed otherwise (until the next test's fresh session).
    keras.config.enable_unsafe_deserialization()
    assert main(arguments) == 2
    assert message in capsys.readouterr().err
    assert not marker.exists()


@pytest.mark.any_backend
@pytest.mark.parametrize("name", ["notes.pkl", "deep/weights.pt", "unnamed"])
def test_a_folder_with_a_pickle_beside_is_refused(run, tmp_path, name, capsys):
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    (folder / "deep").mkdir()
    (folder / name).write_bytes(b"\x80\x04N.")
    assert main(["export", str(folder), "--format", "keras"]) == 2
    error = capsys.readouterr().err
    assert "must hold no pickle" in error
    assert name in error


class _Opening:
    """Unpickled, it opens a file."""

    def __init__(self, path):
        self._path = path

    def __reduce__(self):
        return open, (self._path, "w")


@pytest.mark.any_backend
def test_a_folder_with_arrays_of_objects_is_refused(run, tmp_path, capsys):
    folder, marker = shutil.copytree(run, tmp_path / "run"), tmp_path / "executed"
    objects = np.array([_Opening(str(marker))], dtype=object)
    within = np.zeros(1, [("name", object), ("count", int)])
    plain = np.arange(3)

    def told():
        assert main(["export", str(folder), "--format", "keras"]) == 2
        assert not marker.exists()
        return capsys.readouterr().err

    np.save(folder / "plain.npy", plain)
    np.savez(folder / "plain.npz", plain, plain.astype("U"))
    (folder / "cut.npz").write_bytes((folder / "plain.npz").read_bytes()[:100])
    check_folder(folder)

    for name, save, arrays, place in (
        ("labels.npy", np.save, [objects], ""),
        ("fields.npy", np.save, [within], ""),
        ("labels.npz", np.savez, [plain, objects], "'arr_1.npy' in "),
        ("small.npz", np.savez_compressed, [objects], "'arr_0.npy' in "),
    ):
        save(folder / name, *arrays)
        assert f"Received: {place}{str(folder / name)!r}." in told()
        # Whatever it is called.
        (folder / name).rename(folder / "notes.txt")
        assert str(folder / "notes.txt") in told()
        (folder / "notes.txt").unlink()
    (folder / "odd.npy").write_bytes(b"\x93NUMPY\x09\x00 something else")
    assert "odd.npy" in told()


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("command", "name", "content", "message"),
    [
        ("export", "run.json", "[1, 2]", "must hold a JSON object"),
        ("evaluate", "run.json", "{}", "must have an entry 'dataset'"),
        ("evaluate", "run.json", '{"dataset": "digi', "must hold JSON"),
        ("label", "run.json", "\xff", "must hold JSON"),
        ("report", "metrics.json", "{}", "must have an entry 'dataset'"),
        ("report", "metrics.json", "[]", "must hold a JSON object"),
        ("report", "history.json", None, "that can be read"),
        ("report", "history.json", '{"loss": 1}', "must have an entry 'loss' (list)"),
        ("label", "classifier.json", "x", "must hold JSON"),
    ],
)
def test_a_damaged_file_is_named(
    run, tmp_path, command, name, content, message, capsys
):
    folder = shutil.copytree(run, tmp_path / "run")
    (folder / "classifier.json").write_text('{"how": "fine-tuned"}')
    tuned = FineTuner(FinishedRun(folder).model, 10, seed=0).classifier
    tuned.save(folder / "classifier.keras")
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(content.encode("latin-1"))
    (tmp_path / "images").mkdir()
    more = {
        "export": ["--format", "keras"],
        "label": [str(tmp_path / "images"), "--out", str(tmp_path / "out")],
    }
    assert main([command, str(folder), *more.get(command, [])]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error
    assert str(folder / name) in error


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": "0"}, "an entry 'seed' (int). Received: '0'"),
        ({"dataset": {"labelled": "x"}}, "an entry 'unlabelled' (str)"),
        ({"class_names": "abc"}, "an entry 'class_names' (list | None)"),
    ],
)
def test_settings_of_another_kind_are_told(run, tmp_path, changes, message, capsys):
    folder = shutil.copytree(run, tmp_path / "run")
    settings = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**settings, **changes}))
    for command in (["evaluate"], ["train", "--resume"]):
        assert main([*command, str(folder)]) == 2
        assert message in capsys.readouterr().err


_COMMANDS = {
    "check": [],
    "evaluate": [],
    "export": ["--format", "keras"],
    "finetune": ["--epochs", "1"],
    "distil": ["--epochs", "1"],
    "report": [],
    "label": ["images", "--out", "labels.csv"],
    "train": ["--resume"],
}


def _told(command, folder, capsys, *more):
    """The one line that a command fails with on a run."""
    options = _COMMANDS[command]
    if command == "label":
        options = [options[0], "--out", str(folder / "labels.csv")]
    words = [*options, str(folder)] if command == "train" else [str(folder), *options]
    assert main([command, *words, *more]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


@pytest.mark.any_backend
@pytest.mark.parametrize("command", _COMMANDS)
def test_absurd_settings_are_told_by_every_command(run, tmp_path, command, capsys):
    folder = shutil.copytree(run, tmp_path / "run")
    settings = json.loads((folder / "run.json").read_text())
    for name, value in (
        ("seed", -1),
        ("epochs", 10**400),
        ("labels_per_class", "x%"),
        ("learning_rate", float("nan")),
        ("class_names", ["a", "a"]),
    ):
        (folder / "run.json").write_text(json.dumps({**settings, name: value}))
        assert f"must have an entry {name!r}" in _told(command, folder, capsys)
    (folder / "run.json").write_text("[" * 100_000)
    assert "must hold JSON" in _told(command, folder, capsys)


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("metrics.json", {"linear_accuracy": "x%"}),
        ("metrics.json", {"linear_accuracy": 10**400}),
        ("metrics.json", {"train_seconds": float("nan")}),
        ("metrics.json", {"num_test": -1}),
        ("metrics.json", {"cross_validated": {}}),
        ("metrics.json", {"pseudo_labels": {"num_images": 1}}),
        ("history.json", {"loss": ["x"]}),
        ("history.json", {"loss": [10**400]}),
        ("history.json", {"loss": [[]]}),
    ],
)
def test_absurd_measures_are_told(run, tmp_path, name, changes, capsys):
    folder = shutil.copytree(run, tmp_path / "run")
    content = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps({**content, **changes}))
    told = _told("report", folder, capsys)
    assert str(folder / name) in told
    assert "must have an entry" in told
    if name == "metrics.json":
        _told("train", folder, capsys)


@pytest.mark.any_backend
@pytest.mark.parametrize("command", ["evaluate", "export", "label", "report"])
def test_a_model_of_another_run_is_told(run, tmp_path, command, capsys):
    folder = shutil.copytree(run, tmp_path / "run")
    toy_model(num_classes=3).save(folder / "model.keras")
    assert "must be a model of the 10 classes" in _told(command, folder, capsys)
    toy_backbone().save(folder / "model.keras")
    assert "must be a Pretraining that semppl has written" in (
        _told(command, folder, capsys)
    )


@pytest.mark.any_backend
def test_checkpoints_of_another_run_are_told(run, tmp_path, capsys):
    folder = shutil.copytree(run, tmp_path / "run")
    (folder / "metrics.json").unlink()
    (folder / "checkpoints").mkdir()
    path = folder / "checkpoints" / "checkpoint_000000001.keras"

    def told(model, state):
        model.save(path)
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("semppl_training_state.json", json.dumps(state))
        return _told("train", folder, capsys)

    assert "must be a SemPPL" in told(toy_backbone(), {})
    assert "must be a model of the 10 classes" in told(toy_model(), {})
    other = toy_model(toy_backbone(channels=3), num_classes=10)
    assert "Received: a network for 3" in told(other, {})
    assert "Received: one within epoch 8" in (
        told(toy_model(num_classes=10), {"epoch": 7})
    )
    assert "is no count" in told(toy_model(num_classes=10), {"epoch": -1})


@pytest.mark.any_backend
@pytest.mark.parametrize("command", _COMMANDS)
def test_sources_of_somebody_else_are_not_followed(run, tmp_path, command, capsys):
    folder = shutil.copytree(run, tmp_path / "run")
    settings = json.loads((folder / "run.json").read_text())
    settings["dataset"] = f"npz:{tmp_path / 'private.npz'}"
    (folder / "run.json").write_text(json.dumps(settings))
    if command == "train":
        (folder / "metrics.json").unlink()
    told = _told(command, folder, capsys)
    assert f"it names npz:{tmp_path / 'private.npz'}. If these may be read: " in told
    # Then it is asked for.
    told = _told(command, folder, capsys, "--trust")
    assert "There must be an .npz file at" in told
    if command == "train":
        again = _told(command, folder, capsys, "--dataset", settings["dataset"])
        assert "There must be an .npz file at" in again


@pytest.mark.any_backend
@pytest.mark.parametrize("command", ["train", "finetune", "distil"])
def test_two_trainings_do_not_write_to_one_folder(run, tmp_path, command, capsys):
    folder = shutil.copytree(run, tmp_path / "run")
    with locked(folder):
        told = _told(command, folder, capsys)
        assert f"process {os.getpid()} on " in told
    assert main(["train", "--resume", str(folder)]) == 0
    new = tmp_path / "new"
    with locked(new):
        assert main(["train", "--out", str(new)]) == 2
        assert "One training at a time" in capsys.readouterr().err


@pytest.mark.any_backend
@pytest.mark.parametrize("command", [*_COMMANDS, "views", "import"])
def test_out_that_cannot_be_is_told_at_once(run, tmp_path, command, capsys):
    (tmp_path / "file").write_text("x")
    words = {
        "train": ["train"],
        "views": ["views", str(tmp_path)],
        "import": ["import", str(tmp_path / "file")],
        "label": ["label", str(run), str(tmp_path)],
    }.get(command, [command, str(run), *_COMMANDS.get(command, [])])
    ending = {"views": ".png", "import": ".keras"}.get(command, "")
    for out in ("x" * 300, "x/" * 2500 + "x", "a\0b", "file/within"):
        assert main([*words, "--out", str(tmp_path / out) + ending]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert "--out must be" in error
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.any_backend
@pytest.mark.parametrize("name", ["run.json", "metrics.json"])
def test_a_damaged_run_does_not_go_on(run, tmp_path, name, capsys):
    folder = shutil.copytree(run, tmp_path / "run")
    (folder / name).write_text("{")
    assert main(["train", "--resume", str(folder)]) == 2
    assert f"{str(folder / name)!r} must hold JSON" in capsys.readouterr().err


@pytest.mark.any_backend
def test_a_file_that_cannot_be_read_is_named(run, tmp_path, monkeypatch, capsys):
    folder = shutil.copytree(run, tmp_path / "run")
    secret = folder / "secret"
    secret.write_text("none of your business")
    open_path = pathlib.Path.open

    def refuse(path, *arguments, **keywords):
        if path == secret:
            raise PermissionError(13, "Permission denied", str(path))
        return open_path(path, *arguments, **keywords)

    # As the system does, except for the superuser.
    monkeypatch.setattr(pathlib.Path, "open", refuse)
    assert main(["export", str(folder), "--format", "keras"]) == 2
    error = capsys.readouterr().err
    assert f"{str(secret)!r} (Permission denied). Make it readable" in error


@pytest.mark.any_backend
def test_a_model_that_keras_cannot_load_is_told(run, tmp_path, capsys):
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    with zipfile.ZipFile(folder / "model.keras", "w") as archive:
        config = {"module": "keras.layers", "class_name": "Dense", "config": {}}
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("metadata.json", "{}")
    assert main(["export", str(folder), "--format", "keras"]) == 2
    assert "Received one that Keras cannot load" in capsys.readouterr().err
    (folder / "model.keras").write_text("something")
    assert main(["export", str(folder), "--format", "keras"]) == 2
    assert "Received: something else. It was not loaded" in capsys.readouterr().err
