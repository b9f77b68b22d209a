"""What names a backbone on a command line or in a recipe; the standard library alone.

keras:NAME        an architecture of keras.applications with its ImageNet weights
keras:NAME@none   the same without weights
hub:PRESET        a network of KerasHub, or of a preset folder (hub:./folder)
hub:PRESET@none   the same without weights
FILE.keras        a model of one's own
NAME              one of `registry.BACKBONES`, without weights
"""

import difflib
import importlib.util
import json
import os
import pathlib
import re
import zipfile
from collections.abc import Mapping
from typing import Any, NamedTuple

from semppl_keras.backbones.application_table import APPLICATIONS
from semppl_keras.backbones.registry import BACKBONES

_NO_WEIGHTS = "@none"
_FORMS = (
    f"one of {', '.join(BACKBONES)}, or keras:NAME of keras.applications, hub:PRESET "
    "of KerasHub, or FILE.keras"
)
# Endings of the checkpoints that semppl import reads.
_PUBLISHED = (".pkl", ".index", ".ckpt")
# Of networks that say nothing else.
_USUAL_SIZE = 224
# In the name of a preset: "..._patch16_384_imagenet", "..._r240_imagenet". Others may
# be of layers.
_SIZE_IN_NAME = re.compile(r"_r?(224|240|256|288|320|336|378|384|448|512)(?=_|$)")


class Spec(NamedTuple):
    """What a text names.

    Args:
        kind: "own", "keras", "hub" or "file".
        name: of the network, without what stands before or after it; a path of a file.
        weights: whether they are pretrained.
    """

    kind: str
    name: str
    weights: bool


def parse(spec: str | os.PathLike[str]) -> Spec:
    """What a text names, by its form alone.

    Args:
        spec: str, or the path of a file.

    Returns:
        `Spec`.

    Raises:
        ValueError: if it has none of the forms, or names no architecture.

    Example:
        >>> parse("keras:resnet50@none")
        Spec(kind='keras', name='ResNet50', weights=False)
    """
    spec = os.fspath(spec) if isinstance(spec, os.PathLike) else spec
    if not isinstance(spec, str):
        raise TypeError(f"A backbone must be {_FORMS}. Received: {spec!r}.")
    kind, colon, rest = spec.partition(":")
    if colon and kind in ("keras", "hub"):
        name = rest.removesuffix(_NO_WEIGHTS)
        if kind == "keras":
            name = _application(name, spec)
        elif not name or "\0" in name:
            raise ValueError(
                "hub: must be followed by the name of a preset of KerasHub, such as "
                "hub:dinov2_small, or the path of a preset folder. Received: "
                f"{spec!r}."
            )
        return Spec(kind, name, not rest.endswith(_NO_WEIGHTS))
    if spec in BACKBONES:
        return Spec("own", spec, False)
    if spec.lower().endswith(".keras") and "\0" not in spec:
        return Spec("file", spec, True)
    if spec.lower().endswith(_PUBLISHED):
        raise ValueError(
            "A published checkpoint becomes a backbone by semppl import, which writes "
            f"FILE.keras. Received: {spec!r}."
        )
    raise ValueError(f"A backbone must be {_FORMS}.{_near(spec)} Received: {spec!r}.")


def check_spec(spec: str) -> str:
    """Checks what names a backbone, before anything is loaded.

    Args:
        spec: str.

    Returns:
        The same, an architecture spelled as Keras does, a path from the root.

    Raises:
        ValueError: if it names none; near names are told.
        FileNotFoundError: if there is no such file or folder.
        ImportError: if KerasHub is asked for and not installed.
    """
    kind, name, weights = parse(spec)
    if kind == "file" and not os.path.isfile(name):
        raise FileNotFoundError(
            f"A backbone FILE.keras must be there. Received: {name!r}, which is not."
        )
    if kind == "hub":
        if importlib.util.find_spec("keras_hub") is None:
            raise ImportError(
                f"{spec!r} needs KerasHub, which is not installed: pip install "
                "keras-hub"
            )
        if is_folder(name) and not os.path.isfile(os.path.join(name, "config.json")):
            raise FileNotFoundError(
                "A preset folder of KerasHub must hold config.json and "
                f"model.weights.h5. Received: {name!r}, without config.json."
            )
    if kind == "file" or (kind == "hub" and is_folder(name)):
        name = os.path.abspath(name)
    prefix = f"{kind}:" if kind in ("keras", "hub") else ""
    suffix = _NO_WEIGHTS if prefix and not weights else ""
    return f"{prefix}{name}{suffix}"


def is_pretrained(spec: str | None) -> bool:
    """Whether what is named comes with weights; None names nothing.

    Raises:
        ValueError: if it names no backbone.
    """
    return spec is not None and parse(spec).weights


def is_folder(preset: str) -> bool:
    """Whether a preset is a folder here rather than a name of KerasHub's."""
    return "://" not in preset and (os.sep in preset or os.path.isdir(preset))


def usual_size(spec: str) -> int:
    """Pixels of a side that a network was trained with, as far as its name or file
    tells; 224 otherwise.

    Args:
        spec: str.

    Raises:
        ValueError: if it names no backbone.
    """
    kind, name, _ = parse(spec)
    if kind == "keras":
        return APPLICATIONS[name].size
    if kind == "file":
        return _size_of(_config_in(name)) or _USUAL_SIZE
    if kind == "hub" and is_folder(name):
        config = _read_json(pathlib.Path(name) / "config.json")
        return _size_of(config) or _USUAL_SIZE
    found = _SIZE_IN_NAME.findall(name) if kind == "hub" else []
    return int(found[-1]) if found else _USUAL_SIZE


def _application(name: str, spec: str) -> str:
    by_lower = {known.lower(): known for known in APPLICATIONS}
    if name.lower() not in by_lower:
        raise ValueError(
            "keras: must be followed by an architecture of keras.applications, such "
            f"as keras:EfficientNetV2B0.{_near(name)} Received: {spec!r}."
        )
    return by_lower[name.lower()]


def _near(name: str) -> str:
    """A sentence of the specs that are like a name, or nothing."""
    specs = {known.lower(): f"keras:{known}" for known in APPLICATIONS}
    specs |= {known: known for known in BACKBONES}
    return near_names(name, specs)


def near_names(name: str, specs: Mapping[str, str]) -> str:
    """A sentence of what is spelled like a name, which begins with a space; or nothing.

    Args:
        name: str.
        specs: what to tell, by names in lower case.
    """
    name = name.lower()
    near = difflib.get_close_matches(name, specs, n=3, cutoff=0.6)
    near += [known for known in specs if name and known.startswith(name)]
    told = list(dict.fromkeys(specs[one] for one in near))[:3]
    return f" Near it: {', '.join(told)}." if told else ""


def _config_in(path: str) -> Any:
    """The configuration in a .keras file; None for what cannot be read, which is told
    where it is loaded."""
    try:
        with zipfile.ZipFile(path) as archive:
            return json.loads(archive.read("config.json"))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return None


def _read_json(path: pathlib.Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _size_of(config: Any) -> int | None:
    """Pixels of a side of a model's images, where its configuration tells."""
    if not isinstance(config, dict) or not isinstance(config.get("config"), dict):
        return None
    config = config["config"]
    shapes = [config.get("image_shape")]
    for layer in config.get("layers") or []:
        if isinstance(layer, dict) and layer.get("class_name") == "InputLayer":
            shape = layer.get("config", {}).get("batch_shape")
            shapes.append(shape[1:] if isinstance(shape, list) else None)
    for shape in shapes:
        if isinstance(shape, list) and len(shape) == 3 and isinstance(shape[0], int):
            return shape[0]
    return None
