"""Naive float64 references: loops over images and pairs, as the papers write them."""

import math

import numpy as np


def majority(labels, weights):
    """Most frequent label; ties by summed weight, then by the smaller label."""
    best = None
    for label in sorted(set(labels)):
        chosen = [w for own, w in zip(labels, weights, strict=True) if own == label]
        key = (len(chosen), sum(chosen))
        if best is None or key > best[0]:
            best = (key, label)
    (count, weight), label = best
    return label, count, weight


def knn_votes(queries, memory, labels, k):
    """Pseudo-labels and confidences, pair by pair of views."""
    queries, memory = queries.astype("float64"), memory.astype("float64")
    filled = np.flatnonzero(labels >= 0)
    count = queries.shape[1]
    if len(filled) < k:
        return np.full(count, -1), np.zeros(count)
    result = []
    for image in range(count):
        votes, sums = [], []
        for query in queries[:, image]:
            for view in memory:
                similarity = view[filled] @ query
                nearest = np.argsort(-similarity, kind="stable")[:k]
                label, _, weight = majority(
                    labels[filled][nearest].tolist(), similarity[nearest].tolist()
                )
                votes.append(label)
                sums.append(weight)
        label, won, _ = majority(votes, sums)
        result.append((label, won / len(votes)))
    labels, confidences = zip(*result, strict=True)
    return np.array(labels), np.array(confidences)


def log_softmax(logits):
    logits = np.asarray(logits)
    shifted = logits - logits.max()
    return shifted - np.log(np.exp(shifted).sum())


def semppl_loss(
    online,
    target,
    negative_indices,
    semantic_positive,
    has_semantic_positive,
    *,
    temperature,
    contrastive_weight,
    semantic_weight,
    invariance_weight,
    semantic_positive_weight=None,
    frozen=None,
):
    """SemPPL's loss (arXiv 2301.05158), term by term.

    `frozen` are the online embeddings behind the stopped gradient of the
    invariance term: the same values, held still in a finite difference.
    """
    online, target = online.astype("float64"), target.astype("float64")
    semantic_positive = semantic_positive.astype("float64")
    frozen = online if frozen is None else frozen.astype("float64")
    num_views, batch, _ = online.shape
    num_large = len(target)

    def log_p(embeddings, i, j, image, positive):
        negatives = target[j, negative_indices[image]]
        logits = [embeddings[i, image] @ positive]
        logits += [embeddings[i, image] @ negative for negative in negatives]
        return log_softmax(np.array(logits) / temperature)

    def terms(image, positives):
        contrast, divergence = [], []
        for i in range(num_views):
            for j in range(num_large):
                contrast.append(-log_p(online, i, j, image, positives[j])[0])
                if i < num_large and i != j:
                    p = log_p(frozen, i, j, image, positives[j])
                    q = log_p(online, j, i, image, positives[i])
                    divergence.append((np.exp(p) * (p - q)).sum())
        return np.mean(contrast), np.mean(divergence) if divergence else 0.0

    augmentation = [terms(image, target[:, image]) for image in range(batch)]
    weight = np.ones(batch)
    if semantic_positive_weight is not None:
        weight = semantic_positive_weight.astype("float64")
    semantic = [
        weight[image]
        * np.mean([terms(image, draw[:, image]) for draw in semantic_positive], axis=0)
        if has_semantic_positive[image]
        else np.zeros(2)
        for image in range(batch)
    ]
    parts = {
        "augmentation": np.mean([a for a, _ in augmentation]),
        "invariance": np.mean([d for _, d in augmentation]),
        "semantic": np.sum([a for a, _ in semantic]) / batch,
        "semantic_invariance": np.sum([d for _, d in semantic]) / batch,
    }
    parts["loss"] = contrastive_weight * (
        parts["augmentation"] + semantic_weight * parts["semantic"]
    ) + invariance_weight * (parts["invariance"] + parts["semantic_invariance"])
    return parts


def nt_xent_loss(embeddings, *, temperature, negatives=None, negative_mask=None):
    """Equation 1 of SimCLR for every ordered pair of views, with a memory."""
    embeddings = embeddings.astype("float64")
    num_views, batch, dim = embeddings.shape
    memory = np.zeros((0, dim)) if negatives is None else negatives.astype("float64")
    if negative_mask is not None:
        memory = memory[negative_mask.astype(bool)]
    losses, hits = [], []
    for image in range(batch):
        others = [
            embeddings[view, other]
            for view in range(num_views)
            for other in range(batch)
            if other != image
        ]
        for i in range(num_views):
            for j in range(num_views):
                if i == j:
                    continue
                candidates = [embeddings[j, image], *others, *memory]
                logits = np.stack(candidates) @ embeddings[i, image] / temperature
                losses.append(-log_softmax(logits)[0])
                hits.append(bool((logits[0] > logits[1:]).all()))
    return {"loss": np.mean(losses), "contrastive_accuracy": np.mean(hits)}


def byol_loss(
    online,
    target,
    semantic_positive=None,
    has_semantic_positive=None,
    *,
    semantic_weight=0.0,
    semantic_positive_weight=None,
):
    """Equation 2 of BYOL, pair by pair, and the same toward semantic positives."""
    online, target = online.astype("float64"), target.astype("float64")
    num_views, batch, _ = online.shape
    num_large = len(target)
    regression, semantic = [], 0.0
    for image in range(batch):
        for i in range(num_views):
            for j in range(num_large):
                if i != j:
                    regression.append(2 - 2 * online[i, image] @ target[j, image])
        if has_semantic_positive is not None and has_semantic_positive[image]:
            errors = [
                2 - 2 * online[i, image] @ draw[j, image].astype("float64")
                for draw in semantic_positive
                for i in range(num_views)
                for j in range(num_large)
            ]
            weight = 1.0
            if semantic_positive_weight is not None:
                weight = float(semantic_positive_weight[image])
            semantic += weight * np.mean(errors) / batch
    regression = np.mean(regression)
    return {
        "loss": regression + semantic_weight * semantic,
        "regression": regression,
        "semantic": semantic,
    }


def suncet_loss(embeddings, labels, *, temperature):
    """Equation 3 of SuNCEt, anchor by anchor."""
    embeddings = embeddings.astype("float64")
    anchors = [
        (view[image], labels[image])
        for view in embeddings
        for image in range(len(labels))
        if labels[image] >= 0
    ]
    losses = []
    for position, (anchor, label) in enumerate(anchors):
        others = anchors[:position] + anchors[position + 1 :]
        own = np.array([other == label for _, other in others], bool)
        if own.any():
            logits = np.stack([other for other, _ in others]) @ anchor / temperature
            weights = np.exp(logits - logits.max())
            losses.append(-np.log(weights[own].sum() / weights.sum()))
    return np.mean(losses) if losses else 0.0


def unit(array):
    return array / np.maximum(np.linalg.norm(array, axis=-1, keepdims=True), 1e-6)


def oriented_gradients(image, cell_size, orientations):
    """Histograms of the gradients of one image, pixel by pixel."""
    height, width, channels = image.shape
    image = image.astype("float64")
    rows, columns = (max(1, round(side / cell_size)) for side in (height, width))
    cells = np.zeros((orientations, rows, columns))
    for y in range(height):
        for x in range(width):
            gradients = []
            for channel in range(channels):
                above, below = max(y - 1, 0), min(y + 1, height - 1)
                left, right = max(x - 1, 0), min(x + 1, width - 1)
                down = (image[below, x, channel] - image[above, x, channel]) / 2
                along = (image[y, right, channel] - image[y, left, channel]) / 2
                gradients.append((math.hypot(down, along), down, along))
            # Of equally long ones the first.
            length, down, along = max(gradients, key=lambda gradient: gradient[0])
            angle = math.atan2(down, along) % (2 * math.pi)
            place = angle / (2 * math.pi) * orientations
            for step in (0, 1):
                direction = (math.floor(place) + step) % orientations
                nearness = 1 - abs(place - math.floor(place) - step)
                for row in range(rows):
                    off_row = abs((y + 0.5) * rows / height - (row + 0.5))
                    for column in range(columns):
                        off_column = abs((x + 0.5) * columns / width - (column + 0.5))
                        if off_row < 1 and off_column < 1:
                            share = (1 - off_row) * (1 - off_column)
                            cells[direction, row, column] += length * nearness * share
    return np.sqrt(cells / (cells.sum() or 1)).ravel()
