"""Pseudo-labels: the votes of nearest neighbours over all pairs of views."""

import math
from typing import Any

from keras import ops

# The similarities of a batch with the memory are the largest array of a step: (L, L,
# B, C), 20 GiB in the paper. They are computed in chunks of at most this size, which
# costs no time (docs/results/settings.md).
SIMILARITY_BYTES = 256 * 2**20


def majority(labels: Any, weights: Any) -> tuple[Any, ...]:
    """The most frequent label along the last axis.

    A tie goes to the label with the larger sum of weights, then to the smaller
    label.

    Args:
        labels: `(..., n)` int, not negative.
        weights: `(..., n)` float.

    Returns:
        The label `(...)` int32, its count `(...)` float32 and the sum of its
        weights `(...)` float32.
    """
    # The label of every entry is a candidate: n is small, the classes may be many.
    same = ops.cast(labels[..., :, None] == labels[..., None, :], "float32")
    count = ops.sum(same, axis=-1)
    weight = ops.sum(same * weights[..., None, :], axis=-1)
    most = ops.max(count, axis=-1, keepdims=True)
    weight = ops.where(count == most, weight, -float("inf"))
    heaviest = ops.max(weight, axis=-1, keepdims=True)
    largest_int = ops.cast(2**31 - 1, "int32")
    label = ops.min(
        ops.where(weight == heaviest, ops.cast(labels, "int32"), largest_int), axis=-1
    )
    return label, most[..., 0], heaviest[..., 0]


def nearest(similarity: Any, k: int) -> Any:
    """The k largest entries of each row, the largest first.

    Sorting long rows costs as much as computing them. The k largest lie in the k
    blocks with the largest maxima, and those alone are sorted.

    Args:
        similarity: `(R, C)` float.
        k: int, from 1 to C.

    Returns:
        The values `(R, k)` and their indices `(R, k)` int32.
    """
    capacity = similarity.shape[-1]
    # Of the divisors of C the one with which the fewest values are sorted: C / width
    # maxima and k * width entries.
    largest = math.isqrt(capacity // k)
    width = max(w for w in range(1, largest + 1) if capacity % w == 0)
    num_blocks = capacity // width
    blocks = ops.reshape(similarity, (-1, num_blocks, width))
    _, best = ops.top_k(ops.max(blocks, axis=-1), k)
    # In the order of the entries, as equal similarities are taken in that order.
    best = ops.sort(ops.cast(best, "int32"), axis=-1)
    row = ops.arange(ops.shape(blocks)[0], dtype="int32")[:, None]
    candidates = ops.take(
        ops.reshape(blocks, (-1, width)), row * num_blocks + best, axis=0
    )
    values, position = ops.top_k(ops.reshape(candidates, (-1, k * width)), k)
    position = ops.cast(position, "int32")
    block = ops.take_along_axis(best, position // width, axis=-1)
    return values, block * width + position % width


def pair_votes(queries: Any, memory: Any, labels: Any, k: int) -> Any:
    """One vote for each image and pair of views: its k neighbours' majority.

    No gradient passes. The images go through in chunks whose similarities take at
    most `SIMILARITY_BYTES`, as long as their number is known beforehand.

    Args:
        queries: `(Q, B, D)` unit vectors, Q views of B images.
        memory: `(L, C, D)` unit vectors, the queue under L views.
        labels: `(C,)` int, -1 for an empty entry.
        k: int, neighbours.

    Returns:
        The votes `(B, Q * L)` int32 and the summed similarity of the neighbours
        behind each `(B, Q * L)` float32. Meaningful where at least k entries are
        filled.
    """
    num_queries, num_images, dim = queries.shape
    num_views, capacity, _ = memory.shape
    pairs = num_queries * num_views
    queries = ops.stop_gradient(ops.cast(queries, "float32"))
    memory = ops.stop_gradient(ops.cast(memory, "float32"))
    entries = ops.transpose(ops.reshape(memory, (-1, dim)))
    filled = ops.cast(labels, "int32") >= 0
    labels = ops.maximum(ops.cast(labels, "int32"), 0)

    def votes(images: Any) -> Any:
        """`(b, Q, D)` to votes and sums `(b, Q * L)`."""
        similarity = ops.matmul(ops.reshape(images, (-1, dim)), entries)
        similarity = ops.reshape(similarity, (-1, capacity))
        # Below every cosine, and finite, so that a memory with too few entries gives
        # votes without a meaning rather than NaN.
        similarity = ops.where(filled, similarity, -4.0)
        similarity, indices = nearest(similarity, k)
        vote, _, total = majority(ops.take(labels, indices, axis=0), similarity)
        return ops.reshape(vote, (-1, pairs)), ops.reshape(total, (-1, pairs))

    images = ops.swapaxes(queries, 0, 1)
    chunks = 1
    if isinstance(num_images, int):
        chunks = math.ceil(num_images * pairs * capacity * 4 / SIMILARITY_BYTES)
        chunks = min(chunks, num_images)
    if chunks <= 1:
        return votes(images)

    size = math.ceil(num_images / chunks)
    images = ops.pad(images, ((0, size * chunks - num_images), (0, 0), (0, 0)))
    # Every chunk takes images from all over the batch, and so its share from each of
    # the devices over which the batch is spread.
    images = ops.reshape(images, (size, chunks, num_queries, dim))

    def step(carry: Any, chunk: Any) -> Any:
        del carry
        result = votes(chunk)
        return result, result

    # One after the other: TensorFlow runs up to ten steps of `ops.map` side by side,
    # with the memory of all. What is carried only gives `ops.scan` the types.
    start = ops.zeros((size, pairs), "int32"), ops.zeros((size, pairs), "float32")
    _, results = ops.scan(step, start, ops.swapaxes(images, 0, 1))
    vote, total = (
        ops.reshape(ops.swapaxes(result, 0, 1), (-1, pairs))[:num_images]
        for result in results
    )
    return vote, total


def enough_neighbours(labels: Any, k: int) -> Any:
    """Whether at least k entries of the memory are filled: a boolean scalar."""
    return ops.sum(ops.cast(labels >= 0, "int32")) >= k


def knn_votes(
    queries: Any, memory: Any, labels: Any, k: int, num_classes: int
) -> tuple[Any, Any]:
    """Pseudo-labels and their confidences (SemPPL, arXiv 2301.05158).

    For each of the Q x L pairs of a view of the image and a view of the memory,
    the k nearest entries by cosine similarity cast one vote, their majority; the
    label is the majority of the votes, the confidence its share of them. A tie
    within a pair goes to the larger summed similarity, a tie between votes to the
    larger total of those sums over the pairs that the class won, then to the
    smaller class.

    Args:
        queries: `(Q, B, D)` unit vectors: Q views of B images.
        memory: `(L, C, D)` unit vectors: C labelled images under L views.
        labels: `(C,)` int in [0, num_classes), -1 for an empty entry.
        k: int, neighbours, from 1 to C.
        num_classes: int.

    Returns:
        labels `(B,)` int32, -1 where fewer than k entries are filled, and
        confidences `(B,)` float32 in [0, 1], 0 where there is no label.

    Raises:
        ValueError: if the shapes do not fit, or k does not lie in [1, C].
    """
    _check(queries, memory, labels, k, num_classes)
    votes, sums = pair_votes(queries, memory, labels, k)
    label, count, _ = majority(votes, sums)
    known = enough_neighbours(labels, k)
    confidence = count / votes.shape[-1]
    return ops.where(known, label, -1), ops.where(known, confidence, 0.0)


def vote_shares(
    queries: Any, memory: Any, labels: Any, k: int, num_classes: int
) -> Any:
    """The share of the votes that each class won.

    A millionth of the mass goes to the label that `knn_votes` gives, so that the
    largest share is that label's, ties included.

    Args:
        queries: `(Q, B, D)` unit vectors.
        memory: `(L, C, D)` unit vectors.
        labels: `(C,)` int in [0, num_classes), -1 for an empty entry.
        k: int, neighbours.
        num_classes: int.

    Returns:
        `(B, num_classes)` float32, rows summing to 1, or 0 where fewer than k
        entries are filled.
    """
    _check(queries, memory, labels, k, num_classes)
    votes, sums = pair_votes(queries, memory, labels, k)
    label, _, _ = majority(votes, sums)
    shares = ops.mean(ops.one_hot(votes, num_classes, dtype="float32"), axis=1)
    winner = ops.one_hot(label, num_classes, dtype="float32")
    shares = (1.0 - 1e-6) * shares + 1e-6 * winner
    return shares * ops.cast(enough_neighbours(labels, k), "float32")


def behind_its_ties(shares: Any, labels: Any) -> Any:
    """Shares as a metric is to see them: the true class comes after its equals.

    Votes are few, so that classes tie, most of them without any vote. Which of them a
    metric finds among its first k would depend on their numbers, or, as Keras counts,
    be all of them. The true class is lowered by less than what tells the winner from
    its equals, and the others are raised above 0: it is found where fewer than k others
    have as large a share, and in no row without votes.

    Args:
        shares: `(B, num_classes)`, as `vote_shares` gives them.
        labels: `(B,)` int.

    Returns:
        `(B, num_classes)`, of which no number differs by more than 3e-7.
    """
    true = ops.one_hot(labels, shares.shape[-1], dtype="bool")
    lowered = shares * (1.0 - 2.0**-22)
    return ops.where(true, lowered, ops.maximum(shares, 1e-12))


def _check(queries: Any, memory: Any, labels: Any, k: int, num_classes: int) -> None:
    shapes = tuple(queries.shape), tuple(memory.shape), tuple(labels.shape)
    ranks = tuple(len(shape) for shape in shapes)
    if (
        ranks != (3, 3, 1)
        or shapes[0][2] != shapes[1][2]
        or shapes[1][1] != shapes[2][0]
    ):
        raise ValueError(
            "`queries`, `memory` and `labels` must have the shapes (Q, B, D), "
            "(L, C, D) and (C,). Received: "
            f"queries.shape={shapes[0]}, memory.shape={shapes[1]}, "
            f"labels.shape={shapes[2]}."
        )
    if not 1 <= k <= shapes[1][1]:
        raise ValueError(
            f"`k` must lie between 1 and the {shapes[1][1]} entries of the memory. "
            f"Received: k={k}."
        )
    if num_classes < 1:
        raise ValueError(
            f"`num_classes` must be at least 1. Received: num_classes={num_classes}."
        )
