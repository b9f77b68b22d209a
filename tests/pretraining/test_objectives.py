"""What all pre-training objectives have in common, and what each has of its own."""

import keras
import numpy as np
import pytest
from keras import ops
from toys import (
    assert_same_weights,
    one_everywhere,
    toy_backbone,
    toy_images,
    toy_views,
    weights_of,
)

from semppl_keras import BYOL, ReLICv2, SemPPL, SimCLR, SuNCEt
from semppl_keras.callbacks import TargetEMA
from semppl_keras.losses import nt_xent_loss, suncet_loss
from semppl_keras.training.global_batch import GlobalBatch

SETTINGS = {"projection_dim": 4, "hidden_dim": 16, "seed": 0}

# Each with what `fit` tells beside loss and embedding_std.
OBJECTIVES = {
    "simclr": (lambda **s: SimCLR(toy_backbone(), **s), {"contrastive_accuracy"}),
    "simclr_memory": (
        lambda **s: SimCLR(toy_backbone(), memory_size=20, **s),
        {"contrastive_accuracy", "memory_fill", "target_momentum"},
    ),
    "suncet": (
        lambda **s: SuNCEt(toy_backbone(), 3, **s),
        {"contrastive_accuracy", "suncet"},
    ),
    "byol": (
        lambda **s: BYOL(toy_backbone(), **s),
        {"regression", "target_momentum"},
    ),
    "relicv2": (
        lambda **s: ReLICv2(toy_backbone(), num_negatives=4, **s),
        {"augmentation", "invariance", "target_momentum"},
    ),
    "semppl_byol": (
        lambda **s: SemPPL(toy_backbone(), 3, objective="byol", memory_size=12, **s),
        {
            "regression",
            "semantic",
            "target_momentum",
            "memory_fill",
            "pseudo_label_confidence",
        },
    ),
}
LABEL_FREE = ["simclr", "byol", "relicv2"]
NEEDS_LABELS = ["suncet", "semppl_byol"]


def make(name, **changes):
    keras.utils.set_random_seed(0)
    settings = {**SETTINGS, "views": toy_views(), **changes}
    model = OBJECTIVES[name][0](**settings)
    model.compile(keras.optimizers.Adam(1e-2))
    return model


def make_untraced(name):
    """TensorFlow takes longer to trace a step than to run a few without."""
    model = make(name)
    model.compile(
        keras.optimizers.Adam(1e-2), run_eagerly=keras.backend.backend() != "jax"
    )
    return model


def fit(model, labelled=None, **arguments):
    images, labels = toy_images(24)
    if model.needs_labels:
        labelled = (images[:6], labels[:6])
    settings = {"epochs": 2, "batch_size": 9, "verbose": 0}
    if labelled is not None:
        settings["labelled_batch_size"] = 3
    return model.fit(images[6:], labelled, **{**settings, **arguments})


@one_everywhere("name", sorted(OBJECTIVES, key="simclr_memory".__ne__))
def test_it_trains_tells_of_itself_and_goes_on_after_saving(name, tmp_path):
    model = make(name)
    # Two calls of `fit` under one schedule of three steps and three.
    schedule = [TargetEMA(0.9, total_steps=6)] if model.target else []
    history = fit(model, epochs=1, callbacks=schedule).history
    assert set(history) == {"loss", "embedding_std", *OBJECTIVES[name][1]}
    assert all(np.isfinite(values).all() for values in history.values())

    model.save(tmp_path / "model.keras")
    copy = keras.models.load_model(tmp_path / "model.keras")
    config, copied = model.get_config(), copy.get_config()
    assert {n: config[n] for n in model.settings} == {
        n: copied[n] for n in model.settings
    }
    assert_same_weights(weights_of(model), weights_of(copy))
    for each in (model, copy):
        fit(each, initial_epoch=1, callbacks=schedule)
    assert_same_weights(weights_of(model), weights_of(copy), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_it_moves_the_backbone_and_no_gradient_reaches_the_target(name):
    model = make_untraced(name)
    before = weights_of(model)
    # Held still by its schedule, only a gradient could move the target.
    fit(model, epochs=1, callbacks=[TargetEMA(1.0)] if model.target else None)
    after = weights_of(model)
    moved = {path for path in before if not np.array_equal(before[path], after[path])}
    own = {id(v): f"{i}:{v.path}" for i, v in enumerate(model.variables)}
    kernels = [v for v in model.backbone.trainable_weights if len(v.shape) == 4]
    assert all(own[id(kernel)] in moved for kernel in kernels)
    if model.target is not None:
        for target, _ in model.target.moving_pairs(model.online):
            assert own[id(target)] not in moved


@one_everywhere("name", LABEL_FREE)
def test_labels_change_nothing_where_none_are_needed(name):
    images, labels = toy_images(24)
    weights = []
    for labelled in (images[:6], (images[:6], labels[:6]), (images[:6], [7.5] * 6)):
        model = make_untraced(name)
        fit(model, labelled, epochs=1)
        weights.append(weights_of(model))
    assert_same_weights(weights[0], weights[1])
    assert_same_weights(weights[0], weights[2])


@pytest.mark.parametrize("name", NEEDS_LABELS)
def test_labels_are_asked_for_where_they_are_needed(name):
    images, labels = toy_images(24)
    with pytest.raises(ValueError, match="`labelled` is missing"):
        make(name).fit(images)
    with pytest.raises(ValueError, match="`labelled` must hold integer labels"):
        make(name).fit(images, (images, labels + 1), batch_size=9)


@one_everywhere("name", LABEL_FREE)
def test_without_classes_there_is_nothing_to_evaluate(name):
    images, labels = toy_images(24)
    model = make(name)
    with pytest.raises(ValueError, match="`evaluate` is for a model that predicts"):
        model.evaluate(images, labels)
    with pytest.raises(ValueError, match="`validation_data` is for a model that"):
        model.fit(images, validation_data=(images, labels), batch_size=9)
    np.testing.assert_allclose(
        model.predict(images, verbose=0), model.embed(images), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("total_steps", [None, 6])
def test_a_model_without_target_has_nothing_to_schedule(total_steps):
    with pytest.raises(TypeError, match="SimCLR has no target network"):
        fit(make("simclr"), callbacks=[TargetEMA(0.9, total_steps)])


@pytest.mark.any_backend
def test_the_penalties_of_the_backbone_count():
    losses, penalty = [], None
    for strength in (0.0, 0.1):
        keras.utils.set_random_seed(0)
        backbone = toy_backbone()
        kernel = backbone.layers[0].kernel
        kernel.regularizer = keras.regularizers.L2(strength)
        penalty = strength * np.sum(ops.convert_to_numpy(kernel) ** 2)
        model = SimCLR(backbone, views=toy_views(), **SETTINGS)
        model.compile(keras.optimizers.SGD(0.0))
        losses.append(fit(model, epochs=1, batch_size=18).history["loss"][0])
    assert penalty > 0.01
    np.testing.assert_allclose(losses[1] - losses[0], penalty, rtol=1e-3)


def test_metrics_are_for_models_that_predict_classes():
    with pytest.raises(ValueError, match="`metrics` is for a model that predicts"):
        make("simclr").compile(metrics=["accuracy"])


@pytest.mark.parametrize("name", ["simclr", "byol", "semppl_byol"])
def test_one_view_is_not_enough(name):
    with pytest.raises(ValueError, match="at least two views.*num_large=1"):
        make(name, views=toy_views(num_large=1, num_small=0))


@pytest.mark.any_backend
def test_an_image_alone_has_no_others_to_be_told_from():
    images, _ = toy_images(24)
    with pytest.raises(ValueError, match="`batch_size` must be at least 2.*Received"):
        make("simclr").fit(images, batch_size=1)


def test_an_unknown_objective_is_named():
    with pytest.raises(ValueError, match="`objective` must be one of.*'moco'"):
        SemPPL(toy_backbone(), 3, views=toy_views(), objective="moco", **SETTINGS)


def unit_vectors(*shape):
    vectors = np.random.default_rng(0).normal(size=shape).astype("float32")
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def test_simclr_contrasts_with_what_earlier_batches_left_in_its_memory():
    model = make("simclr_memory")
    model.write_state = lambda variable, value: variable.assign(value)
    online, target = unit_vectors(3, 6, 4), unit_vectors(2, 6, 4)
    plain = nt_xent_loss(online, temperature=model.temperature)
    outputs = {"online": ops.array(online), "target": ops.array(target)}
    empty = model.loss_parts(outputs, {}, GlobalBatch(6))
    np.testing.assert_allclose(
        ops.convert_to_numpy(empty["loss"]),
        ops.convert_to_numpy(plain["loss"]),
        rtol=1e-6,
    )
    expected = nt_xent_loss(online, temperature=model.temperature, negatives=target[0])
    actual = model.loss_parts(outputs, {}, GlobalBatch(6))
    assert actual["loss"] > plain["loss"]
    np.testing.assert_allclose(
        ops.convert_to_numpy(actual["loss"]),
        ops.convert_to_numpy(expected["loss"]),
        rtol=1e-6,
    )


def test_suncet_adds_the_term_of_the_labelled_images():
    model = make("suncet", suncet_weight=0.5)
    online, labels = ops.array(unit_vectors(3, 6, 4)), np.array([0, 1, 0], "int32")
    parts = model.loss_parts(
        {"online": online}, {"label": ops.array(labels)}, GlobalBatch(3, 3)
    )
    instance = nt_xent_loss(online, temperature=model.temperature)["loss"]
    suncet = suncet_loss(online[:, 3:], labels, temperature=model.temperature)
    np.testing.assert_allclose(
        ops.convert_to_numpy(parts["loss"]),
        ops.convert_to_numpy(instance + 0.5 * suncet),
        rtol=1e-6,
    )


def test_the_projector_of_simclr_v2_has_three_layers():
    head = make("simclr").online.heads[0]
    dense = [layer for layer in head.layers if isinstance(layer, keras.layers.Dense)]
    assert [layer.units for layer in dense] == [16, 16, 4]
