"""The graph of a functional model, and the tensors at which it can be cut."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import keras

# Where a size of images is open, shapes are told for this one.
_SIDE = 224


@dataclasses.dataclass(frozen=True)
class Step:
    """A call of one operation in a graph.

    Args:
        operation: Layer or other operation of Keras'.
        inputs, outputs: tuples of the numbers of the tensors that go in and come out.
        node: Keras' own, which knows the arguments of the call.
    """

    operation: Any
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    node: Any

    def call(self, tensors: dict[int, Any], *, symbolic: bool = False) -> None:
        """Calls the operation, and adds what comes out to the tensors by number.

        Args:
            tensors: dict of number to tensor.
            symbolic: bool, whether shapes alone are asked for, and no trace of the call
                is to be left in the layers.
        """
        given = {
            id(tensor): tensors[number]
            for tensor, number in zip(self.node.input_tensors, self.inputs, strict=True)
        }
        args, kwargs = self.node.arguments.fill_in(given)
        call = self.operation.compute_output_spec if symbolic else self.operation
        outputs = keras.tree.flatten(call(*args, **kwargs))
        tensors.update(zip(self.outputs, outputs, strict=True))


@dataclasses.dataclass(frozen=True)
class LayerGraph:
    """The steps of a functional model of one input and one output.

    Models within it are part of the graph: their own steps stand in their place.

    Args:
        steps: tuple of `Step`, each after those that it depends on. Tensor 0 is the
            input.
        output: int, the number of the tensor that is the model's output.
        shapes: dict of number to the shape of a tensor.
    """

    steps: tuple[Step, ...]
    output: int
    shapes: dict[int, tuple[int | None, ...]]

    def cuts(self) -> list[int]:
        """How many steps can stand before a cut: through the one tensor between them
        and the rest passes all that the rest needs. Residual sums are such, what is
        within a residual block is not."""
        last_use = {self.output: len(self.steps)}
        for place, step in enumerate(self.steps):
            last_use.update((n, max(place, last_use.get(n, 0))) for n in step.inputs)
        found, live = [], {0}
        for place, step in enumerate(self.steps):
            live = {n for n in live | set(step.outputs) if last_use.get(n, -1) > place}
            if len(live) == 1 and live == set(step.outputs):
                found.append(place + 1)
        return found

    def positions(self) -> dict[int, int]:
        """Of how many positions (pixels of a map, tokens) a tensor is, by its number;
        of those that have any."""
        shapes = self.shapes
        if len(shapes[0]) == 4 and None in shapes[0][1:3]:
            shapes = self._shapes_at(_SIDE)
        found = {}
        for number, shape in shapes.items():
            inner = shape[1:-1]
            if inner and None not in inner:
                count = 1
                for side in inner:
                    count *= side or 1
                found[number] = count
        return found

    def _shapes_at(self, side: int) -> dict[int, tuple[int | None, ...]]:
        sides = (known or side for known in self.shapes[0][1:3])
        shape = (None, *sides, self.shapes[0][3])
        tensors: dict[int, Any] = {0: keras.KerasTensor(shape, dtype="float32")}
        for step in self.steps:
            step.call(tensors, symbolic=True)
        return {number: tuple(tensor.shape) for number, tensor in tensors.items()}


def layer_graph(model: keras.Model) -> LayerGraph | None:
    """The graph of a model, or None for one that has none, or several inputs or
    outputs.

    Args:
        model: built `keras.Model`.
    """
    model = _as_functional(model)
    if model is None:
        return None
    shapes: dict[int, tuple[int | None, ...]] = {}

    def number_of(tensor: Any) -> int:
        shapes[len(shapes)] = tuple(tensor.shape)
        return len(shapes) - 1

    source = number_of(model.inputs[0])
    steps: list[Step] = []
    output = _add_steps(model, source, steps, number_of)
    return LayerGraph(tuple(steps), output, shapes)


def run(steps: tuple[Step, ...], number: int, tensor: Any) -> dict[int, Any]:
    """Calls steps in turn, and gives all tensors by their number.

    Args:
        steps: of a `LayerGraph`.
        number: int, of the tensor that they begin with.
        tensor: that tensor.
    """
    tensors = {number: tensor}
    for step in steps:
        step.call(tensors)
    return tensors


def _add_steps(
    model: Any,
    source: int,
    steps: list[Step],
    number_of: Callable[[Any], int],
) -> int:
    """Adds the steps of a model whose input is a tensor; the number of its output."""
    numbers = {id(model.inputs[0]): source}
    for node in _nodes(model):
        # Constants of a graph have no tensors; what no input leads to is not run.
        if any(id(tensor) not in numbers for tensor in node.input_tensors):
            continue
        inputs = tuple(numbers[id(tensor)] for tensor in node.input_tensors)
        inner = _as_functional(node.operation)
        # A `training` that is built in gives way to that of the whole model's call.
        if inner is not None and len(inputs) == 1:
            end = _add_steps(inner, inputs[0], steps, number_of)
            numbers[id(node.outputs[0])] = end
            continue
        outputs = tuple(number_of(tensor) for tensor in node.outputs)
        numbers.update(zip(map(id, node.outputs), outputs, strict=True))
        steps.append(Step(node.operation, inputs, outputs, node))
    return numbers[id(model.outputs[0])]


def _nodes(model: Any) -> Iterator[Any]:
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            if node.operation is not None and not node.is_input:
                yield node


def _as_functional(operation: Any) -> Any:
    """The functional model of one input and output that an operation is, or None.

    One whose class has another `call` than Keras' own does more than its graph tells.
    """
    if not isinstance(operation, keras.Model) or "call" in vars(operation):
        return None
    origin = type(operation).call.__module__
    if origin.endswith(".sequential") and origin.startswith("keras."):
        operation = getattr(operation, "_functional", None)
    elif not (origin.endswith(".functional") and origin.startswith("keras.")):
        return None
    if operation is None or not hasattr(operation, "_nodes_by_depth"):
        return None
    one = len(operation.inputs) == len(operation.outputs) == 1
    return operation if one else None
