"""Copies of networks, which compute what their originals do."""

import tempfile
from typing import Any

import keras
import numpy as np
from keras import ops

from semppl_keras.networks.adapters import adapter_places, add_adapters
from semppl_keras.networks.probing import outputs_of, probe_inputs
from semppl_keras.networks.trainable_state import freeze_places, frozen_places

# Layers of Keras' that run what others wrote.
_FOREIGN = (
    "Lambda",
    "TorchModuleWrapper",
    "JaxLayer",
    "FlaxLayer",
    "NnxLayer",
    "TFSMLayer",
)


def copy_model(model: keras.Model, image_size: int = 32) -> keras.Model:
    """A model that computes the same, sharing nothing.

    It has the configuration, the weights, the state of random generators, what is
    frozen, and what layers derive from their weights or keep beside them (an adapted
    `Normalization`, tables): all that saving keeps. With layers that are not Keras'
    own it is tried on a few inputs whether it computes the same.

    Args:
        model: a built `keras.Model`.
        image_size: int, of the images that it is tried on where its own size is open.

    Returns:
        A `keras.Model` of its class.

    Raises:
        ValueError: if the model cannot be made again from its configuration, or what
            is made computes something else.
    """
    # Keras finds its own by their modules; some of its layers are called as one of its
    # operations is.
    own_classes = {
        type(layer).__name__: type(layer)
        for layer in model._flatten_layers()
        if type(layer).__module__.split(".")[0] != "keras"
    }
    try:
        with keras.saving.custom_object_scope(own_classes):
            copy = keras.models.clone_model(model)
        if model.built and not copy.built:
            copy.build_from_config(model.get_build_config())
        add_adapters(copy, adapter_places(model))
        _copy_state(model, copy)
    except Exception as error:  # Whatever the code of somebody else's layer raises.
        raise ValueError(
            "A copy of a network is made from its configuration, and "
            f"{type(model).__name__} '{model.name}' cannot be copied. Give it "
            "`get_config` (and `from_config`), or use a functional model. "
            f"({type(error).__name__}: {error})"
        ) from error
    freeze_places(copy, frozen_places(model))
    _check_state(model, copy)
    _check_outputs(model, copy, image_size)
    return copy


def _copy_state(model: keras.Model, copy: keras.Model) -> None:
    """Gives a copy all that saving and loading would."""
    for layer, twin in _pairs(model, copy):
        # Layers derive from their variables what they need when they load them.
        store: dict[str, Any] = {}
        layer.save_own_variables(store)
        twin.load_own_variables({key: _as_array(value) for key, value in store.items()})
        if hasattr(layer, "save_assets") and hasattr(twin, "load_assets"):
            with tempfile.TemporaryDirectory() as folder:
                layer.save_assets(folder)
                twin.load_assets(folder)
    # Seeds are no weights, and a layer that saves its state itself may leave some out,
    # or change it: adapters are merged.
    for source, variable in zip(model.variables, copy.variables, strict=True):
        variable.assign(source.numpy())


def _check_state(model: keras.Model, copy: keras.Model) -> None:
    """Refuses arrays that a layer keeps without giving them to its copy."""
    for layer, twin in _pairs(model, copy):
        for name, value in vars(layer).items():
            if not isinstance(value, np.ndarray) and not ops.is_tensor(value):
                continue
            other = vars(twin).get(name)
            if other is not None and _same(_as_array(value), _as_array(other)):
                continue
            raise ValueError(
                f"Layer '{layer.name}' ({type(layer).__name__}) of '{model.name}' "
                f"keeps `{name}`, which is not what its weights and configuration "
                "make of it: neither a copy of it nor a saved file has the same. Keep "
                "it in `save_own_variables` and `load_own_variables`; a Normalization "
                "whose weights were set from outside needs its `finalize_state()`."
            )


def _check_outputs(model: keras.Model, copy: keras.Model, image_size: int) -> None:
    """Tries whether both compute the same, where a layer is not Keras' own."""
    if all(_is_known(layer) for layer in model._flatten_layers()):
        return  # Copied exactly; a large network's call takes seconds on JAX.
    inputs = probe_inputs(model, image_size)
    if inputs is None:
        return
    try:
        expected = outputs_of(model, inputs)
    except Exception:
        # Nothing that a copy could be compared with: what is wrong with the model
        # itself is told where it is used.
        return
    received = outputs_of(copy, inputs)
    if _same(expected, received):
        return
    if not _same(expected, outputs_of(model, inputs)):
        return  # A network that draws its answers is no function to compare.
    raise ValueError(
        f"A copy of {type(model).__name__} '{model.name}' computes something else"
        f"{_where(model, copy, inputs)}: largest difference "
        f"{np.abs(expected - received).max():.3g} of {np.abs(expected).max():.3g}. "
        "A layer must keep state that is neither a weight nor in `get_config` in "
        "`save_own_variables` and `load_own_variables`."
    )


def _is_known(layer: keras.layers.Layer) -> bool:
    """Whether a layer is Keras' or this package's own, and runs no foreign code."""
    package = type(layer).__module__.split(".")[0]
    return (
        package in ("keras", "semppl_keras")
        and type(layer).__name__ not in _FOREIGN
        # Somebody may have given this one another `call`.
        and "call" not in vars(layer)
    )


def _pairs(model: keras.Model, copy: keras.Model) -> Any:
    return zip(model._flatten_layers(), copy._flatten_layers(), strict=True)


def _as_array(value: Any) -> np.ndarray:
    if isinstance(value, keras.Variable):
        return value.numpy()  # Of one replica, where several have it.
    return ops.convert_to_numpy(value)


def _same(first: Any, second: Any) -> bool:
    if first.shape != second.shape or first.dtype != second.dtype:
        return False
    if first.dtype.kind in "OUSb":
        return np.array_equal(first, second)
    first, second = first.astype("float64"), second.astype("float64")
    finite = np.abs(first[np.isfinite(first)])
    # Kernels of a GPU may add up in another order from call to call.
    tolerance = 1e-3 * finite.max(initial=0.0)
    return np.allclose(first, second, rtol=0, atol=tolerance, equal_nan=True)


def _where(model: keras.Model, copy: keras.Model, inputs: Any) -> str:
    """Names the first layer whose outputs differ, where a graph tells."""
    if not hasattr(model, "inputs"):
        return ""
    for layer, twin in zip(model.layers, copy.layers, strict=True):
        try:
            parts = [
                keras.Model(whole.inputs, part.output)
                for whole, part in ((model, layer), (copy, twin))
            ]
            same = _same(*(outputs_of(part, inputs) for part in parts))
        except (AttributeError, ValueError):
            continue  # Called several times, or a model within: no output of its own.
        if not same:
            return f", from layer '{layer.name}' ({type(layer).__name__}) on"
    return ""
