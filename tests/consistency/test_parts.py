"""Thresholds, targets, teachers and mixing, against loops in float64."""

import keras
import numpy as np
import pytest
from consistency_references import softmax
from consistency_steps import as_numpy, inputs_of, step_of, tensors
from toy_classifiers import dense_backbone, linear_teacher, plain_views

from semppl_keras import ConsistencyTrainer, FineTuner
from semppl_keras.consistency import (
    EMATeacher,
    FixedThreshold,
    FrozenTeacher,
    HardLabels,
    OnlineTeacher,
    PseudoMixup,
    SoftLabels,
)

INPUTS = inputs_of(0)
PROBABILITIES = INPUTS["probabilities"]


def test_fixed_threshold():
    threshold = float(np.median(PROBABILITIES.max(axis=1)) - 1e-6)
    weights = FixedThreshold(threshold).call(tensors(PROBABILITIES), step_of(INPUTS))
    expected = [float(max(row) >= threshold) for row in PROBABILITIES]
    assert 0 < sum(expected) < len(expected)
    np.testing.assert_array_equal(as_numpy(weights), expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_hard_labels(smoothing):
    targets = HardLabels(smoothing).call(tensors(PROBABILITIES))
    expected = []
    for row in PROBABILITIES:
        rest = smoothing / len(row)
        best = max(range(len(row)), key=row.__getitem__)
        expected.append([rest + (1 - smoothing) * (c == best) for c in range(len(row))])
    np.testing.assert_allclose(as_numpy(targets), expected, rtol=1e-6)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.0])
def test_soft_labels_are_the_logits_over_a_temperature(temperature):
    logits = np.random.default_rng(1).normal(size=(6, 4)) * 3
    given = np.array([softmax(row) for row in logits])
    targets = SoftLabels(temperature).call(tensors(given))
    expected = [softmax(row / temperature) for row in logits]
    np.testing.assert_allclose(as_numpy(targets), expected, rtol=1e-4, atol=1e-7)


class Drawn:
    """A batch of one device, of which the draws are given."""

    def __init__(self, drawn):
        self.drawn = drawn

    def uniform(self, shape, seed):
        assert self.drawn.shape == tuple(shape)
        return keras.ops.convert_to_tensor(self.drawn)

    def gather(self, values):
        return values

    own = gather


def mixed(views, confidences, targets, weights, drawn, probability):
    """Semi-ViT's rule, pixel by pixel."""
    count, strong, side = views.shape[:3]
    new_views, new_targets, new_weights = np.zeros_like(views), [], []
    order = sorted(range(count), key=lambda i: drawn[i, 0])
    for i, j in enumerate(order):
        share = confidences[i] / (confidences[i] + confidences[j])
        cut, length, left = drawn[i, 3] < probability, np.sqrt(1 - share), 0
        for row in range(side):
            for column in range(side):
                inside = all(
                    abs((place + 0.5) / side - centre) < length / 2
                    for place, centre in ((row, drawn[i, 1]), (column, drawn[i, 2]))
                )
                own = 1.0 - inside if cut else share
                left += own
                for view in range(strong):
                    new_views[i, view, row, column] = (
                        own * views[i, view, row, column]
                        + (1 - own) * views[j, view, row, column]
                    )
        share = left / side**2
        new_targets.append(share * targets[i] + (1 - share) * targets[j])
        new_weights.append(max(weights[i], weights[j]))
    return new_views, new_targets, new_weights


@pytest.mark.parametrize("probability", [0.0, 0.5, 1.0])
def test_pseudo_mixup(probability):
    rng = np.random.default_rng(2)
    count, strong, side = 7, 2, 6
    views = rng.random((count, strong, side, side, 1))
    # A centre at the edge, whose square is cut off.
    drawn = rng.random((count, 4)).astype("float32")
    drawn[0, 1:3] = 0.99
    probabilities = np.array([softmax(row) for row in rng.normal(size=(count, 3))])
    weights = (rng.random(count) > 0.5).astype("float64")
    given = (views, probabilities.max(axis=1), probabilities, weights)
    step = step_of(INPUTS)
    object.__setattr__(step, "unlabelled", Drawn(drawn))
    made = PseudoMixup(probability).call(*map(tensors, given), step)
    expected = mixed(*given, drawn.astype("float64"), probability)
    for own, other in zip(made, expected, strict=True):
        np.testing.assert_allclose(as_numpy(own), other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("outputs", ["probabilities", "logits"])
def test_a_frozen_teacher_sees_images_in_its_own_range(outputs):
    model, teach = linear_teacher(outputs)
    images = np.random.default_rng(3).random((4, 3, 3, 1))
    teacher = FrozenTeacher(model, outputs=outputs)
    views = plain_views(output_range=(-1, 1))
    tuner = FineTuner(dense_backbone(), 3, views=views)
    teacher.follow_from(tuner.classifier, None)
    said = as_numpy(teacher.call(tensors(2 * images - 1))["logits"])
    expected = teach(images.reshape(4, 9))
    np.testing.assert_allclose(
        [softmax(row.astype("float64")) for row in said],
        [softmax(row) for row in expected],
        rtol=1e-4,
        atol=1e-6,
    )


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FixedThreshold(1.5), "`threshold` must lie in"),
        (lambda: HardLabels(1.0), "`smoothing` must be at least 0 and below 1"),
        (lambda: SoftLabels(0), "`temperature` must be positive"),
        (lambda: PseudoMixup(2), "`cutmix_probability` must lie in"),
        (lambda: EMATeacher("slow"), "`momentum` must lie in"),
        (lambda: EMATeacher(statistics="none"), "`statistics` must be one of"),
        (lambda: FrozenTeacher(dense_backbone(), outputs="votes"), "`outputs` must"),
    ],
)
def test_settings_out_of_range_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.any_backend
def test_teachers_that_cannot_teach_are_named():
    with pytest.raises(TypeError, match="`model` must be a keras.Model.*int"):
        FrozenTeacher(3)
    start = FineTuner(dense_backbone(), 3, views=plain_views())
    with pytest.raises(ValueError, match="one number for each of the 3 classes"):
        ConsistencyTrainer(start, teacher=FrozenTeacher(dense_backbone(features=4)))
    with pytest.raises(ValueError, match="does not take images of 3 x 3"):
        ConsistencyTrainer(start, teacher=FrozenTeacher(dense_backbone(size=5)))
    with pytest.raises(NotImplementedError, match="in the pass of the network"):
        OnlineTeacher().call(None)
