"""Keras' own layers called without what Keras does around each call, and together.

What it does takes a tenth of a millisecond: conversions, signatures, masks, name scopes
and casts, none of which a layer needs within a network that has been built. Where a
layer's outputs are for the next one alone, this one changes them in their place, or
does without them: on a processor new memory costs more than sums.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import keras
import torch
from keras import layers
from torch.nn import functional
from torch.nn.modules import module

from semppl_keras.kernels.torch_layers import (
    convolved_with_border,
    is_as_keras_made_it,
    normalised_in_place,
)

# What they compute is all in `call`, and depends on its arguments alone.
_PLAIN = {
    layers.Conv2D,
    layers.DepthwiseConv2D,
    layers.Dense,
    layers.BatchNormalization,
    layers.ReLU,
    layers.ZeroPadding2D,
    layers.MaxPooling2D,
    layers.AveragePooling2D,
    layers.GlobalAveragePooling2D,
    layers.Add,
    layers.Multiply,
}
_HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
)


@dataclasses.dataclass
class Step:
    """A call within a network's graph; tensors are named by their `id`."""

    operation: Any
    # What fills them in where the tensors are known.
    arguments: Any
    inputs: list[int]
    outputs: list[int]
    # Symbolic shapes of the inputs.
    shapes: list[Any]
    # What nothing uses after it.
    used_up: list[int] = dataclasses.field(default_factory=list)


def called_directly(steps: list[Step], network: Any, kept: set[int]) -> list[Step]:
    """Steps that compute the same, with less around the layers and between them.

    Args:
        steps: of a network's graph, in their order.
        network: a functional `keras.Model`, in whose call these steps are.
        kept: what the network gives.
    """
    users: dict[int, list[Step]] = {}
    for step in steps:
        for key in step.inputs:
            users.setdefault(key, []).append(step)
    plain = {id(step) for step in steps if _is_plain(step.operation, network)}
    joined: dict[int, Step] = {}
    made: Step | None
    taken: set[int] = set()
    for step in steps:
        if id(step) not in plain or id(step) in taken:
            continue
        chain = [step]
        while chain[-1].outputs[0] not in kept:
            after = users.get(chain[-1].outputs[0], [])
            if len(after) != 1 or id(after[0]) in taken or id(after[0]) not in plain:
                break
            if _kinds([*chain, after[0]]) not in _JOINED or _is_told_more(after[0]):
                break
            chain.append(after[0])
        made = None
        while made is None and len(chain) > 1:
            made = _JOINED[_kinds(chain)](*chain)
            if made is None:
                chain.pop()
        taken |= set(map(id, chain))
        # Where the last one was: all that it is given is there by then.
        joined[id(chain[-1])] = _alone(step) if made is None else made
    return [
        joined.get(id(step), step)
        for step in steps
        if id(step) in joined or id(step) not in taken
    ]


def _kinds(chain: list[Step]) -> tuple[type, ...]:
    return tuple(type(step.operation) for step in chain)


def _is_told_more(step: Step) -> bool:
    """Whether a call has other arguments than what the network computes."""
    others = [*step.arguments.args[1:], *step.arguments.kwargs.values()]
    return any(value is not None for value in others)


def _takes_a_list(step: Step) -> bool:
    """Whether a call is given one list of what the network computes, nothing else."""
    if len(step.inputs) < 2 or _is_told_more(step):
        return False
    # Arrays and numbers may be listed, too, which are not among the inputs.
    return len(keras.tree.flatten(step.arguments.args[0])) == len(step.inputs)


class _DirectCalls:
    """In place of a layer, in a network that is as it was when this was made.

    Args:
        layer: the layer, or the first of several.
        compute: what computes it of plain tensors.
        otherwise: what does where these are not plain.
    """

    def __init__(
        self, layer: Any, compute: Callable[..., Any], otherwise: Callable[..., Any]
    ) -> None:
        self._compute = compute
        self._otherwise = otherwise
        self._dtype = getattr(torch, layer.compute_dtype)
        # What a functional network asks for, in one version of Keras or the other, to
        # know whether to say that it is training.
        self._call_has_training_arg = layer._call_has_training_arg
        self._call_context_args = {"training"} if self._call_has_training_arg else ()

    def __call__(self, inputs: Any, **kwargs: Any) -> Any:
        kwargs = {name: value for name, value in kwargs.items() if value is not None}
        tensors = inputs if type(inputs) in (list, tuple) else (inputs,)
        if kwargs.keys() <= {"training"} and all(map(self._is_plain_tensor, tensors)):
            return self._compute(inputs, **kwargs)
        return self._otherwise(inputs, **kwargs)

    def _is_plain_tensor(self, tensor: Any) -> bool:
        """Whether a layer would neither convert nor mask it."""
        return (
            isinstance(tensor, torch.Tensor)
            and tensor.dtype == self._dtype
            and not hasattr(tensor, "_keras_mask")
        )


class _Listed:
    """Arguments that are one list of tensors."""

    def __init__(self, keys: list[int]) -> None:
        self._keys = keys

    def fill_in(self, tensors: dict[int, Any]) -> tuple[tuple[Any], dict[str, Any]]:
        return ([tensors[key] for key in self._keys],), {}


def _is_plain(layer: Any, network: Any) -> bool:
    """Whether what a layer of a network computes is what its `call` computes."""
    return (
        type(layer) in _PLAIN
        and is_as_keras_made_it(layer)
        and layer.built
        and layer.compute_dtype == network.compute_dtype
        and (layer.compute_dtype == layer.variable_dtype or _casts_by_itself(layer))
        and layer.activity_regularizer is None
        and getattr(layer, "quantization_mode", None) is None
        and not getattr(layer, "_remat_mode", None)
        and not any(getattr(layer, name) for name in _HOOKS)
        and not module._has_any_global_hook()
    )


def _casts_by_itself(layer: Any) -> bool:
    """Whether a layer in mixed precision needs no help to read its weights."""
    return type(layer) is not layers.Dense and not getattr(layer, "use_bias", False)


def _alone(step: Step) -> Step:
    layer = step.operation
    call = _DirectCalls(layer, layer.call, layer)
    arguments = step.arguments
    if _takes_a_list(step):
        arguments = _Listed(step.inputs)
    return dataclasses.replace(step, operation=call, arguments=arguments)


def _border_and_convolution(border: Step, convolution: Step) -> Step | None:
    """A convolution that reads zeros beyond the images, rather than a copy of them."""
    pad, layer = border.operation, convolution.operation
    if (
        "convolution_op" not in vars(layer)
        or layer.padding != "valid"
        or pad.data_format != "channels_last"
        or any(before != after for before, after in pad.padding)
    ):
        return None
    sides = tuple(before for before, _ in pad.padding)
    call = _DirectCalls(
        pad,
        functools.partial(convolved_with_border, layer, sides),
        lambda inputs: layer(pad(inputs)),
    )
    return dataclasses.replace(border, operation=call, outputs=convolution.outputs)


def _normalisation_and_relu(normalisation: Step, relu: Step) -> Step | None:
    """What is below 0 becomes 0 in the place where it was written."""
    norm, cut = normalisation.operation, relu.operation
    rectify = _rectifier(cut)
    if "call" not in vars(norm) or rectify is None:
        return None
    call = _DirectCalls(
        norm,
        functools.partial(normalised_in_place, norm, rectify=rectify),
        lambda inputs, **training: cut(norm(inputs, **training)),
    )
    return dataclasses.replace(normalisation, operation=call, outputs=relu.outputs)


def _normalisation_and_sum(
    normalisation: Step, addition: Step, relu: Step | None = None
) -> Step | None:
    """What is added to images that are normalised is added where they were written."""
    norm, add = normalisation.operation, addition.operation
    others = [key for key in addition.inputs if key not in normalisation.outputs]
    rectify = None if relu is None else _rectifier(relu.operation)
    if (
        "call" not in vars(norm)
        or _is_told_more(normalisation)
        or not _takes_a_list(addition)
        or len(addition.inputs) != 2
        or addition.shapes[0] != addition.shapes[1]
        or (relu is not None and rectify is None)
    ):
        return None

    def compute(inputs: Any, **training: Any) -> Any:
        images, other = inputs
        if images.shape != other.shape:
            # Where the network does not know a side they may yet differ.
            return otherwise(inputs, **training)
        return normalised_in_place(norm, images, other, rectify, **training)

    def otherwise(inputs: Any, **training: Any) -> Any:
        images, other = inputs
        outputs = add([norm(images, **training), other])
        return outputs if relu is None else relu.operation(outputs)

    inputs = [*normalisation.inputs, *others]
    return Step(
        _DirectCalls(norm, compute, otherwise),
        _Listed(inputs),
        inputs,
        (addition if relu is None else relu).outputs,
        addition.shapes,
    )


def _sum_and_relu(addition: Step, relu: Step) -> Step | None:
    """What is below 0 becomes 0 in the place of the sum."""
    add, cut = addition.operation, relu.operation
    # The sum of one thing is that thing itself, which others may need.
    rectify = _rectifier(cut)
    if len(addition.inputs) < 2 or rectify is None:
        return None
    call = _DirectCalls(
        add, lambda inputs: rectify(add.call(inputs)), lambda inputs: cut(add(inputs))
    )
    return dataclasses.replace(addition, operation=call, outputs=relu.outputs)


def _rectifier(relu: Any) -> Callable[[torch.Tensor], torch.Tensor] | None:
    """What a rectifier does, in the memory of what it is given; or None."""
    if relu.negative_slope or relu.threshold:
        return None
    return _RECTIFIERS.get(relu.max_value)


# By the greatest value that they leave.
_RECTIFIERS: dict[float | None, Callable[[torch.Tensor], torch.Tensor]] = {
    None: torch.relu_,
    6.0: functools.partial(functional.relu6, inplace=True),
}


_NORMALISATION = layers.BatchNormalization
_JOINED: dict[tuple[type, ...], Callable[..., Step | None]] = {
    (layers.ZeroPadding2D, layers.Conv2D): _border_and_convolution,
    (_NORMALISATION, layers.ReLU): _normalisation_and_relu,
    (_NORMALISATION, layers.Add): _normalisation_and_sum,
    (_NORMALISATION, layers.Add, layers.ReLU): _normalisation_and_sum,
    (layers.Add, layers.ReLU): _sum_and_relu,
}
