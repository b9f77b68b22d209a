"""Files that are there whole or not at all, whenever the process ends."""

import contextlib
import hashlib
import json
import os
import pathlib
from collections.abc import Iterator
from typing import Any

import keras

# Bytes of a name with which there is room for an ending: most systems take 255.
_LONGEST = 240


@contextlib.contextmanager
def whole_file(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Within it a file is written, to a place beside its own, which it then takes.

    Args:
        path: Of the file; its folder is made where it is missing.

    Yields:
        `pathlib.Path` to write to; nothing is left there after an error.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _partial(path)
    try:
        yield partial
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _partial(path: pathlib.Path) -> pathlib.Path:
    # Keras wants the name of every model to end so.
    ending = ".keras" if path.suffix == ".keras" else ""
    name = path.name.removesuffix(ending)
    # A person's file may have a name to which nothing can be added.
    if len(os.fsencode(path.name)) > _LONGEST:
        name = hashlib.blake2b(os.fsencode(name), digest_size=16).hexdigest()
    return path.with_name(f"{name}.partial{ending}")


def write_whole(path: pathlib.Path, text: str, errors: str = "strict") -> None:
    """Writes UTF-8; `errors` says what becomes of what is none, as for `open`."""
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8", errors=errors, newline="\n")


def write_json(path: pathlib.Path, content: Any) -> None:
    """Writes what `json` can write."""
    write_whole(path, json.dumps(content, indent=2) + "\n")


def save_model(model: keras.Model, path: pathlib.Path) -> None:
    """Saves a Keras model, to a path that ends in .keras."""
    with whole_file(path) as partial:
        model.save(partial)
