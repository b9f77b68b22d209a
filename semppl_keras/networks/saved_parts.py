"""The parts of a model out of its saved configuration."""

import copy
from typing import Any

import keras

from semppl_keras.networks.adapters import adapter_places, add_adapters
from semppl_keras.networks.backbone_contract import as_before
from semppl_keras.networks.trainable_state import freeze_places, frozen_places


def part_of(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """A layer or a model out of its saved configuration.

    Args:
        config: dict, left as it is: Keras empties that of a functional model.
        custom_objects: as in `keras.saving.deserialize_keras_object`.
    """
    return keras.saving.deserialize_keras_object(
        copy.deepcopy(config), custom_objects=custom_objects
    )


def with_parts(
    config: dict[str, Any],
    names: tuple[str, ...],
    custom_objects: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """A configuration in which the parts are objects again.

    Args:
        config: dict, left as it is.
        names: of its entries that hold layers, models or views.
        custom_objects: as in `keras.saving.deserialize_keras_object`.

    Returns:
        dict.
    """
    config = dict(config)
    for name in names:
        if isinstance(config[name], dict):
            config[name] = part_of(config[name], custom_objects)
    return config


def with_frozen(config: dict[str, Any], model: keras.Model) -> dict[str, Any]:
    """A configuration with a note of what of the model's parts is frozen, and of the
    adapters of its backbone.

    Args:
        config: dict, left as it is.
        model: a model whose class names the parts that hold all that is trained in
            `freezable`.

    Returns:
        dict.
    """
    frozen = {name: frozen_places(getattr(model, name)) for name in model.freezable}
    config = {**config, "frozen": frozen}
    adapters = adapter_places(model.backbone) if "backbone" in config else []
    return {**config, "adapters": adapters} if adapters else config


def made_of_parts(
    cls: Any,
    config: dict[str, Any],
    names: tuple[str, ...],
    custom_objects: dict[str, Any] | None = None,
) -> Any:
    """A model out of its saved configuration.

    Args:
        cls: its class, as in `with_frozen`.
        config: dict, left as it is. Without the note of `with_frozen` that is frozen
            which the constructor freezes.
        names: of the entries that hold layers, models or views.
        custom_objects: as in `keras.saving.deserialize_keras_object`.

    Raises:
        ValueError: if the note does not fit the model.
    """
    config = with_parts(config, names, custom_objects)
    frozen = config.pop("frozen", None)
    adapters = config.pop("adapters", None)
    if adapters is not None:
        add_adapters(config["backbone"], adapters)
    if frozen is not None and (
        not isinstance(frozen, dict) or not set(frozen) <= set(cls.freezable)
    ):
        raise ValueError(
            f"`frozen` of {cls.__name__} must tell of its parts {cls.freezable}. "
            f"Received: {str(frozen)[:80]}."
        )
    with as_before():
        model = cls(**config)
    for name, places in (frozen or {}).items():
        freeze_places(getattr(model, name), places)
    return model
