"""Rules of consistency training as loops in float64, as the papers write them."""

import numpy as np
from references import log_softmax


def softmax(logits):
    return np.exp(log_softmax(logits))


def normalised(values):
    return values / sum(values)


def align(probabilities, frequencies, target):
    return np.array(
        [
            normalised(
                [
                    p * (want + 1e-6) / (have + 1e-6)
                    for p, have, want in zip(row, frequencies, target, strict=True)
                ]
            )
            for row in probabilities
        ]
    )


class DistributionAlignment:
    def __init__(self, target="uniform", momentum=None, queue=None):
        self.target, self.queue = target, queue
        self.momentum = 0.999 if momentum is None else momentum
        self.past = {"predicted": [], "labelled": []}

    def mean(self, name, batch):
        past = self.past[name]
        past.append(np.mean(batch, axis=0))
        if self.queue:
            return np.mean(past[-self.queue :], axis=0)
        average = past[0]
        for latest in past[1:]:
            average = self.momentum * average + (1 - self.momentum) * latest
        return average

    def __call__(self, probabilities, labelled):
        frequencies = self.mean("predicted", probabilities)
        if self.target == "uniform":
            target = np.full(len(frequencies), 1 / len(frequencies))
        elif self.target == "labelled":
            target = self.mean("labelled", labelled)
        else:
            target = normalised(np.array(self.target, "float64"))
        return align(probabilities, frequencies, target)


class Debiasing:
    """Of each step: pseudo-labels, and what the margin adds."""

    def __init__(self, strength=0.4, momentum=0.999):
        self.strength, self.momentum = strength, momentum
        self.q = None

    def __call__(self, probabilities, labelled):
        classes = len(probabilities[0])
        q = np.full(classes, 1 / classes) if self.q is None else self.q
        self.added = self.strength * np.log(q)
        result = [softmax(np.log(p) - self.strength * np.log(q)) for p in probabilities]
        latest = np.mean(probabilities, axis=0)
        self.q = self.momentum * q + (1 - self.momentum) * latest
        return np.array(result)


class SelfAdaptiveThreshold:
    def __init__(self, momentum=0.999):
        self.momentum, self.t = momentum, None

    def __call__(self, probabilities, labelled):
        classes = len(probabilities[0])
        if self.t is None:
            self.t, self.p = 1 / classes, np.full(classes, 1 / classes)
        m = self.momentum
        self.t = m * self.t + (1 - m) * np.mean([max(p) for p in probabilities])
        self.p = m * self.p + (1 - m) * np.mean(probabilities, axis=0)
        result = []
        for p in probabilities:
            c = int(np.argmax(p))
            result.append(float(p[c] >= self.t * self.p[c] / max(self.p)))
        return np.array(result)


class RelativeThreshold:
    def __init__(self, share=0.9):
        self.share = share

    def __call__(self, probabilities, labelled):
        threshold = self.share * np.mean([max(p) for p in labelled])
        return np.array([float(max(p) >= threshold) for p in probabilities])


class TruncatedGaussian:
    def __init__(self, width=2.0, momentum=0.999):
        self.width, self.momentum, self.mean = width, momentum, None

    def __call__(self, probabilities, labelled):
        if self.mean is None:
            self.mean, self.variance = 1 / len(probabilities[0]), 1.0
        largest = [max(p) for p in probabilities]
        m = self.momentum
        self.mean = m * self.mean + (1 - m) * np.mean(largest)
        self.variance = m * self.variance + (1 - m) * np.var(largest, ddof=1)
        result = []
        for p in largest:
            below = min(p - self.mean, 0.0)
            result.append(np.exp(-((self.width * below) ** 2) / (2 * self.variance)))
        return np.array(result)


def shares(embedding, bank, filled, temperature):
    """Softmax over the filled entries."""
    return softmax(np.array([embedding @ bank[j] for j in filled]) / temperature)


def memory_smoothing(probabilities, weak, bank, labels, weight, temperature):
    filled = np.flatnonzero(labels >= 0)
    if 2 * len(filled) < len(labels):
        return probabilities
    result = []
    for p, embedding in zip(probabilities, weak, strict=True):
        said = np.zeros(len(p))
        for j, r in zip(
            filled, shares(embedding, bank, filled, temperature), strict=True
        ):
            said[labels[j]] += r
        result.append(weight * p + (1 - weight) * said)
    return np.array(result)


def instance_similarity(probabilities, weak, strong, bank, labels, temperature):
    filled = np.flatnonzero(labels >= 0)
    if 2 * len(filled) < len(labels):
        return 0.0
    losses = []
    for p, embedding, views in zip(probabilities, weak, strong, strict=True):
        r = shares(embedding, bank, filled, temperature)
        target = normalised([r[k] * p[labels[j]] for k, j in enumerate(filled)])
        for view in views:
            student = shares(view, bank, filled, temperature)
            losses.append(-sum(target * np.log(student)))
    return np.mean(losses)


def propagation(probabilities, weak, bank, labels, neighbours, alpha, temperature):
    """With the inverse itself."""
    filled = np.flatnonzero(labels >= 0)
    neighbours = min(neighbours, len(labels))
    if len(filled) < neighbours:
        return probabilities
    result = []
    for p, embedding in zip(probabilities, weak, strict=True):
        order = sorted(filled, key=lambda j: -(bank[j] @ embedding))[:neighbours]
        nodes = np.stack([embedding, *bank[order]])
        known = np.stack([p, *np.eye(len(p))[labels[order]]])
        transitions = np.zeros((len(nodes), len(nodes)))
        for i in range(len(nodes)):
            others = [j for j in range(len(nodes)) if j != i]
            row = softmax(nodes[others] @ nodes[i] / temperature)
            transitions[i, others] = row
        inverse = np.linalg.inv(np.eye(len(nodes)) - alpha * transitions)
        result.append(((1 - alpha) * inverse @ known)[0])
    return np.array(result)


class MaxEntropy:
    def __init__(self, momentum=0.999):
        self.momentum, self.p = momentum, None

    def __call__(self, probabilities, weights, strong_logits):
        classes = len(probabilities[0])
        if self.p is None:
            self.p, self.h = np.full((2, classes), 1 / classes)
        m = self.momentum
        hits = np.bincount(np.argmax(probabilities, -1), minlength=classes)
        self.p = m * self.p + (1 - m) * np.mean(probabilities, axis=0)
        self.h = m * self.h + (1 - m) * hits / len(probabilities)
        chosen = [
            softmax(view)
            for weight, views in zip(weights, strong_logits, strict=True)
            for view in views
            if weight > 0
        ]
        if not chosen:
            return 0.0
        hits = np.bincount([int(np.argmax(p)) for p in chosen], minlength=classes)
        mean = np.mean(chosen, axis=0)
        a = normalised(self.p / self.h)
        b = normalised([p / h if h else 0.0 for p, h in zip(mean, hits, strict=True)])
        return sum(
            first * np.log(second + 1e-12) for first, second in zip(a, b, strict=True)
        )


def balanced_head(logits, labels, counts, threshold, drawn, progress):
    """Of the logits of the head: labelled `(B, C)`, weak `(U, C)`, strong `(U, S, C)`,
    and the numbers that were drawn for labelled and unlabelled images."""
    least = min(counts)
    losses = [
        -log_softmax(row)[y] if number < least / counts[y] else 0.0
        for row, y, number in zip(logits["labelled"], labels, drawn[0], strict=True)
    ]
    loss = np.mean(losses)
    losses = []
    for weak, views, number in zip(
        logits["weak"], logits["strong"], drawn[1], strict=True
    ):
        p = softmax(weak)
        chance = 1 - progress * (1 - least / counts[int(np.argmax(p))])
        taken = number < chance and max(p) >= threshold
        losses += [-sum(p * log_softmax(v)) if taken else 0.0 for v in views]
    return loss + np.mean(losses)


def outlier_detection(pairs, labels, weak_pairs, probabilities, open_logits, threshold):
    """Of the logits of the pairs `(., 2, C)` and of the open head `(U, S, C + 1)`.

    Returns:
        The term, and which images are rather one of the classes.
    """
    losses = []
    for pair, y in zip(pairs, labels, strict=True):
        against = [log_softmax(pair[:, c]) for c in range(pair.shape[1])]
        others = [-log[0] for c, log in enumerate(against) if c != y]
        losses.append(-against[y][1] + max(others))
    loss = np.mean(losses)
    losses, known = [], []
    for pair, p, views in zip(weak_pairs, probabilities, open_logits, strict=True):
        sure = [softmax(pair[:, c]) for c in range(len(p))]
        target = [p[c] * sure[c][1] for c in range(len(p))]
        target.append(sum(p[c] * sure[c][0] for c in range(len(p))))
        known.append(float(target[-1] < 0.5))
        counts = max(target) >= threshold
        losses += [-sum(target * log_softmax(v)) if counts else 0.0 for v in views]
    return loss + np.mean(losses), np.array(known)
