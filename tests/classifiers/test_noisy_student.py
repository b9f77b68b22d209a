"""Noisy Student: what counts and how much, who sees what, and the rounds."""

import keras
import numpy as np
import pytest
from keras import layers
from toy_classifiers import (
    Oracle,
    dense_backbone,
    linear_teacher,
    numpy,
    plain_views,
    softmax64,
)
from toys import (
    QUICK,
    assert_same_weights,
    one_everywhere,
    slow_on_jax,
    toy_backbone,
    toy_images,
    toy_views,
    weights_of,
)

from semppl_keras import Distiller, FineTuner
from semppl_keras.classifiers import noisy_student
from semppl_keras.classifiers.image_weights import MOST_WEIGHT, ImageWeights
from semppl_keras.training.global_batch import GlobalBatch
from semppl_keras.views import CachedViews, MultiCrop, RandAugment, WeakStrong

BACKEND = keras.backend.backend()
IMAGES, LABELS = toy_images(30)
TEACHER_IMAGES, TEACHER_LABELS = toy_images(9, size=3)


# -- weights of the images ----------------------------------------------------


def test_weights_are_those_of_the_running_shares():
    rng = np.random.default_rng(0)
    rule = ImageWeights(4, min_confidence=0.6, balance=True)
    shares = np.full(4, 0.25)
    for step in range(4):
        p = softmax64(3 * rng.normal(size=(12, 4)))
        if step == 2:
            p[:] = 0.25  # Nobody is sure: the shares stay.
        weights, states = rule(p.astype("float32"), step=step, batch=GlobalBatch(12))
        expected = np.zeros(12)
        kept = p.max(axis=1) >= 0.6
        counts = np.bincount(p.argmax(axis=1)[kept], minlength=4)
        if kept.any():
            decay = min(0.999, (1 + step) / (10 + step))
            shares = decay * shares + (1 - decay) * counts / counts.sum()
        for image in np.flatnonzero(kept):
            rare = 1 / (4 * shares[p[image].argmax()])
            expected[image] = min(rare, MOST_WEIGHT)
        np.testing.assert_allclose(numpy(weights), expected, rtol=1e-5)
        ((variable, value),) = states
        np.testing.assert_allclose(numpy(value), shares, rtol=1e-5)
        variable.assign(value)
    # A class that is next to never named: its images do not rule the loss.
    variable.assign([0.999, 0.001 - 2e-6, 1e-6, 1e-6])
    only = np.array([[0.05, 0.05, 0.9, 0.0]] + [[0.9, 0.1, 0, 0]] * 999)
    weights, _ = rule(only.astype("float32"), step=100_000, batch=GlobalBatch(1000))
    assert float(weights[0]) == pytest.approx(MOST_WEIGHT)


@pytest.mark.any_backend
def test_without_balance_images_count_or_do_not():
    p = np.array([[0.6, 0.4], [0.55, 0.45], [0.2, 0.8]], "float32")
    rule = ImageWeights(2, min_confidence=0.6, balance=False)
    weights, states = rule(p, step=0, batch=GlobalBatch(3))
    np.testing.assert_array_equal(numpy(weights), [1, 0, 1])
    assert not states
    assert not rule.variables


def test_three_steps_equal_the_oracle():
    images, labels = TEACHER_IMAGES, TEACHER_LABELS
    teacher, teach = linear_teacher("probabilities")
    x = images.reshape(9, -1).astype("float64") / 255
    said = softmax64(teach(x[:6]))
    least = float(np.sort(said.max(axis=1))[2]) - 1e-4
    student = Distiller(
        dense_backbone(),
        teacher,
        temperature=2.0,
        distillation_weight=0.7,
        views=plain_views(),
        min_confidence=least,
        balance=True,
        label_smoothing=0.2,
        seed=0,
    )
    student.compile(keras.optimizers.SGD(0.5), **QUICK)
    oracle = Oracle(student.classifier, 0.5)
    history = student.fit(
        images[:6], (images[6:], labels[6:]), labelled_batch_size=3, epochs=3, verbose=0
    ).history
    p = softmax64(teach(x[:6]) / 2)
    targets = 0.8 * np.eye(3)[labels[6:]] + 0.2 / 3
    kept = said.max(axis=1) >= least
    assert kept.sum() == 4
    classes, shares = said.argmax(axis=1), np.full(3, 1 / 3)
    expected = {"distillation": [], "supervised": [], "loss": []}
    for step in range(3):
        decay = (1 + step) / (10 + step)
        counts = np.bincount(classes[kept], minlength=3)
        shares = decay * shares + (1 - decay) * counts / 4
        weights = kept / (3 * shares[classes])
        logits = oracle.logits(x)
        q, r = softmax64(logits[:6] / 2), softmax64(logits[6:])
        taught = np.mean(weights * -np.sum(p * np.log(q), axis=1))
        supervised = -np.mean(np.sum(targets * np.log(r), axis=1))
        for name, value in (
            ("distillation", taught),
            ("supervised", supervised),
            ("loss", 0.7 * taught + 0.3 * supervised),
        ):
            expected[name].append(value)
        slope = 0.7 * weights[:, None] * (q - p) / 2 / 6
        oracle.step(x, np.concatenate([slope, 0.3 * (r - targets) / 3]))
    for name, values in expected.items():
        np.testing.assert_allclose(history[name], values, rtol=1e-4, err_msg=name)
    np.testing.assert_allclose(history["counting"], 4 / 6, rtol=1e-6)
    oracle.assert_equal(student.classifier)
    np.testing.assert_allclose(numpy(student.image_weights.shares), shares, rtol=1e-5)


# -- who sees what ------------------------------------------------------------


@keras.saving.register_keras_serializable(package="tests")
class Darker(keras.layers.Layer):
    """A change that can be seen: half as bright."""

    def call(self, images, seed=None, uniform=None):
        return images / 2


@one_everywhere("sees", [None, "view"])
def test_strong_views_are_the_students_alone(sees):
    teacher, teach = linear_teacher("probabilities")
    views = plain_views(output_range=(-1, 1))
    student = Distiller(
        dense_backbone(),
        teacher,
        views=views,
        student_views=Darker(),
        teacher_sees=sees,
        seed=0,
    )
    assert student.teacher_sees == ("image" if sees is None else "view")
    given = student.make_views((keras.ops.convert_to_tensor(TEACHER_IMAGES),))
    x = TEACHER_IMAGES / 255
    np.testing.assert_allclose(numpy(given["view"]), x - 1, atol=1e-5)
    flat = x.reshape(9, -1)
    said = softmax64(numpy(given["teacher"]).astype("float64"))
    np.testing.assert_allclose(said, softmax64(teach(flat)), rtol=1e-3, atol=1e-6)
    # Predictions are made of images as they are.
    expected = softmax64(Oracle(student.classifier, 0).logits(2 * flat - 1))
    np.testing.assert_allclose(
        student.predict(TEACHER_IMAGES, verbose=0), expected, rtol=1e-4
    )


@one_everywhere(
    "strong",
    [
        RandAugment(2),
        toy_views(num_small=0),
        WeakStrong(toy_views(num_small=0), RandAugment(1), cutout=0.5),
    ],
    ids=["RandAugment", "MultiCrop", "WeakStrong"],
)
def test_each_kind_of_strong_views_trains(strong):
    teacher = FineTuner(toy_backbone(), 3, views=toy_views(), seed=1)
    student = Distiller(teacher, teacher, student_views=strong, seed=0)
    student.compile("sgd", **QUICK)
    history = student.fit(IMAGES, batch_size=15, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert isinstance(student.classifier.views, MultiCrop)


# -- rounds -------------------------------------------------------------------


def make_student(**arguments):
    teacher = FineTuner(toy_backbone(), 3, views=toy_views(), seed=6)
    backbone = keras.Sequential([toy_backbone(features=6), layers.Dropout(0.2, seed=1)])
    settings = {
        "student_views": RandAugment(1),
        "min_confidence": 0.3,
        "balance": True,
        "label_smoothing": 0.1,
        "distillation_weight": 0.5,
        "weight_average": 0.9,
        "seed": 7,
    }
    student = Distiller(backbone, teacher, **{**settings, **arguments})
    student.compile(keras.optimizers.Adam(1e-2), **QUICK)
    return student


def fit(student, **arguments):
    student.fit(
        IMAGES,
        (IMAGES[:6], LABELS[:6]),
        **{"batch_size": 15, "verbose": 0, **arguments},
    )


@slow_on_jax
def test_a_saved_student_goes_on_as_if_uninterrupted(tmp_path):
    student = make_student()
    fit(student)
    student.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert_same_weights(weights_of(student), weights_of(loaded))
    own, other = student.get_config(), loaded.get_config()
    for name in own.keys() - {"student", "teacher"}:
        assert own[name] == other[name], name
    for each in (student, loaded):
        fit(each, epochs=2, initial_epoch=1)
    tolerance = {} if BACKEND != "torch" else {"rtol": 1e-4, "atol": 1e-6}
    assert_same_weights(weights_of(student), weights_of(loaded), **tolerance)


@slow_on_jax
@pytest.mark.any_backend
def test_a_student_becomes_the_teacher():
    student = make_student()
    fit(student)
    second = student.next_round()
    assert second.teacher is student.classifier
    for name in ("min_confidence", "balance", "weight_average", "distillation_weight"):
        assert getattr(second, name) == getattr(student, name)
    assert second.seed == student.seed + 1
    assert second.student_views is student.student_views
    # It goes on from what it is, or another one begins.
    said = student.predict(IMAGES, verbose=0)
    np.testing.assert_allclose(second.predict(IMAGES, verbose=0), said, atol=1e-5)
    before = [numpy(weight) for weight in student.classifier.weights]
    larger = student.next_round(toy_backbone(features=12), seed=3)
    larger.compile("sgd", **QUICK)
    fit(larger)
    assert larger.seed == 3
    for weight, same in zip(student.classifier.weights, before, strict=True):
        np.testing.assert_array_equal(numpy(weight), same)


@pytest.mark.any_backend
@slow_on_jax
def test_all_rounds_at_once():
    teacher = FineTuner(toy_backbone(), 3, views=toy_views(), seed=6)
    made = []

    def make(number):
        made.append(number)
        return toy_backbone(features=4 * number)

    student = noisy_student(
        make,
        teacher,
        IMAGES,
        (IMAGES[:6], LABELS[:6]),
        rounds=2,
        make_optimizer=lambda: keras.optimizers.SGD(0.1),
        settings={"seed": 4, "temperature": 0.5},
        batch_size=15,
        verbose=0,
    )
    assert made == [1, 2]
    assert student.seed == 5
    assert student.temperature == 0.5
    assert student.min_confidence == 0.3
    assert student.balance
    assert student.label_smoothing == 0.1
    assert student.distillation_weight == 0.5
    assert student.teacher.head.input_shape[-1] == 4
    assert student.classifier.head.input_shape[-1] == 8
    with pytest.raises(ValueError, match="`rounds`.*at least 1.*=0"):
        noisy_student(teacher, teacher, IMAGES, rounds=0)
    with pytest.raises(TypeError, match="`make_optimizer` must be a function.*str"):
        noisy_student(teacher, teacher, IMAGES, make_optimizer="sgd")


# -- errors -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"min_confidence": 1}, "`min_confidence`.*below 1.*=1"),
        ({"min_confidence": "much"}, "`min_confidence`.*'much'"),
        ({"label_smoothing": -0.1}, "`label_smoothing`.*=-0.1"),
        ({"student_views": "strong"}, "`student_views` must be.*str"),
        ({"student_views": CachedViews()}, "`student_views` must be.*CachedViews"),
        ({"student_views": toy_views(large_size=6)}, "`strong`.*`large_size`.*6 and 8"),
        (
            {"student_views": WeakStrong(toy_views(large_size=6, num_small=0))},
            "`student_views`.*`large_size` of `views`.*6 and 8",
        ),
        (
            {"student_views": WeakStrong(toy_views(num_small=0), num_strong=2)},
            "`student_views`.*one strong view.*num_strong=2",
        ),
        ({"weight_average": 1}, "`weight_average` must be at least 0 and below 1"),
    ],
)
def test_settings_that_do_not_fit_are_named(arguments, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make_student(**arguments)
