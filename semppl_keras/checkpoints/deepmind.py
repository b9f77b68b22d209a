"""DeepMind's published checkpoints of SemPPL and BYOL: pickles of Haiku parameters."""

import pathlib
import re

from semppl_keras import backbones, networks
from semppl_keras.backbones.resnet import BASIC_DEPTHS, BLOCKS_PER_STAGE
from semppl_keras.checkpoints import safe_pickle
from semppl_keras.checkpoints.record import Arrays, Checkpoint, check_file

# Of RGB in [0, 1], what the networks were trained on (byol/utils/dataset.py of their
# authors).
MEAN_RGB = (0.485, 0.456, 0.406)
DEVIATION_RGB = (0.229, 0.224, 0.225)

_WHAT = "a pickle of experiment_state with online_params and online_state"
_BLOCK = re.compile(r"block_group_(\d+)/~/block_(\d+)/~/conv_(\d+)$")
_MAGIC = {b"\x89HDF": "an HDF5 file", b"PK\x03\x04": "a zip archive (.keras, .npz)"}


def load_deepmind(
    path,
    width_multiplier=None,
    *,
    input_shape=(None, None, 3),
    normalization=True,
    name=None,
):
    """Reads a checkpoint that DeepMind published for SemPPL or BYOL.

    The file is a pickle, of which nothing is executed. Depth, width and version of the
    network are told from its arrays. Batch normalisation gets the bias-corrected
    averages of its statistics.

    Args:
        path: path of the file, such as `pretrain_res50x1.pkl`.
        width_multiplier: None, or the width that the network must have.
        input_shape: (height, width, 3); height and width may be None.
        normalization: bool, whether the backbone takes RGB in [0, 1] and normalises it
            by ImageNet's mean and deviation itself. Without, it takes what was
            normalised.
        name: name of the backbone.

    Returns:
        `Checkpoint` with `backbone`, and `projector` and `predictor` where the file
        has them.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no such checkpoint, is cut off, asks to run something
            else than building arrays, lacks an array or has one of another shape.

    Example:
        >>> checkpoint = load_deepmind("pretrain_res50x1.pkl")
        >>> checkpoint.backbone.output_shape
        (None, 2048)
    """
    path = pathlib.Path(path)
    check_file(path, _WHAT)
    _check_magic(path)
    try:
        root = safe_pickle.load(path)
    except ValueError as error:
        raise ValueError(
            f"{path} cannot be read: {error}. Expected {_WHAT}."
        ) from error
    parameters, statistics = _online(root, path)
    shapes, arrays = _flat(parameters, statistics, path)
    del root, parameters, statistics

    modules = {key.rpartition("/")[0] for key in shapes}
    trunk, depth = _recognised(modules, path)
    stem = f"{trunk}initial_conv/w"
    if stem not in shapes:
        raise ValueError(f"{path} is missing the array {stem!r}.")
    devices = len(shapes[stem]) == 5
    if devices:
        # The same on every device: the first one's.
        shapes = {key: shape[1:] for key, shape in shapes.items()}
    if len(shapes[stem]) != 4:
        raise ValueError(
            f"{path} has a first convolution {stem!r} of shape {shapes[stem]}; "
            "expected (7, 7, 3, filters), or that on every device."
        )
    width = shapes[stem][-1] / 64
    if width_multiplier not in (None, width):
        raise ValueError(
            f"{path} has a network of width {width:g}, not width_multiplier="
            f"{width_multiplier!r}."
        )
    version = 1 if f"{trunk}initial_batchnorm" in modules else 2

    def read(key):
        array = arrays.pop(key)
        return array[0] if devices else array

    source = Arrays(str(path), read, shapes)
    backbone = backbones.ResNet(
        depth,
        int(width) if width.is_integer() else width,
        version=version,
        padding="same",
        project_first_blocks=True,
        input_shape=input_shape,
        normalization=(MEAN_RGB, DEVIATION_RGB) if normalization else None,
        name=name,
    )
    for layer in backbone.layers:
        if layer.name != "normalization" and layer.weights:
            source.assign(layer, _names(trunk + _module_of(layer.name), layer))
    heads = {head: _head(source, head) for head in ("projector", "predictor")}
    return Checkpoint(
        family="deepmind",
        depth=depth,
        width_multiplier=width,
        selective_kernels=False,
        version=version,
        backbone=backbone,
        **heads,
        ignored=tuple(
            key for key in source.unused() if not key.endswith(("/counter", "/hidden"))
        ),
    )


def _check_magic(path):
    with open(path, "rb") as file:
        start = file.read(4)
    if start in _MAGIC:
        raise ValueError(f"{path} is {_MAGIC[start]}. Expected {_WHAT}.")


def _online(root, path):
    """The online network's parameters and statistics, whatever holds them."""
    state = _field(root, "experiment_state")
    if state is None:
        raise ValueError(f"{path} has no `experiment_state`. Expected {_WHAT}.")
    found = {}
    for field in ("online_params", "online_state"):
        found[field] = safe_pickle.mapping_of(_field(state, field))
        if found[field] is None:
            raise ValueError(
                f"{path} has no `{field}` in its `experiment_state`. Expected {_WHAT}."
            )
    return found["online_params"], found["online_state"]


# The fields of BYOL's named tuple, of which a pickle keeps the order alone.
_FIELDS = ("online_params", "target_params", "online_state", "target_state")


def _field(holder, name):
    """An entry of a dict, an attribute of an object, or a named tuple's field."""
    if isinstance(holder, dict):
        return holder.get(name)
    if not isinstance(holder, safe_pickle.StandIn):
        return None
    for place in (holder.state, holder.items):
        # Slots come as a pair, the second of which is a dict.
        for part in place if isinstance(place, tuple) else (place,):
            if isinstance(part, dict) and name in part:
                return part[name]
    args = holder.args
    if args and isinstance(args[0], safe_pickle.StandIn) and len(args) > 1:
        made = args[0]
        fields = next((a for a in made.args if isinstance(a, (tuple, list))), ())
        if name in fields:
            return args[1 + list(fields).index(name)]
    if len(args) == 1 and isinstance(args[0], dict):
        return args[0].get(name)
    if name in _FIELDS and len(args) >= len(_FIELDS):
        return args[_FIELDS.index(name)]
    return None


def _flat(parameters, statistics, path):
    """Shapes and arrays by `module/leaf`."""
    arrays = {}
    for tree in (parameters, statistics):
        for module, leaves in tree.items():
            leaves = safe_pickle.mapping_of(leaves)
            if not isinstance(module, str) or leaves is None:
                raise ValueError(
                    f"{path} has no arrays by name in its module {module!r}. Expected "
                    f"{_WHAT}."
                )
            for leaf, value in leaves.items():
                array = safe_pickle.array_of(value)
                if array is not None:
                    arrays[f"{module}/{leaf}"] = array
    return {key: array.shape for key, array in arrays.items()}, arrays


def _recognised(modules, path):
    """Where the residual network's modules are, and its depth."""
    convolutions = {}
    trunks = set()
    for module in modules:
        match = _BLOCK.search(module)
        if match:
            group, block, convolution = map(int, match.groups())
            convolutions.setdefault(group, {}).setdefault(block, set()).add(convolution)
            trunks.add(module[: match.start()])
    if len(trunks) != 1:
        raise ValueError(
            f"{path} has {len(trunks)} residual networks among its parameters; "
            "expected one, of modules such as "
            "'res_net50/~/block_group_0/~/block_0/~/conv_0'."
        )
    counts = tuple(len(convolutions[group]) for group in sorted(convolutions))
    blocks = [block for group in convolutions.values() for block in group.values()]
    basic = max(map(max, blocks)) == 1
    for depth, known in BLOCKS_PER_STAGE.items():
        if known == counts and basic == (depth in BASIC_DEPTHS):
            return trunks.pop(), depth
    raise ValueError(
        f"{path} has a residual network of {counts} blocks, each of "
        f"{2 if basic else 3} convolutions; expected those of depth "
        f"{', '.join(map(str, BLOCKS_PER_STAGE))}. Arrays may be missing."
    )


def _module_of(layer_name):
    """`stage2_block1_conv1` is Haiku's `block_group_1/~/block_0/~/conv_0`."""
    for ours, theirs in (("stem_", "initial_"), ("final_", "final_")):
        if layer_name.startswith(ours):
            return theirs + _part(layer_name.removeprefix(ours))
    stage, block, part = re.fullmatch(
        r"stage(\d+)_block(\d+)_(\w+)", layer_name
    ).groups()
    return f"block_group_{int(stage) - 1}/~/block_{int(block) - 1}/~/{_part(part)}"


def _part(part):
    kind, number = re.fullmatch(r"(\D+)(\d*)", part).groups()
    theirs = kind.replace("norm", "batchnorm")
    return f"{theirs}_{int(number) - 1}" if number else theirs


def _names(module, layer):
    """The names of a convolution's or a normalisation's weights, in Keras' order."""
    if len(layer.weights) == 1:
        return [f"{module}/w"]
    return [
        f"{module}/scale",
        f"{module}/offset",
        f"{module}/~/mean_ema/average",
        f"{module}/~/var_ema/average",
    ]


def _head(source, name):
    """Linear, batch normalisation, ReLU, linear; None if the file has none."""
    first, last = f"{name}/linear/w", f"{name}/linear_1/w"
    present = [key for key in source.shapes if key.startswith(f"{name}/")]
    if not present:
        return None
    for key in (first, last):
        if len(source.shapes.get(key, ())) != 2:
            raise ValueError(
                f"{source.source} has a {name} whose array {key!r} is missing or no "
                f"matrix; it has {', '.join(sorted(present))}."
            )
    head = networks.mlp_head(*source.shapes[first], source.shapes[last][-1], name=name)
    source.assign(head.get_layer("hidden"), [first, f"{name}/linear/b"])
    source.assign(
        head.get_layer("norm"), _names(f"{name}/batch_norm", head.get_layer("norm"))
    )
    source.assign(head.get_layer("output"), [last])
    return head
