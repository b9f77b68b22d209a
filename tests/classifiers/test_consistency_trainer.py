"""Consistency training: its loss and its steps, what moves, what is kept, errors."""

import keras
import numpy as np
import pytest
from consistency_references import softmax
from keras import layers
from toy_classifiers import Oracle, dense_backbone, linear_teacher, numpy, plain_views
from toys import (
    QUICK,
    assert_same_weights,
    one_everywhere,
    toy_backbone,
    toy_images,
    toy_model,
    toy_views,
    weights_of,
)

from semppl_keras import ConsistencyTrainer, FineTuner
from semppl_keras.consistency import (
    BalancedHead,
    DistributionAlignment,
    EMATeacher,
    FixedThreshold,
    FrozenTeacher,
    HardLabels,
    InstanceSimilarity,
    MaxEntropy,
    MemorySmoothing,
    OutlierDetection,
    PseudoMixup,
    SelfAdaptiveThreshold,
    SoftLabels,
)
from semppl_keras.memory import LabelledMemory
from semppl_keras.views import CachedViews, RandAugment, WeakStrong

BACKEND = keras.backend.backend()
IMAGES, LABELS = toy_images(40)
LABELLED = IMAGES[:8], LABELS[:8]
# Kernels of torch may add up in another order after loading.
# What takes long to compile.
SLOW = [] if BACKEND == "torch" else [pytest.mark.slow]
EXACT = {} if BACKEND != "torch" else {"rtol": 1e-4, "atol": 1e-6}


def plain(**changes):
    """Weak and strong views in which nothing is drawn: the image itself."""
    return WeakStrong(plain_views(**changes), RandAugment(0), cutout=0.0)


def drawn_start():
    """A classifier whose answers are neither sure nor all alike."""
    start = FineTuner(dense_backbone(), 3, views=plain_views(), seed=0)
    rng = np.random.default_rng(4)
    start.classifier.set_weights(
        [0.8 * rng.normal(size=weight.shape) for weight in start.classifier.weights]
    )
    return start


def toy_trainer(start=None, optimizer=None, **changes):
    settings = {"views": WeakStrong(toy_views(), RandAugment(0), cutout=0.5), "seed": 0}
    start = start or toy_backbone()
    trainer = ConsistencyTrainer(start, 3, **{**settings, **changes})
    trainer.compile(optimizer or keras.optimizers.SGD(0.1, momentum=0.9), **QUICK)
    return trainer


def fit(trainer, **arguments):
    settings = {"batch_size": 16, "labelled_batch_size": 4, "verbose": 0}
    return trainer.fit(IMAGES, LABELLED, **{**settings, **arguments}).history


# -- the step against NumPy ---------------------------------------------------

SETTINGS = {
    "fixmatch": {"weighting": FixedThreshold(0.54)},
    "uda": {"weighting": FixedThreshold(0.54), "targets": SoftLabels(0.4)},
    "smoothed": {
        "weighting": FixedThreshold(0.54),
        "targets": HardLabels(0.1),
        "label_smoothing": 0.1,
        "class_prior": (1, 2, 5),
        "unlabelled_weight": 3.0,
    },
    "ema": {"weighting": FixedThreshold(0.54), "teacher": EMATeacher(0.3)},
    "frozen": {"weighting": FixedThreshold(0.7), "teacher": "linear"},
}


@one_everywhere("name", sorted(SETTINGS))
def test_three_steps_equal_the_oracle(name):
    images, labels = toy_images(11, size=3)
    hidden = np.where(np.arange(8) < 5, labels[:8], -1)
    parts = SETTINGS[name]
    settings = {
        part: type(value).from_config(value.get_config())
        if isinstance(value, keras.layers.Layer)
        else value
        for part, value in parts.items()
    }
    model, teach = linear_teacher("probabilities")
    if settings.get("teacher") == "linear":
        settings["teacher"] = FrozenTeacher(model)
    trainer = ConsistencyTrainer(
        drawn_start(), views=plain(), weight_average=0.4, seed=0, **settings
    )
    trainer.compile(keras.optimizers.SGD(0.5), **QUICK)
    oracle, mean = Oracle(trainer.online, 0.5), Oracle(trainer.online, 0)
    master = Oracle(trainer.online, 0)
    history = trainer.fit(
        (images[:8], hidden),
        (images[8:], labels[8:]),
        labelled_batch_size=3,
        epochs=3,
        verbose=0,
    ).history
    x = images.reshape(11, -1).astype("float64") / 255
    smoothing = parts.get("label_smoothing", 0.0)
    prior = np.array(parts.get("class_prior", (1, 1, 1)), "float64")
    weight = parts.get("unlabelled_weight", 1.0)
    temperature = getattr(parts.get("targets"), "temperature", None)
    spread = getattr(parts.get("targets"), "smoothing", 0.0)
    expected = []
    for step in range(3):
        z = oracle.logits(x)
        seen = {"ema": master.logits, "frozen": teach}.get(name, oracle.logits)(x[:8])
        p = np.array([softmax(row) for row in seen])
        counted = p.max(axis=1) >= parts["weighting"].threshold
        q = (1 - spread) * np.eye(3)[p.argmax(1)] + spread / 3
        if temperature:
            q = np.array([softmax(row / temperature) for row in seen])
        y = (1 - smoothing) * np.eye(3)[labels[8:]] + smoothing / 3
        said = np.array([softmax(row + np.log(prior / prior.sum())) for row in z[8:]])
        strong = np.array([softmax(row) for row in z[:8]])
        supervised = -np.mean(np.sum(y * np.log(said), axis=1))
        unsupervised = np.mean(counted * -np.sum(q * np.log(strong), axis=1))
        expected.append(
            {
                "loss": supervised + weight * unsupervised,
                "supervised": supervised,
                "unsupervised": unsupervised,
                "pseudo_label_share": np.mean(counted),
                "pseudo_label_confidence": np.mean(p.max(axis=1)),
                "pseudo_label_accuracy": np.mean(p[:5].argmax(1) == labels[:5]),
                "accuracy": np.mean(z[8:].argmax(1) == labels[8:]),
            }
        )
        slope = weight * counted[:, None] * (strong - q) / 8
        oracle.step(x, np.concatenate([slope, (said - y) / 3]))
        for each, momentum in ((mean, 0.4), (master, 0.3)):
            share = 1 - min(momentum, (1 + step) / (10 + step))
            for own, new in zip(each.weights, oracle.weights, strict=True):
                own += share * (new - own)
    assert 0 < expected[0]["pseudo_label_share"] < 1
    assert set(history) == set(expected[0])
    for told, values in history.items():
        wanted = [step[told] for step in expected]
        np.testing.assert_allclose(values, wanted, rtol=1e-4, atol=1e-6, err_msg=told)
    oracle.assert_equal(trainer.online)
    mean.assert_equal(trainer.classifier)
    if name == "ema":
        master.assert_equal(trainer.teacher.classifier)


@pytest.mark.any_backend
def test_the_weight_of_unlabelled_images_rises_as_adamatchs():
    trainer = toy_trainer(
        weighting=FixedThreshold(0.0), unlabelled_ramp=0.5, unlabelled_weight=2.0
    )
    steps, logs = 6, []
    told = keras.callbacks.LambdaCallback(on_epoch_end=lambda _, log: logs.append(log))
    # Divided into several calls, of which the first knows the end.
    fit(trainer, batch_size=40, epochs=steps, callbacks=[told])
    for step, log in enumerate(logs):
        weight = 2.0 * (0.5 - 0.5 * np.cos(min(np.pi, 2 * np.pi * step / steps)))
        given = log["supervised"] + weight * log["unsupervised"]
        assert log["loss"] == pytest.approx(given, rel=1e-5)
    assert int(numpy(trainer.length.steps.value)) == steps


def test_logits_between_those_of_the_joint_pass_and_of_one_alone():
    trainer = toy_trainer(logit_interpolation=True, labelled_strong=True)
    trainer.online.head.layers[-1].kernel.assign(
        np.random.default_rng(0).normal(size=(8, 3))
    )
    views = keras.ops.cast(IMAGES / 255, "float32")
    inputs = {
        "labelled": views[:8],
        "weak": views[8:20],
        "strong": keras.ops.reshape(views[20:32], (12, 1, 8, 8, 1)),
    }
    state = trainer.seed_generator.state.numpy()
    before = [weight.numpy() for weight in trainer.online.non_trainable_weights]
    seen = trainer.call(inputs, training=True)["seen"]
    after = [weight.numpy() for weight in trainer.online.non_trainable_weights]
    for weight, value in zip(trainer.online.non_trainable_weights, before, strict=True):
        weight.assign(value)
    joint = numpy(trainer.online.logits(views[:32], training=True))
    # The statistics are those of the joint pass alone.
    for weight, value in zip(trainer.online.non_trainable_weights, after, strict=True):
        np.testing.assert_allclose(weight.numpy(), value, rtol=1e-6)
    alone = numpy(trainer.online.logits(views[:8], training=True))
    generator = keras.random.SeedGenerator(0)
    generator.state.assign(state)
    share = numpy(keras.random.uniform((8, 3), seed=generator))
    given = numpy(seen["labelled"]["logits"])
    assert np.abs(alone - joint[:8]).max() > 0.1
    np.testing.assert_allclose(
        given, joint[:8] + share * (alone - joint[:8]), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(numpy(seen["weak"]["logits"]), joint[8:20], atol=1e-5)


# -- what moves, what predicts ------------------------------------------------


def test_it_learns_from_what_it_says_and_leaves_the_start_alone():
    keras.utils.set_random_seed(0)
    start = toy_trainer(weight_average=None)
    fit(start, epochs=2)
    before = weights_of(start)
    trainer = toy_trainer(start, weighting=FixedThreshold(0.5), weight_average=0.5)
    np.testing.assert_allclose(
        trainer.predict(IMAGES, verbose=0), start.predict(IMAGES, verbose=0), atol=1e-6
    )
    history = fit(trainer, epochs=10, validation_data=(IMAGES, LABELS))
    assert_same_weights(before, weights_of(start))
    # Two stripes and none: a third by chance.
    assert history["val_accuracy"][-1] > 0.6
    assert history["supervised"][-1] < history["supervised"][0]
    views = trainer.views.center_view(IMAGES)
    for classifier, same in ((trainer.classifier, True), (trainer.online, False)):
        said = numpy(keras.ops.softmax(classifier.logits(views)))
        predicted = trainer.predict(IMAGES, verbose=0)
        assert np.allclose(predicted, said, atol=1e-5) is same


@one_everywhere("statistics", ["average", "copy"])
def test_the_teacher_follows_whole_steps(statistics):
    teacher = EMATeacher(0.9, statistics=statistics)
    optimizer = keras.optimizers.SGD(0.5, gradient_accumulation_steps=2)
    trainer = toy_trainer(teacher=teacher, optimizer=optimizer, weight_average=None)
    states = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            # By way of `model`, which on JAX has the values of this step.
            pair = self.model.teacher.classifier, self.model.online
            states.append([[w.numpy() for w in each.weights] for each in pair])

    begun = [weight.numpy() for weight in teacher.classifier.weights]
    fit(trainer, batch_size=10, callbacks=[Watch()])
    for own, first in zip(states[0][0], begun, strict=True):
        np.testing.assert_array_equal(own, first)
    names = [weight.name for weight in trainer.online.weights]
    assert {"moving_mean", "kernel"} <= set(names)
    for batch, updates in ((1, 0), (3, 1)):
        share = 1 - min(0.9, (1 + updates) / (10 + updates))
        rows = zip(names, states[batch - 1][0], *states[batch], strict=True)
        for name, before, own, online in rows:
            copied = statistics == "copy" and name.startswith("moving")
            given = before + (1.0 if copied else share) * (online - before)
            np.testing.assert_allclose(own, given, rtol=1e-4, atol=1e-6)


@pytest.mark.any_backend
def test_the_head_of_a_term_predicts():
    for average in (None, 0.5):
        trainer = toy_trainer(terms=[BalancedHead((4, 4, 4))], weight_average=average)
        history = fit(trainer)
        assert "balanced_head" in history
        predictor = trainer.classifier if average is None else trainer.predictor
        assert predictor.head is trainer.terms[0].head
        said = trainer.classifier.logits(trainer.views.center_view(IMAGES))
        np.testing.assert_allclose(
            trainer.predict(IMAGES, verbose=0),
            numpy(keras.ops.softmax(said)),
            atol=1e-5,
        )


@pytest.mark.any_backend
def test_penalties_count_once():
    regularised = dense_backbone(kernel_regularizer=keras.regularizers.L2(0.1))
    trainer = ConsistencyTrainer(
        regularised, 3, views=plain(), teacher=EMATeacher(0.9), seed=0
    )
    trainer.compile(keras.optimizers.SGD(0.0), **QUICK)
    images, labels = toy_images(6, size=3)
    history = trainer.fit(images, (images, labels), verbose=0).history
    penalty = 0.1 * np.sum(numpy(trainer.online.backbone.weights[0]) ** 2)
    total = history["supervised"][0] + history["unsupervised"][0] + penalty
    assert history["loss"][0] == pytest.approx(total, rel=1e-5)


def test_mixed_precision_keeps_statistics_in_float32():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        trainer = toy_trainer(
            teacher=EMATeacher(0.9),
            alignment=DistributionAlignment(),
            mixing=PseudoMixup(),
        )
        history = fit(trainer)
    finally:
        keras.config.set_dtype_policy("float32")
    assert np.isfinite(history["loss"][0])
    assert all(v.dtype == "float32" for v in trainer.alignment.variables)
    assert trainer.predict(IMAGES, verbose=0).dtype == np.float32


# -- after SemPPL -------------------------------------------------------------


@pytest.fixture(scope="module")
def pretrained():
    model = toy_model()
    fit(model, batch_size=20, epochs=2)
    return model


@pytest.mark.any_backend
def test_the_memory_and_the_projector_are_semppls_own(pretrained):
    parts = {"refinement": MemorySmoothing(), "terms": [InstanceSimilarity()]}
    trainer = toy_trainer(pretrained, **parts)
    pairs = [
        (trainer.memory.embeddings, pretrained.memory.embeddings.numpy()[:1]),
        (trainer.memory.labels, pretrained.memory.labels.numpy()),
        *zip(
            trainer.projector.weights,
            [w.numpy() for w in pretrained.online.heads[0].weights],
            strict=True,
        ),
    ]
    for own, value in pairs:
        np.testing.assert_array_equal(own.numpy(), value)
    kernel = trainer.projector.layers[0].kernel.numpy()
    fit(trainer, batch_size=40)
    assert np.abs(trainer.projector.layers[0].kernel.numpy() - kernel).max() > 0
    written = np.any(trainer.memory.embeddings.numpy() != pairs[0][1], axis=(0, 2))
    assert np.sum(written) == 4
    lengths = np.linalg.norm(trainer.memory.embeddings.numpy()[0], axis=1)
    np.testing.assert_allclose(lengths, 1.0, rtol=1e-5)
    # Of a classifier they are to be had from the model that it began with.
    tuner = FineTuner(pretrained, 3)
    again = toy_trainer(tuner, projector=pretrained, refinement=MemorySmoothing())
    np.testing.assert_array_equal(
        again.memory.labels.numpy(), pretrained.memory.labels.numpy()
    )
    # Without one they are new, and the memory is empty.
    new = toy_trainer(refinement=MemorySmoothing())
    assert new.memory.capacity == 640
    assert new.projector.output_shape == (None, 128)
    assert np.all(new.memory.stored_labels() == -1)


def everything():
    return {
        "teacher": EMATeacher(0.9),
        "alignment": DistributionAlignment(),
        "refinement": MemorySmoothing(0.8),
        "weighting": SelfAdaptiveThreshold(0.9),
        "targets": SoftLabels(0.5),
        "terms": [InstanceSimilarity(0.5), MaxEntropy(0.1)],
        "label_smoothing": 0.1,
        "class_prior": (1, 2, 3),
        "unlabelled_ramp": 0.5,
        "labelled_strong": True,
        "logit_interpolation": True,
        "weight_average": 0.8,
    }


class SaveAt(keras.callbacks.Callback):
    def __init__(self, path, epoch, batch):
        super().__init__()
        self.path, self.place, self.epoch = path, (epoch, batch), 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.place:
            self.model.save(self.path)


@pytest.mark.parametrize("mixing", [pytest.param(False, marks=SLOW), True])
def test_a_training_goes_on_within_an_epoch_bit_for_bit(mixing, pretrained, tmp_path):
    backbone = keras.Sequential([toy_backbone(), layers.Dropout(0.2, seed=1)])
    parts = everything()
    if mixing:
        parts = {**parts, "mixing": PseudoMixup(), "terms": [MaxEntropy(0.1)]}
    trainer = toy_trainer(
        backbone, optimizer=keras.optimizers.Adam(1e-2), **parts, seed=3
    )
    saving = SaveAt(tmp_path / "model.keras", 1, 1)
    fit(trainer, epochs=3, callbacks=[saving])
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert isinstance(loaded.refinement, MemorySmoothing)
    assert int(loaded.step.numpy()) == 5
    fit(loaded, epochs=3, initial_epoch=1, initial_batch=2)
    assert_same_weights(weights_of(trainer), weights_of(loaded), **EXACT)
    trainer.classifier.save(tmp_path / "classifier.keras")
    alone = keras.models.load_model(tmp_path / "classifier.keras")
    np.testing.assert_allclose(
        alone.predict(IMAGES, verbose=0), loaded.predict(IMAGES, verbose=0), atol=1e-5
    )


@pytest.mark.any_backend
def test_frozen_teachers_are_saved_too(tmp_path):
    teacher = FineTuner(toy_backbone(), 3, views=plain_views(size=8))
    trainer = toy_trainer(teacher=FrozenTeacher(teacher))
    own = {id(variable) for variable in teacher.classifier.variables}
    assert own <= {id(variable) for variable in trainer.non_trainable_variables}
    fit(trainer)
    trainer.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert_same_weights(weights_of(trainer), weights_of(loaded))
    for each in (trainer, loaded):
        fit(each, epochs=2, initial_epoch=1)
    assert_same_weights(weights_of(trainer), weights_of(loaded), **EXACT)


# -- errors -------------------------------------------------------------------


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mixing": PseudoMixup()}, "`mixing` needs to know.*EMATeacher"),
        (
            {"mixing": PseudoMixup(), "teacher": EMATeacher(), "terms": "similarity"},
            "`mixing` leaves no strong view that is of one image.*InstanceSimilarity",
        ),
        ({"weighting": SoftLabels()}, "`weighting` must be a Weighting"),
        ({"teacher": "ema"}, "`teacher` must be a Teacher.*'ema'"),
        ({"terms": [FixedThreshold()]}, "`terms` must hold"),
        ({"terms": [MaxEntropy(), MaxEntropy()]}, "`terms` must have names"),
        ({"terms": [MaxEntropy(name="loss")]}, "`terms` must have names"),
        ({"label_smoothing": 1.0}, "`label_smoothing` must be at least 0 and below 1"),
        ({"unlabelled_weight": -1}, "`unlabelled_weight` must be"),
        ({"unlabelled_ramp": 2}, "`unlabelled_ramp` must lie"),
        ({"weight_average": 1}, "`weight_average` must be at least 0 and below 1"),
        ({"class_prior": (1, 2)}, "`class_prior`.*each of the 3 classes"),
        ({"class_prior": (1, 0, 2)}, "`class_prior`.*positive"),
        ({"total_steps": 0}, "`total_steps` must"),
        ({"views": 3}, "`views` must be"),
        ({"views": CachedViews()}, "`views` must be of pictures"),
        ({"memory": LabelledMemory(1, 9, 4, 3)}, "`projector` and `memory` are for"),
        (
            {"memory": LabelledMemory(1, 9, 4, 3), "refinement": MemorySmoothing()},
            "`memory` must be a LabelledMemory of embeddings of 128",
        ),
        (
            {"projector": dense_backbone, "refinement": MemorySmoothing()},
            "`projector` must be a keras.Model",
        ),
        ({"num_classes": None}, "`num_classes` must be given"),
        ({"num_classes": 1}, "`num_classes` must be an integer of at least 2"),
    ],
)
def test_what_does_not_fit_is_named(arguments, message):
    if arguments.get("terms") == "similarity":
        arguments = {**arguments, "terms": [InstanceSimilarity()]}
    settings = {"num_classes": 3, "views": toy_views(), **arguments}
    with pytest.raises((TypeError, ValueError), match=message):
        ConsistencyTrainer(toy_backbone(), **settings)


@pytest.mark.any_backend
def test_parts_belong_to_one_model():
    teacher = EMATeacher()
    toy_trainer(teacher=teacher)
    with pytest.raises(ValueError, match="`teacher` must be a strategy of this model"):
        toy_trainer(teacher=teacher)


@pytest.mark.any_backend
def test_a_teacher_without_embeddings_has_none_to_compare():
    teacher = FrozenTeacher(FineTuner(toy_backbone(), 3, views=plain_views(size=8)))
    with pytest.raises(ValueError, match="MemorySmoothing needs embeddings"):
        toy_trainer(teacher=teacher, refinement=MemorySmoothing())


@pytest.mark.any_backend
@pytest.mark.parametrize("term", [BalancedHead((1, 1, 1)), OutlierDetection()])
def test_terms_that_compare_views_of_one_image_have_both(term):
    teacher = FrozenTeacher(FineTuner(toy_backbone(), 3, views=plain_views(size=8)))
    with pytest.raises(ValueError, match="needs features of weak views"):
        toy_trainer(teacher=teacher, terms=[term])
    with pytest.raises(ValueError, match="`mixing` leaves no strong view that is of"):
        toy_trainer(teacher=EMATeacher(), mixing=PseudoMixup(), terms=[term])


@pytest.mark.any_backend
def test_a_teacher_that_cannot_teach_is_told_before_training():
    logits = keras.Sequential([dense_backbone(3, size=8)])
    for model, message in (
        (logits, '`model`.*must give probabilities.*outputs="logits"'),
        (toy_model(), "`model` predicts from.*memory, which is empty"),
    ):
        trainer = toy_trainer(teacher=FrozenTeacher(model))
        with pytest.raises(ValueError, match=message):
            fit(trainer)


@pytest.mark.any_backend
def test_labels_are_needed():
    trainer = toy_trainer()
    with pytest.raises(ValueError, match="`labelled`"):
        trainer.fit(IMAGES, batch_size=16)


@pytest.mark.any_backend
def test_the_views_of_a_start_are_made_mild():
    trainer = ConsistencyTrainer(toy_model(), 3)
    weak = trainer.views.weak
    assert (weak.large_size, weak.num_large, weak.flip) == (8, 1, 0.5)
    assert (weak.large_area, weak.shift, weak.color_jitter) == ((1.0, 1.0), 0.125, 0)
    assert trainer.classifier.views.large_size == 8
