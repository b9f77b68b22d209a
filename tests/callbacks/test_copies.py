"""Callbacks that are copied and pickled, before and after a training."""

import copy
import pickle

import pytest
from toys import QUICK, toy_images, toy_model

from semppl_keras import callbacks

IMAGES, LABELS = toy_images(12)


@pytest.mark.any_backend
def test_callbacks_are_copied_and_pickled(tmp_path, capsys):
    watching = [
        callbacks.TrainingProgress(),
        callbacks.TrainingHealth(),
        callbacks.TrainingCheckpoints(tmp_path / "safe"),
    ]
    model = toy_model(compile_arguments=QUICK)
    # First a copy is trained with, and then what the copy was made of.
    for part, each in enumerate((copy.deepcopy(watching), watching[:2])):
        model.fit(IMAGES, (IMAGES, LABELS), batch_size=12, callbacks=each, verbose=0)
        assert capsys.readouterr().out.count("Epoch 1/1") == 1, part
        watching += each
    others = [
        callbacks.OnlineEvaluation((IMAGES, LABELS), (IMAGES, LABELS)),
        callbacks.TargetEMA(),
        callbacks.ScalarLogs(tmp_path / "logs"),
    ]
    for each in watching + others:
        each.set_model(None)
        for again in (copy.deepcopy(each), pickle.loads(pickle.dumps(each))):
            assert type(again) is type(each)
