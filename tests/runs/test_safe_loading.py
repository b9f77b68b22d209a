"""Models and run folders from somebody else: data, which is read and never followed."""

import functools
import io
import json
import os
import pathlib
import sys
import tracemalloc
import zipfile

import h5py
import keras
import numpy as np
import pytest
from toys import toy_backbone, toy_model, toy_views

import semppl_keras
from semppl_keras import runs
from semppl_keras.callbacks import TrainingState, latest_checkpoint
from semppl_keras.data.images.npz_archives import open_npz
from semppl_keras.distillation import Distiller, FineTuner, ImageClassifier
from semppl_keras.models import Pretraining
from semppl_keras.optimizers import LARS
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.resuming import begun_training
from semppl_keras.runs.safety import own_runs
from semppl_keras.runs.safety.json_files import read_run_json
from semppl_keras.runs.safety.loading import check_folder, load_model
from semppl_keras.runs.safety.lock import locked

any_backend = pytest.mark.any_backend


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A compiled model of one layer in a file."""
    path = tmp_path_factory.mktemp("saved") / "model.keras"
    model = keras.Sequential(
        [keras.layers.Input((3,)), keras.layers.Dense(2, activation="relu")]
    )
    model.compile("sgd", "mean_squared_error")
    model.save(path)
    return path


def rewritten(source, path, change=None, **entries):
    """A copy of a model's file with a changed configuration, or with other entries."""
    with zipfile.ZipFile(source) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    if change is not None:
        config = json.loads(held["config.json"])
        config = change(config) or config
        held["config.json"] = json.dumps(config)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**held, **entries}.items():
            archive.writestr(name, content)
    return path


def layer_of(config):
    return config["config"]["layers"][1]


def refused(path, monkeypatch, **options):
    """What is told of a file that Keras never sees."""
    with monkeypatch.context() as patch:
        patch.setattr(keras.models, "load_model", None)
        with pytest.raises(RunError) as caught:
            load_model(path, **options)
    return str(caught.value)


# -- what is known ------------------------------------------------------------------


def pretrainings():
    backbone, views = toy_backbone, toy_views()
    sizes = {"projection_dim": 4, "hidden_dim": 8, "seed": 0}
    yield toy_model()
    yield semppl_keras.SimCLR(backbone(), views=views, **sizes)
    yield semppl_keras.BYOL(backbone(), views=views, **sizes)
    yield semppl_keras.ReLICv2(backbone(), views=views, **sizes)
    yield semppl_keras.SuNCEt(backbone(), num_classes=3, views=views, **sizes)


@pytest.mark.any_backend
def test_what_this_package_saves_is_known(tmp_path):
    models = list(pretrainings())
    models[0].compile(
        LARS(keras.optimizers.schedules.CosineDecay(0.1, 10)), jit_compile=False
    )
    models[1].compile(
        keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(1e-3)),
        jit_compile=False,
    )
    tuner = FineTuner(models[0], 3, seed=0)
    tuner.compile("adamw", jit_compile=False)
    distiller = Distiller(tuner.classifier, tuner.classifier, seed=0)
    distiller.compile("rmsprop", jit_compile=False)
    for model in (*models, tuner, distiller, tuner.classifier):
        model.save(tmp_path / "model.keras")
        again = load_model(tmp_path / "model.keras")
        assert type(again) is type(model)
        for one, other in zip(model.weights, again.weights, strict=True):
            np.testing.assert_array_equal(
                keras.ops.convert_to_numpy(one), keras.ops.convert_to_numpy(other)
            )


@any_backend
def test_what_keras_brings_is_known(tmp_path):
    images = keras.Input((32, 32, 3))
    x = keras.layers.Rescaling(1 / 255)(images)
    x = keras.ops.clip(keras.ops.silu(x) + 1.0, 0, 2)[:, 1:]
    x = keras.layers.Conv2D(
        4,
        3,
        activation=keras.activations.gelu,
        kernel_initializer=keras.initializers.Orthogonal(seed=1),
        kernel_regularizer=keras.regularizers.L1L2(),
        kernel_constraint=keras.constraints.MaxNorm(),
        dtype=keras.DTypePolicy("mixed_float16"),
    )(x)
    x = keras.layers.RandomFlip(seed=3)(x)
    x = keras.ops.logsumexp(keras.ops.image.resize(x, (4, 4)), axis=(1, 2))
    model = keras.Model(images, keras.layers.Dense(2, dtype="float32")(x))
    model.compile(
        keras.optimizers.AdamW(keras.optimizers.schedules.ExponentialDecay(1, 2, 0.3)),
        loss=keras.losses.categorical_crossentropy,
        metrics=[keras.metrics.TopKCategoricalAccuracy(2), "accuracy"],
    )
    model.optimizer.build(model.trainable_variables)
    path = tmp_path / "model.keras"
    for one in (
        model,
        keras.applications.MobileNetV3Small((32, 32, 3), weights=None, classes=2),
    ):
        one.save(path)
        assert load_model(path).count_params() == one.count_params()


# -- what is not --------------------------------------------------------------------


def activation(module, name, registered=None, kind="function"):
    """An attack: this in the place of an activation."""

    def change(config):
        layer_of(config)["config"]["activation"] = {
            "module": module,
            "class_name": kind if kind == "function" else name,
            "config": name if kind == "function" else {},
            "registered_name": registered,
        }

    return change


def layer(module, name, registered=None, **settings):
    """An attack: this in the place of a layer."""

    def change(config):
        layer_of(config).update(
            module=module,
            class_name=name,
            registered_name=registered,
            config={"name": "innocent", **settings},
        )

    return change


def without_module(config):
    layer_of(config).pop("module")
    layer_of(config).pop("registered_name")


def learning_rate(value):
    def change(config):
        optimizer = config["compile_config"]["optimizer"]
        optimizer["config"]["learning_rate"] = value

    return change


def loss(config):
    config["compile_config"]["loss"] = {
        "module": "keras.utils",
        "class_name": "function",
        "config": "get_file",
        "registered_name": "get_file",
    }


RELU = {
    "module": "builtins",
    "class_name": "function",
    "config": "relu",
    "registered_name": "function",
}
CODE = "a layer of type Lambda, 'innocent', which would be executed"


@any_backend
@pytest.mark.parametrize(
    ("change", "named"),
    [
        (layer("keras.layers", "Lambda"), CODE),
        (layer("keras", "layers.Lambda"), CODE),
        (layer("keras.src.layers.core.lambda_layer", "Lambda", "Lambda"), CODE),
        (layer("keras.layers", "Dense", "keras>Lambda"), CODE),
        (layer("keras", "layers.TFSMLayer", filepath="x"), "TFSMLayer"),
        (layer("keras.layers", "TorchModuleWrapper"), "TorchModuleWra"),
        (layer(None, "Lambda"), CODE),
        (without_module, "'Dense'"),
        (layer("keras", "layers.Dense"), "'keras.layers.Dense'"),
        (layer("keras.layers", ["Dense"]), "keras.layers.['Dense']"),
        (layer("keras.layers", "StringLookup", vocabulary="/etc/passwd"), "StringL"),
        (layer("keras.src.ops.core", "Map"), "'keras.src.ops.core.Map'"),
        (layer("keras.src.ops.linalg", "JVP"), "'keras.src.ops.linalg.JVP'"),
        (layer("keras", "Function"), "'keras.Function'"),
        (layer("keras.callbacks", "CSVLogger", filename="x"), "CSVLogger"),
        (layer("keras_hub.src.utils", "Downloader"), "'keras_hub.src.utils.Down"),
        (layer("subprocess", "Popen", args="true"), "'subprocess.Popen'"),
        (layer("x", "SemPPL", "tests>SemPPL"), "'x.SemPPL'"),
        (layer("x", "Other", "semppl_keras>SemPPL"), "'x.Other'"),
        (activation("keras.utils", "get_file"), "'keras.utils.get_file'"),
        (activation("keras.utils", "get_file", kind="class"), "'keras.utils.get_file'"),
        (activation("keras", "utils.get_file", kind="class"), "'keras.utils.get_file'"),
        (activation("keras.activations", "deserialize"), "activations.deserialize'"),
        (activation("keras.datasets.mnist", "load_data"), "mnist.load_data'"),
        (activation("keras.src.utils.file_utils", "get_file"), "file_utils.get_file'"),
        (activation("builtins", "eval"), "'builtins.eval'"),
        (activation("builtins", "relu", "get_file"), "'builtins.relu'"),
        (activation("os", "system"), "'os.system'"),
        (loss, "'keras.utils.get_file' as 'compile_config.loss'"),
        (learning_rate({**RELU, "config": "load_data"}), "load_data"),
        # Harmless, but no number comes out of it.
        (learning_rate(RELU), "config.learning_rate'"),
        (learning_rate({**RELU, "class_name": "__lambda__"}), "__lambda__"),
        (learning_rate("semppl_keras>SemPPL"), "'semppl_keras>SemPPL'"),
        (
            learning_rate(
                {
                    "class_name": "__typespec__",
                    "spec_name": "system",
                    "module": "os",
                    "registered_name": None,
                    "config": [],
                }
            ),
            "__typespec__",
        ),
        (
            learning_rate(
                {
                    "class_name": "__numpy__",
                    "config": {"value": ["x"], "dtype": "S2000000000"},
                }
            ),
            "__numpy__",
        ),
    ],
)
def test_what_is_not_known_is_refused_by_its_name(
    saved, tmp_path, change, named, monkeypatch
):
    told = refused(rewritten(saved, tmp_path / "model.keras", change), monkeypatch)
    assert named in told
    assert "It was not loaded." in told
    # The rest of the file is what it was.
    load_model(rewritten(saved, tmp_path / "same.keras", lambda config: None))


@any_backend
@pytest.mark.parametrize("damage", ["encrypted", "packed"])
def test_an_archive_that_nobody_can_read_is_told(saved, tmp_path, damage, monkeypatch):
    path = rewritten(saved, tmp_path / "checkpoint_000000001.keras")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", "{}" + " " * 100)
    content = bytearray(path.read_bytes())
    if damage == "encrypted":
        content[6] |= 1
        content[content.index(b"PK\x01\x02") + 8] |= 1
    else:
        start = 30 + len("config.json")
        content[start : start + 2] = b"\xff\xff"
    path.write_bytes(content)
    assert "configuration that can be read" in refused(path, monkeypatch)
    assert latest_checkpoint(tmp_path) is None
    with pytest.raises(ValueError, match=path.name):
        TrainingState.read(path)


@any_backend
def test_what_is_nested_too_deep_is_told(saved, tmp_path, monkeypatch):
    for text in ("[" * 100_000, "[" * 100_000 + "]" * 100_000, "{", "[1]", '"x"'):
        path = rewritten(saved, tmp_path / "model.keras", **{"config.json": text})
        if text.startswith("[["):
            assert "without a configuration that can be read" in refused(
                path, monkeypatch
            )
        else:
            with pytest.raises(RunError, match="must be a model that semppl has"):
                load_model(path)


OWN_LAYERS = """
import keras

@keras.saving.register_keras_serializable(package="strangers")
class Doubling(keras.layers.Layer):
    def call(self, inputs):
        return 2 * inputs
"""


@any_backend
def test_own_layers_are_for_those_who_trust_them(tmp_path, monkeypatch):
    (tmp_path / "own_layers_of_a_test.py").write_text(OWN_LAYERS)
    monkeypatch.syspath_prepend(tmp_path)
    import own_layers_of_a_test

    inputs = keras.Input((3,))
    path = tmp_path / "model.keras"
    keras.Model(inputs, own_layers_of_a_test.Doubling()(inputs)).save(path)
    # As in another process, and in one that knows them.
    keras.saving.get_custom_objects().pop("strangers>Doubling")
    monkeypatch.delitem(sys.modules, "own_layers_of_a_test")
    told = "'own_layers_of_a_test.Doubling' as 'config.layers', which is not known"
    assert told in refused(path, monkeypatch)
    assert "own_layers_of_a_test" not in sys.modules

    assert load_model(path, trust=True).count_params() == 0
    assert told in refused(path, monkeypatch)
    keras.saving.get_custom_objects().pop("strangers>Doubling")

    def elsewhere(config):
        layer_of(config)["module"] = "no_module_of_a_test"

    there = rewritten(path, tmp_path / "elsewhere.keras", elsewhere)
    assert "Set PYTHONPATH" in refused(there, monkeypatch, trust=True)


@any_backend
def test_code_and_pickles_are_refused_whoever_is_trusted(saved, tmp_path, monkeypatch):
    path = tmp_path / "model.keras"
    rewritten(saved, path, layer("keras", "layers.Lambda"))
    assert CODE in refused(path, monkeypatch, trust=True)
    rewritten(saved, path, **{"assets/x.pkl": b"x"})
    assert "must hold no pickle" in refused(path, monkeypatch, trust=True)


@any_backend
def test_another_model_than_that_asked_for_is_told(saved):
    with pytest.raises(RunError, match="must be a Pretraining .* Sequential"):
        load_model(saved, Pretraining)
    with pytest.raises(RunError, match="must be a ImageClassifier .* Sequential"):
        load_model(saved, ImageClassifier)


# -- what is announced, and what is there -------------------------------------------


def weights_file(write):
    file = io.BytesIO()
    with h5py.File(file, "w") as weights:
        write(weights)
    return file.getvalue()


def empty(weights):
    weights.create_dataset("x", (2_000_000_000,), "float32")


def empty_chunks(weights):
    weights.create_dataset(
        "x", (20_000, 20_000), "float32", chunks=(5000, 5000), compression="gzip"
    )


def of_objects(weights):
    weights.create_dataset("x", data=["text"], dtype=h5py.string_dtype())


def elsewhere(weights):
    weights.create_dataset(
        "x", (4,), "uint8", external=[("/etc/hostname", 0, h5py.h5f.UNLIMITED)]
    )


def linked(weights):
    weights["x"] = h5py.ExternalLink("/etc/hostname", "x")


def softly_linked(weights):
    weights["x"] = h5py.SoftLink("/y")


def virtual(weights):
    layout = h5py.VirtualLayout((4,), "uint8")
    layout[:] = h5py.VirtualSource("/etc/hostname", "x", (4,))
    weights.create_virtual_dataset("x", layout)


@any_backend
@pytest.mark.parametrize(
    ("write", "told"),
    [
        (empty, "must hold what they announce"),
        (empty_chunks, "must hold what they announce"),
        (of_objects, "must be numbers"),
        (elsewhere, "something elsewhere"),
        (linked, "'//x' in it, which stands for something elsewhere"),
        (softly_linked, "something elsewhere"),
        (virtual, "something elsewhere"),
    ],
)
def test_weights_are_in_the_file(saved, tmp_path, write, told, monkeypatch):
    weights = {"model.weights.h5": weights_file(write)}
    path = rewritten(saved, tmp_path / "model.keras", **weights)
    assert told in refused(path, monkeypatch)


@any_backend
def test_weights_that_go_in_circles_come_to_an_end(saved, tmp_path):
    def circle(weights):
        weights["a/b"] = weights.create_group("c")
        weights["c/a"] = weights["a"]

    weights = {"model.weights.h5": weights_file(circle)}
    path = rewritten(saved, tmp_path / "model.keras", **weights)
    with pytest.raises(RunError, match="Keras cannot load"):
        load_model(path)


@any_backend
def test_an_archive_holds_what_it_announces(saved, tmp_path, monkeypatch):
    path = tmp_path / "model.keras"

    def packed(**entries):
        rewritten(saved, path)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in entries.items():
                archive.writestr(name, content)
        tracemalloc.start()
        told = refused(path, monkeypatch)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most < 10_000_000
        return told

    blanks = {"config.json": "{" + " " * 50_000_000}
    assert "must have at most 8,388,608 bytes. Received: 50,000,001" in packed(**blanks)
    zeros = {"config.json": "{}", "model.weights.h5": bytes(50_000_000)}
    assert "bytes that would become 50,000,002" in packed(**zeros)
    for name in ("../model.weights.h5", "/tmp/x", "assets/x", "model.weights.npz"):
        rewritten(saved, path, **{name: b"x"})
        assert f"Received: {name!r}. It was" in refused(path, monkeypatch)
    rewritten(saved, path)
    with (
        zipfile.ZipFile(path, "a") as archive,
        pytest.warns(UserWarning, match="Duplicate name"),
    ):
        archive.writestr("config.json", "{}")
    assert "'config.json', more than once" in refused(path, monkeypatch)


@any_backend
@pytest.mark.parametrize("most", [2**23, 10**12, 10**400])
def test_lists_are_no_longer_than_any_network_needs(saved, tmp_path, monkeypatch, most):
    metric = {
        "module": "keras.metrics",
        "class_name": "AUC",
        "config": {"num_thresholds": most},
        "registered_name": None,
    }

    def change(config):
        config["compile_config"]["metrics"] = [metric]

    path = rewritten(saved, tmp_path / "model.keras", change)
    told = refused(path, monkeypatch)
    assert "at most 4,194,304 of anything. Received: " in told
    assert "num_thresholds" in told


@any_backend
def test_seeds_and_steps_are_as_large_as_they_like(tmp_path):
    model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dropout(0.1)])
    model.add(keras.layers.Dense(2, kernel_initializer=keras.initializers.Zeros()))
    model.add(keras.layers.Dropout(0.1, seed=2**31 - 1))
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 10**9, warmup_steps=10**8)
    model.compile(keras.optimizers.SGD(schedule), "mean_squared_error")
    model.save(tmp_path / "model.keras")
    assert load_model(tmp_path / "model.keras").count_params() == model.count_params()


@pytest.mark.parametrize("units", [10**6, 2**22])
def test_a_network_is_no_larger_than_its_weights(saved, tmp_path, units):
    def change(config):
        layer_of(config)["config"]["units"] = units
        layer_of(config)["config"]["kernel_initializer"] = "zeros"
        layer_of(config)["build_config"]["input_shape"] = [None, 10**6]
        config["config"]["layers"][0]["config"]["batch_shape"] = [None, 10**6]
        config["build_config"]["input_shape"] = [None, 10**6]

    path = rewritten(saved, tmp_path / "model.keras", change)
    before = keras.Variable.__init__
    with pytest.raises(RunError, match="must hold the weights of the network"):
        load_model(path)
    assert keras.Variable.__init__ is before


@any_backend
def test_arrays_take_no_more_than_their_archive_accounts_for(tmp_path, monkeypatch):
    keys = ("x", "y")
    path = tmp_path / "images.npz"
    np.savez(path, y=np.zeros(3))
    with (
        zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("x.npy", "w") as member,
    ):
        for _ in range(300):
            member.write(bytes(1_000_000))
    with pytest.raises(ValueError, match=r"must not become more .* numpy\.savez,"):
        open_npz(path, keys)
    np.savez_compressed(path, x=np.zeros((20, 1000, 1000), "uint8"), y=np.zeros(20))
    assert open_npz(path, keys)[0]["x"].shape == (20, 1000, 1000)

    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": (5_000_000_000,)}
    )
    np.savez(path, y=np.zeros(3))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("x.npy", header.getvalue())
    with pytest.raises(ValueError, match="20,000,000,128 bytes of which there are 128"):
        open_npz(path, keys)


def _unparsed(archive):
    archive.writestr("x.npy", b"\x93NUMPY\x01\x00" + b"\x88\x13" + b"(" * 5000)


def _no_array(archive):
    archive.writestr("x", b"text")


def _shorter(archive):
    content = io.BytesIO()
    np.save(content, np.zeros(3))
    archive.writestr("x.npy", content.getvalue())
    # What the directory at the end says of it.
    archive.getinfo("x.npy").file_size = 100


@any_backend
@pytest.mark.parametrize("write", [_unparsed, _no_array, _shorter])
def test_arrays_that_cannot_be_read_are_told(tmp_path, write):
    path = tmp_path / "images.npz"
    np.savez(path, y=np.zeros(3))
    with zipfile.ZipFile(path, "a") as archive:
        write(archive)
    with pytest.raises(ValueError, match="images.npz' must be .* Received"):
        open_npz(path, ("x", "y"))


@any_backend
def test_a_single_array_is_not_even_read(tmp_path, monkeypatch):
    path = tmp_path / "images.npz"
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "|u1", "fortran_order": False, "shape": (10**15,)}
        )
    monkeypatch.setattr(np, "load", None)
    with pytest.raises(ValueError, match="Received a single array"):
        open_npz(path, ("x", "y"))


# -- checkpoints --------------------------------------------------------------------


@any_backend
@pytest.mark.parametrize(
    ("state", "told"),
    [
        ("{}", None),
        ('{"step": -1}', "step -1 is no count"),
        ('{"epoch": "x%"}', "epoch 'x%' is no count"),
        ('{"batch": true}', "batch True is no count"),
        ('{"seconds": NaN}', "seconds nan is no duration"),
        ('{"seconds": "long"}', "seconds 'long' is no duration"),
        ('{"history": {"loss": ["x"]}}', "the history of 'loss' is no list"),
        ('{"history": []}', "history is no object"),
        ('{"metrics": 3}', "metrics are no list"),
        ('{"step": 1' + "0" * 400 + "}", "is no count"),
        ("[" * 100_000, "recursion"),
        ('{"step": 1' + " " * 2**24 + "}", "bytes"),
    ],
)
def test_where_a_training_stands_is_checked(saved, tmp_path, state, told):
    path = tmp_path / "checkpoint_000000000.keras"
    rewritten(saved, path, **{"semppl_training_state.json": state})
    if told is None:
        assert TrainingState.read(path) == TrainingState()
        return
    with pytest.raises(ValueError, match=told):
        TrainingState.read(path)
    with pytest.raises(ValueError, match=path.name):
        begun_training(tmp_path)


# -- settings -----------------------------------------------------------------------

SETTINGS = {
    "dataset": "digits",
    "labels_per_class": 10,
    "epochs": 3,
    "seed": 0,
    "backend": "torch",
}
OWN = {
    "unlabelled": "/photos",
    "labelled": "/few",
    "test": None,
    "image_size": 32,
    "backbone": None,
    "max_skipped": 0.05,
    "cache": "auto",
}


@any_backend
@pytest.mark.parametrize(
    "changes",
    [
        {"seed": -1},
        {"seed": 10**400},
        {"seed": True},
        {"seed": 1.5},
        {"seed": float("nan")},
        {"epochs": -3},
        {"epochs": 1e9},
        {"epochs": None},
        {"labels_per_class": 0},
        {"labels_per_class": "x%"},
        {"labels_per_class": [1]},
        {"batch_size": "12"},
        {"batch_size": -12},
        {"learning_rate": float("inf")},
        {"learning_rate": 0},
        {"learning_rate": "fast"},
        {"backend": 3},
        {"dataset": "mnist"},
        {"dataset": "npz:"},
        {"dataset": "npz:a\0b"},
        {"dataset": ["digits"]},
        {"class_names": []},
        {"class_names": ["a", "a"]},
        {"class_names": ["a", ""]},
        {"class_names": ["a", 3]},
        {"class_names": ["a", "\ud800"]},
        {"images_digest": 3},
        {"dataset": {**OWN, "image_size": 0}},
        {"dataset": {**OWN, "image_size": -1}},
        {"dataset": {**OWN, "image_size": 10**9}},
        {"dataset": {**OWN, "labelled": "a\0b"}},
        {"dataset": {**OWN, "unlabelled": ""}},
        {"dataset": {**OWN, "test": 3}},
        {"dataset": {**OWN, "backbone": "huge"}},
        {"dataset": {**OWN, "cache": "/etc"}},
        {"dataset": {**OWN, "max_skipped": 2}},
        {"more": [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]},
    ],
)
def test_settings_that_no_run_has_are_told(tmp_path, changes):
    path = tmp_path / "run.json"
    for settings in (SETTINGS, {**SETTINGS, "dataset": OWN}):
        path.write_text(json.dumps(settings))
        assert read_run_json(path) == settings
    path.write_text(json.dumps({**SETTINGS, **changes}))
    with pytest.raises(RunError) as caught:
        read_run_json(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400 + len(str(path))


# -- whose run it is ----------------------------------------------------------------


@any_backend
def test_sources_are_followed_where_they_were_written(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SEMPPL_HOME", str(tmp_path / "mine"))
    settings = {**SETTINGS, "dataset": OWN}
    with pytest.raises(RunError, match=r"it names /photos, /few\. If .* --trust"):
        own_runs.check_sources("run", settings)
    # Asking makes no key.
    assert not (tmp_path / "mine").exists()
    signed = own_runs.signed(settings)
    own_runs.check_sources("run", signed)
    own_runs.check_sources("run", json.loads(json.dumps(signed)))
    own_runs.check_sources("run", {**signed, "seed": 3})
    own_runs.check_sources("run", SETTINGS)
    key = tmp_path / "mine" / "key"
    assert os.name == "nt" or key.stat().st_mode & 0o77 == 0
    assert [path.name for path in key.parent.iterdir()] == ["key"]

    changed = {**signed, "dataset": {**OWN, "labelled": "/home/other"}}
    for other in (changed, {**signed, "sources_signature": 3}):
        with pytest.raises(RunError, match="written by you"):
            own_runs.check_sources("run", other)
        own_runs.check_sources("run", other, trust=True)
    monkeypatch.setenv("SEMPPL_HOME", str(tmp_path / "another"))
    own_runs.signed(settings)
    with pytest.raises(RunError, match="written by you"):
        own_runs.check_sources("run", signed)
    with pytest.raises(RunError, match="names tfds:mnist"):
        own_runs.check_sources("run", {**SETTINGS, "dataset": "tfds:mnist"})

    # Where nothing can be kept, training goes on.
    monkeypatch.setenv("SEMPPL_HOME", str(key))
    assert own_runs.signed(settings) == settings
    assert "will ask for --trust" in capsys.readouterr().err
    monkeypatch.setenv("SEMPPL_HOME", str(tmp_path / "cut"))
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "key").write_bytes(b"")
    assert own_runs.signed(settings) == settings
    with pytest.raises(RunError, match="written by you"):
        own_runs.check_sources("run", signed)


@any_backend
def test_what_lies_in_no_folder_is_not_followed_either(tmp_path, monkeypatch):
    """Where a person has said in which folder the images are."""
    monkeypatch.setenv("SEMPPL_HOME", str(tmp_path))
    fetched = {**OWN, "backbone": "hub:dinov2_small"}
    for dataset, network, named in (
        (OWN, True, None),
        (fetched, False, None),
        (fetched, True, "it names hub:dinov2_small. If"),
        ({**fetched, "test": "tfds:mnist"}, True, "tfds:mnist, hub:dinov2_small. If"),
        ({**OWN, "test": "tfds:mnist"}, False, "it names tfds:mnist. If"),
        ("tfds:mnist", False, "it names tfds:mnist. If"),
    ):
        settings = {**SETTINGS, "dataset": dataset}
        check = functools.partial(
            own_runs.check_sources, "run", photos=True, network=network
        )
        check(settings, trust=True)
        check(own_runs.signed(settings))
        if named is None:
            check(settings)
            continue
        with pytest.raises(RunError, match=named):
            check(settings)
        with pytest.raises(RunError, match=named):
            check(own_runs.signed(settings), own=False)


@any_backend
@pytest.mark.parametrize(
    ("changes", "named"),
    [({"test": "tfds:mnist"}, "tfds:mnist"), ({"backbone": "hub:vit"}, "hub:vit")],
)
def test_a_training_that_goes_on_asks_with_photos_too(tmp_path, changes, named):
    """And the run stays somebody else's."""
    settings = {**SETTINGS, "dataset": {**OWN, **changes}}
    settings["backend"] = keras.backend.backend()
    text = json.dumps(settings)
    (tmp_path / "run.json").write_text(text)
    for given in (None, tmp_path):
        with pytest.raises(RunError, match=f"{named}. If these may be read: --trust"):
            runs.train(resume=tmp_path, photos=given)
    assert (tmp_path / "run.json").read_text() == text


# -- one training at a time ---------------------------------------------------------


@any_backend
def test_one_training_at_a_time_writes_to_a_folder(tmp_path):
    folder = tmp_path / "deep" / "run"
    with locked(folder):
        with (
            pytest.raises(RunError, match=f"process {os.getpid()} on "),
            locked(folder),
        ):
            pass
        # The first still has it.
        with pytest.raises(RunError), locked(pathlib.Path(f"{folder}/.")):
            pass
    # Nothing was written, and nothing is left.
    assert list(tmp_path.iterdir()) == []
    folder.mkdir(parents=True)
    # What a process that was killed has left.
    (folder / "training.lock").write_text("process 1 on elsewhere")
    with locked(folder):
        (folder / "run.json").write_text("{}")
    assert [path.name for path in folder.iterdir()] == ["run.json"]
    with (
        pytest.raises(RunError, match="must be able to write"),
        locked(folder / "run.json"),
    ):
        pass


@any_backend
def test_nothing_is_written_through_a_link(tmp_path):
    (tmp_path / "own.txt").write_text("precious")
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "training.lock").symlink_to(tmp_path / "own.txt")
    with pytest.raises(RunError, match="must be able to write"), locked(folder):
        pass
    assert (tmp_path / "own.txt").read_text() == "precious"
    (folder / "training.lock").unlink()
    for name, target in (
        ("run.json.partial", tmp_path / "own.txt"),
        ("logs", tmp_path),
        ("lost", tmp_path / "nowhere"),
    ):
        (folder / name).symlink_to(target)
        with pytest.raises(RunError, match=f"no links.*{name}.*--trust"):
            check_folder(folder)
        check_folder(folder, trust=True)
        (folder / name).unlink()
    # That of the folder itself is by whoever names it.
    (tmp_path / "link").symlink_to(folder)
    check_folder(tmp_path / "link")
