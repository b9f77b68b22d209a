"""A backbone in blocks, from its input to its features."""

from typing import Any

import keras

from semppl_keras.networks.layer_graph import LayerGraph, layer_graph

# A map of so many times fewer positions is one of a reduced resolution; convolutions
# without padding lose fewer.
_REDUCTION = 2
# With fewer resolutions a network is taken for one of equal blocks.
_LEAST_STAGES = 3
# Layers of one class within another one, from so many on, are blocks of it.
_LEAST_BLOCKS = 3


def blocks_of(backbone: keras.Model) -> list[list[keras.layers.Layer]]:
    """The layers that hold weights, in blocks from the input on.

    Of a network that reduces the resolution twice or more (convolutional networks,
    Swin) a block is a stage: all layers that work at one resolution, with those that
    have brought it about. Of others it is what stands between two tensors through which
    all passes; of transformers an attention with the perceptron after it, what is
    before the first attention being one block. Layers that hold blocks of their own, as
    KerasHub's encoders do, are taken apart, and so is a model without a graph, in the
    order in which it holds its layers.

    Args:
        backbone: built `keras.Model`.

    Returns:
        A list of lists of layers, each layer in one alone: the first that uses it. Only
        the weights that a layer itself holds are meant, not those of layers within it.
    """
    graph = layer_graph(backbone)
    groups: list[list[Any]] = [_children(backbone)]
    if graph is not None:
        groups = [
            [step.operation for step in graph.steps[begin:end]]
            for begin, end in _segments(graph)
        ]
        groups = [
            [layer for layer in group if isinstance(layer, keras.layers.Layer)]
            for group in groups
        ]
    if graph is None or not _stage_cuts(graph):
        groups = [block for group in groups for block in _taken_apart(group)]
        groups = _joined(groups)
    seen: set[int] = set()
    blocks = []
    for group in groups:
        block = []
        for layer in _all_layers(group):
            if id(layer) not in seen and (
                layer._trainable_variables or layer._non_trainable_variables
            ):
                block.append(layer)
            seen.add(id(layer))
        if any(layer._trainable_variables for layer in block):
            blocks.append(block)
        elif blocks:
            blocks[-1] += block
    # Weights that the model, or one around its blocks, holds itself are used anywhere.
    rest = [
        layer
        for layer in backbone._flatten_layers()
        if id(layer) not in seen and layer._trainable_variables
    ]
    if rest and blocks:
        blocks[0] = rest + blocks[0]
    return blocks or [rest]


def rates_by_depth(
    backbone: keras.Model, rate: float, decay: float
) -> list[tuple[Any, float]]:
    """(weight, rate * decay ** (blocks above its own)) of all that can be trained.

    Args:
        backbone: built `keras.Model`.
        rate: float, of the last block.
        decay: float, from a block to the one below it.
    """
    return [
        (weight, rate * decay**above)
        for above, block in enumerate(reversed(blocks_of(backbone)))
        for layer in block
        for weight in layer._trainable_variables
    ]


def top_of(count: int, stages: bool) -> int:
    """The first block of the upper part of a backbone.

    Args:
        count: int, its blocks.
        stages: bool, whether they are stages.

    Returns:
        int: of the last stage, or of the last third of the blocks.
    """
    return max(count - 1, 0) if stages else count - max(1, round(count / 3))


def has_stages(backbone: keras.Model) -> bool:
    """Whether the blocks of a backbone are the stages of its resolutions."""
    graph = layer_graph(backbone)
    return graph is not None and bool(_stage_cuts(graph))


def _segments(graph: LayerGraph) -> list[tuple[int, int]]:
    """(first step, step after the last one) of each block."""
    ends = _stage_cuts(graph) or graph.cuts()
    ends = [end for end in ends if end < len(graph.steps)]
    return list(zip([0, *ends], [*ends, len(graph.steps)], strict=True))


def _stage_cuts(graph: LayerGraph) -> list[int]:
    """The cut before each reduction of resolution; empty without stages."""
    positions = graph.positions()
    level: int | None = None
    at_level: list[int] = []
    ends: list[int] = []
    for cut in graph.cuts():
        (number,) = graph.steps[cut - 1].outputs
        count = positions.get(number, 1)
        if count == 1:
            continue  # Averaged over all positions.
        if level is None or count * _REDUCTION <= level:
            if at_level:
                ends.append(_narrowest(graph, at_level))
            level, at_level = count, []
        at_level.append(cut)
    return ends if len(ends) + 1 >= _LEAST_STAGES else []


def _narrowest(graph: LayerGraph, cuts: list[int]) -> int:
    """The last of some cuts, or the one before the layer that has made it wider.

    Inverted bottlenecks widen their input before they reduce its resolution: that layer
    belongs to what follows.
    """

    def width(cut: int) -> int:
        return graph.shapes[graph.steps[cut - 1].outputs[0]][-1] or 0

    best = cut = cuts[-1]
    kernels = 0
    for earlier in reversed(cuts[:-1]):
        kernels += sum(_has_kernel(step) for step in graph.steps[earlier:cut])
        if kernels > 1:
            break
        if width(earlier) < width(best):
            best = earlier
        cut = earlier
    return best


def _has_kernel(step: Any) -> bool:
    weights = getattr(step.operation, "weights", ())
    return any(len(weight.shape) > 1 for weight in weights)


def _taken_apart(group: list[Any]) -> list[list[Any]]:
    """Groups of layers, from one in which layers may hold blocks of their own."""
    groups: list[list[Any]] = [[]]
    for layer in group:
        inner = _inner_blocks(layer)
        if not inner:
            groups[-1].append(layer)
            continue
        for child in _children(layer):
            if child in inner:
                groups.append([child])
            else:
                groups[-1].append(child)
    return [group for group in groups if group]


def _joined(groups: list[list[Any]]) -> list[list[Any]]:
    """Of a transformer one group for each attention, and one before the first."""
    joined: list[list[Any]] = []
    attends = [
        any("Attention" in type(part).__name__ for part in _all_layers(group))
        for group in groups
    ]
    if not any(attends):
        return groups
    for group, begins in zip(groups, attends, strict=True):
        if begins or not joined:
            joined.append([])
        joined[-1] += group
    return joined


def _inner_blocks(layer: Any) -> list[Any]:
    """The layers of one class that hold layers themselves, where there are several."""
    children = [child for child in _children(layer) if _children(child)]
    for child in children:
        alike = [other for other in children if type(other) is type(child)]
        if len(alike) >= _LEAST_BLOCKS:
            return alike
    return []


def _children(layer: Any) -> list[Any]:
    return list(getattr(layer, "_layers", ()))


def _all_layers(group: list[Any]) -> list[Any]:
    return [part for layer in group for part in layer._flatten_layers()]
