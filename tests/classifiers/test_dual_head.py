"""Two heads: their losses, their mixture, what is chosen of it and kept."""

import keras
import numpy as np
import pytest
from toy_classifiers import (
    dense_backbone,
    linear_teacher,
    numpy,
    plain_views,
    softmax64,
)
from toys import (
    QUICK,
    assert_same_weights,
    slow_on_jax,
    toy_backbone,
    toy_images,
    toy_views,
    weights_of,
)

from semppl_keras import Distiller, FineTuner
from semppl_keras.classifiers.mixture import best_mixture
from semppl_keras.losses.classification import divergences
from semppl_keras.networks.two_heads import LABELLED, MIXTURE, TAUGHT

BACKEND = keras.backend.backend()
IMAGES, LABELS = toy_images(24)


def make(**arguments):
    teacher = FineTuner(toy_backbone(), 3, views=toy_views(), seed=6)
    settings = {"temperature": 2.0, "dual_head": True, "seed": 0, **arguments}
    model = Distiller(toy_backbone(features=6), teacher, **settings)
    model.compile(keras.optimizers.Adam(1e-2), **QUICK)
    return model


def fit(model, **arguments):
    settings = {"batch_size": 12, "labelled_batch_size": 6, "verbose": 0}
    model.fit(IMAGES, (IMAGES[:6], LABELS[:6]), **{**settings, **arguments})


def heads(classifier, features):
    """Logits of the two heads, in NumPy."""
    logits = []
    for name in (LABELLED, TAUGHT):
        kernel, bias = classifier.head.get_layer(name).get_weights()
        logits.append(features @ kernel.astype("float64") + bias)
    return logits


def test_divergences_are_those_of_hinton():
    teacher, student = np.random.default_rng(0).normal(size=(2, 5, 4)) * 3
    p, q = softmax64(teacher / 2), softmax64(student / 2)
    expected = 4 * np.sum(p * np.log(p / q), axis=1)
    np.testing.assert_allclose(
        numpy(divergences(teacher, student, 2.0)), expected, rtol=1e-4
    )
    agreed = numpy(divergences(teacher, teacher + 1, 2.0))
    np.testing.assert_allclose(agreed, 0, atol=1e-5)


def test_two_steps_equal_the_oracle():
    images, labels = toy_images(9, size=3)
    teacher, teach = linear_teacher("probabilities")
    model = Distiller(
        dense_backbone(),
        teacher,
        views=plain_views(),
        temperature=2.0,
        dual_head=True,
        label_smoothing=0.1,
        seed=0,
    )
    model.compile(keras.optimizers.SGD(0.2), **QUICK)
    kernel, bias, *tops = (
        numpy(weight).astype("float64")
        for weight in (
            *model.backbone.trainable_weights,
            *model.classifier.head.get_layer(LABELLED).trainable_weights,
            *model.classifier.head.get_layer(TAUGHT).trainable_weights,
        )
    )
    history = model.fit(
        images[:6], (images[6:], labels[6:]), labelled_batch_size=3, epochs=2, verbose=0
    ).history
    x = images.reshape(9, -1).astype("float64") / 255
    p = softmax64(teach(x) / 2)
    targets = 0.9 * np.eye(3)[labels[6:]] + 0.1 / 3
    told = {"supervised": [], "distillation": [], "labelled_distillation": []}
    for _ in range(2):
        hidden = np.tanh(x @ kernel + bias)
        r = softmax64(hidden[6:] @ tops[0] + tops[1])
        q = softmax64((hidden @ tops[2] + tops[3]) / 2)
        losses = 4 * np.sum(p * np.log(p / q), axis=1)
        told["supervised"].append(-np.mean(np.sum(targets * np.log(r), axis=1)))
        told["distillation"].append(losses[:6].mean())
        told["labelled_distillation"].append(losses[6:].mean())
        own = np.concatenate([np.zeros((6, 3)), (r - targets) / 3])
        taught = 2 * (q - p) / np.array([6] * 6 + [3] * 3)[:, None]
        below = (own @ tops[0].T + taught @ tops[2].T) * (1 - hidden**2)
        changes = [hidden.T @ own, own.sum(0), hidden.T @ taught, taught.sum(0)]
        tops = [top - 0.2 * change for top, change in zip(tops, changes, strict=True)]
        kernel = kernel - 0.2 * x.T @ below
        bias = bias - 0.2 * below.sum(0)
    told["loss"] = np.sum([told[name] for name in told], axis=0)
    for name, values in told.items():
        np.testing.assert_allclose(history[name], values, rtol=1e-4, err_msg=name)
    found = model.classifier.head.get_layer(TAUGHT).get_weights()
    np.testing.assert_allclose(found[0], tops[2], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(
        numpy(model.backbone.trainable_weights[0]), kernel, rtol=1e-4, atol=1e-6
    )
    # What is predicted is mixed: half of each where nothing was chosen.
    hidden = np.tanh(x @ kernel + bias)
    logits = heads(model.classifier, hidden)
    mixed = (softmax64(logits[0]) + softmax64(logits[1])) / 2
    np.testing.assert_allclose(model.predict(images, verbose=0), mixed, rtol=1e-4)
    chosen = model.choose_mixture(images, labels, alphas=(0.3,), betas=(2.0,))
    assert (chosen["alpha"], chosen["beta"]) == (0.3, 2.0)
    mixed = 0.3 * softmax64(logits[0]) + 0.7 * softmax64(logits[1] / 2)
    np.testing.assert_allclose(model.predict(images, verbose=0), mixed, rtol=1e-4)
    of_labels = mixed[np.arange(9), labels]
    assert chosen["cross_entropy"] == pytest.approx(-np.log(of_labels).mean(), rel=1e-4)
    assert chosen["accuracy"] == np.mean(mixed.argmax(1) == labels)


@pytest.mark.any_backend
def test_the_best_mixture_is_the_best_of_all():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 40)
    own, taught = rng.normal(size=(2, 40, 3)) + np.eye(3)[labels]
    alphas, betas = (0, 0.4, 1), (0.5, 2)
    found = {}
    for alpha in alphas:
        for beta in betas:
            p = alpha * softmax64(own) + (1 - alpha) * softmax64(taught / beta)
            loss = -np.log(p[np.arange(40), labels]).mean()
            found[alpha, beta] = loss, np.mean(p.argmax(1) == labels)
    least = min(found, key=lambda pair: found[pair][0])
    chosen = best_mixture(own, taught, labels, alphas, betas)
    assert (chosen["alpha"], chosen["beta"]) == least
    chosen = best_mixture(own, taught, labels, alphas, betas, "accuracy")
    assert chosen["accuracy"] == max(accuracy for _, accuracy in found.values())
    # A head that knows nothing has no say, and certainty costs a finite amount.
    certain = 1e3 * np.eye(3)[labels]
    assert best_mixture(certain, own, labels)["alpha"] == 1
    wrong = best_mixture(-certain, certain * -1, labels, (0.5,), (1.0,))
    assert np.isfinite(wrong["cross_entropy"])


@slow_on_jax
def test_a_saved_model_keeps_its_mixture(tmp_path):
    model = make(weight_average=0.9, min_confidence=0.3, balance=True)
    fit(model)
    chosen = model.choose_mixture(IMAGES, LABELS, alphas=(0.2,), betas=(0.5,))
    assert chosen["alpha"] == 0.2
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert_same_weights(weights_of(model), weights_of(loaded))
    for each in (model, loaded):
        fit(each, epochs=2, initial_epoch=1)
    tolerance = {} if BACKEND != "torch" else {"rtol": 1e-4, "atol": 1e-6}
    assert_same_weights(weights_of(model), weights_of(loaded), **tolerance)
    mixture = loaded.classifier.head.get_layer(MIXTURE)
    assert float(mixture.alpha) == pytest.approx(0.2)
    assert float(mixture.beta) == 0.5
    model.classifier.save(tmp_path / "classifier.keras")
    alone = keras.models.load_model(tmp_path / "classifier.keras")
    expected = model.predict(IMAGES, verbose=0)
    np.testing.assert_allclose(alone.predict(IMAGES, verbose=0), expected, atol=1e-6)
    # It goes on as a classifier of one head, or of the same two.
    for again in (FineTuner(alone, 3), model.next_round()):
        np.testing.assert_allclose(
            again.predict(IMAGES, verbose=0), expected, atol=1e-5
        )
    assert len(model.next_round().trainable_weights) == len(model.trainable_weights)


def test_a_classifier_gets_a_second_head():
    tuner = FineTuner(toy_backbone(), 3, views=toy_views(), seed=1)
    model = Distiller(tuner, tuner, dual_head=True)
    np.testing.assert_allclose(
        model.predict(IMAGES, verbose=0), tuner.predict(IMAGES, verbose=0), atol=1e-5
    )


def test_what_does_not_fit_is_named():
    model = make()
    with pytest.raises(ValueError, match="`labelled` is missing.*dual_head=True"):
        model.fit(IMAGES)
    with pytest.raises(ValueError, match="`distillation_weight` must be 1 with two"):
        make(distillation_weight=0.5)
    for arguments, message in (
        ({"by": "loss"}, "`by` must be one of.*'loss'"),
        ({"alphas": ()}, "`alphas` must hold at least one"),
        ({"alphas": (0.5, 2)}, "`alphas` must lie in.*2"),
        ({"betas": (0,)}, "`betas` must be positive.*0"),
        ({"betas": 1.0}, "`betas` must hold at least one"),
    ):
        with pytest.raises(ValueError, match=message):
            model.choose_mixture(IMAGES, LABELS, **arguments)
    with pytest.raises(ValueError, match="`y` must hold integer labels"):
        model.choose_mixture(IMAGES, LABELS + 1)
    with pytest.raises(ValueError, match="`choose_mixture` is for two heads"):
        make(dual_head=False).choose_mixture(IMAGES, LABELS)
