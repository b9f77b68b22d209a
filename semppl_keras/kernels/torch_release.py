"""Functional networks that keep what a layer gives only until it has been used.

Keras holds the outputs of all layers until the last has run. Compiled, that costs
nothing; torch, which runs layer by layer, holds them in memory: those of a network that
takes no gradients, and beside what a backward pass needs all that it does not.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import keras
import torch

from semppl_keras.kernels.torch_calls import Step, called_directly


class Calls:
    """The calls of networks: no dictionary, which Keras would track."""

    def __init__(self) -> None:
        # By the networks, not by their `id`, which others have once they are gone.
        self.of_networks: dict[Any, list[Step] | None] = {}


@contextlib.contextmanager
def outputs_released(model: keras.Model, known: Calls | None = None) -> Iterator[None]:
    """Within it the functional networks of a model hold an output until its last use.

    For a while and not for good: the networks are the user's.

    Args:
        model: it and what is within it.
        known: where their calls are noted from one time to the next, as long as the
            model and its layers stay as they are.
    """
    known = Calls() if known is None else known
    networks = [
        layer for layer in model._flatten_layers() if hasattr(layer, "_nodes_by_depth")
    ]
    for network in networks:
        # Past Keras' tracking of attributes.
        vars(network)["_run_through_graph"] = functools.partial(_run, network, known)
    try:
        yield
    finally:
        for network in networks:
            vars(network).pop("_run_through_graph", None)


def _run(
    network: Any,
    known: Calls,
    inputs: Any,
    operation_fn: Callable[[Any], Any] = lambda operation: operation,
    call_fn: Any = None,
) -> Any:
    """In place of `keras.Function._run_through_graph`."""
    given = keras.tree.flatten(inputs)
    # What asks for shapes alone asks the layers themselves.
    computes = all(isinstance(tensor, torch.Tensor) for tensor in given)
    steps = None
    if call_fn is None:
        if not computes:
            steps = _steps(network, computes)
        elif network in known.of_networks:
            steps = known.of_networks[network]
        else:
            steps = known.of_networks[network] = _steps(network, computes)
    if steps is None:
        return type(network)._run_through_graph(network, inputs, operation_fn, call_fn)
    tensors = {id(x): tensor for x, tensor in zip(network.inputs, given, strict=False)}
    for step in steps:
        args, kwargs = step.arguments.fill_in(tensors)
        outputs = operation_fn(step.operation)(*args, **kwargs)
        if isinstance(outputs, torch.Tensor):
            tensors[step.outputs[0]] = outputs
        else:
            outputs = keras.tree.flatten(outputs)
            tensors.update(zip(step.outputs, outputs, strict=False))
        del args, kwargs, outputs
        for key in step.used_up:
            del tensors[key]
    found = [tensors[id(x)] for x in network.outputs]
    return keras.tree.pack_sequence_as(network._outputs_struct, found)


def _steps(network: Any, computes: bool) -> list[Step] | None:
    """The calls of a network's graph in their order.

    Args:
        network: functional.
        computes: whether values are asked for, for which layers may be called in other
            ways.

    Returns:
        None for a network that cannot be run from its inputs to its outputs.
    """
    known = {id(x) for x in network.inputs}
    nodes = []
    for depth in sorted(network._nodes_by_depth, reverse=True):
        for node in network._nodes_by_depth[depth]:
            if not node.operation or node.is_input:
                continue
            if known.issuperset(map(id, node.input_tensors)):
                known.update(map(id, node.outputs))
                nodes.append(node)
    kept = {id(x) for x in network.outputs}
    if not known.issuperset(kept):
        return None
    steps = [
        Step(
            node.operation,
            node.arguments,
            [id(x) for x in node.input_tensors],
            [id(x) for x in node.outputs],
            [x.shape for x in node.input_tensors],
        )
        for node in nodes
    ]
    if computes:
        steps = called_directly(steps, network, kept)
    # From the end: what has been met is still to be used.
    for step in reversed(steps):
        touched = dict.fromkeys((*step.inputs, *step.outputs))
        step.used_up = [key for key in touched if key not in kept]
        kept.update(touched)
    return steps
