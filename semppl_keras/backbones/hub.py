"""The networks of KerasHub as backbones. It is an optional dependency: keras-hub."""

import math
import os
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from semppl_keras.backbones.blocks import DATA_FORMAT
from semppl_keras.backbones.hub_families import (
    BOTH,
    CLASS_TOKEN,
    FAMILIES,
    MEAN_PATCHES,
    Family,
    family_of,
    freeze_untrained,
)
from semppl_keras.backbones.missing_weights import MissingWeights, short_connections
from semppl_keras.backbones.scaling import at_size, in_colour, rescaled
from semppl_keras.backbones.specs import is_folder, near_names

_POOLINGS = {
    "maps": ("avg", "max"),
    "tokens": (CLASS_TOKEN, MEAN_PATCHES, BOTH),
    "vector": ("attention",),
}
_FILES = "config.json, image_converter.json and model.weights.h5"


def hub_network(
    preset: str,
    weights: bool = True,
    *,
    image_size: int | None = None,
    channels: int = 3,
    pooling: str | None = None,
) -> keras.Model:
    """A network of KerasHub as a backbone.

    Args:
        preset: str, a name of KerasHub's, an address that it takes (kaggle://, hf://),
            or the path of a preset folder.
        weights: bool, whether it has the preset's.
        image_size, channels, pooling: as for `from_hub`.

    Returns:
        `keras.Model` from views `(B, h, w, channels)` in [0, 1], scaled as the
        preset's `ImageConverter` does, to `(B, F)`.

    Raises:
        ImportError: if KerasHub is not installed.
        ValueError: if there is no such preset, or it is of no network for images.
        MissingWeights: if its files are not here and cannot be fetched.
    """
    keras_hub = _keras_hub(preset)
    known = keras_hub.models.Backbone.presets
    if not is_folder(preset) and "://" not in preset and preset not in known:
        raise ValueError(_unknown(preset, _of_images(keras_hub)))
    try:
        with short_connections():
            network = keras_hub.models.Backbone.from_preset(
                preset, load_weights=weights
            )
            converter = keras_hub.layers.ImageConverter.from_preset(preset)
    # What a hub's client raises where there is no connection is of many kinds.
    except Exception as error:
        if is_folder(preset):
            raise ValueError(
                f"{preset!r} must be a preset folder of KerasHub, of {_FILES}. "
                f"Received one that it cannot load: {type(error).__name__}: {error}"
            ) from error
        address = known.get(preset, {}).get("kaggle_handle", preset)
        raise MissingWeights(
            f"hub:{preset} could not be fetched ({type(error).__name__}). The files "
            f"are {_FILES} of {address}; put them into a folder of any name and give "
            "that, as in --backbone hub:./folder.",
            file=_FILES,
            address=address,
            folder="",
        ) from error
    return from_hub(
        network,
        scale=1.0 if converter.scale is None else converter.scale,
        offset=0.0 if converter.offset is None else converter.offset,
        image_size=image_size,
        channels=channels,
        pooling=pooling,
    )


def from_hub(
    network: Any,
    *,
    scale: float | Sequence[float] = 1.0,
    offset: float | Sequence[float] = 0.0,
    image_size: int | None = None,
    channels: int = 3,
    pooling: str | None = None,
) -> keras.Model:
    """A backbone of a network of KerasHub, with the weights that it has.

    Of networks for text and images the part for images is taken. A network that is
    built for one size is built for `image_size`, its position embeddings interpolated,
    or for the multiple of its patches nearest to it; views of another size are resized
    to that.

    Args:
        network: a `keras_hub.models.Backbone` of one of `FAMILIES`.
        scale, offset: numbers, or one for each channel: its images are
            `pixels * scale + offset` of pixels in [0, 255], as an `ImageConverter` of
            KerasHub has them.
        image_size: int or None for that for which it is built.
        channels: int, 1 or 3, of the views; the one is given three times.
        pooling: None for the family's own; of maps "avg" or "max", of tokens
            "class_token", "mean_patches" or "both", side by side.

    Returns:
        `keras.Model` from views `(B, h, w, channels)` in [0, 1] to `(B, F)`.

    Raises:
        ValueError: if it is of no such family, or does not give what is to be pooled.
    """
    family = family_of(network)
    if family is None:
        raise ValueError(
            f"A network of KerasHub for images is one of {', '.join(FAMILIES)}. "
            f"Received: {type(network).__name__}."
        )
    if family.part is not None:
        network = getattr(network, family.part)
    pooling = pooling or family.pooling
    if pooling not in _POOLINGS[family.gives]:
        raise ValueError(
            f"`pooling` of {type(network).__name__} must be one of "
            f"{', '.join(_POOLINGS[family.gives])}. Received: {pooling!r}."
        )
    network = _built_for(network, family, image_size)
    freeze_untrained(network)
    views = keras.Input((None, None, channels), name="views")
    images = at_size(in_colour(views, channels), _fixed_size(network))
    images = rescaled(images, _times_255(scale), offset)
    # Some take a dict of one entry, whatever its name.
    taken = network.input
    given = {key: images for key in taken} if isinstance(taken, dict) else images
    features = _pooled(network(given), network, family, pooling)
    return keras.Model(views, features, name=f"pretrained_{network.name}")


def _pooled(outputs: Any, network: Any, family: Family, pooling: str) -> Any:
    if isinstance(outputs, dict):
        # The maps of all stages, in their order.
        outputs = list(outputs.values())[-1]
    if family.gives == "vector":
        return outputs
    if pooling == "avg":
        return keras.layers.GlobalAveragePooling2D(DATA_FORMAT)(outputs)
    if pooling == "max":
        return keras.layers.GlobalMaxPooling2D(DATA_FORMAT)(outputs)
    class_token = outputs[:, 0]
    if pooling == CLASS_TOKEN:
        return class_token
    prefix = family.prefix + getattr(network, "num_register_tokens", 0)
    mean = keras.layers.GlobalAveragePooling1D(DATA_FORMAT)(outputs[:, prefix:])
    if pooling == MEAN_PATCHES:
        return mean
    return keras.layers.Concatenate()([class_token, mean])


def _fixed_size(network: Any) -> int | None:
    """The side of the images that a network is built for, None for any."""
    taken = network.input
    images = next(iter(taken.values())) if isinstance(taken, dict) else taken
    return images.shape[1]


def _built_for(network: Any, family: Family, image_size: int | None) -> Any:
    """The network for images of a size, of the same weights."""
    size: int | None
    if family.multiple is None:
        size = None
    else:
        multiple = family.multiple(network)
        size = image_size or _fixed_size(network) or multiple
        size = max(1, round(size / multiple)) * multiple
    if size == _fixed_size(network):
        return network
    config = network.get_config()
    config["image_shape"] = (size, size, network.image_shape[2])
    resized = type(network).from_config(config)
    for layer, twin in zip(
        network._flatten_layers(), resized._flatten_layers(), strict=True
    ):
        store: dict[str, Any] = {}
        layer.save_own_variables(store)
        variables = twin._trainable_variables + twin._non_trainable_variables
        shapes = {str(index): tuple(v.shape) for index, v in enumerate(variables)}
        twin.load_own_variables(
            {
                key: _of_shape(ops.convert_to_numpy(value), shapes.get(key))
                for key, value in store.items()
            }
        )
    return resized


def _of_shape(value: Any, shape: tuple[int, ...] | None) -> Any:
    """Position embeddings `(N, F)` or `(1, N, F)` for another number of patches; of
    the same number as they are.

    The square of patches is interpolated, the tokens before it are kept.
    """
    if shape is None or value.shape == shape:
        return value
    if value.dtype.kind in "iu":
        # The places of the patches.
        return ops.convert_to_numpy(ops.arange(shape[-1], dtype="int32"))[None]
    old, new = value.shape[-2], shape[-2]
    side, new_side = math.isqrt(old), math.isqrt(new)
    prefix = old - side**2
    if prefix != new - new_side**2:
        raise ValueError(
            "Position embeddings must be of tokens and a square of patches. Received: "
            f"{old} of them, for {new}."
        )
    rows = value.reshape(old, value.shape[-1])
    patches = ops.image.resize(
        rows[prefix:].reshape(1, side, side, -1),
        (new_side, new_side),
        interpolation="bicubic",
        antialias=True,
        data_format="channels_last",
    )
    patches = ops.reshape(patches, (new_side**2, -1))
    resized = ops.concatenate([ops.convert_to_tensor(rows[:prefix]), patches])
    return ops.convert_to_numpy(ops.reshape(resized, shape))


def _times_255(scale: float | Sequence[float]) -> float | list[float]:
    if isinstance(scale, (int, float)):
        return 255.0 * scale
    return [255.0 * float(one) for one in scale]


def _keras_hub(preset: str) -> Any:
    try:
        import keras_hub
    except ImportError as error:
        raise ImportError(
            f"'hub:{preset}' needs KerasHub, which cannot be imported ({error}): "
            "pip install keras-hub"
        ) from error
    return keras_hub


def _of_images(keras_hub: Any) -> list[str]:
    names: list[str] = []
    for family in FAMILIES:
        names += getattr(keras_hub.models, family).presets
    return names


def _unknown(preset: str, names: Sequence[str]) -> str:
    told = near_names(preset, {name.lower(): f"hub:{name}" for name in names})
    return (
        "hub: must be followed by the name of a preset of KerasHub for images, or by "
        f"the path of a preset folder, such as hub:.{os.sep}folder.{told} Received: "
        f"{preset!r}."
    )
