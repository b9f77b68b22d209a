"""Copies of networks, what is frozen of them, and which are no backbones."""

import contextlib
import copy
import re
import warnings

import keras
import numpy as np
import pytest
from keras import layers, ops
from toys import QUICK as QUICKLY
from toys import one_everywhere, toy_backbone, toy_images, toy_views

import semppl_keras
from semppl_keras import (
    BYOL,
    ConsistencyTrainer,
    Distiller,
    FineTuner,
    SimCLR,
    networks,
)
from semppl_keras.consistency import FrozenTeacher

IMAGES, LABELS = toy_images(12, channels=3)
QUICK = {"hidden_dim": 8, "projection_dim": 4, "seed": 0, "views": toy_views()}


def numpy(value):
    return ops.convert_to_numpy(value)


@contextlib.contextmanager
def warned(pattern):
    """As pytest.warns, beside which nothing else may be warned of."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", UserWarning)
        yield
    messages = [str(warning.message) for warning in told]
    assert any(re.search(pattern, message) for message in messages), messages


def backbone_of(*parts, size=None, channels=3):
    """A backbone that begins with some layers."""
    images = x = keras.Input((size, size, channels))
    for part in parts:
        x = part(x)
    x = layers.Conv2D(6, 3, strides=2)(x)
    x = layers.BatchNormalization()(x)
    return keras.Model(images, layers.GlobalAveragePooling2D()(x), name="images")


def adapted(low=0.0, high=1.0):
    """A normalisation that was fitted to images between two values."""
    layer = layers.Normalization(axis=-1)
    values = np.random.default_rng(0).uniform(low, high, size=(40, 8, 8, 3))
    layer.adapt(values.astype("float32"))
    return layer


def randomised(model):
    """The same with weights and moving statistics that no initialiser gives."""
    rng = np.random.default_rng(1)
    for layer in model._flatten_layers():
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 2, w.shape) for w in layer.weights])
    return model


@keras.saving.register_keras_serializable(package="tests")
class Tinted(layers.Layer):
    """Adds a colour that it keeps beside its weights, and saves."""

    tint = 0.0

    def call(self, images):
        return images + self.tint

    def save_own_variables(self, store):
        store["tint"] = np.float32(self.tint)

    def load_own_variables(self, store):
        self.tint = float(np.asarray(store["tint"]))


class Forgetful(layers.Layer):
    """Adds a colour that it neither saves nor has in its configuration."""

    tint = 0.0

    def call(self, images):
        return images + self.tint


class ForgetfulOfAnArray(Forgetful):
    """The same, of an array."""

    def call(self, images):
        return images + ops.convert_to_tensor(self.tint)


class Noisy(layers.Layer):
    """Adds noise, in inference too."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.generator = keras.random.SeedGenerator(None)

    def call(self, images):
        noise = keras.random.normal(ops.shape(images), seed=self.generator)
        return images + ops.cast(noise, images.dtype)


def tinted(layer):
    several = isinstance(layer, ForgetfulOfAnArray)
    layer.tint = np.full(3, 0.3, "float32") if several else 0.3
    return layer


def doubling():
    """A layer of Keras' that was given another `call`."""
    layer = layers.Activation("linear", name="doubling")
    layer.call = lambda images: 2 * images
    return layer


def nested_twice():
    inner = backbone_of(adapted())
    images = keras.Input((None, None, 3))
    both = layers.Add()([inner(images), inner(layers.Rescaling(-1.0)(images))])
    return keras.Model(images, both)


def late_frozen():
    backbone = backbone_of(layers.Dropout(0.5))
    backbone.layers[2].trainable = False
    backbone.layers[3].gamma.trainable = False
    return backbone


COPIES = {
    "adapted": lambda: backbone_of(adapted()),
    "scaled": lambda: backbone_of(layers.Rescaling(2.0, offset=-1.0)),
    "random": lambda: backbone_of(
        layers.RandomFlip(), layers.GaussianNoise(0.1), layers.Dropout(0.5)
    ),
    "custom": lambda: backbone_of(tinted(Tinted())),
    "noisy": lambda: backbone_of(Noisy()),
    "nested": nested_twice,
    "frozen": late_frozen,
    "mixed": lambda: backbone_of(layers.Conv2D(4, 1, dtype="mixed_bfloat16")),
    "sequential": lambda: keras.Sequential([layers.Input((8, 8, 3)), backbone_of()]),
}


@one_everywhere("name", COPIES)
def test_a_copy_computes_what_its_original_does(name):
    model = randomised(COPIES[name]())
    copy = networks.copy_model(model, image_size=8)
    images = np.random.default_rng(0).random((3, 8, 8, 3)).astype("float32")
    for own, other in zip(model.variables, copy.variables, strict=True):
        np.testing.assert_array_equal(numpy(own.value), numpy(other.value))
    first, second = (
        numpy(ops.cast(each(images, training=False), "float32"))
        for each in (model, copy)
    )
    np.testing.assert_allclose(first, second, atol=1e-6)
    assert np.ptp(first, axis=0).max() > 0
    assert [v.trainable for v in model.weights] == [v.trainable for v in copy.weights]
    assert len(model.trainable_weights) == len(copy.trainable_weights)
    assert networks.frozen_places(model) == networks.frozen_places(copy)
    dtypes = [[v.dtype for v in each.variables] for each in (model, copy)]
    assert dtypes[0] == dtypes[1]
    assert {id(v) for v in model.variables}.isdisjoint(id(v) for v in copy.variables)


def stale():
    layer = adapted()
    backbone = backbone_of(layer)
    # Keras derives what the layer computes with when it loads, and not here.
    layer.set_weights([np.ones(3), np.ones(3), np.ones((), int)])
    return backbone


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: backbone_of(tinted(Forgetful(name="tint"))), "layer 'tint'"),
        (
            lambda: backbone_of(tinted(ForgetfulOfAnArray())),
            "keeps `tint`",
        ),
        (lambda: backbone_of(doubling()), "layer 'doubling'"),
    ],
)
def test_what_cannot_be_copied_faithfully_is_refused(make, message):
    backbone = make()
    with pytest.raises(ValueError, match=message):
        BYOL(backbone, **QUICK)
    with pytest.raises(ValueError, match=message):
        FineTuner(backbone, 3, views=toy_views())


def test_a_normalisation_whose_weights_were_set_is_refused_or_equal():
    backbone = stale()
    if keras.backend.backend() != "torch":
        with pytest.raises(ValueError, match=r"keeps `mean`.*finalize_state"):
            networks.copy_model(backbone)
        backbone.layers[1].finalize_state()
    images = np.random.default_rng(0).random((3, 8, 8, 3)).astype("float32")
    copy = networks.copy_model(backbone)
    np.testing.assert_allclose(numpy(copy(images)), numpy(backbone(images)), atol=1e-6)


def test_target_tuner_student_and_saved_files_equal_what_they_copy(tmp_path):
    model = BYOL(randomised(backbone_of(adapted())), **QUICK)
    tuner = FineTuner(model, 3, seed=0)
    student = Distiller(tuner, teacher=tuner, seed=0)
    images = np.random.default_rng(0).random((3, 8, 8, 3)).astype("float32")
    expected = numpy(model.backbone(images))
    for each in (model.target, tuner, student):
        np.testing.assert_allclose(numpy(each.backbone(images)), expected, atol=1e-6)
    for name, each in (("model", model), ("tuner", tuner), ("student", student)):
        each.save(tmp_path / f"{name}.keras")
        loaded = keras.models.load_model(tmp_path / f"{name}.keras")
        assert np.array_equal(numpy(loaded.backbone(images)), expected)
        if name == "model":
            received = numpy(loaded.target.backbone(images))
            np.testing.assert_allclose(received, expected, atol=1e-6)


# -- what is frozen -----------------------------------------------------------


def train(model, **arguments):
    labels = (LABELS,) if isinstance(model, FineTuner) else ()
    arguments = {"batch_size": 6, "verbose": 0, **arguments}
    return model.fit(IMAGES, *labels, **arguments)


def tuner_that_was_released():
    tuner = FineTuner(backbone_of(), 3, views=toy_views(), freeze_backbone=True)
    tuner.backbone.trainable = True
    return tuner


def part_of_a_tuner():
    tuner = FineTuner(backbone_of(), 3, views=toy_views(), seed=0)
    tuner.backbone.layers[1].trainable = False
    tuner.classifier.head.layers[-1].bias.trainable = False
    return tuner


def backbone_of_simclr():
    model = SimCLR(backbone_of(), **QUICK)
    model.backbone.trainable = False
    return model


def head_of_byol():
    model = BYOL(backbone_of(), **QUICK)
    model.online.heads[0].layers[0].trainable = False
    model.backbone.layers[2].trainable = False
    return model


@one_everywhere(
    "make",
    [
        head_of_byol,
        lambda: FineTuner(
            backbone_of(), 3, views=toy_views(), freeze_backbone=True, seed=0
        ),
        tuner_that_was_released,
        part_of_a_tuner,
        backbone_of_simclr,
    ],
)
def test_what_is_frozen_stays_so_in_saved_files(make, tmp_path):
    model = make()
    model.compile(keras.optimizers.Adam(1e-2), **QUICKLY)
    train(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    again = type(model).from_config(model.get_config())
    for each in (loaded, again):
        for own, other in ((model.trainable_variables, each.trainable_variables),):
            assert [v.path for v in own] == [v.path for v in other]
    assert len(model.optimizer.variables) == len(loaded.optimizer.variables)
    before = [numpy(v.value) for v in loaded.weights]
    train(loaded)
    trained = {id(v) for v in loaded.trainable_variables}
    kernels = [v for v in loaded.weights if v.name in ("kernel", "gamma", "beta")]
    assert any(id(v) in trained for v in kernels)
    target = getattr(loaded, "target", None)
    for variable, old in zip(loaded.weights, before, strict=True):
        if variable.name != "kernel" or (target and "target" in variable.path):
            continue
        moved = not np.array_equal(old, numpy(variable.value))
        assert moved == (id(variable) in trained), variable.path


@pytest.mark.any_backend
def test_a_configuration_makes_more_than_one_model():
    tuner = FineTuner(backbone_of(), 3, views=toy_views())
    made = (
        SimCLR(backbone_of(), **QUICK),
        BYOL(backbone_of(), **QUICK).online,
        tuner,
        tuner.classifier,
        networks.ImageEmbedder(backbone_of(), toy_views()),
        Distiller(backbone_of(), tuner, views=toy_views()),
        ConsistencyTrainer(tuner, teacher=FrozenTeacher(tuner)),
    )
    for model in made:
        config = model.get_config()
        before = copy.deepcopy(config)
        for _ in range(2):
            again = type(model).from_config(config)
            assert config == before
            assert type(again) is type(model)


def test_models_saved_without_a_note_of_what_is_frozen_load():
    tuner = part_of_a_tuner()
    config = tuner.get_config()
    del config["frozen"], config["model"]["config"]["frozen"]
    assert FineTuner.from_config(config).classifier
    for frozen in ({"weights": []}, {"classifier": {"layers": [99], "weights": []}}):
        with pytest.raises(ValueError, match="frozen of|`frozen`"):
            FineTuner.from_config({**tuner.get_config(), "frozen": frozen})


def test_normalisation_frozen_in_the_online_network_rests_in_the_target():
    model = BYOL(randomised(backbone_of()), **QUICK)
    model.backbone.layers[2].trainable = False
    model.compile("sgd", **QUICKLY)
    norm, twin = model.backbone.layers[2], model.target.backbone.layers[2]
    assert isinstance(twin, layers.BatchNormalization)
    before = [numpy(v.value) for v in twin.weights]
    train(model)
    for old, own, online in zip(before, twin.weights, norm.weights, strict=True):
        np.testing.assert_array_equal(old, numpy(own.value))
        np.testing.assert_array_equal(old, numpy(online.value))
    moving = {id(online) for _, online in model.target.moving_pairs(model.online)}
    assert moving.isdisjoint(id(weight) for weight in norm.weights)
    assert not model.target.trainable_variables
    # Released, it follows its batches again.
    norm.trainable = True
    model.compile("sgd", **QUICKLY)
    train(model)
    assert not np.array_equal(before[2], numpy(twin.moving_mean.value))
    assert not model.target.trainable_variables


# -- what is no backbone ------------------------------------------------------


def subclassed(scale):
    class Scaling(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = backbone_of()

        def call(self, images):
            return self.inner(images * scale)

    model = Scaling()
    model(np.zeros((1, 8, 8, 3), "float32"))
    return model


def scaling_within():
    images = keras.Input((None, None, 3))
    padded = layers.ZeroPadding2D()(images)
    return keras.Model(images, backbone_of(layers.Rescaling(1 / 127.5, -1.0))(padded))


def divided():
    images = keras.Input((None, None, 3))
    return keras.Model(images, backbone_of()(images / 255.0))


# For images in [0, 255].
SCALING = {
    "rescaling": lambda: backbone_of(layers.Rescaling(1 / 255)),
    "normalization": lambda: backbone_of(adapted(0, 255)),
    "both": lambda: backbone_of(
        layers.Rescaling(1 / 255),
        layers.Normalization(mean=[0.5] * 3, variance=[0.05] * 3),
    ),
    "nested": scaling_within,
    "operation": divided,
    "lambda": lambda: backbone_of(layers.Lambda(lambda images: images / 255)),
    "subclassed": lambda: subclassed(1 / 255),
    "mixed": lambda: backbone_of(layers.Rescaling(1 / 255, dtype="bfloat16")),
}


@pytest.mark.parametrize("name", SCALING)
def test_a_backbone_that_scales_other_images_by_itself_is_refused(name):
    backbone = SCALING[name]()
    message = r"as if they were in \[0, 255\].*in \[0, 1\].*output_range=\(0, 255\)"
    with pytest.raises(ValueError, match=message):
        SimCLR(backbone, **QUICK)
    views = toy_views(output_range=(0, 255))
    assert SimCLR(backbone, **{**QUICK, "views": views}).image_spec


def test_every_model_refuses_it():
    backbone = SCALING["rescaling"]()
    teacher = FineTuner(toy_backbone(3), 3, views=toy_views())
    with pytest.raises(ValueError, match="scales images by itself"):
        FineTuner(backbone, 3, views=toy_views())
    with pytest.raises(ValueError, match="scales images by itself"):
        Distiller(backbone, teacher)


@pytest.mark.parametrize(
    "part",
    [
        layers.Rescaling(2.0, -1.0),
        layers.Normalization(mean=[0.485, 0.456, 0.406], variance=[0.05] * 3),
        layers.LayerNormalization(axis=(1, 2, 3), center=False, scale=False),
        layers.ZeroPadding2D(),
        layers.Resizing(16, 16),
    ],
)
def test_a_backbone_that_scales_the_views_is_taken(part):
    assert SimCLR(backbone_of(part, size=8), **ONE_SIZE).backbone


ONE_SIZE = {**QUICK, "views": toy_views(num_small=0)}


def test_views_of_255_are_refused_where_views_of_1_are_scaled():
    normalization = layers.Normalization(mean=[0.45] * 3, variance=[0.05] * 3)
    views = toy_views(output_range=(0, 255))
    with pytest.raises(ValueError, match=r"as if they were in \[0, 1\]"):
        SimCLR(backbone_of(normalization), **{**QUICK, "views": views})


def test_models_saved_before_the_check_load_with_a_warning():
    views = toy_views(output_range=(0, 255))
    model = SimCLR(SCALING["rescaling"](), **{**QUICK, "views": views})
    config = model.get_config()
    config["views"] = keras.saving.serialize_keras_object(toy_views())
    with warned("scales images by itself"):
        SimCLR.from_config(config)


def with_top(*parts):
    backbone = backbone_of()
    x = backbone.output
    for part in parts:
        x = part(x)
    return keras.Model(backbone.input, x)


class Classifying(keras.Model):
    """A classifier of which no graph tells what it ends in."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.convolution = layers.Conv2D(4, 3)
        self.top = layers.Dense(7, "softmax")

    def call(self, images):
        return self.top(ops.mean(self.convolution(images), axis=(1, 2)))


def called(model):
    model(IMAGES[:1].astype("float32"))
    return model


@pytest.mark.parametrize(
    "make",
    [
        lambda: with_top(layers.Dense(10, "softmax")),
        lambda: with_top(layers.Dense(5, "sigmoid")),
        lambda: with_top(layers.Dense(7), layers.Activation("softmax")),
        lambda: with_top(layers.Dense(7), layers.Softmax()),
        lambda: with_top(layers.Dense(7), ops.softmax),
        lambda: with_top(layers.Dense(1000)),
        lambda: with_top(layers.Dense(1000), layers.Activation("linear")),
        lambda: with_top(layers.Dense(7, name="predictions")),
        lambda: with_top(layers.Dense(7, "softmax"), layers.Identity()),
        lambda: with_top(layers.Dense(7), ops.log_softmax),
        lambda: called(Classifying()),
        lambda: keras.Sequential([layers.Input((8, 8, 3)), with_top(layers.Softmax())]),
    ],
)
def test_a_classifier_is_no_backbone(make):
    for use in (
        lambda backbone: SimCLR(backbone, **ONE_SIZE),
        lambda backbone: FineTuner(backbone, 3, views=toy_views(num_small=0)),
    ):
        with pytest.raises(ValueError, match="a classifier.*include_top=False"):
            use(make())


@pytest.mark.any_backend
@pytest.mark.parametrize("gather", [list, lambda both: {"a": both[0], "b": both[1]}])
def test_a_network_of_two_outputs_is_told_to_choose_one(gather):
    images = layers.Input((None, None, 3))
    maps = layers.Conv2D(4, 3)(images)
    pooled = layers.GlobalAveragePooling2D()(maps)
    backbone = keras.Model(images, gather([maps, pooled]))
    with pytest.raises(ValueError, match=r"must give one thing.*of 2\. Take one"):
        SimCLR(backbone, **QUICK)
    one = keras.Model(backbone.input, backbone.outputs[1])
    assert SimCLR(one, **QUICK).backbone is one


@pytest.mark.parametrize(
    "part", [layers.Dense(128), layers.Dense(64, "relu"), layers.Activation("tanh")]
)
def test_a_dense_layer_of_features_is_taken(part):
    assert SimCLR(with_top(part), **QUICK).backbone


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "arguments", "accepted"),
    [
        ("EfficientNetV2B0", {}, (0, 255)),
        ("EfficientNetV2B0", {"include_preprocessing": False}, (0, 1)),
        ("EfficientNetB0", {}, (0, 255)),
        ("MobileNetV3Small", {}, (0, 255)),
        ("MobileNetV2", {}, (0, 1)),
    ],
)
def test_the_range_of_keras_applications(name, arguments, accepted):
    make = getattr(keras.applications, name)
    backbone = make(
        include_top=False, weights=None, input_shape=(None, None, 3), **arguments
    )
    networks.check_backbone(backbone, [32], accepted)
    if accepted == (0, 255):
        with pytest.raises(ValueError, match="scales images by itself"):
            networks.check_backbone(backbone, [32], (0, 1))
    top = make(weights=None, input_shape=(224, 224, 3), **arguments)
    with pytest.raises(ValueError, match="a classifier"):
        networks.check_backbone(top, [224], accepted)


# -- the target's schedule ----------------------------------------------------


def momenta(model, calls, total_steps=None):
    """The momentum at the end of each epoch, over several calls of `fit`."""
    told = []
    for begin, end in calls:
        told += train(
            model,
            initial_epoch=begin,
            epochs=end,
            callbacks=[semppl_keras.callbacks.TargetEMA(0.9, total_steps)],
        ).history["target_momentum"]
    return told


def compiled_byol():
    keras.utils.set_random_seed(0)
    model = BYOL(backbone_of(), **QUICK)
    model.compile("sgd", **QUICKLY)
    return model


LOOP = [(epoch, epoch + 1) for epoch in range(3)]


@pytest.mark.any_backend
def test_a_loop_of_fits_follows_one_schedule_where_its_length_is_told():
    whole, loop = compiled_byol(), compiled_byol()
    # Two steps an epoch.
    expected = momenta(whole, [(0, 3)])
    assert momenta(loop, LOOP, total_steps=6) == expected
    pairs = zip(whole.target.weights, loop.target.weights, strict=True)
    for own, other in pairs:
        np.testing.assert_allclose(numpy(own.value), numpy(other.value), atol=1e-5)


@pytest.mark.any_backend
def test_a_loop_of_fits_of_unknown_length_does_not_stop_the_target():
    model = compiled_byol()
    momenta(model, LOOP[:1])
    with warned(r"TargetEMA\(0.9, total_steps="):
        assert momenta(model, LOOP[1:]) == pytest.approx([0.9, 0.9])


@pytest.mark.any_backend
def test_a_schedule_that_begins_anew_before_its_end_is_told():
    model = compiled_byol()
    momenta(model, [(0, 1)], total_steps=6)
    with warned("begins anew at 0.9.*33% into"):
        momenta(model, [(0, 1)], total_steps=6)


def test_a_network_that_got_other_weights_than_its_target_is_refused():
    model = compiled_byol()
    model.backbone.layers[1].enable_lora(2)
    with pytest.raises(ValueError, match="'images' must keep the weights.*enable_lora"):
        train(model)


@pytest.mark.any_backend
def test_a_fit_that_goes_on_to_the_same_end_is_silent_and_another_end_is_told():
    model, whole = compiled_byol(), compiled_byol()
    expected = momenta(whole, [(0, 3)])

    class Interrupt(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = True

    train(
        model,
        epochs=3,
        callbacks=[semppl_keras.callbacks.TargetEMA(0.9), Interrupt()],
    )
    assert momenta(model, [(1, 3)]) == pytest.approx(expected[1:])
    model = compiled_byol()
    train(
        model,
        epochs=3,
        callbacks=[semppl_keras.callbacks.TargetEMA(0.9), Interrupt()],
    )
    with warned("now rises until epoch 2"):
        momenta(model, [(1, 2)])
    with warned("stands still from then on"):
        momenta(model, [(0, 2)], total_steps=2)
