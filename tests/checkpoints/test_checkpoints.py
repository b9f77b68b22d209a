"""Published checkpoints: the authors' numbers, and files that are something else."""

import collections
import copy
import dataclasses
import os
import pathlib
import pickle
import struct
import sys

import golden_files
import keras
import numpy as np
import pytest
from toys import QUICK, one_everywhere, toy_images

import semppl_keras
from semppl_keras.checkpoints import load_deepmind, load_simclr, safe_pickle
from semppl_keras.checkpoints.layout import CONVOLUTION, trunk_layers
from semppl_keras.cli import main
from semppl_keras.views import MultiCrop


@pytest.fixture(autouse=True)
def blank(monkeypatch):
    """Networks start from zeros: JAX compiles a random generator for every shape."""
    monkeypatch.setattr(
        keras.initializers, "VarianceScaling", lambda **_: keras.initializers.Zeros()
    )


def narrow(layout, divisor=16):
    """The same network with a sixteenth of the filters."""
    if isinstance(layout, dict):
        return {key: narrow(value, divisor) for key, value in layout.items()}
    return [size // divisor if size >= 64 else size for size in layout]


DEEPMIND = narrow(golden_files.layout("resnet50_1x"))
SIMCLR = narrow(golden_files.layout("simclrv2_r50_1x_sk0"))


@pytest.fixture(scope="module")
def deepmind(tmp_path_factory):
    folder = tmp_path_factory.mktemp("deepmind")
    return golden_files.write_deepmind(folder / "narrow.pkl", DEEPMIND)


@pytest.fixture(scope="module")
def simclr(tmp_path_factory):
    return golden_files.write_simclr(tmp_path_factory.mktemp("simclr"), SIMCLR)


def outputs_of(checkpoint, images):
    features = checkpoint.backbone.predict(images, verbose=0)
    outputs = {"features": features}
    if checkpoint.projector is not None:
        outputs["projection"] = checkpoint.projector.predict(features, verbose=0)
    if checkpoint.predictor is not None:
        outputs["prediction"] = checkpoint.predictor.predict(
            outputs["projection"], verbose=0
        )
    if checkpoint.fine_tune_backbone is not None:
        outputs["fine_tune_features"] = checkpoint.fine_tune_backbone.predict(
            images, verbose=0
        )
    if checkpoint.classifier is not None:
        outputs["logits"] = checkpoint.classifier.predict(images, verbose=0)
    return outputs


def assert_close(outputs, expected):
    assert set(outputs) == set(expected)
    for name, value in outputs.items():
        error = np.linalg.norm(value - expected[name]) / np.linalg.norm(expected[name])
        assert error < 1e-5, f"{name} is off by {error:.1e}"


GOLDEN = {
    "resnet18_1x": "ResNet-18, width 1x, without selective kernels, 11,180,736 "
    "parameters; heads: none",
    "resnet50_1x": "ResNet-50, width 1x, without selective kernels, 23,508,032 "
    "parameters; heads: projector, predictor",
    "simclrv2_r50_1x_sk0": "ResNet-50, width 1x, without selective kernels, 23,508,032 "
    "parameters; heads: projector, classifier",
    "simclrv2_r50_1x_sk1": "ResNet-50, width 1x, with selective kernels, 35,215,584 "
    "parameters; heads: projector, classifier",
}


@one_everywhere("name", sorted(GOLDEN))
def test_the_authors_numbers(name, tmp_path):
    layout = golden_files.layout(name)
    if name.startswith("resnet"):
        checkpoint = load_deepmind(
            golden_files.write_deepmind(tmp_path / "file.pkl", layout)
        )
    else:
        golden_files.write_simclr(tmp_path / "folder", layout)
        checkpoint = load_simclr(tmp_path / "folder")
    assert checkpoint.describe().endswith(GOLDEN[name])
    assert checkpoint.ignored == ()
    expected = golden_files.expected(name)
    images = golden_files.images(int(expected.pop("size")))
    assert_close(outputs_of(checkpoint, images), expected)


class Experiment:
    """An object, as a pickle would have one of a class that nobody here has."""


class FlatMapping(dict):
    def __reduce__(self):
        return FlatMapping, (dict(self),)


ByolState = collections.namedtuple(
    "ByolState", "online_params target_params online_state target_state opt_state"
)


class Reduced:
    """Pickles as any call."""

    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call


def _reconstruct_array(make, args, state, aval):
    raise AssertionError("never called")


def jax_like(array):
    """An array as jax pickles it."""
    make, args, state = array.__reduce__()
    return Reduced(_reconstruct_array, (make, args, state, {"weak_type": False}))


def transformed(tree, mapping, leaf):
    return mapping(
        {
            module: mapping({name: leaf(array) for name, array in leaves.items()})
            for module, leaves in tree.items()
        }
    )


def pickled(content, protocol):
    """The bytes of a pickle whose classes have other modules than this one."""
    data = pickle.dumps(content, protocol=protocol)
    own = __name__.encode()
    for name, module in (
        (b"FlatMapping", b"hk.data"),
        (b"_reconstruct_array", b"jax._src.array"),
    ):
        short = b"c" + own + b"\n" + name
        data = data.replace(short, b"c" + module + b"\n" + name)
    return data


FORMS = {
    "devices": lambda state: golden_files.experiment_state(DEEPMIND, devices=2),
    "object": lambda state: vars_of(Experiment(), state),
    "named tuple": lambda state: ByolState(
        state["online_params"], {}, state["online_state"], {}, ()
    ),
    "haiku": lambda state: {
        part: transformed(tree, FlatMapping, np.asarray) for part, tree in state.items()
    },
    "jax": lambda state: {
        part: transformed(tree, dict, jax_like) for part, tree in state.items()
    },
    "target too": lambda state: {
        **state,
        "target_params": state["online_params"],
        "target_state": state["online_state"],
    },
    "ordered": lambda state: collections.OrderedDict(state),
    "fortran": lambda state: {
        part: transformed(tree, dict, np.asfortranarray) for part, tree in state.items()
    },
}


def vars_of(holder, values):
    holder.__dict__.update(values)
    return holder


@pytest.fixture(scope="module")
def narrow_network(deepmind):
    return load_deepmind(deepmind)


@pytest.mark.any_backend
@pytest.mark.parametrize("form", sorted(FORMS))
def test_every_form_of_the_pickle_gives_the_same_network(
    form, narrow_network, tmp_path
):
    state = golden_files.experiment_state(DEEPMIND)
    path = tmp_path / "file.pkl"
    path.write_bytes(pickled({"experiment_state": FORMS[form](state)}, protocol=2))
    checkpoint = load_deepmind(path)
    for part in ("backbone", "projector", "predictor"):
        weights = getattr(checkpoint, part).get_weights()
        others = getattr(narrow_network, part).get_weights()
        for weight, other in zip(weights, others, strict=True):
            np.testing.assert_array_equal(weight, other)


@pytest.mark.any_backend
@pytest.mark.parametrize("protocol", [0, 1, 3, 4, 5])
def test_arrays_of_every_protocol(protocol, tmp_path):
    arrays = [
        np.arange(6, dtype="float32").reshape(2, 3),
        np.arange(6, dtype=">f8").reshape(3, 2),
        np.asfortranarray(np.arange(6, dtype="int32").reshape(2, 3)),
        np.float16(3),
        np.zeros((0, 3), "uint8"),
    ]
    path = tmp_path / "arrays.pkl"
    path.write_bytes(pickle.dumps({"arrays": arrays}, protocol=protocol))
    loaded = safe_pickle.load(path)["arrays"]
    for array, own in zip(arrays, loaded, strict=True):
        own = safe_pickle.array_of(own)
        np.testing.assert_array_equal(own, array)
        assert own.dtype == array.dtype


@pytest.mark.any_backend
def test_options_of_a_deepmind_backbone(deepmind):
    images = golden_files.images(33)
    checkpoint = load_deepmind(deepmind, width_multiplier=1 / 16, name="mine")
    assert checkpoint.backbone.name == "mine"
    plain = load_deepmind(deepmind, normalization=False, input_shape=(33, 33, 3))
    assert plain.backbone.input_shape == (None, 33, 33, 3)
    mean, deviation = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    normalised = (images - np.float32(mean)) / np.float32(deviation)
    np.testing.assert_allclose(
        plain.backbone.predict(normalised, verbose=0),
        checkpoint.backbone.predict(images, verbose=0),
        rtol=1e-4,
    )
    with pytest.raises(ValueError, match=r"width 0.0625, not width_multiplier=2"):
        load_deepmind(deepmind, width_multiplier=2)


@pytest.mark.any_backend
def test_test_images_are_cropped_as_the_authors_do(deepmind, simclr):
    images = np.zeros((1, 32, 48, 3), "uint8")
    # The central 28 pixels: columns 10 to 37, rows 2 to 29.
    images[:, 2:30, 10:38] = 200
    for checkpoint in (load_deepmind(deepmind), load_simclr(simclr)):
        view = keras.ops.convert_to_numpy(checkpoint.views.center_view(images))
        assert view.shape == (1, 224, 224, 3)
        np.testing.assert_allclose(view, 200 / 255, atol=1e-6)
        assert checkpoint.views.center_interpolation == "bicubic"
        assert (checkpoint.views.num_large, checkpoint.views.num_small) == (4, 2)


def version_2(layout):
    """The layout of a network whose blocks normalise first."""
    result = {}
    for part, tree in layout.items():
        result[part] = {}
        for module, leaves in tree.items():
            if "shortcut_batchnorm" in module:
                continue
            name = module.replace("initial_batchnorm", "final_batchnorm")
            result[part][name] = leaves
    # Before a convolution, batch normalisation has the channels that enter it.
    for part in result:
        for module, leaves in result[part].items():
            if "batchnorm" not in module:
                continue
            owner = module.removesuffix("/~/mean_ema").removesuffix("/~/var_ema")
            if owner.endswith("final_batchnorm"):
                channels = result["online_params"][
                    "res_net18/~/block_group_3/~/block_1/~/conv_1"
                ]["w"][-1]
            else:
                conv = owner.replace("batchnorm_", "conv_")
                channels = result["online_params"][conv]["w"][-2]
            result[part][module] = {
                leaf: [*shape[:-1], channels] if shape else []
                for leaf, shape in leaves.items()
            }
    return result


@pytest.mark.any_backend
def test_version_2_is_recognised(tmp_path):
    layout = version_2(narrow(golden_files.layout("resnet18_1x")))
    path = golden_files.write_deepmind(tmp_path / "file.pkl", layout)
    checkpoint = load_deepmind(path)
    assert checkpoint.version == 2
    assert "ResNet-18 version 2" in checkpoint.describe()
    assert checkpoint.ignored == ()
    norm = checkpoint.backbone.get_layer("stage2_block1_norm1").get_weights()
    scope = "res_net18/~/block_group_1/~/block_0/~/batchnorm_0"
    for weight, name in zip(
        norm,
        ("scale", "offset", "~/mean_ema/average", "~/var_ema/average"),
        strict=True,
    ):
        np.testing.assert_array_equal(
            weight, golden_files.drawn(f"{scope}/{name}", (1, 1, 1, 4)).ravel()
        )
    assert np.isfinite(
        checkpoint.backbone.predict(golden_files.images(21), verbose=0)
    ).all()


def make_semppl(checkpoint, **heads):
    return semppl_keras.SemPPL(
        checkpoint.backbone,
        3,
        views=MultiCrop(2, 0, large_size=16, small_size=8),
        num_negatives=4,
        seed=0,
        **heads,
    )


@pytest.mark.any_backend
def test_training_goes_on_from_a_checkpoint(tmp_path):
    layout = narrow(golden_files.layout("resnet18_1x"))
    for part, tree in layout.items():
        tree |= {k: v for k, v in DEEPMIND[part].items() if not k.startswith("res_net")}
    layout["online_params"]["projector/linear"] = {"b": [256], "w": [32, 256]}
    checkpoint = load_deepmind(
        golden_files.write_deepmind(tmp_path / "file.pkl", layout)
    )
    model = make_semppl(checkpoint, hidden_dim=256, projection_dim=16)
    checkpoint.load_heads(model)
    images, labels = toy_images(24, channels=3, size=16)
    seen = keras.ops.convert_to_tensor(images / 255)
    features = checkpoint.backbone(seen)
    for encoder, heads in (
        (model.target, (checkpoint.projector,)),
        (model.online, (checkpoint.projector, checkpoint.predictor)),
    ):
        expected = features
        for head in heads:
            expected = head(expected)
        expected = keras.ops.convert_to_numpy(expected)
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
        np.testing.assert_allclose(
            keras.ops.convert_to_numpy(encoder(seen)), expected, atol=1e-5
        )
    model.compile(optimizer=keras.optimizers.SGD(1e-3), **QUICK)
    arguments = {"batch_size": 6, "labelled_batch_size": 3, "verbose": 0}
    model.fit(images[6:], (images[:6], labels[:6]), epochs=1, **arguments)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        loaded.embed(images, batch_size=6), model.embed(images, batch_size=6), atol=1e-6
    )
    history = loaded.fit(images[6:], (images[:6], labels[:6]), epochs=1, **arguments)
    assert int(loaded.step) == 6
    assert np.isfinite(history.history["loss"]).all()


@pytest.mark.any_backend
def test_heads_that_do_not_fit(deepmind, simclr):
    checkpoint = load_deepmind(deepmind)
    model = make_semppl(checkpoint, hidden_dim=8, projection_dim=16)
    with pytest.raises(ValueError, match="hidden_dim=256, projection_dim=16"):
        checkpoint.load_heads(model)
    with pytest.raises(ValueError, match="no projector"):
        dataclasses.replace(checkpoint, projector=None).load_heads(model)
    with pytest.raises(ValueError, match="normalises its output"):
        load_simclr(simclr).load_heads(model)


@pytest.mark.any_backend
def test_heads_share_their_weights_with_the_backbone(simclr):
    checkpoint = load_simclr(simclr)
    kernel = checkpoint.backbone.get_layer("stem_conv").kernel
    kernel.assign(2 * kernel)
    for model in (checkpoint.fine_tune_backbone, checkpoint.classifier):
        assert model.get_layer("stem_conv").kernel is kernel


@pytest.mark.any_backend
def test_a_simclr_file_without_heads(tmp_path):
    trunk = {k: v for k, v in SIMCLR.items() if k.startswith("base_model")}
    checkpoint = load_simclr(golden_files.write_simclr(tmp_path, trunk))
    assert checkpoint.projector is None
    assert checkpoint.fine_tune_backbone is None
    assert checkpoint.classifier is None


@pytest.mark.any_backend
def test_the_latest_checkpoint_of_a_folder(tmp_path):
    trunk = {k: v for k, v in SIMCLR.items() if k.startswith("base_model")}
    golden_files.write_simclr(tmp_path, {"other": [2]}, step=9)
    golden_files.write_simclr(tmp_path, trunk, step=10)
    assert load_simclr(tmp_path).depth == 50
    assert load_simclr(tmp_path / "model.ckpt-10.index").depth == 50
    with pytest.raises(ValueError, match=r"base_model/conv2d/kernel.*It has .*other"):
        load_simclr(tmp_path / "model.ckpt-9")


# -- files that are not what they seem ----------------------------------------------


def with_state(change):
    """The bytes of a checkpoint of which something was changed."""
    state = golden_files.experiment_state(copy.deepcopy(DEEPMIND))
    change(state)
    return pickle.dumps({"experiment_state": state}, protocol=2)


def without(module, part="online_params"):
    return with_state(lambda state: state[part].pop(module))


def reshaped(module, leaf, shape):
    def change(state):
        state["online_params"][module][leaf] = np.zeros(shape, "float32")

    return with_state(change)


LAST = "res_net50/~/block_group_3/~/block_2"
CONV = "res_net50/~/block_group_1/~/block_0/~/conv_1"
WRONG = {
    "text": (b"step 94000\n", "cannot be read"),
    "empty": (b"", "ends in the middle"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(64), "HDF5"),
    "zip": (b"PK\x03\x04" + bytes(64), "zip"),
    "other": (pickle.dumps({"weights": 1}), "no `experiment_state`"),
    "no online": (
        pickle.dumps({"experiment_state": {"online_params": {}, "params": {}}}),
        "no `online_state`",
    ),
    "no network": (
        pickle.dumps({"experiment_state": {"online_params": {}, "online_state": {}}}),
        "0 residual networks",
    ),
    "no stem": (without("res_net50/~/initial_conv"), "initial_conv/w"),
    "no norm": (
        without("res_net50/~/block_group_0/~/block_0/~/batchnorm_0"),
        "batchnorm_0/scale",
    ),
    "no statistics": (
        without(
            "res_net50/~/block_group_3/~/block_2/~/batchnorm_2/~/var_ema",
            "online_state",
        ),
        "batchnorm_2/~/var_ema/average",
    ),
    "no convolution": (
        without(CONV),
        r"conv_1/w' of shape \(3, 3, 8, 8\)\. \(Of SemPPL's published .* selective",
    ),
    "no last block": (
        with_state(
            lambda state: [
                state["online_params"].pop(f"{LAST}/~/conv_{i}") for i in range(3)
            ]
        ),
        r"\[3, 4, 6, 2\] blocks",
    ),
    "another head": (
        with_state(
            lambda state: state["online_params"].update(
                {"projector/linear_2": {"w": np.zeros((16, 16), "float32")}}
            )
        ),
        "projector of two matrices",
    ),
    "a wide stem": (
        reshaped("res_net50/~/initial_conv", "w", (7, 7, 3, 64000)),
        r"where the network, as far as it was recognised, has",
    ),
    "an empty stem": (
        reshaped("res_net50/~/initial_conv", "w", (0, 0, 3, 64_000_000)),
        r"where the network, as far as it was recognised, has",
    ),
    "half a head": (without("projector/linear_1"), "projector/linear_1/w"),
    "no norm of a head": (without("predictor/batch_norm"), "predictor/batch_norm"),
    "selective kernels": (
        with_state(
            lambda state: state["online_params"].update(
                {f"{CONV}/~/select": {"w": np.zeros((8, 16), "float32")}}
            )
        ),
        r"1 other arrays in it, such as '.*/~/select/w'\. \(Of SemPPL's published "
        "checkpoints those with selective kernels cannot be read: the authors' code",
    ),
    "shape": (reshaped(CONV, "w", (3, 3, 8, 9)), r"conv_1/w.*\(3, 3, 8, 9\)"),
    "stem": (reshaped("res_net50/~/initial_conv", "w", (7, 7)), "first convolution"),
    "objects": (
        with_state(
            lambda state: state["online_params"][CONV].update(
                w=np.array([{}, []], dtype=object)
            )
        ),
        "objects|not of numbers",
    ),
}


@pytest.mark.any_backend
@pytest.mark.parametrize("name", sorted(WRONG))
def test_wrong_files_are_told_apart(name, tmp_path):
    content, message = WRONG[name]
    path = tmp_path / "wrong.pkl"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        load_deepmind(path)
    assert str(path) in str(caught.value)


@pytest.mark.any_backend
def test_no_file_and_a_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file"):
        load_deepmind(tmp_path / "none.pkl")
    with pytest.raises(ValueError, match="is a folder"):
        load_deepmind(tmp_path)


@pytest.mark.any_backend
@pytest.mark.parametrize("share", [0.1, 0.5, 0.999])
def test_a_file_that_is_cut_off(share, deepmind, tmp_path):
    content = deepmind.read_bytes()
    path = tmp_path / "cut.pkl"
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=f"{path}.*"):
        load_deepmind(path)


def hostile(tmp_path):
    """Pickles that do something when they are loaded."""
    marker = tmp_path / "executed"
    (tmp_path / "hostile_module.py").write_text(f"open({str(marker)!r}, 'w')\n")
    touch = f"touch {marker}"
    calls = {
        "system": (os.system, (touch,)),
        "exec": (exec, (f"open({str(marker)!r}, 'w')",)),
        "eval": (eval, (f"open({str(marker)!r}, 'w')",)),
        "open": (open, (str(marker), "w")),
        "import": (__import__, ("hostile_module",)),
        "write": (pathlib.Path.write_text, (marker, "x")),
    }
    files = {name: pickle.dumps(Reduced(*call)) for name, call in calls.items()}
    files["global"] = b"chostile_module\nanything\n."
    files["instance"] = b"(S'" + touch.encode() + b"'\nios\nsystem\n."
    files["object"] = b"(cos\nsystem\nS'" + touch.encode() + b"'\no."
    files["dotted"] = (
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c"
        + bytes([len(touch)])
        + touch.encode()
        + b"\x85R."
    )
    socket = b"csocket\ncreate_connection\n((S'127.0.0.1'\nI9\ntR."
    files["socket"] = socket
    return marker, files


@pytest.mark.any_backend
def test_nothing_in_a_pickle_is_executed(tmp_path, monkeypatch):
    marker, files = hostile(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    connected = []
    monkeypatch.setattr("socket.create_connection", lambda *a: connected.append(a))
    for name, content in files.items():
        path = tmp_path / f"{name}.pkl"
        path.write_bytes(content)
        with pytest.raises(ValueError, match=f"{name}.pkl"):
            load_deepmind(path)
        # And amid a checkpoint that is one otherwise.
        path.write_bytes(
            b"\x80\x02}(U\x04evil"
            + content.removeprefix(b"\x80\x04").rstrip(b".")
            + pickle.dumps({"experiment_state": {}}, protocol=2)[2:-1]
            + b"0u."
        )
        with pytest.raises(ValueError, match=f"{name}.pkl"):
            load_deepmind(path)
        assert not marker.exists(), name
        assert "hostile_module" not in sys.modules, name
    assert not connected


def array_program(shape, raw):
    """A pickle of one array that announces a shape."""
    array = np.zeros(4, "float32")
    make, args, (version, _, dtype, fortran, _) = array.__reduce__()

    class Lying:
        def __reduce__(self):
            return make, args, (version, shape, dtype, fortran, raw)

    return pickle.dumps(Lying(), protocol=4)


HUNGRY = {
    "shape": array_program((1 << 20, 1 << 20), bytes(16)),
    "negative": array_program((-1,), bytes(16)),
    "bytes": b"\x80\x04\x8e" + struct.pack("<Q", 1 << 45) + b"x.",
    "text": b"\x80\x04\x8d" + struct.pack("<Q", 1 << 45) + b"x.",
    "bytearray": b"\x80\x05\x96" + struct.pack("<Q", 1 << 45) + b"x.",
    "frame": b"\x80\x04\x95" + struct.pack("<Q", 1 << 45) + b"N.",
    "memo": b"\x80\x02Nr" + struct.pack("<I", (1 << 32) - 1) + b".",
    "long": b"\x80\x02\x8b" + struct.pack("<i", (1 << 31) - 1) + b"x.",
    "decoding": b"\x80\x02]q\x00("
    + b"c_codecs\nencode\nq\x01X\x10\x00\x00\x00"
    + b"a" * 16
    + b"q\x02\x85R"
    + b"h\x01h\x02\x85R" * 100
    + b"e.",
    "deep key": b"\x80\x02}N" + b"\x85" * 500_000 + b"Ns.",
    "wide key": b"\x80\x02}N" + b"2\x86" * 100 + b"Ns.",
    "wide encoding": b"\x80\x02c_codecs\nencode\nU\x01aN" + b"2\x86" * 60 + b"\x86R.",
    "copies": b"\x80\x02("
    + b"N" * 10_000
    + b"tq\x00"
    + b"cx\ny\nh\x00R" * 10_000
    + b".",
    "names": b"\x80\x02" + b"".join(b"cx\n%d\n" % i for i in range(2000)) + b".",
    "extension": b"\x80\x02\x82\x01.",
    "defaults": b"\x80\x02cnumpy.core.multiarray\nscalar\n}U\x0c__defaults__)sb.",
    "zeros": pickle.dumps(Reduced(bytes, (1 << 40,))),
    "numpy": pickle.dumps(Reduced(np.zeros, ((1 << 40,),))),
}


@pytest.mark.any_backend
@pytest.mark.parametrize("name", sorted(HUNGRY))
def test_what_a_pickle_announces_is_not_believed(name, tmp_path):
    path = tmp_path / "hungry.pkl"
    path.write_bytes(HUNGRY[name])
    with pytest.raises(ValueError, match=r"hungry\.pkl"):
        load_deepmind(path)


@pytest.mark.any_backend
def test_a_pickle_of_too_many_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(safe_pickle, "MOST_READS", 1000)
    path = tmp_path / "lists.pkl"
    path.write_bytes(b"\x80\x02(" + b"]" * 2000 + b"l.")
    with pytest.raises(ValueError, match="more than 1,000 instructions"):
        load_deepmind(path)


@pytest.mark.any_backend
def test_simclr_files_that_are_not_whole(simclr, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no .*\.index"):
        load_simclr(tmp_path / "model.ckpt-1")
    with pytest.raises(FileNotFoundError, match=r"no \.index"):
        load_simclr(tmp_path)
    prefix = tmp_path / simclr.name
    index = simclr.with_name(f"{simclr.name}.index").read_bytes()
    prefix.with_name(f"{prefix.name}.index").write_bytes(index)
    with pytest.raises(FileNotFoundError, match=r"data-00000-of-00001"):
        load_simclr(prefix)
    data = simclr.with_name(f"{simclr.name}.data-00000-of-00001").read_bytes()
    shard = prefix.with_name(f"{prefix.name}.data-00000-of-00001")
    shard.write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match="cut off"):
        load_simclr(prefix)
    shard.write_bytes(data)
    prefix.with_name(f"{prefix.name}.index").write_bytes(index[: len(index) // 2])
    with pytest.raises(ValueError, match="cannot be read"):
        load_simclr(prefix)


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"base_model/conv2d_7/kernel": None}, "missing the variables .*conv2d_7/"),
        ({"base_model/conv2d_52/kernel": None}, "52 convolutions"),
        ({"head_contrastive/nl_0/dense/kernel": None}, "nl_0/dense/kernel"),
        ({"head_contrastive/nl_2/dense/kernel": None}, "nl_2/dense/kernel"),
        ({"head_supervised/linear_layer/dense/kernel": None}, "dense/kernel"),
        ({"head_supervised/linear_layer/dense/kernel": [5, 62]}, r"\(5, 62\)"),
        ({"base_model/batch_normalization_3/gamma": None}, "_3/gamma"),
        ({"base_model/batch_normalization_3/gamma": [5]}, r"_3/gamma.*\(5,\)"),
        ({"head_contrastive/nl_1/batch_normalization/beta": None}, "nl_1/.*beta"),
        ({"head_supervised/linear_layer/dense/bias": None}, "dense/bias"),
    ],
)
def test_simclr_files_that_lack_something(change, message, tmp_path):
    layout = {**SIMCLR, **change}
    layout = {name: shape for name, shape in layout.items() if shape is not None}
    with pytest.raises(ValueError, match=message):
        load_simclr(golden_files.write_simclr(tmp_path, layout))


@pytest.mark.any_backend
def test_layouts_of_the_same_code_of_which_there_is_no_file(tmp_path):
    for depth, arguments in (
        (18, {"selective_kernels": True}),
        (34, {}),
        (50, {"stem": "small"}),
        (50, {"stem": "small", "selective_kernels": True}),
        (101, {"selective_kernels": True}),
    ):
        selective = arguments.get("selective_kernels", False)
        layout, counts = {}, {"conv2d": 0, "batch_normalization": 0}
        for _, kind, shape in trunk_layers(
            depth, 4, stem=arguments.get("stem", "imagenet"), selective=selective
        ):
            name = "conv2d" if kind == CONVOLUTION else "batch_normalization"
            scope = f"base_model/{name}" + (f"_{counts[name]}" if counts[name] else "")
            counts[name] += 1
            if kind == CONVOLUTION:
                layout[f"{scope}/kernel"] = shape
                continue
            for leaf in ("gamma", "beta", "moving_mean", "moving_variance"):
                layout[f"{scope}/{leaf}"] = (shape,)
        folder = tmp_path / f"{depth}_{len(arguments)}_{selective}"
        checkpoint = load_simclr(golden_files.write_simclr(folder, layout))
        assert (checkpoint.depth, checkpoint.selective_kernels) == (depth, selective)
        assert checkpoint.width_multiplier == 1 / 16
        assert checkpoint.ignored == ()
        names = {layer.name for layer in checkpoint.backbone.layers}
        assert ("stem_conv1" in names) == (selective and "stem" not in arguments)


@pytest.mark.any_backend
def test_simclr_files_need_tensorflow(simclr, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(ImportError, match="needs TensorFlow"):
        load_simclr(simclr)


# -- the command ---------------------------------------------------------------------


@pytest.mark.any_backend
def test_semppl_import(deepmind, simclr, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["import", str(deepmind), "--out", "a/mine.keras"]) == 0
    said = capsys.readouterr().out
    assert "DeepMind (SemPPL, BYOL): ResNet-50, width 0.0625x" in said
    assert "heads: projector, predictor" in said
    loaded = keras.models.load_model("a/mine.keras")
    images = golden_files.images(21)
    np.testing.assert_allclose(
        loaded.predict(images, verbose=0),
        load_deepmind(deepmind).backbone.predict(images, verbose=0),
        rtol=1e-5,
    )
    assert main(["import", str(simclr)]) == 0
    assert (tmp_path / f"{simclr.name}_backbone.keras").exists()
    assert "SimCLRv2: ResNet-50" in capsys.readouterr().out

    for arguments, message in (
        (["none.pkl"], "no file none.pkl"),
        ([str(deepmind), "--out", "a/mine.keras"], "exists already"),
        ([str(deepmind), "--out", "a/mine.h5"], "must end in .keras"),
        ([str(deepmind), "--family", "simclr"], "index"),
    ):
        assert main(["import", *arguments]) == 2
        assert message in capsys.readouterr().err


def test_semppl_import_writes_what_tensorflow_serves(tmp_path, capsys):
    layout = narrow(golden_files.layout("resnet18_1x"))
    deepmind = golden_files.write_deepmind(tmp_path / "file.pkl", layout)
    out = tmp_path / "served"
    arguments = ["import", str(deepmind), "--format", "saved_model", "--out", str(out)]
    if keras.backend.backend() == "tensorflow":
        assert main(arguments) == 0
    else:
        assert main(arguments) == 2
        assert "KERAS_BACKEND=tensorflow" in capsys.readouterr().err
    if keras.backend.backend() == "jax":
        checkpoint = load_deepmind(deepmind, input_shape=(21, 21, 3))
        semppl_keras.networks.make_servable(checkpoint.backbone)
        checkpoint.backbone.export(out, verbose=False)
    if keras.backend.backend() == "torch":
        return
    import tensorflow as tf

    images = golden_files.images(21)
    served = tf.saved_model.load(str(out))
    np.testing.assert_allclose(
        np.asarray(served.serve(images)),
        load_deepmind(deepmind).backbone.predict(images, verbose=0),
        rtol=1e-4,
    )
