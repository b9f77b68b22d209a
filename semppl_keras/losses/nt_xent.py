"""SimCLR's objective: tell the other view of an image from all other images."""

from typing import Any

from keras import ops

from semppl_keras.checks import check_positive

# Stands for a similarity that is not to count: its exponential is 0 beside any
# other, and being finite it leaves no NaN in gradients where nothing counts.
HIDDEN = -1e9


def nt_xent_loss(
    embeddings: Any,
    *,
    temperature: float,
    negatives: Any = None,
    negative_mask: Any = None,
) -> dict[str, Any]:
    """Normalised, temperature-scaled cross entropy (SimCLR, arXiv 2002.05709).

    For every ordered pair i != j of views of an image b:

        contrast = -log(e_ij / (e_ij + sum of exp(z_ib . other / tau)))
        e_ij = exp(z_ib . z_jb / tau)

    where the others are all views of all other images of the batch and the filled
    entries of the memory. loss = mean of contrast over images and pairs.

    With two views the denominator is that of the authors' code (google-research/simclr,
    `objective.py`): all 2 B - 1 embeddings but the anchor; their loss is the sum of two
    means, twice this one. With more, the further views of the anchor's image are in no
    sum of the pair: they are positives too, and would be pushed away as negatives.

    `negatives` is a memory of embeddings of other images by a moving average of the
    network, as SimCLRv2 adds one (arXiv 2006.10029). No gradient reaches
    it. Computed in float32 whatever the inputs are.

    Args:
        embeddings: `(V, B, D)` unit vectors z, V >= 2 views of each image.
        temperature: float, tau, positive.
        negatives: `(N, D)` unit vectors or None, the memory.
        negative_mask: `(N,)` boolean or 0 and 1, which entries of the memory are
            filled; None if all are.

    Returns:
        dict of float32 scalars: loss, contrastive_accuracy. The latter is the share
        of anchors (of their pairs, with more than two views) to which the positive
        is more similar than every other; equally similar is not enough, so that it
        is 0 when all embeddings have collapsed into one.

    Raises:
        ValueError: if the shapes do not fit, or the temperature is not positive.

    Example:
        >>> views = keras.ops.stack([projector(first), projector(second)])
        >>> nt_xent_loss(views, temperature=0.1)["loss"]
    """
    _check(embeddings, negatives, negative_mask)
    check_positive(temperature=temperature)
    embeddings = ops.cast(embeddings, "float32")
    num_views, batch = ops.shape(embeddings)[:2]
    image = ops.arange(batch, dtype="int32")
    same_image = (image[:, None] == image)[:, None, :]

    similarity = ops.einsum("ibd,jcd->ibjc", embeddings, embeddings) / temperature
    positive = ops.sum(ops.where(same_image, similarity, 0.0), axis=-1)
    others = ops.reshape(
        ops.where(same_image, HIDDEN, similarity), (num_views, batch, -1)
    )
    if negatives is not None:
        negatives = ops.stop_gradient(ops.cast(negatives, "float32"))
        remembered = ops.einsum("ibd,nd->ibn", embeddings, negatives) / temperature
        if negative_mask is not None:
            filled = ops.cast(negative_mask, "bool")
            remembered = ops.where(filled, remembered, HIDDEN)
        others = ops.concatenate([others, remembered], axis=-1)
    negative_mass = ops.logsumexp(others, axis=-1, keepdims=True)
    # -log of the positive's share, accurate where the share is close to 1.
    contrast = ops.softplus(negative_mass - positive)
    hit = ops.cast(positive > ops.max(others, axis=-1, keepdims=True), "float32")

    is_pair = 1.0 - ops.eye(num_views, dtype="float32")

    def mean_over_pairs(values: Any) -> Any:
        """`(V, B, V)`: mean over images and ordered pairs of different views."""
        values = ops.mean(values, axis=1) * is_pair
        return ops.sum(values) / (num_views * (num_views - 1))

    return {
        "loss": mean_over_pairs(contrast),
        "contrastive_accuracy": mean_over_pairs(hit),
    }


def _check(embeddings: Any, negatives: Any, negative_mask: Any) -> None:
    given = {
        "embeddings": embeddings,
        "negatives": negatives,
        "negative_mask": negative_mask,
    }
    shapes = {
        name: tuple(value.shape) for name, value in given.items() if value is not None
    }
    shape, memory = shapes["embeddings"], shapes.get("negatives", ())
    fits = len(shape) == 3 and shape[0] >= 2
    if negatives is not None:
        fits = fits and len(memory) == 2 and memory[1] == shape[2]
    if negative_mask is not None:
        fits = fits and len(memory) == 2 and shapes["negative_mask"] == memory[:1]
    if not fits:
        raise ValueError(
            "Expected embeddings (V, B, D) with V >= 2 and, if given, negatives "
            "(N, D) and with these negative_mask (N,). Received: "
            + ", ".join(f"{name} {shape}" for name, shape in shapes.items())
            + "."
        )
