"""The published checkpoints of SimCLRv2: TensorFlow variables by name."""

import os
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import layers

from semppl_keras import backbones
from semppl_keras.backbones.resnet import BASIC_DEPTHS, BLOCKS_PER_STAGE
from semppl_keras.checkpoints.layout import CONVOLUTION, trunk_layers
from semppl_keras.checkpoints.record import (
    Arrays,
    Checkpoint,
    evaluation_views,
    whole,
)
from semppl_keras.checkpoints.tf_variables import open_checkpoint

_TRUNK = "base_model"
_HEAD = "head_contrastive"
_SUPERVISED = "head_supervised/linear_layer/dense"
# What optimisers keep beside each variable.
_SLOTS = ("/Momentum", "/LARSOptimizer", "/Adam", "/Adam_1")


def load_simclr(
    path: str | os.PathLike[str],
    *,
    input_shape: Sequence[int | None] = (None, None, 3),
    name: str | None = None,
) -> Checkpoint:
    """Reads a SimCLRv2 checkpoint: any depth and width, with selective kernels or not.

    Needs TensorFlow to read the file, whatever backend runs the network.

    Args:
        path: the checkpoint's prefix, such as `r50_1x_sk0/model.ckpt-250228`, or the
            folder that holds it.
        input_shape: (height, width, 3); height and width may be None. Images are RGB
            in [0, 1], as their authors feed them.
        name: name of the backbone.

    Returns:
        `Checkpoint` with `backbone`, `views`, `projector`, `fine_tune_backbone` and
        `classifier`; each but the first two None where the file has no head for it.

    Raises:
        FileNotFoundError: if there is no such checkpoint.
        ImportError: if TensorFlow is not installed.
        ValueError: if it is another network's, is cut off, lacks a variable or has
            one of another shape.

    Example:
        >>> checkpoint = load_simclr("r50_1x_sk1")
        >>> checkpoint.classifier(keras.ops.zeros((1, 224, 224, 3))).shape
        (1, 1000)
    """
    prefix, read, shapes = open_checkpoint(pathlib.Path(path))
    shapes = {key: s for key, s in shapes.items() if not key.endswith(_SLOTS)}
    source = Arrays(str(prefix), read, shapes)
    network = _recognised(source)
    names, feature_dim = _trunk_names(source, network)
    head_shapes = _head_shapes(source, feature_dim)
    entry_dim = head_shapes[0][-1] if head_shapes else feature_dim
    num_classes = _num_classes(source, entry_dim)

    width = whole(network["filters"] / 64)
    backbone = backbones.ResNet(
        network["depth"],
        width,
        selective_kernels=network["selective"],
        stem=network["stem"],
        padding="symmetric",
        project_first_blocks=True,
        input_shape=input_shape,
        name=name,
    )
    for layer, of_layer in names.items():
        source.assign(backbone.get_layer(layer), of_layer)
    projector = _projector(source, head_shapes)
    fine_tune_backbone = classifier = None
    if projector is not None:
        middle = backbone.output
        for layer in projector.layers[:3]:
            middle = layer(middle)
        fine_tune_backbone = keras.Model(
            backbone.input, middle, name=f"{backbone.name}_fine_tune"
        )
    if num_classes is not None:
        # Fine-tuned from the head's first layer, or without head from the backbone.
        entry = fine_tune_backbone or backbone
        logits = layers.Dense(num_classes, name="logits")
        outputs = logits(entry.output)
        source.assign(logits, [f"{_SUPERVISED}/kernel", f"{_SUPERVISED}/bias"])
        classifier = keras.Model(
            entry.input, outputs, name=f"{backbone.name}_classifier"
        )
    return Checkpoint(
        family="simclr",
        depth=network["depth"],
        width_multiplier=width,
        selective_kernels=network["selective"],
        version=1,
        backbone=backbone,
        projector=projector,
        fine_tune_backbone=fine_tune_backbone,
        classifier=classifier,
        views=evaluation_views(),
        ignored=tuple(key for key in source.unused() if key != "global_step"),
    )


def _recognised(source: Arrays) -> dict[str, Any]:
    """Depth, filters of the first stage, stem, and whether there are selective
    kernels."""
    kernels = {}
    for key, shape in source.shapes.items():
        match = re.fullmatch(rf"{_TRUNK}/conv2d(?:_(\d\d?\d?))?/kernel", key)
        if match and len(shape) == 4:
            kernels[int(match.group(1) or 0)] = tuple(shape)
    if 0 not in kernels:
        raise ValueError(
            f"{source.source} is missing the variable '{_TRUNK}/conv2d/kernel': it is "
            "no checkpoint of SimCLRv2. It has "
            f"{', '.join(sorted(source.shapes)[:5]) or 'no variables'}."
        )
    gaps = sorted(set(range(max(kernels))) - set(kernels))
    if gaps:
        raise ValueError(
            f"{source.source} is missing the variables "
            f"{', '.join(f'{_TRUNK}/conv2d_{gap}/kernel' for gap in gaps[:5])}."
        )
    # ResNet-D's stem is three convolutions of 3x3.
    three = all(kernels.get(index, (1,))[0] == 3 for index in range(3))
    stem = "small" if kernels[0][0] == 3 and not three else "imagenet"
    for depth in BLOCKS_PER_STAGE:
        # Of a small stem it is the blocks that tell, unless they are basic.
        told = stem == "imagenet" or depth in BASIC_DEPTHS
        for selective in (three,) if told else (False, True):
            filters = kernels[2][-1] if three else kernels[0][-1]
            network = {"filters": filters, "stem": stem, "selective": selective}
            layout = trunk_layers(depth, **network)
            if len(kernels) == sum(kind == CONVOLUTION for _, kind, _ in layout):
                return {"depth": depth, **network}
    raise ValueError(
        f"{source.source} has {len(kernels)} convolutions, of which the first is of "
        f"shape {kernels[0]}: no residual network of depth "
        f"{', '.join(map(str, BLOCKS_PER_STAGE))}. Variables may be missing."
    )


def _trunk_names(
    source: Arrays, network: Mapping[str, Any]
) -> tuple[dict[str, list[str]], Any]:
    """Layers with the names of their variables, once checked; the features' size.

    TensorFlow numbered convolutions and normalisations in the order in which the
    authors made them.
    """
    counts = {"conv2d": 0, "batch_normalization": 0}

    def numbered(kind: str) -> str:
        number = counts[kind]
        counts[kind] += 1
        return f"{_TRUNK}/{kind}" + (f"_{number}" if number else "")

    names, expected = {}, {}
    for layer, kind, shape in trunk_layers(**network):
        if kind == CONVOLUTION:
            names[layer] = [f"{numbered('conv2d')}/kernel"]
            expected[names[layer][0]] = shape
        else:
            names[layer] = _norm_names(numbered("batch_normalization"))
            expected |= dict.fromkeys(names[layer], (shape,))
    source.check(expected)
    # The last layer normalises the features.
    return names, shape


def _norm_names(scope: str, beta: bool = True) -> list[str]:
    return [
        f"{scope}/gamma",
        *([f"{scope}/beta"] if beta else []),
        f"{scope}/moving_mean",
        f"{scope}/moving_variance",
    ]


def _head_shapes(source: Arrays, feature_dim: int) -> list[tuple[Any, Any]]:
    """(inputs, outputs) of each layer of the projector; none where there is none."""
    present = [key for key in source.shapes if key.startswith(f"{_HEAD}/")]
    count = len({key.split("/")[1] for key in present})
    shapes: list[tuple[Any, Any]] = []
    expected: dict[str, tuple[Any, ...]] = {}
    inputs: Any = feature_dim
    for index in range(count):
        scope = f"{_HEAD}/nl_{index}"
        shape = source.shapes.get(f"{scope}/dense/kernel", (inputs, "outputs"))
        outputs = shape[-1] if len(shape) == 2 else "outputs"
        expected[f"{scope}/dense/kernel"] = (inputs, outputs)
        names = _norm_names(f"{scope}/batch_normalization", beta=index < count - 1)
        expected |= dict.fromkeys(names, (outputs,))
        shapes.append((inputs, outputs))
        inputs = outputs
    source.check(expected)
    return shapes


def _num_classes(source: Arrays, feature_dim: int) -> Any:
    """The classes of the supervised head; None where there is none."""
    present = [key for key in source.shapes if key.startswith("head_supervised/")]
    if not present:
        return None
    bias = source.shapes.get(f"{_SUPERVISED}/bias", ())
    classes = bias[0] if len(bias) == 1 else "classes"
    source.check(
        {
            f"{_SUPERVISED}/kernel": (feature_dim, classes),
            f"{_SUPERVISED}/bias": (classes,),
        }
    )
    return classes


def _projector(
    source: Arrays, shapes: Sequence[tuple[Any, Any]]
) -> keras.Sequential | None:
    """Dense without bias, batch normalisation, ReLU; the last without offset, ReLU."""
    if not shapes:
        return None
    head = keras.Sequential([layers.Input((shapes[0][0],))], name="projector")
    for index, (_, units) in enumerate(shapes):
        last = index == len(shapes) - 1
        scope = f"{_HEAD}/nl_{index}"
        dense = layers.Dense(units, use_bias=False, name=f"dense{index + 1}")
        norm = layers.BatchNormalization(
            momentum=0.9, epsilon=1e-5, center=not last, name=f"norm{index + 1}"
        )
        head.add(dense)
        head.add(norm)
        if not last:
            head.add(layers.ReLU(name=f"relu{index + 1}"))
        source.assign(dense, [f"{scope}/dense/kernel"])
        source.assign(norm, _norm_names(f"{scope}/batch_normalization", beta=not last))
    return head
