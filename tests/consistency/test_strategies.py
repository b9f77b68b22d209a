"""What holds for every strategy, of `consistency_steps.MADE`."""

import keras
import numpy as np
import pytest
from consistency_steps import (
    CLASSES,
    MADE,
    RULES,
    UNLABELLED,
    Writes,
    answer,
    as_numpy,
    build,
    every_rule,
    every_strategy,
    inputs_of,
    make,
)
from toys import slow_on_jax

from semppl_keras import consistency
from semppl_keras.consistency import (
    Alignment,
    Mixing,
    Refinement,
    Targets,
    Teacher,
    Term,
    Weighting,
)
from semppl_keras.registration import CLASSES as REGISTERED

KINDS = (Alignment, Refinement, Weighting, Targets, Term, Mixing, Teacher)

# Made of another model: with the tests of the trainer.
ELSEWHERE = {"FrozenTeacher"}
BASES = {"Strategy", *(kind.__name__ for kind in KINDS)}


@pytest.mark.any_backend
def test_every_public_strategy_is_tested_and_can_be_loaded():
    public = {
        name
        for name in consistency.__all__
        if isinstance(getattr(consistency, name), type)
        and issubclass(getattr(consistency, name), consistency.Strategy)
    }
    assert public - BASES == {name for name, _ in MADE} | ELSEWHERE
    for name in public - BASES:
        assert issubclass(getattr(consistency, name), KINDS)
        assert REGISTERED[name] == getattr(consistency, name).__module__


@every_strategy
def test_settings_come_back(name, settings):
    strategy = getattr(consistency, name)(**settings, name="mine")
    config = keras.saving.serialize_keras_object(strategy)
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is type(strategy)
    assert again.get_config() == strategy.get_config()
    for setting, value in settings.items():
        assert getattr(again, setting) == value
    assert again.name == "mine"
    assert again.dtype_policy.name == "float32"


@every_rule
def test_what_it_gives_is_what_its_kind_promises(name, settings):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        strategy = make(name, settings)
    finally:
        keras.config.set_dtype_policy("float32")
    inputs = inputs_of(7)
    result = answer(strategy, inputs)
    assert result.dtype == np.float32
    assert np.isfinite(result).all()
    if isinstance(strategy, Term):
        assert result.shape == ()
    elif isinstance(strategy, Weighting):
        assert result.shape == (UNLABELLED,)
        assert result.min() >= 0
        assert result.max() <= 1
    else:
        assert result.shape == (UNLABELLED, CLASSES)
        assert result.min() >= 0
        np.testing.assert_allclose(result.sum(axis=-1), 1.0, rtol=1e-5)


def permuted(inputs, order):
    """The same step with classes under other numbers: `order[new] = old`."""
    number = np.argsort(order)
    changed = {**inputs}
    for name in ("probabilities", "labelled"):
        changed[name] = inputs[name][:, order]
    changed["logits"] = {k: z[..., order] for k, z in inputs["logits"].items()}
    changed["labels"] = number[inputs["labels"]]
    labels = inputs["bank_labels"]
    changed["bank_labels"] = np.where(labels < 0, -1, number[labels])
    return changed


# Their heads and targets have classes in an order of their own.
IN_ORDER = {"BalancedHead", "OutlierDetection"}
numbered = [(name, settings) for name, settings in RULES if name not in IN_ORDER]


@pytest.mark.parametrize(("name", "settings"), numbered)
def test_the_numbers_of_classes_do_not_matter(name, settings):
    order = np.array([2, 0, 3, 1])
    other = dict(settings)
    if isinstance(settings.get("target"), tuple):
        other["target"] = tuple(settings["target"][c] for c in order)
    first, second = make(name, settings), make(name, other)
    writes = Writes()
    for number in range(3):
        inputs = inputs_of(20 + number)
        result = answer(first, inputs, writes, number)
        changed = answer(second, permuted(inputs, order), writes, number)
        writes.end_step()
        if result.shape == (UNLABELLED, CLASSES):
            result = result[:, order]
        np.testing.assert_allclose(changed, result, rtol=2e-5, atol=1e-6)


@every_rule
def test_state_is_saved_and_goes_on(name, settings, tmp_path):
    strategy = make(name, settings)
    writes = Writes()
    for number in range(2):
        before = [as_numpy(weight).copy() for weight in strategy.weights]
        answer(strategy, inputs_of(30 + number), writes, number)
        # Until the step ends nothing is changed.
        for weight, value in zip(strategy.weights, before, strict=True):
            np.testing.assert_array_equal(as_numpy(weight), value)
        writes.end_step()
    again = type(strategy).from_config(strategy.get_config())
    build(again)
    again.set_weights([as_numpy(weight) for weight in strategy.weights])
    for number in range(2):
        inputs = inputs_of(40 + number)
        expected = answer(strategy, inputs, writes, number)
        np.testing.assert_array_equal(answer(again, inputs, writes, number), expected)
        writes.end_step()
    if not isinstance(strategy, Term):
        assert not strategy.trainable_weights


@slow_on_jax
@every_rule
def test_one_image_is_enough(name, settings):
    inputs = inputs_of(8)
    for part in ("probabilities", "weights"):
        inputs[part] = inputs[part][:1]
    for part in ("features", "logits", "embeddings"):
        kinds = inputs[part]
        inputs[part] = {k: v if k == "labelled" else v[:1] for k, v in kinds.items()}
    assert np.isfinite(answer(make(name, settings), inputs)).all()


@every_rule
def test_certain_predictions_stay_numbers(name, settings):
    inputs = inputs_of(9)
    certain = np.eye(CLASSES)[np.zeros(UNLABELLED, int)]
    inputs["probabilities"] = certain
    strategy = make(name, settings)
    writes = Writes()
    for number in range(3):
        assert np.isfinite(answer(strategy, inputs, writes, number)).all()
        writes.end_step()


@pytest.mark.parametrize(
    ("name", "settings", "told"),
    [
        ("DistributionAlignment", {"target": "even"}, "`target` must be one of"),
        ("DistributionAlignment", {"target": ()}, "`target` must be one of"),
        ("DistributionAlignment", {"target": (1, -1)}, "none negative"),
        ("DistributionAlignment", {"target": 3}, "`target` must be one of"),
        ("DistributionAlignment", {"momentum": 1.5}, r"`momentum` must lie in \[0, 1"),
        ("DistributionAlignment", {"queue": 0}, "`queue` must be an integer of at"),
        ("DistributionAlignment", {"momentum": 0.9, "queue": 2}, "Leave one out"),
        ("Debiasing", {"strength": -1}, "`strength` must be"),
        ("MemorySmoothing", {"weight": 2}, "`weight` must lie in"),
        ("MemorySmoothing", {"temperature": 0}, "`temperature` must be positive"),
        ("Propagation", {"neighbours": 0}, "`neighbours` must be an integer"),
        ("Propagation", {"alpha": 1.0}, "`alpha` must be at least 0 and below 1"),
        ("SelfAdaptiveThreshold", {"momentum": -0.1}, "`momentum` must lie in"),
        ("RelativeThreshold", {"share": 1.2}, "`share` must lie in"),
        ("TruncatedGaussian", {"width": 0}, "`width` must be positive"),
        ("InstanceSimilarity", {"temperature": -1}, "`temperature` must be positive"),
        ("InstanceSimilarity", {"weight": -1}, "`weight` must be"),
        ("BalancedHead", {"class_counts": (3, 0)}, "`class_counts` must have"),
        ("BalancedHead", {"class_counts": 3}, "`class_counts` must have"),
        (
            "BalancedHead",
            {"class_counts": (3, 1), "weight": float("nan")},
            "`weight` must be",
        ),
        ("OutlierDetection", {"projection_dim": 0}, "`projection_dim` must be"),
        ("OutlierDetection", {"weight": float("nan")}, "`weight` must be"),
        ("MaxEntropy", {"weight": float("nan")}, "`weight` must be a finite number"),
    ],
)
@pytest.mark.any_backend
def test_what_is_out_of_range_is_refused_at_the_call(name, settings, told):
    with pytest.raises(ValueError, match=told):
        getattr(consistency, name)(**settings)


@pytest.mark.parametrize(
    "strategy",
    [
        lambda: consistency.DistributionAlignment(target=(1, 2, 3)),
        lambda: consistency.BalancedHead((1, 2, 3)),
    ],
)
def test_a_number_for_each_class_is_a_number_for_each(strategy):
    with pytest.raises(ValueError, match="a number for each of the 4 classes.*3"):
        build(strategy())
