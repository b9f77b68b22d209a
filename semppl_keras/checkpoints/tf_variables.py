"""Reads TensorFlow's checkpoint files; the adapter to TensorFlow of the importers."""

import math
import pathlib
import re
from collections.abc import Callable
from typing import Any

_WHAT = "a TensorFlow checkpoint, such as model.ckpt-250228 with .index and .data files"


def open_checkpoint(
    path: pathlib.Path,
) -> tuple[pathlib.Path, Callable[[str], Any], dict[str, tuple[int, ...]]]:
    """The variables of a checkpoint.

    Args:
        path: `pathlib.Path`, its prefix or its folder.

    Returns:
        The prefix; a function of a variable's name that reads its array; a dict of
        names to shapes.

    Raises:
        FileNotFoundError: if there is no checkpoint.
        ImportError: if TensorFlow is not installed.
        ValueError: if the files are damaged or announce more than they hold.
    """
    prefix = _prefix(path)
    try:
        import tensorflow as tf
    except ImportError as error:
        raise ImportError(
            "Reading a TensorFlow checkpoint needs TensorFlow: pip install tensorflow. "
            "(Any backend can run the network.)"
        ) from error
    shards = sorted(prefix.parent.glob(f"{prefix.name}.data-*-of-*"))
    if not shards:
        raise FileNotFoundError(
            f"There is no {prefix}.data-00000-of-00001 beside its .index: expected "
            f"{_WHAT}."
        )
    held = sum(shard.stat().st_size for shard in shards)
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        shapes = reader.get_variable_to_shape_map()
        types = reader.get_variable_to_dtype_map()
    except Exception as error:
        raise ValueError(
            f"{prefix} cannot be read ({type(error).__name__}: {_short(error)}): "
            f"expected {_WHAT}."
        ) from error
    # What is no number is no variable of a network.
    shapes = {
        name: tuple(shape)
        for name, shape in shapes.items()
        if types[name].is_floating or types[name].is_integer
    }
    announced = sum(
        math.prod(shape) * types[name].size for name, shape in shapes.items()
    )
    if announced > held:
        raise ValueError(
            f"{prefix} announces {announced:,} bytes of variables; its .data files "
            f"hold {held:,}. They may be cut off."
        )

    def read(name: str) -> Any:
        try:
            return reader.get_tensor(name)
        except Exception as error:
            raise ValueError(
                f"{prefix} has a variable {name!r} that cannot be read "
                f"({type(error).__name__}: {_short(error)})."
            ) from error

    return prefix, read, shapes


def _prefix(path: pathlib.Path) -> pathlib.Path:
    """The prefix of the checkpoint at a path; of several in a folder the latest."""
    if path.is_dir():
        prefixes = [index.with_suffix("") for index in path.glob("*.index")]
        if not prefixes:
            raise FileNotFoundError(f"There is no .index in {path}: expected {_WHAT}.")
        return max(prefixes, key=_step)
    # The name of one of its files will do as well.
    prefix = path.with_name(re.sub(r"\.(index|meta|data-\d+-of-\d+)$", "", path.name))
    if not prefix.with_name(f"{prefix.name}.index").exists():
        raise FileNotFoundError(
            f"There is no {prefix}.index: expected {_WHAT}, or the folder of one."
        )
    return prefix


def _step(prefix: pathlib.Path) -> int:
    number = re.search(r"(\d+)$", prefix.name)
    return int(number.group(1)) if number else -1


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
