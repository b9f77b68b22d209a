"""examples/efficientnet_lite0.py: the network, and PyTorch's weights in it."""

import importlib.util
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

from semppl_keras.runs.safety.loading import load_model

SCRIPT = pathlib.Path(__file__).parent.parent / "examples" / "efficientnet_lite0.py"

# (blocks, kernel size, stride, expansion, filters) as
# tensorflow/tpu/models/official/efficientnet/lite/efficientnet_lite_builder.py writes
# them: r1_k3_s11_e1_i32_o16, and so on.
STAGES = (
    *((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80)),
    *((3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320)),
)


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("efficientnet_lite0", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def state():
    """Random numbers in the places of PyTorch's."""
    rng = np.random.default_rng(0)
    state = {}

    def convolution(conv, bn, inputs, outputs, size):
        scale = np.sqrt(2 / (inputs * size * size))
        kernel = rng.normal(size=(outputs, inputs, size, size)) * scale
        state[f"{conv}.weight"] = kernel.astype("float32")
        state[f"{bn}.weight"] = rng.uniform(0.5, 1.5, outputs).astype("float32")
        state[f"{bn}.bias"] = rng.normal(size=outputs).astype("float32")
        state[f"{bn}.running_mean"] = rng.normal(size=outputs).astype("float32") / 10
        state[f"{bn}.running_var"] = rng.uniform(0.5, 1.5, outputs).astype("float32")
        state[f"{bn}.num_batches_tracked"] = np.array(7)

    convolution("_conv_stem", "_bn0", 3, 32, 3)
    inputs, number = 32, 0
    for blocks, size, _, expansion, outputs in STAGES:
        for _ in range(blocks):
            block, wide = f"_blocks.{number}", inputs * expansion
            if expansion > 1:
                convolution(f"{block}._expand_conv", f"{block}._bn0", inputs, wide, 1)
            convolution(f"{block}._depthwise_conv", f"{block}._bn1", 1, wide, size)
            convolution(f"{block}._project_conv", f"{block}._bn2", wide, outputs, 1)
            inputs, number = outputs, number + 1
    convolution("_conv_head", "_bn1", 320, 1280, 1)
    return state | {"_fc.weight": np.zeros((1000, 1280)), "_fc.bias": np.zeros(1000)}


def reference_features(state, views):
    """The network in NumPy, float64, after PyTorch's names."""

    def convolve(x, conv, bn, strides=1, activation=True):
        kernel = state[f"{conv}.weight"].astype("float64")
        size = kernel.shape[-1]
        padding = [(0, 0), (0, 0)]
        for length in x.shape[2:]:
            more = max((-(-length // strides) - 1) * strides + size - length, 0)
            padding.append((more // 2, more - more // 2))
        windows = np.lib.stride_tricks.sliding_window_view(
            np.pad(x, padding), (size, size), (2, 3)
        )[:, :, ::strides, ::strides]
        if kernel.shape[1] == 1 and x.shape[1] > 1:
            x = np.einsum("bchwij,cij->bchw", windows, kernel[:, 0])
        else:
            x = np.einsum("bchwij,ocij->bohw", windows, kernel, optimize=True)
        scale, bias, mean, variance = (
            state[f"{bn}.{part}"].astype("float64")[:, None, None]
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        x = (x - mean) / np.sqrt(variance + 1e-3) * scale + bias
        return np.clip(x, 0, 6) if activation else x

    x = (views.astype("float64") * 255 - 127) / 128
    x = convolve(x.transpose(0, 3, 1, 2), "_conv_stem", "_bn0", 2)
    number = 0
    for blocks, _, strides, expansion, _ in STAGES:
        for place in range(blocks):
            name, inputs = f"_blocks.{number}", x
            if expansion > 1:
                x = convolve(x, f"{name}._expand_conv", f"{name}._bn0")
            stride = 1 if place else strides
            x = convolve(x, f"{name}._depthwise_conv", f"{name}._bn1", stride)
            x = convolve(x, f"{name}._project_conv", f"{name}._bn2", activation=False)
            if place:
                x = x + inputs
            number += 1
    return convolve(x, "_conv_head", "_bn1").mean((2, 3))


@pytest.mark.any_backend
def test_features_are_those_of_the_reference(example, state, tmp_path):
    model = example.efficientnet_lite0()
    example.set_weights(model, state)
    # 4,652,008 that train, of which the classifier has a thousand times 1,281, and
    # mean and variance of 21,008 channels.
    assert model.count_params() == 4_652_008 - 1_281_000 + 2 * 21_008
    model.save(tmp_path / "lite0.keras")
    # Keras' own layers alone: a stranger's file of them may be loaded.
    loaded = load_model(tmp_path / "lite0.keras")
    for shape in ((32, 32), (45, 38)):
        views = np.random.default_rng(1).random((2, *shape, 3), "float32")
        features = keras.ops.convert_to_numpy(loaded(views, training=False))
        assert features.shape == (2, 1280)
        expected = reference_features(state, views)
        assert expected.std() > 0.1
        np.testing.assert_allclose(features, expected, atol=1e-4)


@pytest.mark.any_backend
def test_blocks_are_found_by_their_names(example):
    model = example.efficientnet_lite0(image_size=64)
    assert model.input_shape == (None, 64, 64, 3)
    names = list(dict.fromkeys(layer.name.split("_")[0] for layer in model.layers))
    blocks = ["1a", "2a", "2b", "3a", "3b", "4a", "4b", "4c", "5a", "5b", "5c"]
    blocks += ["6a", "6b", "6c", "6d", "7a"]
    assert names == ["views", "stem", *(f"block{name}" for name in blocks), "top"]


@pytest.mark.any_backend
def test_weights_of_another_network_are_refused(example, state):
    model = example.efficientnet_lite0()
    more = state | {"_blocks.0._se_reduce.weight": np.zeros((8, 32, 1, 1))}
    with pytest.raises(ValueError, match=r"no place for _blocks\.0\._se_reduce"):
        example.set_weights(model, more)
    fewer = {name: state[name] for name in state if name != "_bn1.bias"}
    with pytest.raises(ValueError, match=r"has no _bn1\.bias"):
        example.set_weights(model, fewer)


@pytest.mark.any_backend
def test_what_it_is_to_write_is_a_keras_file(example, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["efficientnet_lite0.py", "lite0.h5"])
    with pytest.raises(SystemExit):
        example.main()
    assert "a Keras model is a .keras file, lite0.h5 is not" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("size", [[], ["--image-size", "97"]], ids=["any", "97"])
def test_features_are_those_of_the_pytorch_network(size, tmp_path):
    out = tmp_path / "lite0.keras"
    printed = subprocess.run(
        [sys.executable, SCRIPT, out, *size], stdout=subprocess.PIPE, check=True
    ).stdout.decode()
    lines = printed.strip().splitlines()[-2:]
    for what, line in zip(("random views", "photographs"), lines, strict=True):
        assert line.startswith(f"greatest difference from PyTorch's features, {what}")
        assert float(line.split(": ")[-1]) < 1e-4
    assert load_model(out).output_shape == (None, 1280)
