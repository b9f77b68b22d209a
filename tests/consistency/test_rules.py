"""Each rule against a loop in float64, over several steps of its state."""

import consistency_references as references
import keras
import numpy as np
import pytest
from consistency_steps import (
    CLASSES,
    FEATURES,
    LABELLED,
    UNLABELLED,
    Writes,
    as_numpy,
    context_of,
    inputs_of,
    step_of,
    tensors,
)
from toys import one_everywhere

from semppl_keras import consistency
from semppl_keras.consistency.balanced_head import chances


def number_of(scalar):
    return float(as_numpy(scalar))


CLOSE = {"rtol": 2e-5, "atol": 2e-6}


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("DistributionAlignment", {"momentum": 0.6}),
        ("DistributionAlignment", {}),
        ("DistributionAlignment", {"queue": 2}),
        ("DistributionAlignment", {"target": "labelled", "momentum": 0.6}),
        ("DistributionAlignment", {"target": "labelled", "queue": 3}),
        ("DistributionAlignment", {"target": (1, 0, 2, 5)}),
        ("Debiasing", {"momentum": 0.5}),
        ("Debiasing", {"strength": 1.5, "momentum": 0.9}),
        ("SelfAdaptiveThreshold", {"momentum": 0.5}),
        ("SelfAdaptiveThreshold", {}),
        ("RelativeThreshold", {}),
        ("RelativeThreshold", {"share": 0.7}),
        ("TruncatedGaussian", {"momentum": 0.5}),
        ("TruncatedGaussian", {"width": 1.0, "momentum": 0.9}),
    ],
)
def test_rules_with_a_state(name, settings):
    strategy = getattr(consistency, name)(**settings)
    strategy.build_for(CLASSES)
    reference, writes = getattr(references, name)(**settings), Writes()
    for number in range(5):
        inputs = inputs_of(seed=number)
        step = step_of(inputs, writes, number)
        given = tensors(inputs["probabilities"])
        result = as_numpy(strategy.call(given, step))
        expected = reference(inputs["probabilities"], inputs["labelled"])
        np.testing.assert_allclose(result, expected, **CLOSE, err_msg=f"step {number}")
        if name == "Debiasing":
            strong = inputs["logits"]["strong"]
            margin = as_numpy(strategy.margin(tensors(strong)))
            np.testing.assert_allclose(margin, strong + reference.added, **CLOSE)
        writes.end_step()


@pytest.mark.parametrize("filled", [0.0, 0.4, 0.5, 1.0])
def test_memory_smoothing(filled):
    inputs = inputs_of(1, filled=filled)
    given = tensors(inputs)
    strategy = consistency.MemorySmoothing(0.7, temperature=0.2)
    result = strategy.call(given["probabilities"], given["embeddings"], step_of(inputs))
    expected = references.memory_smoothing(
        inputs["probabilities"],
        inputs["embeddings"]["weak"],
        inputs["bank"],
        inputs["bank_labels"],
        weight=0.7,
        temperature=0.2,
    )
    np.testing.assert_allclose(as_numpy(result), expected, **CLOSE)
    moved = np.abs(expected - inputs["probabilities"]).max()
    assert (moved > 1e-2) == (filled >= 0.5)


@one_everywhere(
    ("neighbours", "filled", "alpha"),
    [(6, 0.5, 0.1), (1, 1.0, 0.1), (10, 0.5, 0.1), (128, 1.0, 0.1), (128, 1.0, 0.0)],
)
def test_propagation(neighbours, filled, alpha):
    inputs = inputs_of(2, filled=filled)
    given = tensors(inputs)
    strategy = consistency.Propagation(neighbours, alpha, temperature=0.2)
    result = strategy.call(given["probabilities"], given["embeddings"], step_of(inputs))
    expected = references.propagation(
        inputs["probabilities"],
        inputs["embeddings"]["weak"],
        inputs["bank"],
        inputs["bank_labels"],
        neighbours,
        alpha,
        temperature=0.2,
    )
    # What the series leaves out is some alpha^4.
    np.testing.assert_allclose(as_numpy(result), expected, atol=3e-4 if alpha else 1e-6)
    np.testing.assert_allclose(as_numpy(result).sum(-1), 1.0, rtol=1e-5)


@pytest.mark.parametrize("filled", [0.0, 0.4, 0.6, 1.0])
def test_instance_similarity(filled):
    inputs = inputs_of(3, filled=filled)
    term = consistency.InstanceSimilarity(temperature=0.2)
    result = number_of(term.call(context_of(inputs, step_of(inputs))))
    expected = references.instance_similarity(
        inputs["probabilities"],
        inputs["embeddings"]["weak"],
        inputs["embeddings"]["strong"],
        inputs["bank"],
        inputs["bank_labels"],
        temperature=0.2,
    )
    assert result == pytest.approx(expected, rel=1e-5)


def test_max_entropy():
    term, reference = consistency.MaxEntropy(momentum=0.5), references.MaxEntropy(0.5)
    term.build_for(CLASSES)
    writes = Writes()
    for number in range(4):
        inputs = inputs_of(seed=10 + number)
        if number == 2:
            inputs["weights"][:] = 0.0
        step = step_of(inputs, writes, number)
        result = number_of(term.call(context_of(inputs, step)))
        expected = reference(
            inputs["probabilities"], inputs["weights"], inputs["logits"]["strong"]
        )
        assert result == pytest.approx(expected, rel=1e-4)
        assert (expected == 0) == (number == 2)
        writes.end_step()


def linear(head, features):
    """What a head of one layer gives, in float64."""
    kernel, *bias = (as_numpy(weight).astype("float64") for weight in head.weights)
    return features @ kernel + (bias[0] if bias else 0.0)


@pytest.mark.parametrize("done", [0, 3, 12])
def test_balanced_head(done):
    inputs = inputs_of(4)
    counts = (40, 10, 20, 5)
    term = consistency.BalancedHead(counts, threshold=0.3)
    term.build_for(CLASSES, FEATURES, seed=1)
    seed = keras.random.SeedGenerator(5)
    step = step_of(inputs, step=done, total=8, seed=seed)
    result = number_of(term.call(context_of(inputs, step)))
    again = keras.random.SeedGenerator(5)
    drawn = [
        as_numpy(keras.random.uniform((count,), seed=again))
        for count in (LABELLED, UNLABELLED)
    ]
    logits = {k: linear(term.head, f) for k, f in inputs["features"].items()}
    expected = references.balanced_head(
        logits, inputs["labels"], counts, 0.3, drawn, progress=min(done / 8, 1)
    )
    assert result == pytest.approx(expected, rel=1e-5)


def test_a_balanced_head_takes_all_images_of_the_rarest_class():
    counts = np.array([100, 10, 25])
    taken = as_numpy(chances(counts))
    np.testing.assert_allclose(taken, [0.1, 1.0, 0.4], rtol=1e-6)
    # As many of each class.
    np.testing.assert_allclose(taken * counts, 10, rtol=1e-6)
    np.testing.assert_allclose(as_numpy(chances(counts, 0.0)), 1.0)


@pytest.mark.parametrize("threshold", [0.0, 0.4, 1.0])
def test_outlier_detection(threshold):
    inputs = inputs_of(5)
    term = consistency.OutlierDetection(projection_dim=3, threshold=threshold)
    term.build_for(CLASSES, FEATURES, seed=2)
    context = context_of(inputs, step_of(inputs, step=1))

    def projected(features):
        first, first_bias, second, second_bias = (
            as_numpy(weight).astype("float64") for weight in term.projection.weights
        )
        hidden = np.maximum(features @ first + first_bias, 0.0)
        return hidden @ second + second_bias

    projections = {k: projected(f) for k, f in inputs["features"].items()}
    pairs = {
        k: linear(term.pairs, projections[k]).reshape(-1, 2, CLASSES)
        for k in ("labelled", "weak")
    }
    expected, known = references.outlier_detection(
        pairs["labelled"],
        inputs["labels"],
        pairs["weak"],
        inputs["probabilities"],
        linear(term.open_head, projections["strong"]),
        threshold,
    )
    assert number_of(term.call(context)) == pytest.approx(expected, rel=1e-5)
    weights = as_numpy(term.reweighted(context.weights, context))
    np.testing.assert_array_equal(weights, inputs["weights"] * known)
    assert 0 < known.sum() < UNLABELLED


def test_outliers_teach_nobody_in_the_warm_up():
    inputs = inputs_of(6)
    term = consistency.OutlierDetection(threshold=0.0, warm_up=0.5)
    term.build_for(CLASSES, FEATURES, seed=2)
    losses = [
        number_of(term.call(context_of(inputs, step_of(inputs, step=done, total=8))))
        for done in (0, 3, 4, 7)
    ]
    assert losses[0] == losses[1] < losses[2] == losses[3]
