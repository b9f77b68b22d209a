"""SemPPL's objective: contrast with augmented and with semantic positives."""

from typing import Any

from keras import ops

from semppl_keras.checks import check_positive


def semppl_loss(
    online: Any,
    target: Any,
    negative_indices: Any,
    semantic_positive: Any = None,
    has_semantic_positive: Any = None,
    *,
    semantic_positive_weight: Any = None,
    candidates: Any = None,
    temperature: float,
    contrastive_weight: float,
    invariance_weight: float,
    semantic_weight: float | None = None,
) -> dict[str, Any]:
    """SemPPL's loss (arXiv 2301.05158) and its parts.

    With `p_ij = softmax([z_i . positive_j, z_i . negatives_j] / tau)`, for every
    online view i and target view j:

        augmentation = mean over images, i, j of -log p_ij[0], positive_j = t_j
        invariance = mean over images and large views i != j of
            KL(stop_gradient(p_ij) || p_ji)
        semantic, semantic_invariance: the same with a semantic positive, averaged
            over its draws, summed over the images that have one, divided by B
        loss = c * (augmentation + alpha * semantic)
            + lambda * (invariance + semantic_invariance)

    Without semantic positives it is the loss of ReLICv2 (arXiv 2201.05119).

    The invariance is divided by the number of its pairs, L (L - 1) of V L. ReLICv2's
    pseudo-code sums over all V L pairs of a view and a large view and divides the whole
    by V L; so does a third party's PyTorch version of SemPPL. In that count these
    pairs weigh (L - 1) / V of what they weigh here: half at L = 4 and S = 2, where
    `invariance_weight=5` of theirs is 2.5 of this function's. Which of them the
    authors' lambda = 5 belongs to, their published code (of the evaluation alone) does
    not tell.

    Gradients reach `online` alone. Computed in float32 whatever the inputs are.

    Args:
        online: `(V, B, D)` unit vectors z, the large views first.
        target: `(L, B, D)` unit vectors t of the large views.
        negative_indices: `(B, K)` int: each image's negatives among the
            `candidates`, contrasted with it under every pair of views.
        semantic_positive: `(P, L, B, D)` unit vectors, or None.
        has_semantic_positive: `(B,)` boolean, or None; given with
            `semantic_positive` alone.
        semantic_positive_weight: `(B,)` float, what the semantic terms of each image
            are multiplied by, or None for 1.
        candidates: `(L, N, D)` unit vectors, where these B images are a part of a
            larger batch; None for `target`.
        temperature: float, tau, positive.
        contrastive_weight: float, c; 0.3 in the paper.
        invariance_weight: float, lambda; 5 in the paper.
        semantic_weight: float, alpha, 0.2 in the paper; given with semantic positives
            alone.

    Returns:
        dict of float32 scalars: loss, augmentation, invariance, and with semantic
        positives semantic and semantic_invariance.

    Raises:
        ValueError: if the shapes do not fit, the temperature is not positive, or the
            weight of the semantic positives is missing.
    """
    _check(
        online,
        target,
        negative_indices,
        semantic_positive,
        has_semantic_positive,
        semantic_positive_weight,
        candidates,
    )
    check_positive(temperature=temperature)
    online = ops.cast(online, "float32") / temperature
    target = ops.stop_gradient(ops.cast(target, "float32"))

    if candidates is None:
        candidates = target
    candidates = ops.stop_gradient(ops.cast(candidates, "float32"))
    negatives = ops.take(candidates, negative_indices, axis=1)
    negative_logits = ops.einsum("ibd,jbkd->ijbk", online, negatives)
    # log sum exp over the negatives, shared by all positives.
    negative_mass = ops.logsumexp(negative_logits, axis=-1)

    positive_logits = ops.einsum("ibd,jbd->ijb", online, target)
    contrast = _contrast(positive_logits, negative_mass)
    parts = {
        "augmentation": ops.mean(contrast),
        "invariance": ops.mean(_invariance(positive_logits, contrast, negative_logits)),
    }
    loss = contrastive_weight * parts["augmentation"]
    loss = loss + invariance_weight * parts["invariance"]
    if semantic_positive is None:
        return {"loss": loss, **parts}
    if semantic_weight is None:
        raise ValueError(
            "`semantic_weight` must be given with semantic positives. Received: "
            "semantic_weight=None."
        )

    def mean_over_having(values: Any) -> Any:
        """`(P, B)`: mean over draws, sum over the images that have one, over B."""
        values = ops.where(has_semantic_positive, ops.mean(values, axis=0), 0.0)
        if semantic_positive_weight is not None:
            values = ops.cast(semantic_positive_weight, "float32") * values
        return ops.mean(values)

    semantic_positive = ops.stop_gradient(ops.cast(semantic_positive, "float32"))
    semantic_logits = ops.einsum("ibd,pjbd->pijb", online, semantic_positive)
    contrast = _contrast(semantic_logits, negative_mass)
    parts["semantic"] = mean_over_having(ops.mean(contrast, axis=(1, 2)))
    parts["semantic_invariance"] = mean_over_having(
        _invariance(semantic_logits, contrast, negative_logits)
    )
    loss = loss + contrastive_weight * semantic_weight * parts["semantic"]
    loss = loss + invariance_weight * parts["semantic_invariance"]
    return {"loss": loss, **parts}


def _contrast(positive_logits: Any, negative_mass: Any) -> Any:
    """`-log p[0] = log(1 + exp(log sum exp of the negatives - positive))`."""
    return ops.softplus(negative_mass - positive_logits)


def _invariance(positive_logits: Any, contrast: Any, negative_logits: Any) -> Any:
    """Mean over ordered pairs i != j of large views of KL(sg(p_ij) || p_ji).

    Args:
        positive_logits: `(..., V, L, B)`.
        contrast: `(..., V, L, B)`, -log of the positive's probability.
        negative_logits: `(V, L, B, K)`.

    Returns:
        `(..., B)`; 0 where there is a single large view, and so no pair.
    """
    num_large = negative_logits.shape[1]
    positive = -contrast[..., :num_large, :, :]
    log_mass = positive_logits[..., :num_large, :, :] - positive
    negative = negative_logits[:num_large] - log_mass[..., None]

    def divergence(log_p: Any, log_q: Any) -> Any:
        log_p = ops.stop_gradient(log_p)
        return ops.exp(log_p) * (log_p - log_q)

    kl = divergence(positive, ops.swapaxes(positive, -3, -2))
    kl = kl + ops.sum(divergence(negative, ops.swapaxes(negative, -4, -3)), axis=-1)
    # The terms with i = j are 0: only the number of pairs leaves them out.
    return ops.sum(kl, axis=(-3, -2)) / max(num_large * (num_large - 1), 1)


def _check(
    online: Any,
    target: Any,
    negative_indices: Any,
    semantic_positive: Any,
    has_semantic_positive: Any,
    semantic_positive_weight: Any,
    candidates: Any,
) -> None:
    given = {
        "online": online,
        "target": target,
        "negative_indices": negative_indices,
        "semantic_positive": semantic_positive,
        "has_semantic_positive": has_semantic_positive,
        "semantic_positive_weight": semantic_positive_weight,
        "candidates": candidates,
    }
    shapes = {
        name: tuple(value.shape) for name, value in given.items() if value is not None
    }
    received = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
    pool = shapes.pop("candidates", shapes["target"])
    weight = shapes.pop("semantic_positive_weight", shapes["target"][1:2])
    ranks = [len(shape) for shape in shapes.values()]
    fits = ranks in ([3, 3, 2], [3, 3, 2, 4, 1]) and len(pool) == 3
    if fits:
        num_large, batch, dim = shapes["target"]
        fits = (
            shapes["online"][1:] == (batch, dim)
            and shapes["online"][0] >= num_large
            and shapes["negative_indices"][0] == batch
            and (pool[0], pool[2]) == (num_large, dim)
            and weight == (batch,)
        )
    if fits and semantic_positive is not None:
        fits = shapes["semantic_positive"][1:] == (num_large, batch, dim) and shapes[
            "has_semantic_positive"
        ] == (batch,)
    if not fits:
        raise ValueError(
            "Expected online (V, B, D), target (L, B, D) with L <= V, "
            "negative_indices (B, K), semantic_positive (P, L, B, D) with "
            "has_semantic_positive (B,) or neither, semantic_positive_weight (B,), and "
            f"candidates (L, N, D). Received: {received}."
        )
