"""Softmax regression on frozen features, by stochastic gradients."""

import dataclasses
import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np

from semppl_keras.checks import check_integers
from semppl_keras.evaluation.counting import Count, Progress
from semppl_keras.evaluation.inputs import as_features, check_two_classes, known_rows

_MOMENTUM = 0.9
_PREDICTED_AT_ONCE = 4096


@dataclasses.dataclass(frozen=True)
class SGDProbe:
    """Softmax regression, as `sgd_linear_probe` returns it.

    Args:
        classes_: `(C,)` integers, ascending.
        weights: `(F, C)` float32, for standardised features.
        bias: `(C,)` float32.
        centre: `(F,)` float32, subtracted from features.
        scale: `(F,)` float32, by which features are divided after that.
        learning_rate: The one chosen, at the beginning of the schedule.
        weight_decay: The one chosen.
    """

    classes_: np.ndarray
    weights: np.ndarray
    bias: np.ndarray
    centre: np.ndarray
    scale: np.ndarray
    learning_rate: float
    weight_decay: float

    def predict_proba(self, features: Any) -> np.ndarray:
        """Probabilities `(N, C)` of features `(N, F)`, columns as in `classes_`."""
        features = as_features(features, "features")
        if features.shape[1] != len(self.weights):
            raise ValueError(
                f"`features` must have the shape (N, {len(self.weights)}), as in "
                f"training. Received: shape {features.shape}."
            )
        starts = range(0, len(features), _PREDICTED_AT_ONCE)
        chunks = (features[start : start + _PREDICTED_AT_ONCE] for start in starts)
        return np.concatenate(
            [
                _softmax(
                    _standardize(chunk, self.centre, self.scale) @ self.weights
                    + self.bias
                )
                for chunk in chunks
            ]
        )

    def predict(self, features: Any) -> np.ndarray:
        """Labels `(N,)` of features `(N, F)`."""
        return self.classes_[np.argmax(self.predict_proba(features), axis=1)]

    def score(self, features: Any, labels: Any) -> float:
        """Share of the features `(N, F)` whose labels `(N,)` are predicted.

        Rows of label -1 are left out, and told.
        """
        labels, predicted = known_rows(labels, "labels", self.predict(features))
        return float(np.mean(predicted == labels))


def sgd_linear_probe(
    features: Any,
    labels: Any,
    *,
    epochs: int = 100,
    batch_size: int = 4096,
    learning_rates: Iterable[float] | None = None,
    weight_decays: Iterable[float] = (0.0, 1e-4, 1e-3),
    held_out: float = 0.1,
    standardize: bool = True,
    seed: int = 0,
    verbose: int = 0,
    progress: Progress | None = None,
) -> SGDProbe:
    """Fits softmax regression to the features of large sets, by SGD.

    The settings of SemPPL's linear evaluation (Bošnjak et al. 2023): Nesterov momentum
    0.9, a learning rate of 0.3 * batch / 256, a cosine decay to 0 over 100 epochs.
    For a few thousand rows, or with few labels, take `linear_probe`: it finds the
    optimum itself.

    Learning rate and L2 penalty are those with the best mean log-likelihood of
    held-out rows, a share of each class drawn from these rows alone; then all rows
    are fitted with them. Smaller rates are candidates too, since the authors' is too
    large where features are many and classes are few.

    Args:
        features: `(N, F)`, finite.
        labels: `(N,)` integers, at least two classes; rows of -1 are left out, and
            told.
        epochs: At least 1.
        batch_size: At least 1; a set with fewer rows is one batch.
        learning_rates: Candidates, each positive. None: 0.3 * batch / 256, a tenth
            and a hundredth of it.
        weight_decays: Candidates for the strength of the penalty, each 0 or more:
            weight_decay / 2 * (sum of squared weights), beside the mean
            cross-entropy.
        held_out: Share of each class, in (0, 1): at least one row of each class that
            has two, never all. With one candidate, or one row of every class,
            nothing is held out, and the first of the candidates are taken.
        standardize: Whether to give each feature mean 0 and deviation 1 (those of the
            rows given).
        seed: Draws the held-out rows and the order of the batches. Non-negative.
        verbose: 1 shows a progress bar over all fits.
        progress: Function of (what is done: str, how many, of how many).

    Returns:
        `SGDProbe`, with `predict`, `predict_proba` and `score`.

    Raises:
        ValueError: Wrong shapes, values that are not finite, a single class, or an
            argument out of range.

    Example:
        >>> probe = sgd_linear_probe(train, train_labels)
        >>> probe.score(test, test_labels)
    """
    features = as_features(features, "features")
    labels, features = known_rows(labels, "labels", features)
    check_two_classes(labels, "labels")
    classes, targets, counts = np.unique(
        labels, return_inverse=True, return_counts=True
    )
    check_integers(1, epochs=epochs, batch_size=batch_size)
    batch_size = min(batch_size, len(features))
    if learning_rates is None:
        # Of SemPPL's and BYOL's linear evaluation (`configs/eval.py`).
        authors = 0.3 * batch_size / 256
        learning_rates = (authors, authors / 10, authors / 100)
    learning_rates, weight_decays = tuple(learning_rates), tuple(weight_decays)
    if not learning_rates or not all(rate > 0 for rate in learning_rates):
        raise ValueError(
            "`learning_rates` must hold at least one value, each positive. Received: "
            f"learning_rates={learning_rates}."
        )
    if not weight_decays or not all(decay >= 0 for decay in weight_decays):
        raise ValueError(
            "`weight_decays` must hold at least one value, each 0 or more. Received: "
            f"weight_decays={weight_decays}."
        )
    if not 0 < held_out < 1:
        raise ValueError(
            f"`held_out` must lie in (0, 1). Received: held_out={held_out}."
        )

    candidates = list(itertools.product(learning_rates, weight_decays))
    choose = len(candidates) > 1 and counts.max() > 1
    count = Count(
        "epochs of linear probes",
        epochs * (len(candidates) + 1 if choose else 1),
        progress,
        verbose=verbose,
        unit="epoch",
    )

    def fit(rows: Any, candidate: tuple[float, float]) -> SGDProbe:
        return _fit(
            features[rows],
            targets[rows],
            classes,
            epochs,
            batch_size,
            candidate,
            standardize,
            # The same order for each candidate: only the candidates differ.
            np.random.default_rng([seed, 1]),
            count,
        )

    chosen = candidates[0]
    if choose:
        held = _held_out(targets, counts, held_out, np.random.default_rng([seed, 0]))
        likelihoods = [
            _log_likelihood(fit(~held, candidate), features[held], targets[held])
            for candidate in candidates
        ]
        chosen = candidates[int(np.argmax(likelihoods))]
    return fit(slice(None), chosen)


def _fit(
    features: np.ndarray,
    targets: np.ndarray,
    classes: np.ndarray,
    epochs: int,
    batch_size: int,
    candidate: tuple[float, float],
    standardize: bool,
    generator: np.random.Generator,
    count: Count,
) -> SGDProbe:
    learning_rate, weight_decay = candidate
    length, width = features.shape
    centre = features.mean(axis=0, dtype="float64").astype("float32")
    deviation = features.std(axis=0, dtype="float64").astype("float32")
    # A constant feature stays 0, whatever it is divided by.
    scale = np.where(deviation > 0, deviation, 1)
    if not standardize:
        centre, scale = np.zeros_like(centre), np.ones_like(scale)
    weights = np.zeros((width, len(classes)), "float32")
    bias = np.zeros(len(classes), "float32")
    weights_velocity, bias_velocity = np.zeros_like(weights), np.zeros_like(bias)
    batches = -(-length // batch_size)
    for epoch in range(epochs):
        order = generator.permutation(length)
        for batch in range(batches):
            rows = order[batch * batch_size : (batch + 1) * batch_size]
            inputs = _standardize(features[rows], centre, scale)
            # The gradient of the cross-entropy with respect to the logits.
            error = _softmax(inputs @ weights + bias)
            error[np.arange(len(rows)), targets[rows]] -= 1
            error /= len(rows)
            elapsed = (epoch * batches + batch) / (epochs * batches)
            rate = np.float32(learning_rate * (1 + np.cos(np.pi * elapsed)) / 2)
            gradient = inputs.T @ error + np.float32(weight_decay) * weights
            for variable, velocity, slope in (
                (weights, weights_velocity, gradient),
                (bias, bias_velocity, error.sum(axis=0)),
            ):
                velocity *= _MOMENTUM
                velocity -= rate * slope
                variable += _MOMENTUM * velocity - rate * slope
        count.add()
    return SGDProbe(
        classes,
        weights,
        bias,
        centre,
        scale,
        float(learning_rate),
        float(weight_decay),
    )


def _held_out(
    targets: np.ndarray,
    counts: np.ndarray,
    share: float,
    generator: np.random.Generator,
) -> np.ndarray:
    """A mask `(N,)` of the held-out rows."""
    mask = np.zeros(len(targets), bool)
    for target, count in enumerate(counts):
        held = min(max(1, round(share * count)), count - 1)
        rows = generator.permutation(np.flatnonzero(targets == target))
        mask[rows[:held]] = True
    return mask


def _log_likelihood(
    probe: SGDProbe, features: np.ndarray, targets: np.ndarray
) -> np.floating:
    shares = probe.predict_proba(features)
    true = np.take_along_axis(shares, targets[:, None], axis=1)
    # A share may be too small for float32.
    return np.mean(np.log(np.maximum(true, 1e-30)))


def _standardize(
    features: np.ndarray, centre: np.ndarray, scale: np.ndarray
) -> np.ndarray:
    return (features.astype("float32") - centre) / scale


def _softmax(logits: np.ndarray) -> np.ndarray:
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)
