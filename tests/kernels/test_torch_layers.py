"""Torch's own kernels in the step on torch compute what Keras' layers compute."""

import keras
import numpy as np
import pytest
from keras import layers
from toys import toy_images

from semppl_keras import SimCLR
from semppl_keras.backbones import SmallResNet
from semppl_keras.views import MultiCrop

if keras.backend.backend() == "torch":
    import torch

    from semppl_keras.kernels.torch_layers import (
        lay_out_kernels,
        torch_kernels,
    )
    from semppl_keras.training.backends import torch as step

    def normal(*shape):
        return np.random.default_rng(0).normal(size=shape).astype("float32")

    def randomised(layer, shape):
        layer.build((None, *shape[1:]))
        generator = np.random.default_rng(1)
        for variable in layer.variables:
            if "seed" not in variable.path:
                values = generator.uniform(0.2, 1.0, variable.shape)
                variable.assign(values.astype("float32"))
        return layer

    def computed(make, images, training, context):
        """Outputs, gradients and variables of a layer that is called twice."""
        layer = randomised(make(), images.shape)
        images = torch.tensor(images, requires_grad=True)
        with context(layer):
            first = layer(images, **training)
            outputs = layer(images, **training)
        (first.float().square() + outputs.float().sin()).sum().backward()
        gradients = [each.value.grad for each in layer.trainable_variables]
        found = [outputs, images.grad, *gradients, *(v.value for v in layer.variables)]
        return outputs.dtype, [each.detach().float().numpy() for each in found]

    def as_keras(layer):
        """A context in which nothing changes."""
        return step.contextlib.nullcontext(layer)

    CONVOLUTIONS = [
        {},
        {"padding": "same"},
        {"padding": "same", "strides": 2},
        {"padding": "same", "kernel_size": 2},
        {"padding": "same", "dilation_rate": 2, "activation": "relu"},
        {"kernel_size": (1, 3), "strides": (1, 2), "padding": "same"},
    ]
    LAYERS = [
        *(
            (lambda a=a: layers.Conv2D(**{"filters": 6, "kernel_size": 3, **a}))
            for a in (*CONVOLUTIONS, {"groups": 2, "use_bias": False})
        ),
        *(
            (lambda a=a: layers.DepthwiseConv2D(**{"kernel_size": 3, **a}))
            for a in (*CONVOLUTIONS, {"depth_multiplier": 3, "use_bias": False})
        ),
        *(
            (lambda a=a: layers.MaxPooling2D(**a))
            for a in (
                {"pool_size": 3, "strides": 2, "padding": "same"},
                {"pool_size": 2},
                {"pool_size": 2, "strides": 1, "padding": "same"},
                {"pool_size": (1, 4), "strides": (2, 3), "padding": "same"},
            )
        ),
        layers.BatchNormalization,
        lambda: layers.BatchNormalization(scale=False, momentum=0.5, epsilon=1e-5),
        lambda: layers.BatchNormalization(axis=3, center=False),
    ]

    @pytest.mark.parametrize("make", LAYERS)
    @pytest.mark.parametrize("size", [(7, 6), (8, 9)])
    def test_a_layer_computes_what_keras_computes(make, size):
        images = normal(3, *size, 4)
        normalises = isinstance(make(), layers.BatchNormalization)
        for training in (
            ({"training": True}, {"training": False}) if normalises else ({},)
        ):
            _, expected = computed(make, images, training, as_keras)
            _, found = computed(make, images, training, torch_kernels)
            assert len(expected) == len(found) > 1
            for one, other in zip(found, expected, strict=True):
                np.testing.assert_allclose(one, other, rtol=2e-4, atol=2e-4)

    @pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
    def test_normalisation_of_features(dtype):
        def make():
            return layers.BatchNormalization(dtype=dtype)

        rows = normal(16, 5)
        kind, expected = computed(make, rows, {"training": True}, as_keras)
        found_kind, found = computed(make, rows, {"training": True}, torch_kernels)
        assert found_kind == kind == (torch.bfloat16 if "b" in dtype else torch.float32)
        tolerance = 2e-2 if kind == torch.bfloat16 else 1e-4
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)

    @pytest.mark.parametrize("padding", ["valid", "same"])
    def test_windows_of_a_pixel_that_leave_pixels_out(padding):
        """Against their definition: what Keras calls may end the process."""
        images = normal(4, 51, 48, 8)
        layer = layers.Conv2D(12, 1, strides=(2, 3), padding=padding)
        found = computed(lambda: layer, images, {}, torch_kernels)[1]
        kernel = torch.tensor(found[-2][0, 0], requires_grad=True)
        bias = torch.tensor(found[-1], requires_grad=True)
        images = torch.tensor(images, requires_grad=True)
        outputs = images[:, ::2, ::3] @ kernel + bias
        (outputs.square() + outputs.sin()).sum().backward()
        expected = [outputs, images.grad, kernel.grad[None, None], bias.grad]
        for one, other in zip(found, expected, strict=False):
            np.testing.assert_allclose(one, other.detach(), rtol=2e-4, atol=2e-3)

    def test_a_masked_normalisation_is_keras_own():
        layer = randomised(layers.BatchNormalization(), (2, 4, 3, 5))
        images, mask = torch.tensor(normal(2, 4, 3, 5)), torch.ones(2, 4, 3) > 0
        mask[0] = False
        expected = layer(images, training=True, mask=mask).detach().numpy()
        with torch_kernels(layer):
            found = layer(images, training=True, mask=mask).detach().numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-6)

    def test_other_layers_are_left_alone():
        class Other(layers.Conv2D):
            pass

        shared = layers.BatchNormalization()
        others = [
            Other(2, 3),
            layers.Conv2D(2, 3, data_format="channels_first"),
            layers.BatchNormalization(axis=1),
            layers.BatchNormalization(renorm=True),
            shared,
        ]
        own = layers.BatchNormalization()
        for layer in (*others, own):
            layer.build((None, 4, 4, 4))
        # As where several processes take the statistics together.
        vars(shared)["_moments"] = lambda inputs, mask: None
        before = [dict(vars(layer)) for layer in others]
        with torch_kernels(keras.Sequential([*others, own])):
            assert [dict(vars(layer)) for layer in others] == before
            assert "call" in vars(own)
        assert "call" not in vars(own)

    def model():
        views = MultiCrop(num_large=2, num_small=0, large_size=12)
        backbone = SmallResNet(widths=(4, 8), input_shape=(12, 12, 1))
        backbone.set_weights(
            [0.3 * normal(*weight.shape) ** 2 for weight in backbone.weights]
        )
        made = SimCLR(backbone, views=views, hidden_dim=8, projection_dim=4, seed=0)
        made.compile(keras.optimizers.SGD(0.01, momentum=0.9))
        return made

    def test_training_leads_to_the_same_weights(monkeypatch):
        images = toy_images(24, size=12)
        quick = model()
        quick.fit(images, batch_size=8, verbose=0)
        monkeypatch.setattr(step, "torch_kernels", as_keras)
        monkeypatch.setattr(step, "lay_out_kernels", lambda *networks: None)
        plain = model()
        plain.fit(images, batch_size=8, verbose=0)
        for one, other in zip(quick.weights, plain.weights, strict=True):
            np.testing.assert_allclose(
                one.numpy(), other.numpy(), rtol=1e-3, atol=1e-3, err_msg=one.path
            )

    def test_kernels_lie_as_they_are_read_and_are_saved_as_ever(tmp_path):
        made = model()
        before = [weight.numpy() for weight in made.weights]
        lay_out_kernels(made, made.optimizer)
        kernels = [v for v in made.weights if len(v.shape) == 4]
        kernels += [v for v in made.optimizer.variables if len(v.shape) == 4]
        assert len(kernels) > 6
        for kernel in kernels:
            assert kernel.value.permute(3, 2, 0, 1).is_contiguous(
                memory_format=torch.channels_last
            )
        made.save_weights(tmp_path / "as.weights.h5")
        again = model()
        again.load_weights(tmp_path / "as.weights.h5")
        for one, other, value in zip(made.weights, again.weights, before, strict=True):
            np.testing.assert_array_equal(one.numpy(), value)
            np.testing.assert_array_equal(other.numpy(), value)
