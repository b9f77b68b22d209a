"""What `loss_parts` gives: looked at once, when a step is traced."""

from collections.abc import Iterable, Mapping
from typing import Any

from keras import ops


def checked_parts(model: Any, parts: Any, names: Iterable[str]) -> dict[str, Any]:
    """The parts of a loss as a step needs them.

    Args:
        model: whose `loss_parts` gave them.
        parts: what it gave.
        names: what was given to `tell` and has to be among them.

    Returns:
        dict of `loss` and `names`, tensors or pairs of them; what else was given, which
        may be anything, is left out.

    Raises:
        TypeError, ValueError: for no dict, for parts that are missing, and for a loss
            that is no scalar.
    """
    of_model = f"`loss_parts` of {type(model).__name__}"
    if not isinstance(parts, Mapping):
        raise TypeError(
            f"{of_model} must give a dict of `loss` and of what was given to `tell`. "
            f"Received: {type(parts).__name__}."
        )
    missing = [name for name in ("loss", *names) if name not in parts]
    if missing:
        raise ValueError(
            f"{of_model} must give `loss` and what was given to `tell`, of an "
            f"objective by `metrics`. Received: {', '.join(parts)}, without "
            f"{', '.join(missing)}."
        )
    loss = ops.convert_to_tensor(parts["loss"])
    if len(loss.shape):
        raise ValueError(
            f"{of_model} must give `loss` as a scalar. Received: shape "
            f"{tuple(loss.shape)}. Take its mean."
        )
    return {"loss": loss, **{name: _as_tensors(parts[name]) for name in names}}


def _as_tensors(part: Any) -> Any:
    if isinstance(part, tuple):
        return tuple(ops.convert_to_tensor(values) for values in part)
    return ops.convert_to_tensor(part)
