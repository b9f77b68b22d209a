"""Checkpoint files as the authors of SemPPL, BYOL and SimCLRv2 published them.

The numbers in them depend on the names of the arrays alone; `golden/*.npz` holds what
the authors' own code computes from these.
"""

import json
import pathlib
import pickle
import zlib

import numpy as np

GOLDEN = pathlib.Path(__file__).parent / "golden"


def images(size):
    """The three images of the golden outputs, RGB in [0, 1]."""
    return np.random.default_rng(7).uniform(0, 1, (3, size, size, 3)).astype("float32")


def layout(name):
    return json.loads((GOLDEN / f"{name}.json").read_text())


def expected(name):
    """The golden outputs and the size of the images."""
    with np.load(GOLDEN / f"{name}.npz") as outputs:
        return dict(outputs)


def drawn(name, shape):
    """The array of this name."""
    rng = np.random.default_rng([0, zlib.crc32(name.encode())])
    module, _, leaf = name.rpartition("/")
    if leaf == "counter":
        return np.zeros(shape, "int32")
    if leaf in ("w", "kernel"):
        scale = np.sqrt(2.0 / int(np.prod(shape[:-1])))
        return (rng.standard_normal(shape) * scale).astype("float32")
    if leaf in ("scale", "gamma"):
        bounds = (0.2, 0.8)
    elif leaf == "moving_variance" or "var" in module.rpartition("/")[2]:
        bounds = (0.5, 1.5)
    else:
        bounds = (-0.2, 0.2)
    return rng.uniform(*bounds, shape).astype("float32")


def experiment_state(layout, devices=0):
    """Haiku's parameters and statistics, module by module."""

    def array(module, leaf, shape):
        value = drawn(f"{module}/{leaf}", tuple(shape))
        return np.stack([value] * devices) if devices else value

    return {
        part: {
            module: {leaf: array(module, leaf, shape) for leaf, shape in leaves.items()}
            for module, leaves in tree.items()
        }
        for part, tree in layout.items()
    }


def write_deepmind(path, layout, devices=0, protocol=2):
    content = {"experiment_state": experiment_state(layout, devices), "step": 94000}
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


def write_simclr(folder, layout, step=250228):
    """A TensorFlow checkpoint; returns its prefix."""
    import tensorflow as tf

    folder.mkdir(parents=True, exist_ok=True)
    prefix = folder / f"model.ckpt-{step}"
    names = sorted(layout)
    arrays = [drawn(name, tuple(layout[name])) for name in names]
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=[*names, "global_step"],
        shape_and_slices=[""] * (len(names) + 1),
        tensors=[*arrays, np.int64(step)],
    )
    return prefix
