"""BYOL's objective: predict the target's embedding of another view."""

from typing import Any

from keras import ops


def byol_loss(
    online: Any,
    target: Any,
    semantic_positive: Any = None,
    has_semantic_positive: Any = None,
    *,
    semantic_positive_weight: Any = None,
    semantic_weight: float | None = None,
) -> dict[str, Any]:
    """BYOL's regression (arXiv 2006.07733), with semantic positives if given.

        regression = mean over images and pairs of an online view i and a target
            view j != i of 2 - 2 z_i . t_j
        semantic = mean over draws and all pairs (i, j) of 2 - 2 z_i . s_j, s a
            semantic positive, summed over the images that have one, divided by B
        loss = regression + semantic_weight * semantic

    2 - 2 z . t is the squared distance of unit vectors. Every view is predicted from
    every other, so the loss is symmetric by construction; with two views it is half
    of that of the authors' code (deepmind-research/byol), which adds the two directions
    where this takes their mean. The
    semantic term carries SemPPL's positives (arXiv 2301.05158) over to BYOL.

    Gradients reach `online` alone. Computed in float32 whatever the inputs are.

    Args:
        online: `(V, B, D)` unit vectors z, the large views first, V >= 2.
        target: `(L, B, D)` unit vectors t of the large views.
        semantic_positive: `(P, L, B, D)` unit vectors s, or None.
        has_semantic_positive: `(B,)` boolean, or None; given with
            `semantic_positive` alone.
        semantic_positive_weight: `(B,)` float, what the semantic term of each image is
            multiplied by, or None for 1.
        semantic_weight: float, given with semantic positives alone.

    Returns:
        dict of float32 scalars: loss, regression, semantic (0 without positives).

    Raises:
        ValueError: if the shapes do not fit, or of `semantic_positive`,
            `has_semantic_positive` and `semantic_weight` some are missing.

    Example:
        >>> byol_loss(online_views, target_views)["loss"]
    """
    _check(
        online,
        target,
        semantic_positive,
        has_semantic_positive,
        semantic_positive_weight,
    )
    online = ops.cast(online, "float32")
    target = ops.stop_gradient(ops.cast(target, "float32"))
    num_views, num_large = online.shape[0], target.shape[0]

    cosine = ops.mean(ops.einsum("ibd,jbd->ijb", online, target), axis=-1)
    is_pair = 1.0 - ops.eye(num_views, num_large, dtype="float32")
    regression = 2.0 - 2.0 * ops.sum(cosine * is_pair) / ((num_views - 1) * num_large)
    semantic = ops.zeros((), "float32")
    loss = regression
    if semantic_positive is not None:
        if semantic_weight is None:
            raise ValueError(
                "`semantic_weight` must be given with semantic positives. Received: "
                "semantic_weight=None."
            )
        semantic_positive = ops.stop_gradient(ops.cast(semantic_positive, "float32"))
        cosine = ops.einsum("ibd,pjbd->pijb", online, semantic_positive)
        distance = 2.0 - 2.0 * ops.mean(cosine, axis=(0, 1, 2))
        distance = ops.where(has_semantic_positive, distance, 0.0)
        if semantic_positive_weight is not None:
            distance = ops.cast(semantic_positive_weight, "float32") * distance
        semantic = ops.mean(distance)
        loss = regression + semantic_weight * semantic
    return {"loss": loss, "regression": regression, "semantic": semantic}


def _check(
    online: Any,
    target: Any,
    semantic_positive: Any,
    has_semantic_positive: Any,
    semantic_positive_weight: Any,
) -> None:
    given = {
        "online": online,
        "target": target,
        "semantic_positive": semantic_positive,
        "has_semantic_positive": has_semantic_positive,
        "semantic_positive_weight": semantic_positive_weight,
    }
    shapes = {
        name: tuple(value.shape) for name, value in given.items() if value is not None
    }
    views, large = shapes["online"], shapes["target"]
    fits = (
        len(views) == len(large) == 3
        and views[1:] == large[1:]
        and views[0] >= max(large[0], 2)
    )
    if len(shapes) > 2:
        fits = (
            fits
            and shapes.get("semantic_positive", ())[1:] == large
            and shapes.get("has_semantic_positive") == large[1:2]
            and shapes.get("semantic_positive_weight", large[1:2]) == large[1:2]
        )
    if not fits:
        raise ValueError(
            "Expected online (V, B, D) with V >= 2, target (L, B, D) with L <= V and, "
            "both or neither, semantic_positive (P, L, B, D) and "
            "has_semantic_positive (B,), the latter with semantic_positive_weight (B,) "
            "or without. Received: "
            + ", ".join(f"{name} {shape}" for name, shape in shapes.items())
            + "."
        )
