"""Which layers and weights of a network are frozen, as data that can be kept."""

from typing import Any


def frozen_places(network: Any) -> dict[str, list[int]]:
    """What of a network is frozen.

    Args:
        network: a layer or model.

    Returns:
        dict of `layers`, the places of the layers whose `trainable` is False, and
        `weights`, those of the weights that are frozen of all that can be trained,
        both counted in the order in which the network holds them.
    """
    layers, weights = _parts(network)
    return {
        "layers": [i for i, layer in enumerate(layers) if not layer.trainable],
        "weights": [i for i, weight in enumerate(weights) if not weight.trainable],
    }


def freeze_places(network: Any, places: Any) -> None:
    """Freezes what `frozen_places` told of a network like it, and releases the rest.

    Args:
        network: a layer or model.
        places: what `frozen_places` gave; it may come from a file.

    Raises:
        ValueError: if it is something else, or does not fit the network.
    """
    layers, weights = _parts(network)
    frozen_layers = _checked(places, "layers", len(layers), network)
    frozen_weights = _checked(places, "weights", len(weights), network)
    for index, layer in enumerate(layers):
        # The public setter reaches everything below a layer, which may be frozen in
        # part and be shared with another one.
        layer._trainable = index not in frozen_layers
    for index, weight in enumerate(weights):
        weight.trainable = index not in frozen_weights


def copy_trainable_flags(source: Any, copy: Any) -> None:
    """Lets the layers of a copy say that they are frozen where the source's do.

    Layers such as batch normalisation go by it. The weights keep what they have.
    """
    for layer, twin in zip(
        source._flatten_layers(), copy._flatten_layers(), strict=True
    ):
        twin._trainable = layer.trainable


def _parts(network: Any) -> tuple[list[Any], list[Any]]:
    layers = network._flatten_layers()
    # Of what can be trained, frozen or not: `trainable_weights` lacks the frozen ones.
    return layers, [weight for layer in layers for weight in layer._trainable_variables]


def _checked(places: Any, name: str, count: int, network: Any) -> set[int]:
    values = places.get(name) if isinstance(places, dict) else None
    if not isinstance(values, (list, tuple)) or not all(
        isinstance(value, int) and 0 <= value < count for value in values
    ):
        raise ValueError(
            f"What is frozen of '{network.name}' must be a list `{name}` of places "
            f"from 0 to {count - 1}. Received: {str(values)[:80]}."
        )
    return set(values)
