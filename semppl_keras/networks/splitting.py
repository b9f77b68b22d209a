"""A backbone in two: a lower part that stays, and an upper one to be trained."""

from typing import Any

import keras

from semppl_keras.networks.blocks import blocks_of, has_stages, top_of
from semppl_keras.networks.layer_graph import LayerGraph, layer_graph, run
from semppl_keras.networks.trainable_part import train_part

_UPPER = "_upper"


def split_backbone(
    backbone: keras.Model, at: str = "top"
) -> tuple[keras.Model, keras.Model]:
    """Cuts a backbone at one tensor through which all passes.

    The parts hold the backbone's own layers, so that training them trains it. It can
    be cut at the ends of blocks, where residual branches have been added up, and not
    within one. Models within it are taken apart.

    Args:
        backbone: functional `keras.Model` of one input and one output.
        at: name of the layer behind which to cut, or "top" for all below what
            `train_part(backbone, "top")` trains.

    Returns:
        `lower`, a model from images to what passes the cut, and `upper`, a model from
        there to the features: `upper(lower(x))` is `backbone(x)`.

    Raises:
        ValueError: if the backbone has no graph, or cannot be cut there.
    """
    graph = _graph_of(backbone)
    names = {_name(graph, cut): cut for cut in graph.cuts() if cut < len(graph.steps)}
    cut = _below_top(backbone, graph) if at == "top" else names.get(at, 0)
    if not cut:
        raise ValueError(
            f"`at` must be a layer of '{backbone.name}' behind which one tensor has "
            f'all that the rest needs, or "top". Received: at={at!r}. It can be cut '
            f"behind: {_listed(list(names))}."
        )
    (number,) = graph.steps[cut - 1].outputs
    images = _input_like(graph, 0)
    lower = run(graph.steps[:cut], 0, images)[number]
    inner = _input_like(graph, number, lower.dtype)
    upper = run(graph.steps[cut:], number, inner)[graph.output]
    return (
        keras.Model(images, lower, name=f"{backbone.name}_lower"),
        keras.Model(inner, upper, name=f"{backbone.name}{_UPPER}"),
    )


def join_backbone(lower: keras.Model, upper: keras.Model) -> keras.Model:
    """The whole of two parts that `split_backbone` has made, trained or loaded.

    Args:
        lower, upper: functional `keras.Model`s, of which the second takes what the
            first gives.

    Returns:
        A functional model with the layers of both.

    Raises:
        ValueError: if one has no graph, or they do not fit.
    """
    below, above = _graph_of(lower), _graph_of(upper)
    given, wanted = below.shapes[below.output], above.shapes[0]
    if len(given) != len(wanted) or any(
        None not in (own, other) and own != other
        for own, other in zip(given, wanted, strict=True)
    ):
        raise ValueError(
            "`upper` must take what `lower` gives. Received: an upper part that takes "
            f"{wanted}, and a lower one that gives {given}."
        )
    images = _input_like(below, 0)
    inner = run(below.steps, 0, images)[below.output]
    features = run(above.steps, 0, inner)[above.output]
    return keras.Model(images, features, name=upper.name.removesuffix(_UPPER))


def whole_backbone(lower: keras.Model, upper: keras.Model, views: Any) -> keras.Model:
    """`join_backbone` of a lower part that stays and the upper one of a model.

    Args:
        lower, upper: as in `join_backbone`; the first is frozen.
        views: of the model, `CachedViews`.

    Raises:
        ValueError: if the model takes pictures itself, or the parts do not fit.
    """
    if not views.cached:
        raise ValueError(
            "`on_pictures` is for a model that was trained on kept features "
            f"(views=CachedViews()). Received: one with views of {views.described}, "
            "which takes pictures itself."
        )
    whole = join_backbone(lower, upper)
    train_part(lower, "heads")
    return whole


def copy_upper_weights(whole: Any, part: Any, like_whole: Any, like_part: Any) -> None:
    """Gives an encoder the weights of one with the upper part of its backbone alone.

    Args:
        whole, part: `Encoder`s of equal heads; the backbone of the first is the whole.
        like_whole, like_part: encoders of which they are copies, or they themselves,
            whose backbones share the layers of the upper part.
    """

    def copies(like: Any, copy: Any) -> dict[int, Any]:
        layers, twins = (each.backbone._flatten_layers() for each in (like, copy))
        return {id(a): b for a, b in zip(layers, twins, strict=True)}

    in_whole = copies(like_whole, whole)
    pairs = [
        (in_whole[layer], source)
        for layer, source in copies(like_part, part).items()
        if layer in in_whole
    ]
    pairs += zip(whole.heads, part.heads, strict=True)
    for network, source in pairs:
        for variable, value in zip(network.variables, source.variables, strict=True):
            if variable is not value:
                variable.assign(value.numpy())


def _graph_of(model: keras.Model) -> LayerGraph:
    graph = layer_graph(model)
    if graph is None:
        raise ValueError(
            "A backbone is cut along its graph, and must be a functional model of one "
            f"input and one output. Received: '{model.name}', a "
            f"{type(model).__name__} with a `call` of its own, or with several. Train "
            'it as a whole, by `train_part(backbone, "top")`, which needs no graph.'
        )
    return graph


def _below_top(backbone: keras.Model, graph: LayerGraph) -> int:
    """The steps before what `train_part` calls the top; 0 where none can be cut off."""
    blocks = blocks_of(backbone)
    first = top_of(len(blocks), has_stages(backbone))
    top = {id(layer) for block in blocks[first:] for layer in block}
    below = {id(layer) for block in blocks[:first] for layer in block}
    for place, step in enumerate(graph.steps):
        within = {
            id(layer) for layer in getattr(step.operation, "_flatten_layers", list)()
        }
        if within & top:
            if within & below:
                return 0  # One layer holds blocks of both.
            return max([cut for cut in graph.cuts() if cut <= place], default=0)
    return 0


def _name(graph: LayerGraph, cut: int) -> str:
    return graph.steps[cut - 1].operation.name


def _input_like(
    graph: LayerGraph, number: int, dtype: str = "float32"
) -> keras.KerasTensor:
    return keras.Input(graph.shapes[number][1:], dtype=dtype)


def _listed(names: list[str]) -> str:
    shown = names if len(names) <= 12 else [*names[:6], "...", *names[-6:]]
    return ", ".join(shown) or "none"
