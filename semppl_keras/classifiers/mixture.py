"""How the probabilities of two heads are mixed best."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from semppl_keras.checks import check_positive, check_share

ALPHAS = tuple(step / 10 for step in range(11))
BETAS = (0.25, 0.5, 1.0, 2.0, 4.0)
CRITERIA = ("cross_entropy", "accuracy")

# Of a probability, below which its logarithm is that of this.
_SMALLEST = 2e-38


def check_grid(alphas: Sequence[float], betas: Sequence[float], by: str) -> None:
    """Raises a ValueError for what `best_mixture` cannot choose among, or by."""
    if by not in CRITERIA:
        raise ValueError(f"`by` must be one of {CRITERIA}. Received: by={by!r}.")
    for name, values in (("alphas", alphas), ("betas", betas)):
        if not np.ndim(values) == 1 or not len(values):
            raise ValueError(
                f"`{name}` must hold at least one number. Received: {name}={values!r}."
            )
    for alpha in alphas:
        check_share(alphas=float(alpha))
    for beta in betas:
        check_positive(betas=float(beta))


def best_mixture(
    labelled: np.ndarray,
    taught: np.ndarray,
    labels: np.ndarray,
    alphas: Sequence[float] = ALPHAS,
    betas: Sequence[float] = BETAS,
    by: str = "cross_entropy",
) -> dict[str, Any]:
    """The alpha and beta with which the mixture says most of labelled images.

        p = alpha softmax(z_labelled) + (1 - alpha) softmax(z_taught / beta)

    Args:
        labelled, taught: logits `(N, C)` of the two heads.
        labels: `(N,)` integers.
        alphas, betas: what is tried, every one with every other.
        by: "cross_entropy", or "accuracy", of which equal ones are told apart by the
            cross-entropy; of equal ones of both the first is taken.

    Returns:
        dict of `alpha`, `beta`, and of the `cross_entropy` and `accuracy` that the
        mixture has on these images.
    """
    rows = np.arange(len(labels))
    own = _softmax(labelled)
    found = []
    for beta in betas:
        others = _softmax(taught / beta)
        for alpha in alphas:
            mixed = alpha * own + (1 - alpha) * others
            of_label = np.maximum(mixed[rows, labels], _SMALLEST)
            found.append(
                {
                    "alpha": float(alpha),
                    "beta": float(beta),
                    "cross_entropy": float(-np.log(of_label).mean()),
                    "accuracy": float(np.mean(mixed.argmax(axis=1) == labels)),
                }
            )
    if by == "accuracy":
        return min(found, key=lambda each: (-each["accuracy"], each["cross_entropy"]))
    return min(found, key=lambda each: each["cross_entropy"])


def _softmax(logits: np.ndarray) -> np.ndarray:
    logits = logits.astype("float64")
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)
