"""Low-rank adapters (LoRA) in a transformer: added, copied, kept and merged."""

from typing import Any

import keras
import numpy as np

from semppl_keras.checks import check_integers
from semppl_keras.networks.trainable_part import train_part

_LAYERS = (keras.layers.Dense, keras.layers.EinsumDense)
_MOST_RANK = 4096


def enable_lora(backbone: keras.Model, rank: int, alpha: float | None = None) -> None:
    """Adds an adapter to every dense layer of a backbone, and freezes all else of it.

    Low-rank adaptation (Hu et al., arXiv 2106.09685) by the `enable_lora` of Keras'
    layers, those within its attentions among them: to a kernel W comes
    `alpha / rank * A B`, of which B begins at 0. To be called before a model is made of
    the backbone, whose target network is a copy.

    Args:
        backbone: built `keras.Model` with dense layers, a transformer.
        rank: int, at least 1, of the adapters.
        alpha: float or None, their scale; None for `rank`.

    Raises:
        ValueError: if `rank` is out of range, or the backbone has no dense layer, or
            adapters already.
    """
    check_integers(1, rank=rank)
    if rank > _MOST_RANK:
        raise ValueError(
            f"`rank` must be at most {_MOST_RANK}. Received: rank={rank!r}."
        )
    layers = backbone._flatten_layers()
    places = [i for i, layer in enumerate(layers) if isinstance(layer, _LAYERS)]
    if not places:
        raise ValueError(
            "LoRA adapts the dense layers of transformers. Received: "
            f"'{backbone.name}', which has none. Leave the adapters out, and train "
            'a part of it: trainable="top".'
        )
    if adapter_places(backbone):
        raise ValueError(f"'{backbone.name}' has adapters already. Merge them first.")
    add_adapters(backbone, [[place, rank, alpha or rank] for place in places])
    train_part(backbone)


def adapter_places(network: Any) -> list[list[Any]]:
    """[place, rank, alpha] of each adapter of a network, the place being that of its
    layer in the order in which the network holds them."""
    return [
        [place, layer.lora_rank, layer.lora_alpha]
        for place, layer in enumerate(network._flatten_layers())
        if _has_adapter(layer)
    ]


def add_adapters(network: Any, places: Any) -> None:
    """Adds adapters where `adapter_places` told them of a network like it.

    Args:
        network: a built layer or model. Keras' attention layers, for one, make
            adapters of their dense layers no part of their configuration.
        places: what `adapter_places` gave; it may come from a file.

    Raises:
        ValueError: if it is something else, or does not fit the network.
    """
    layers = network._flatten_layers()
    for entry in places:
        fits = (
            isinstance(entry, (list, tuple))
            and len(entry) == 3
            and all(isinstance(number, (int, float)) for number in entry)
            and entry[0] in range(len(layers))
            and entry[1] in range(1, _MOST_RANK + 1)
            and isinstance(layers[int(entry[0])], _LAYERS)
        )
        if not fits:
            raise ValueError(
                f"The adapters of '{network.name}' must be [place, rank, alpha] of its "
                f"dense layers. Received: {str(entry)[:80]}."
            )
        layer = layers[int(entry[0])]
        if not _has_adapter(layer):
            layer.enable_lora(int(entry[1]), lora_alpha=entry[2])


def keep_adapters(network: Any) -> None:
    """Lets the adapters of a network be loaded as they were.

    Keras saves kernels with their adapters merged, and loads adapters that are 0 and
    cannot be trained any further. A model that is trained saves the adapters beside
    (`adapter_variables`), and has them back by `restore_adapters`.

    Args:
        network: a built layer or model.
    """
    for layer in network._flatten_layers():
        if not _has_adapter(layer) or "load_own_variables" in vars(layer):
            continue
        layer.load_own_variables = _Loading(layer)
        first, second = _factors(layer)
        if not np.any(first.numpy()) and not np.any(second.numpy()):
            # Of a file of plain Keras'.
            drawn = keras.initializers.HeUniform()(first.shape, dtype=first.dtype)
            first.assign(drawn)


def adapter_variables(network: Any) -> list[Any]:
    """Of each layer with an adapter its kernel and the two factors beside it."""
    return [
        variable
        for layer in network._flatten_layers()
        if _has_adapter(layer)
        for variable in (layer._kernel, *_factors(layer))
    ]


def restore_adapters(network: Any, values: list[Any]) -> None:
    """Lets layers take `adapter_variables` once Keras has loaded them, which follows.

    Args:
        network: a built layer or model.
        values: list of arrays.
    """
    keep_adapters(network)
    layers = [layer for layer in network._flatten_layers() if _has_adapter(layer)]
    for place, layer in enumerate(layers):
        vars(layer)["load_own_variables"].values = values[3 * place : 3 * place + 3]


def merge_adapters(network: Any) -> None:
    """Adds the adapters of a network to its kernels, and takes them away.

    Args:
        network: a built layer or model, which computes the same as before. It is
            trained again by what `train_part` releases.
    """
    for layer in network._flatten_layers():
        if not _has_adapter(layer):
            continue
        merged = keras.ops.convert_to_numpy(layer.kernel)
        for name in ("lora_kernel_a", "lora_kernel_b"):
            layer._untrack_variable(getattr(layer, name))
            # Keras' own would collect all garbage of the process each time.
            super(keras.layers.Layer, layer).__delattr__(name)
        layer.lora_enabled, layer.lora_rank, layer.lora_alpha = False, None, None
        vars(layer).pop("load_own_variables", None)
        layer._kernel.assign(merged)


def _has_adapter(layer: Any) -> bool:
    return isinstance(layer, _LAYERS) and layer.lora_enabled


def _factors(layer: Any) -> tuple[Any, Any]:
    return layer.lora_kernel_a, layer.lora_kernel_b


class _Loading:
    """`load_own_variables` of a layer with an adapter."""

    def __init__(self, layer: Any) -> None:
        self._layer = layer
        self.values: list[Any] = []

    def __call__(self, store: Any) -> None:
        type(self._layer).load_own_variables(self._layer, store)
        if self.values:
            variables = (self._layer._kernel, *_factors(self._layer))
            for variable, value in zip(variables, self.values, strict=True):
                variable.assign(value)
        self.values = []
