"""What a network does with a few images, seen from outside."""

from typing import Any

import numpy as np
from keras import ops


def probe_inputs(
    network: Any, size: int, low: float = 0.0, high: float = 1.0
) -> np.ndarray | None:
    """A few inputs that differ as much as they can.

    Args:
        network: a built layer or model of one input.
        size: int, of images whose size is not fixed.
        low, high: float, their range.

    Returns:
        `(4, ...)` float32, images of large random squares; or None for a network whose
        input cannot be told.
    """
    shape = input_shape(network)
    if (
        not isinstance(shape, (list, tuple))
        or len(shape) not in (2, 4)
        or shape[-1] is None
        or not all(isinstance(side, (int, type(None))) for side in shape)
    ):
        return None
    rng = np.random.default_rng(0)
    inputs: np.ndarray
    if len(shape) == 2:
        inputs = rng.uniform(size=(4, shape[-1]))
    else:
        height, width = (side or size for side in shape[1:3])
        inputs = rng.integers(0, 2, size=(4, 4, 4, shape[-1]))
        inputs = inputs.repeat(-(-height // 4), axis=1).repeat(-(-width // 4), axis=2)
        inputs = inputs[:, :height, :width]
    return (low + (high - low) * inputs).astype("float32")


def input_shape(network: Any) -> Any:
    """The shape of a built network's input, None where it cannot be told."""
    # Functional and Sequential models know their input; a subclassed model what
    # it was built with.
    shape = getattr(network, "input_shape", None)
    if shape is None and network.built:
        shape = (network.get_build_config() or {}).get("input_shape")
    return shape


def outputs_of(network: Any, inputs: Any) -> np.ndarray:
    """What a network gives in inference, a float32 array; its random state stays."""
    states = [
        (variable, variable.numpy())
        for variable in network.variables
        if variable.path.endswith("seed_generator_state")
    ]
    outputs = network(ops.convert_to_tensor(inputs), training=False)
    for variable, value in states:
        variable.assign(value)
    return ops.convert_to_numpy(ops.cast(outputs, "float32"))


def seen_by_first_weights(network: Any, inputs: Any) -> np.ndarray | None:
    """What the first layer that can be trained sees of inputs.

    It is what layers without weights, a `Lambda`, or a model's own code before it make
    of them, in whatever model.

    Args:
        network: a built model.
        inputs: array `(B, ...)`.

    Returns:
        float32 array, or None where there is nothing to see.
    """
    seen: list[Any] = []

    def stop(first: Any, *args: Any, **kwargs: Any) -> None:
        del args, kwargs
        seen.append(first)
        raise _Seen

    layers = [
        layer
        for layer in network._flatten_layers()
        if layer._trainable_variables and "call" not in vars(layer)
    ]
    for layer in layers:
        # Past Keras' tracking of attributes: it is taken away again.
        object.__setattr__(layer, "call", stop)
    try:
        network(ops.convert_to_tensor(inputs), training=False)
    except Exception:
        # Keras wraps what is raised within a call.
        if not seen:
            raise
    finally:
        for layer in layers:
            object.__delattr__(layer, "call")
    if not seen or not hasattr(seen[0], "shape"):
        return None
    return ops.convert_to_numpy(ops.cast(seen[0], "float32"))


class _Seen(Exception):
    """Ends a call whose beginning was of interest."""
