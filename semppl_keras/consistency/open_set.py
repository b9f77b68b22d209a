"""Labels where some images may be none of the classes."""

from typing import Any

from keras import ops


def one_against_rest(log_pairs: Any, labels: Any) -> Any:
    """`-log o_y+ - log o_c-` of the other class c that is hardest to tell from y.

    Args:
        log_pairs: `(B, 2, C)`, logarithms of how sure it is that an image is none of a
            class, and that it is one: each pair of sum 1.
        labels: `(B,)` int32, y.

    Returns:
        float32 scalar, the mean over images.
    """
    own = ops.one_hot(labels, log_pairs.shape[-1], dtype="float32")
    inlier = -ops.sum(own * log_pairs[:, 1], axis=-1)
    outlier = ops.max((1.0 - own) * -log_pairs[:, 0], axis=-1)
    return ops.mean(inlier + outlier)


def open_targets(probabilities: Any, pairs: Any) -> Any:
    """`[p o+; sum p o-]`: classes, each as far as the image is one of it at all, and
    none of them.

    Args:
        probabilities: `(U, C)`.
        pairs: `(U, 2, C)`: o-, o+.

    Returns:
        `(U, C + 1)`, rows of sum 1.
    """
    known = probabilities * pairs[:, 1]
    unknown = ops.sum(probabilities * pairs[:, 0], axis=-1, keepdims=True)
    return ops.concatenate([known, unknown], axis=-1)
