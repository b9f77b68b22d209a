"""On torch and a processor an operation is given the images alone that drew it."""

import keras
import numpy as np
import pytest

if keras.backend.backend() != "torch":
    pytest.skip("torch's way", allow_module_level=True)

import torch

from semppl_keras.views import RandAugment, rand_augment, tones
from semppl_keras.views.at_hand import are_at_hand

SETTINGS = [
    {},
    {"operations": "imagenet", "fill": 0.2},
    {"num_ops": 3, "probability": 0.5, "magnitude": (0.5, 1.0)},
    {"operations": ("equalize",)},
    {"operations": ("identity", "rotate", "solarize_add"), "probability": 0.4},
]


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("shape", [(40, 9, 8, 3), (1, 7, 7, 1)])
def test_the_numbers_are_those_of_all_images(monkeypatch, settings, shape):
    images = np.random.default_rng(0).uniform(size=shape).astype("float32")
    tensor = torch.tensor(images)
    layer = RandAugment(**settings)
    found = layer(tensor, seed=3).numpy()
    np.testing.assert_array_equal(tensor.numpy(), images)
    monkeypatch.setattr(rand_augment, "are_at_hand", lambda images: False)
    # Sums of fewer numbers may be rounded otherwise.
    expected = layer(tensor, seed=3).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_each_image_is_computed_once(monkeypatch):
    seen = []
    equalize = tones.equalize
    monkeypatch.setattr(
        tones, "equalize", lambda images: seen.append(len(images)) or equalize(images)
    )
    drawn = np.zeros((30, 1, 4), "float32")
    drawn[:7, :, 0] = 0.9
    layer = RandAugment(1, ("posterize", "equalize"))
    layer(torch.rand(30, 8, 8, 1), uniform=lambda shape, seed: torch.tensor(drawn))
    assert seen == [7]


def test_what_nobody_drew_is_not_computed(monkeypatch):
    monkeypatch.setattr(tones, "equalize", None)
    layer = RandAugment(1, ("equalize", "posterize"))
    ones = 0.9 * torch.ones(3, 1, 4)
    layer(torch.rand(3, 8, 8, 1), uniform=lambda shape, seed: ones)


def test_only_values_on_a_processor_are_at_hand():
    assert are_at_hand(torch.zeros(2))
    assert not are_at_hand(torch.zeros(2, device="meta"))
    assert not are_at_hand(keras.KerasTensor((2,)))
