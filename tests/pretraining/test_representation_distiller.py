"""SimReg: a large representation into a small network."""

import keras
import numpy as np
import pytest
from keras import layers
from toy_classifiers import dense_backbone, numpy, plain_views
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

import semppl_keras
from semppl_keras import FineTuner, RepresentationDistiller, SemPPL
from semppl_keras.losses.cosine import cosine_distances

BACKEND = keras.backend.backend()
IMAGES, LABELS = toy_images(24)


def make(teacher=None, **arguments):
    settings = {"views": toy_views(), "seed": 0, **arguments}
    model = RepresentationDistiller(
        toy_backbone(features=4), teacher or toy_backbone(features=6), **settings
    )
    model.compile(keras.optimizers.SGD(0.1), **QUICK)
    return model


def cosine64(first, second):
    first, second = (np.asarray(each, "float64") for each in (first, second))
    product = np.sum(first * second, axis=-1)
    lengths = [np.linalg.norm(each, axis=-1) for each in (first, second)]
    return 2 - 2 * product / (lengths[0] * lengths[1])


def test_distances_are_those_of_directions():
    first, second = np.random.default_rng(0).normal(size=(2, 7, 5)) * 3
    distances = numpy(cosine_distances(first, second))
    np.testing.assert_allclose(distances, cosine64(first, second), rtol=1e-4)
    np.testing.assert_allclose(numpy(cosine_distances(first, 2 * first)), 0, atol=1e-5)


def test_a_step_lowers_the_loss_that_numpy_computes():
    keras.utils.set_random_seed(0)
    images, _ = toy_images(6, size=3)
    teacher = dense_backbone(features=5)
    model = RepresentationDistiller(
        dense_backbone(features=4),
        teacher,
        views=plain_views(output_range=(-1, 1)),
        # The teacher takes images in another range than its student.
        teacher_range=(0, 1),
        seed=0,
    )
    model.compile(keras.optimizers.SGD(0.0), **QUICK)
    x = images.reshape(6, -1).astype("float64") / 255

    def dense(values, layer):
        kernel, bias = (numpy(weight).astype("float64") for weight in layer.weights)
        return values @ kernel + bias

    def normalised(values):
        centred = values - values.mean(axis=0)
        return np.maximum(centred / np.sqrt(values.var(axis=0) + 1e-3), 0)

    first, _, _, second, third, _, _, fourth = model.regressor.layers
    assert [each.units for each in (first, second, third, fourth)] == [8, 4, 8, 5]
    hidden = normalised(
        dense(np.tanh(dense(2 * x - 1, model.backbone.layers[-1])), first)
    )
    hidden = normalised(dense(dense(hidden, second), third))
    taught = np.tanh(dense(x, teacher.layers[-1]))
    expected = cosine64(dense(hidden, fourth), taught).mean()
    history = model.fit(images, verbose=0).history
    assert history["loss"][0] == pytest.approx(expected, rel=1e-3)
    assert history["regression"][0] == pytest.approx(expected, rel=1e-3)
    model.compile(keras.optimizers.Adam(1e-2), **QUICK)
    losses = model.fit(images, epochs=20, verbose=0).history["loss"]
    assert losses[-1] < 0.7 * losses[0]


def test_the_teacher_stays_and_the_head_is_not_part_of_the_student():
    teacher = toy_backbone(features=6)
    before = [numpy(weight) for weight in teacher.weights]
    model = make(teacher)
    assert model.teacher is teacher
    model.fit(IMAGES, batch_size=8, verbose=0)
    for weight, same in zip(teacher.weights, before, strict=True):
        np.testing.assert_array_equal(numpy(weight), same)
    # A frozen one teaches as well.
    teacher.trainable = False
    frozen = make(teacher)
    names = {id(weight) for weight in frozen.trainable_weights}
    own = [*frozen.backbone.trainable_weights, *frozen.regressor.trainable_weights]
    assert names == {id(weight) for weight in own}
    assert model.embed(IMAGES).shape == (24, 4)


@pytest.mark.any_backend
def test_others_begin_with_the_student():
    model = make()
    model.fit(IMAGES, batch_size=8, verbose=0)
    tuner = FineTuner(model, 3, seed=0)
    assert len(tuner.classifier.head.layers) == 1
    assert tuner.views.color_jitter == 0
    for own, copy in zip(model.backbone.weights, tuner.backbone.weights, strict=True):
        np.testing.assert_array_equal(numpy(own), numpy(copy))
    semppl = SemPPL(model.backbone, num_classes=3, views=toy_views(), seed=0)
    assert semppl.backbone is model.backbone


@one_everywhere("kind", ["pretrained", "classifier"])
def test_what_has_a_backbone_teaches(kind):
    views = toy_views(output_range=(-1, 1), background_removal=0.0)
    teacher = toy_model(views=views)
    if kind == "classifier":
        teacher = FineTuner(teacher, 3)
    model = make(teacher, views=None)
    assert model.teacher is teacher.backbone
    assert model.teacher_range == (-1, 1)
    assert model.views.color_jitter == 0
    assert model.views.num_small == 0
    history = model.fit(IMAGES, batch_size=12, verbose=0).history
    assert np.isfinite(history["loss"]).all()


def test_a_saved_model_goes_on_as_if_uninterrupted(tmp_path):
    backbone = keras.Sequential([toy_backbone(), layers.Dropout(0.2, seed=1)])
    model = RepresentationDistiller(
        backbone, toy_backbone(features=6), views=toy_views(), seed=5
    )
    model.compile(keras.optimizers.Adam(1e-2), **QUICK)
    model.fit(IMAGES, batch_size=8, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert_same_weights(weights_of(model), weights_of(loaded))
    np.testing.assert_array_equal(model.embed(IMAGES), loaded.embed(IMAGES))
    for each in (model, loaded):
        each.fit(IMAGES, batch_size=8, epochs=2, initial_epoch=1, verbose=0)
    tolerance = {} if BACKEND != "torch" else {"rtol": 1e-4, "atol": 1e-6}
    assert_same_weights(weights_of(model), weights_of(loaded), **tolerance)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"teacher": "resnet"}, "`teacher` must be a backbone.*str"),
        ({"teacher": toy_backbone(channels=3)}, "`teacher`.*as many channels.*3 and 1"),
        ({"teacher": dense_backbone()}, "`teacher` does not fit.*8 x 8"),
        ({"views": None}, "`views` must be given where `teacher` has none"),
        ({"views": 3}, "`views` must be a MultiCrop.*int"),
        ({"views": toy_views(background_removal=0.5)}, "must not remove backgrounds"),
        ({"teacher_range": (1, 0)}, "`teacher_range` must be.*\\(1, 0\\)"),
        ({"teacher_range": "wide"}, "`teacher_range` must be.*'wide'"),
    ],
)
def test_what_does_not_fit_is_named(arguments, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make(**arguments)


@pytest.mark.any_backend
def test_it_is_in_the_package():
    assert semppl_keras.RepresentationDistiller is RepresentationDistiller
    assert semppl_keras.models.RepresentationDistiller is RepresentationDistiller
