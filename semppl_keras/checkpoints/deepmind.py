"""DeepMind's published checkpoints of SemPPL and BYOL: pickles of Haiku parameters."""

import os
import pathlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras

from semppl_keras import backbones, networks
from semppl_keras.checkpoints import safe_pickle
from semppl_keras.checkpoints.layout import (
    CONVOLUTION,
    depth_of,
    place_of,
    trunk_layers,
)
from semppl_keras.checkpoints.record import (
    Arrays,
    Checkpoint,
    check_file,
    evaluation_views,
    whole,
)

# Of RGB in [0, 1], what the networks were trained on.
MEAN_RGB = (0.485, 0.456, 0.406)
DEVIATION_RGB = (0.229, 0.224, 0.225)

_WHAT = "a pickle of experiment_state with online_params and online_state"
# Six of the fourteen checkpoints that SemPPL's authors list.
_SELECTIVE_KERNELS = (
    "(Of SemPPL's published checkpoints those with selective kernels cannot be read: "
    "the authors' code has no such network, so that the names and the order of their "
    "arrays are not known. Those without are read, and SimCLRv2's of either kind by "
    "load_simclr.)"
)
# What the averages of batch normalisation keep beside them.
_COUNTERS = ("/counter", "/hidden")
_OF_TRUNK = re.compile(r"(block_group_\d|initial_|final_)")
_BLOCK = re.compile(r"block_group_(\d{1,2})/~/block_(\d{1,3})/~/conv_(\d)$")
_MAGIC = {b"\x89HDF": "an HDF5 file", b"PK\x03\x04": "a zip archive (.keras, .npz)"}
# The order in which BYOL's state is pickled, which may lack the names.
_FIELDS = ("online_params", "target_params", "online_state", "target_state")


def load_deepmind(
    path: str | os.PathLike[str],
    width_multiplier: float | None = None,
    *,
    input_shape: Sequence[int | None] = (None, None, 3),
    normalization: bool = True,
    name: str | None = None,
) -> Checkpoint:
    """Reads a checkpoint that DeepMind published for SemPPL or BYOL.

    The file is a pickle, of which nothing is executed. Depth, width and version of the
    network are told from its arrays. Batch normalisation gets the bias-corrected
    averages of its statistics. Networks with selective kernels are refused: the code
    that the authors published (google-deepmind/semppl) has none.

    Args:
        path: path of the file, such as `pretrain_res50x1.pkl`.
        width_multiplier: None, or the width that the network must have.
        input_shape: (height, width, 3); height and width may be None. JAX exports
            SavedModels of this padding for a fixed size only.
        normalization: bool, whether the backbone takes RGB in [0, 1] and normalises it
            by ImageNet's mean and deviation itself. Without, it takes what was
            normalised, which `views` does not do.
        name: name of the backbone.

    Returns:
        `Checkpoint` with `backbone`, `views`, and `projector` and `predictor` where
        the file has them.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no such checkpoint, is cut off, asks to run something
            else than building arrays, lacks an array of its network, has one of
            another shape or one that is not known.

    Example:
        >>> checkpoint = load_deepmind("pretrain_res50x1.pkl")
        >>> checkpoint.backbone.output_shape
        (None, 2048)
    """
    path = pathlib.Path(path)
    check_file(path, _WHAT)
    _check_magic(path)
    try:
        state = _online(safe_pickle.load(path))
        arrays = _by_name(state)
    except ValueError as error:
        raise ValueError(
            f"{path} cannot be read: {error}. Expected {_WHAT}."
        ) from error
    del state
    devices = _on_devices(arrays)

    def read(key: str) -> Any:
        array = arrays.pop(key)
        # The same on every device: the first one's.
        return array[0] if devices else array

    shapes = {key: array.shape[devices:] for key, array in arrays.items()}
    source = Arrays(str(path), read, shapes)
    try:
        depth, filters, version, names, feature_dim = _trunk(source)
    except ValueError as error:
        raise ValueError(f"{error} {_SELECTIVE_KERNELS}") from error
    width = whole(filters / 64)
    if width_multiplier not in (None, width):
        raise ValueError(
            f"{path} has a network of width {width:g}, not width_multiplier="
            f"{width_multiplier!r}."
        )
    projector_shapes = _head_shapes(source, "projector", feature_dim)
    projected = projector_shapes and projector_shapes[-1]
    predictor_shapes = _head_shapes(source, "predictor", projected or feature_dim)

    backbone = backbones.ResNet(
        depth,
        width,
        version=version,
        padding="same",
        project_first_blocks=True,
        input_shape=input_shape,
        normalization=(MEAN_RGB, DEVIATION_RGB) if normalization else None,
        name=name,
    )
    for layer, of_layer in names.items():
        source.assign(backbone.get_layer(layer), of_layer)
    return Checkpoint(
        family="deepmind",
        depth=depth,
        width_multiplier=width,
        selective_kernels=False,
        version=version,
        backbone=backbone,
        projector=_head(source, "projector", projector_shapes),
        predictor=_head(source, "predictor", predictor_shapes),
        views=evaluation_views(),
        ignored=tuple(key for key in source.unused() if not key.endswith(_COUNTERS)),
    )


def _check_magic(path: pathlib.Path) -> None:
    with open(path, "rb") as file:
        start = file.read(4)
    if start in _MAGIC:
        raise ValueError(f"{path} is {_MAGIC[start]}. Expected {_WHAT}.")


def _online(root: Any) -> list[dict[Any, Any]]:
    """The online network's parameters and statistics, whatever holds them."""
    state = _field(root, "experiment_state")
    if state is None:
        raise ValueError("it has no `experiment_state`")
    found = []
    for field in ("online_params", "online_state"):
        tree = safe_pickle.mapping_of(_field(state, field))
        if tree is None:
            raise ValueError(f"it has no `{field}` in its `experiment_state`")
        found.append(tree)
    return found


def _field(holder: Any, name: str) -> Any:
    """An entry of a dict, an attribute of an object, or a named tuple's field."""
    if isinstance(holder, dict):
        return holder.get(name)
    if not isinstance(holder, safe_pickle.StandIn):
        return None
    # Of an object with slots the state is a pair, the second of which is a dict.
    states = holder.state if isinstance(holder.state, tuple) else (holder.state,)
    for part in (*states, holder.items, *holder.args[:1]):
        if isinstance(part, dict) and name in part:
            return part[name]
    args = holder.args
    if name in _FIELDS and len(args) >= len(_FIELDS):
        return args[_FIELDS.index(name)]
    return None


def _by_name(trees: Iterable[Mapping[Any, Any]]) -> dict[str, Any]:
    """Arrays by `module/leaf`."""
    arrays = {}
    for tree in trees:
        for module, leaves in tree.items():
            leaves = safe_pickle.mapping_of(leaves)
            if not isinstance(module, str) or leaves is None:
                raise ValueError("its parameters are no arrays by module and name")
            for leaf, value in leaves.items():
                array = safe_pickle.array_of(value)
                if array is not None:
                    arrays[f"{module}/{leaf}"] = array
    return arrays


def _on_devices(arrays: Mapping[str, Any]) -> int:
    """1 where every array has a leading axis for the devices, else 0."""
    stems = [array for key, array in arrays.items() if key.endswith("initial_conv/w")]
    if not (stems and stems[0].ndim == 5):
        return 0
    return int(all(array.ndim and len(array) for array in arrays.values()))


def _trunk(source: Arrays) -> tuple[int, int, int, dict[str, list[str]], Any]:
    """The residual network of a file, all of whose arrays are known.

    Returns:
        depth, filters of the stem, version, the names of each layer's arrays, and the
        size of the features.
    """
    trunk, depth = _recognised(source)
    stem = source.shapes.get(f"{trunk}initial_conv/w", ())
    if len(stem) != 4:
        raise ValueError(
            f"{source.source} must have a first convolution {trunk}initial_conv/w of "
            f"shape (7, 7, 3, filters). Received: {stem or 'none'}."
        )
    version = _version(source, trunk)
    names, expected = {}, {}
    for layer, kind, shape in trunk_layers(depth, stem[-1], version=version):
        module = trunk + _module_of(layer)
        if kind == CONVOLUTION:
            names[layer] = [f"{module}/w"]
            expected[f"{module}/w"] = shape
        else:
            names[layer] = _norm_names(module)
            expected |= dict.fromkeys(names[layer], (shape,))
    source.check(expected)
    # Without them it would be another network that is built.
    others = [
        key
        for key in source.shapes
        if _OF_TRUNK.match(key.removeprefix(trunk))
        and key not in expected
        and not key.endswith(_COUNTERS)
    ]
    if others:
        raise ValueError(
            f"{source.source} must have a residual network of depth {depth} and no "
            f"more. Received: {len(others)} other arrays in it, such as "
            f"{', '.join(map(repr, sorted(others)[:3]))}."
        )
    # The last layer is a normalisation of the features in either version.
    return depth, stem[-1], version, names, shape


def _recognised(source: Arrays) -> tuple[str, int]:
    """Where the residual network's modules are, and its depth."""
    trunks: set[str] = set()
    blocks: dict[int, int] = {}
    last = 0
    for key in source.shapes:
        match = _BLOCK.search(key.rpartition("/")[0])
        if match:
            group, block, convolution = map(int, match.groups())
            blocks[group] = max(blocks.get(group, 0), block + 1)
            last = max(last, convolution)
            trunks.add(key[: match.start()])
    if len(trunks) != 1:
        raise ValueError(
            f"{source.source} has {len(trunks)} residual networks among its "
            "parameters; expected one, of modules such as "
            f"'res_net50/~/block_group_0/~/block_0/~/conv_0'. Expected {_WHAT}."
        )
    counts = [blocks[group] for group in sorted(blocks)]
    depth = depth_of(counts, basic=last == 1)
    if depth is None:
        raise ValueError(
            f"{source.source} has a residual network of {counts} blocks, each of "
            f"{last + 1} convolutions: of no depth that is known. Arrays may be "
            "missing."
        )
    return trunks.pop(), depth


def _version(source: Arrays, trunk: str) -> int:
    """1, or 2 where normalisation is found as only version 2 has it."""
    modules = {key.rpartition("/")[0] for key in source.shapes}
    if f"{trunk}initial_batchnorm" in modules:
        return 1
    return 2 if f"{trunk}final_batchnorm" in modules else 1


def _module_of(layer_name: str) -> str:
    """`stage2_block1_conv1` is Haiku's `block_group_1/~/block_0/~/conv_0`."""
    place = place_of(layer_name)
    if place is None:
        where, part = layer_name.split("_")
        return f"{where.replace('stem', 'initial')}_{_part(part)}"
    stage, block, part = place
    return f"block_group_{stage - 1}/~/block_{block - 1}/~/{_part(part)}"


def _part(part: str) -> str:
    kind = part.rstrip("0123456789")
    number = part.removeprefix(kind)
    theirs = kind.replace("norm", "batchnorm")
    return f"{theirs}_{int(number) - 1}" if number else theirs


def _norm_names(module: str) -> list[str]:
    """Of scale, offset, mean and variance, in Keras' order."""
    return [
        f"{module}/scale",
        f"{module}/offset",
        f"{module}/~/mean_ema/average",
        f"{module}/~/var_ema/average",
    ]


def _head_shapes(
    source: Arrays, name: str, input_dim: int
) -> tuple[int, int, int] | None:
    """(inputs, hidden units, outputs) of a head; None if the file has none."""
    present = [key for key in source.shapes if key.startswith(f"{name}/")]
    if not present:
        return None
    first, last = f"{name}/linear/w", f"{name}/linear_1/w"
    matrices = [key for key in (first, last) if len(source.shapes.get(key, ())) == 2]
    if len(matrices) < 2 or f"{name}/linear_2/w" in source.shapes:
        raise ValueError(
            f"{source.source} must have a {name} of two matrices, {first} and {last}. "
            f"Received: {', '.join(sorted(present)[:8])}."
        )
    hidden, outputs = source.shapes[first][-1], source.shapes[last][-1]
    source.check(
        {
            first: (input_dim, hidden),
            f"{name}/linear/b": (hidden,),
            **dict.fromkeys(_norm_names(f"{name}/batch_norm"), (hidden,)),
            last: (hidden, outputs),
        }
    )
    return input_dim, hidden, outputs


def _head(
    source: Arrays, name: str, shapes: tuple[int, int, int] | None
) -> keras.Model | None:
    """Linear, batch normalisation, ReLU, linear."""
    if shapes is None:
        return None
    head = networks.mlp_head(*shapes, name=name)
    for layer, names in (
        ("hidden", [f"{name}/linear/w", f"{name}/linear/b"]),
        ("norm", _norm_names(f"{name}/batch_norm")),
        ("output", [f"{name}/linear_1/w"]),
    ):
        source.assign(head.get_layer(layer), names)
    return head
