"""The published checkpoints of SimCLRv2: TensorFlow variables by name."""

import pathlib
import re

import keras
from keras import layers

from semppl_keras import backbones
from semppl_keras.backbones.resnet import BASIC_DEPTHS, BLOCKS_PER_STAGE
from semppl_keras.checkpoints.record import Arrays, Checkpoint
from semppl_keras.checkpoints.tf_variables import open_checkpoint

_TRUNK = "base_model"
_HEAD = "head_contrastive"
_SUPERVISED = "head_supervised/linear_layer/dense"


def load_simclr(path, *, input_shape=(None, None, 3), name=None):
    """Reads a SimCLRv2 checkpoint: any depth and width, with selective kernels or not.

    Needs TensorFlow to read the file, whatever backend runs the network.

    Args:
        path: the checkpoint's prefix, such as `r50_1x_sk0/model.ckpt-250228`, or the
            folder that holds it.
        input_shape: (height, width, 3); height and width may be None. Images are RGB
            in [0, 1], as their authors feed them.
        name: name of the backbone.

    Returns:
        `Checkpoint` with `backbone`, `projector`, `fine_tune_backbone` and
        `classifier`; each but the first None where the file has no head for it.

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
    # Whatever an optimiser keeps beside each variable.
    shapes = {
        key: shape
        for key, shape in shapes.items()
        if not key.endswith(("/Momentum", "/Adam", "/Adam_1"))
    }
    source = Arrays(str(prefix), read, shapes)
    depth, width, selective = _recognised(source)
    backbone = backbones.ResNet(
        depth,
        int(width) if width.is_integer() else width,
        selective_kernels=selective,
        padding="symmetric",
        project_first_blocks=True,
        input_shape=input_shape,
        name=name,
    )
    for layer, names in _trunk_names(backbone, depth, selective):
        source.assign(layer, names)
    projector = _projector(source)
    fine_tune_backbone = classifier = None
    if projector is not None:
        middle = backbone.output
        for layer in projector.layers:
            middle = layer(middle)
            if isinstance(layer, layers.ReLU):
                break
        fine_tune_backbone = keras.Model(
            backbone.input, middle, name=f"{backbone.name}_fine_tune"
        )
    supervised = source.shapes.get(f"{_SUPERVISED}/kernel")
    if supervised is not None:
        # Fine-tuned from the head's first layer, or without head from the backbone.
        entry = fine_tune_backbone or backbone
        logits = layers.Dense(supervised[-1], name="logits")
        outputs = logits(entry.output)
        source.assign(logits, [f"{_SUPERVISED}/kernel", f"{_SUPERVISED}/bias"])
        classifier = keras.Model(
            entry.input, outputs, name=f"{backbone.name}_classifier"
        )
    return Checkpoint(
        family="simclr",
        depth=depth,
        width_multiplier=width,
        selective_kernels=selective,
        version=1,
        backbone=backbone,
        projector=projector,
        fine_tune_backbone=fine_tune_backbone,
        classifier=classifier,
        ignored=tuple(key for key in source.unused() if key != "global_step"),
    )


def _recognised(source):
    """Depth, width and whether there are selective kernels."""
    kernels = {}
    for key, shape in source.shapes.items():
        match = re.fullmatch(rf"{_TRUNK}/conv2d(?:_(\d+))?/kernel", key)
        if match and len(shape) == 4:
            kernels[int(match.group(1) or 0)] = tuple(shape)
    if 0 not in kernels:
        raise ValueError(
            f"{source.source} is missing the variable '{_TRUNK}/conv2d/kernel': it is "
            "no checkpoint of SimCLRv2. It has "
            f"{', '.join(sorted(source.shapes)[:5]) or 'no variables'}."
        )
    selective = kernels[0][0] == 3
    width = kernels[0][-1] / (32 if selective else 64)
    for depth, blocks in BLOCKS_PER_STAGE.items():
        basic = depth in BASIC_DEPTHS
        if basic and selective:
            continue
        # The convolutions of a block, four projected shortcuts, the stem's.
        per_block = 2 if basic else 5 if selective else 3
        count = per_block * sum(blocks) + 4 + (3 if selective else 1)
        # Depth 34 has as many blocks as 50, of two convolutions each.
        if len(kernels) == count and (kernels.get(2, (0,))[0] == 3) == (
            basic or selective
        ):
            return depth, width, selective
    raise ValueError(
        f"{source.source} has {len(kernels)} convolutions, of which the first is of "
        f"shape {kernels[0]}: no residual network of depth "
        f"{', '.join(map(str, BLOCKS_PER_STAGE))}. Variables may be missing."
    )


def _trunk_names(backbone, depth, selective):
    """Layers of the trunk with the names of their variables.

    TensorFlow numbered convolutions and normalisations in the order in which the
    authors made them: the stem's, then in each block the shortcut's first.
    """
    counts = {"conv2d": 0, "batch_normalization": 0}

    def numbered(kind):
        number = counts[kind]
        counts[kind] += 1
        return f"{_TRUNK}/{kind}" + (f"_{number}" if number else "")

    def convolution(name):
        return backbone.get_layer(name), [f"{numbered('conv2d')}/kernel"]

    def normalisation(name):
        return backbone.get_layer(name), _norm_names(numbered("batch_normalization"))

    parts = [("stem_conv", "stem_norm")]
    if selective:
        parts = [(f"stem_conv{i}", f"stem_norm{i}") for i in (1, 2)] + parts
    inner = [("conv1", "norm1"), ("conv2", "norm2")]
    if depth not in BASIC_DEPTHS:
        inner += [("conv3", "norm3")]
    if selective:
        inner[2:2] = [("select_conv1", "select_norm"), ("select_conv2", None)]
    for stage, blocks in enumerate(BLOCKS_PER_STAGE[depth], start=1):
        for block in range(1, blocks + 1):
            place = f"stage{stage}_block{block}_"
            if block == 1:
                parts.append((f"{place}shortcut_conv", f"{place}shortcut_norm"))
            parts += [
                (place + conv, None if norm is None else place + norm)
                for conv, norm in inner
            ]
    for conv, norm in parts:
        yield convolution(conv)
        if norm is not None:
            yield normalisation(norm)


def _norm_names(scope, beta=True):
    return [
        f"{scope}/gamma",
        *([f"{scope}/beta"] if beta else []),
        f"{scope}/moving_mean",
        f"{scope}/moving_variance",
    ]


def _projector(source):
    """Dense without bias, batch normalisation, ReLU; the last without offset, ReLU."""
    shapes = []
    while f"{_HEAD}/nl_{len(shapes)}/dense/kernel" in source.shapes:
        shapes.append(source.shapes[f"{_HEAD}/nl_{len(shapes)}/dense/kernel"])
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
