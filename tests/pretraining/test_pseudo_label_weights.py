"""Weights of what unlabelled images are taken for: strangers have none."""

import keras
import numpy as np
import pytest
import references
from toys import toy_images, toy_model

from semppl_keras.pretraining import semppl
from semppl_keras.runs.network_training import images_of
from semppl_keras.training.global_batch import GlobalBatch

pytestmark = pytest.mark.any_backend

IMAGES, LABELS = toy_images(24)


@pytest.mark.parametrize("weight_positives", [False, True])
def test_weights_are_those_of_the_semantic_positives(monkeypatch, weight_positives):
    given = []
    loss = semppl.semppl_loss

    def noting(*arguments, **keywords):
        given.append(keywords["semantic_positive_weight"])
        return loss(*arguments, **keywords)

    monkeypatch.setattr(semppl, "semppl_loss", noting)
    model = toy_model(weight_positives=weight_positives)
    monkeypatch.setattr(model, "write_state", lambda variable, value: None)
    rng = np.random.default_rng(0)
    online, target = (
        keras.ops.convert_to_tensor(
            references.unit(rng.normal(size=shape)).astype("float32")
        )
        for shape in ((3, 11, 4), (2, 11, 4))
    )
    known = keras.ops.convert_to_tensor(np.array([1, 1, 2]))
    weights = np.array([1, 0, 0.5, 1, 0, 1, 1, 1], "float32")
    found = [
        model.loss_parts(
            {"online": online, "target": target},
            {"label": known, **extra},
            GlobalBatch(8, 3),
        )
        for extra in ({}, {"weight": keras.ops.convert_to_tensor(weights)})
    ]
    sure = np.ones(8)
    if weight_positives:
        sure = keras.ops.convert_to_numpy(found[1]["pseudo_label_confidence"])
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(given[1]), [*(sure * weights), 1, 1, 1], rtol=1e-6
    )
    assert (given[0] is None) != weight_positives
    # What the views of an image have in common is learned of each all the same.
    for name in ("augmentation", "invariance"):
        values = [keras.ops.convert_to_numpy(each[name]) for each in found]
        assert all(np.all(value != 0) for value in values)


def test_images_come_with_weights_and_with_labels_or_none():
    few = IMAGES[:12], LABELS[:12]
    weights = np.r_[np.zeros(5), np.ones(7)].astype("float32")
    for hidden in (None, LABELS[12:]):
        model = toy_model()
        history = model.fit(
            (IMAGES[12:], hidden, weights), few, batch_size=6, verbose=0
        ).history
        assert ("pseudo_label_accuracy" in history) == (hidden is not None)
        assert np.isfinite(history["loss"]).all()
    for weighted in ((*few, np.ones(12)), [(*few, np.ones(12))]):
        with pytest.raises(ValueError, match="`labelled` must hold .*Received: 3 part"):
            model.fit((IMAGES[12:], None, weights), weighted)
    with pytest.raises(ValueError, match="one weight"):
        model.fit((IMAGES[12:], None, -weights), few)


def test_a_run_gives_strangers_no_weight():
    class Data:
        x_unlabelled, x_labelled = IMAGES[12:], IMAGES[:12]
        y_hidden, y_labelled = np.full(12, -1), LABELS[:12]

    strangers = np.arange(12) < 5
    (images, hidden, weights), _ = images_of(Data, None, strangers)
    assert images is Data.x_unlabelled
    assert hidden is None
    np.testing.assert_array_equal(weights, ~strangers)
    # Without any it is the training that it always was.
    for none in (None, np.zeros(12, bool)):
        assert images_of(Data, None, none)[0] is Data.x_unlabelled
