"""Small models and data that the tests share."""

import keras
import numpy as np
import pytest
from keras import layers

from semppl_keras import SemPPL
from semppl_keras.views import MultiCrop

# XLA takes longer to compile the few steps of a test than they take: without it, except
# on JAX, which would compile every operation by itself.
QUICK = {"jit_compile": keras.backend.backend() == "jax"}

# Of tests in which it compiles much.
slow_on_jax = (
    pytest.mark.slow if keras.backend.backend() == "jax" else lambda test: test
)


def one_everywhere(names, cases, **options):
    """`pytest.mark.parametrize` for equal cases: the first on every backend.

    Args:
        names: of the parameters.
        cases: their values; all but the first have the mark `any_backend`.
        **options: as of `pytest.mark.parametrize`.
    """

    def on_one_backend(case):
        if not hasattr(case, "marks"):
            case = pytest.param(*((case,) if isinstance(names, str) else case))
        marks = [*case.marks, pytest.mark.any_backend]
        return pytest.param(*case.values, marks=marks, id=case.id)

    first, *others = cases
    cases = [first, *map(on_one_backend, others)]
    return pytest.mark.parametrize(names, cases, **options)


def toy_backbone(channels=1, features=8):
    """One convolution: images of any size to a few features."""
    return keras.Sequential(
        [
            layers.Input((None, None, channels)),
            layers.Conv2D(features, 3, strides=2, padding="same"),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
            layers.GlobalAveragePooling2D(),
        ],
        name="toy",
    )


# Arguments of views of which every random draw has the same outcome.
SINGLE_OUTCOME = {
    "large_area": (1, 1),
    "small_area": (1, 1),
    "aspect_ratio": (1, 1),
    "flip": 0,
    "color_jitter": 0,
    "grayscale": 0,
    "blur": (1, 0),
    "blur_sigma": (1, 1),
    "solarize": (0, 1),
}


def toy_views(**changes):
    settings = {
        "num_large": 2,
        "num_small": 1,
        "large_size": 8,
        "small_size": 6,
        "large_area": (0.5, 1.0),
        "small_area": (0.3, 0.6),
    }
    return MultiCrop(**{**settings, **changes})


def toy_model(backbone=None, compile_arguments=None, **changes):
    settings = {
        "num_classes": 3,
        "views": toy_views(),
        "projection_dim": 4,
        "hidden_dim": 32,
        "memory_size": 12,
        "num_negatives": 4,
        "semantic_weight": 0.2,
        "seed": 0,
    }
    model = SemPPL(backbone or toy_backbone(), **{**settings, **changes})
    arguments = {"optimizer": keras.optimizers.Adam(1e-2), **QUICK}
    model.compile(**{**arguments, **(compile_arguments or {})})
    return model


def toy_images(count, seed=0, classes=3, channels=1, size=8):
    """Images of lying, standing and no stripes, and their labels."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    images = rng.uniform(0, 80, size=(count, size, size, channels))
    for image, label in zip(images, labels, strict=True):
        for line in range(0, size, 4):
            if label == 0:
                image[line : line + 2] += 150
            elif label == 1:
                image[:, line : line + 2] += 150
    return images.astype("float32"), labels.astype("int32")


def weights_of(model):
    """Every variable of a model by path, random state and memory included."""
    return {
        f"{index}:{variable.path}": keras.ops.convert_to_numpy(variable.value)
        for index, variable in enumerate(model.variables)
    }


def assert_same_weights(first, second, **tolerance):
    assert len(first) == len(second)
    for (path, value), other in zip(first.items(), second.values(), strict=True):
        if tolerance:
            np.testing.assert_allclose(value, other, err_msg=path, **tolerance)
        else:
            np.testing.assert_array_equal(value, other, err_msg=path)
