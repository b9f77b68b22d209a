import inspect

import keras
import numpy as np
import pytest
from toys import one_everywhere

from semppl_keras import backbones

STAGES = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
    200: (3, 24, 36, 3),
}


def trainable_count(model):
    return sum(int(np.prod(v.shape)) for v in model.trainable_variables)


def counted_by_hand(depth, width=1, selective=False, projected=False):
    """Trainable weights of table 1 in arXiv 1512.03385, its classifier left out.

    With selective kernels those of SimCLRv2: two streams of which a bottleneck of a
    sixteenth of the filters, at least 32, chooses, and three convolutions as stem.
    """

    def conv(kernel, inputs, outputs):
        return kernel * kernel * inputs * outputs + 2 * outputs

    channels = int(64 * width)
    total = conv(7, 3, channels)
    if selective:
        half = channels // 2
        total = conv(3, 3, half) + conv(3, half, half) + conv(3, half, channels)
    for stage, blocks in enumerate(STAGES[depth]):
        inner = int(64 * width) * 2**stage
        outer = inner if depth < 50 else 4 * inner
        for block in range(blocks):
            if depth < 50:
                total += conv(3, channels, inner) + conv(3, inner, inner)
            elif selective:
                hidden = max(inner // 16, 32)
                total += conv(1, channels, inner) + conv(3, inner, 2 * inner)
                total += conv(1, inner, hidden) + hidden * 2 * inner
                total += conv(1, inner, outer)
            else:
                total += conv(1, channels, inner) + conv(3, inner, inner)
                total += conv(1, inner, outer)
            if block == 0 and (stage > 0 or channels != outer or projected):
                total += conv(1, channels, outer)
            channels = outer
    return total


def pixels(*shape):
    return np.random.default_rng(0).uniform(0, 255, shape).astype("float32")


@pytest.fixture
def blank(monkeypatch):
    """Networks start from zeros: JAX compiles a random generator for every shape."""
    monkeypatch.setattr(
        keras.initializers, "VarianceScaling", lambda **_: keras.initializers.Zeros()
    )


def shaken(model):
    """Gives the model weights in which no residual branch is switched off."""
    rng = np.random.default_rng(1)
    weights = []
    for variable in model.weights:
        if len(variable.shape) == 4:
            scale = np.sqrt(2 / np.prod(variable.shape[:3]))
            weights.append(rng.normal(scale=scale, size=variable.shape))
        elif variable.path.endswith(("gamma", "moving_variance")):
            weights.append(rng.uniform(0.5, 1.5, variable.shape))
        else:
            weights.append(rng.normal(size=variable.shape))
    model.set_weights(weights)
    return model


def numpy_conv(x, kernel, strides, padding="symmetric"):
    x = padded(x, kernel.shape[0], strides, padding)
    height, width = windows(x, kernel.shape[0], strides)
    out = np.zeros((len(x), height, width, kernel.shape[3]))
    for row in range(height):
        for column in range(width):
            top, left = row * strides, column * strides
            window = x[:, top : top + kernel.shape[0], left:][:, :, : kernel.shape[1]]
            out[:, row, column] = np.einsum("bhwi,hwio->bo", window, kernel)
    return out


def padded(x, kernel_size, strides, padding, value=0.0):
    """Padded as the authors' own code does it."""
    sides = []
    for length in x.shape[1:3]:
        total = kernel_size - 1
        if padding == "same":
            outputs = -(-length // strides)
            total = max((outputs - 1) * strides + kernel_size - length, 0)
        sides.append((total // 2, total - total // 2))
    return np.pad(x, ((0, 0), *sides, (0, 0)), constant_values=value)


def windows(x, kernel_size, strides):
    return [(length - kernel_size) // strides + 1 for length in x.shape[1:3]]


def pooled(x, kernel_size, strides, reduce):
    """`reduce` over windows of what was padded."""
    height, width = windows(x, kernel_size, strides)
    shifted = [
        x[:, i : i + strides * (height - 1) + 1 : strides][
            :, :, j : j + strides * (width - 1) + 1 : strides
        ]
        for i in range(kernel_size)
        for j in range(kernel_size)
    ]
    return reduce(shifted, axis=0)


def numpy_max(x):
    return pooled(padded(x, 3, 2, "same", -np.inf), 3, 2, np.max)


class Reference:
    """The network in inference, one image position at a time in float64."""

    def __init__(self, model, padding="symmetric"):
        self.model = model
        self.padding = padding
        self.names = {layer.name for layer in model.layers}

    def conv(self, name, x, strides=1):
        kernel = np.asarray(self.model.get_layer(name).get_weights()[0], "float64")
        return numpy_conv(x, kernel, strides, self.padding)

    def norm(self, name, x):
        gamma, beta, mean, variance = self.model.get_layer(name).get_weights()
        return gamma * (x - mean) / np.sqrt(variance + 1e-5) + beta

    def activated(self, name, x):
        return np.maximum(self.norm(name, x), 0)

    def block(self, name, x, convs, strided, strides):
        branch = x
        for i in range(1, convs + 1):
            branch = self.conv(
                f"{name}_conv{i}", branch, strides if i == strided else 1
            )
            branch = self.norm(f"{name}_norm{i}", branch)
            if i < convs:
                branch = np.maximum(branch, 0)
            if f"{name}_select_conv1" in self.names and i == 2:
                branch = self.mixture(name, branch)
        return np.maximum(self.shortcut(name, x, strides) + branch, 0)

    def shortcut(self, name, x, strides):
        if f"{name}_shortcut_conv" not in self.names:
            return x
        if f"{name}_shortcut_pool" in self.names:
            # Zeros count where a stride leaves the image, and not without one.
            value = np.nan if strides == 1 else 0.0
            far = ((0, 0), (0, 1), (0, 1), (0, 0))
            x = pooled(np.pad(x, far, constant_values=value), 2, strides, np.nanmean)
            strides = 1
        x = self.conv(f"{name}_shortcut_conv", x, strides)
        return self.norm(f"{name}_shortcut_norm", x)

    def mixture(self, name, streams):
        half = streams.shape[-1] // 2
        first, second = streams[..., :half], streams[..., half:]
        chosen = (first + second).mean((1, 2), keepdims=True)
        chosen = self.conv(f"{name}_select_conv1", chosen)
        chosen = self.activated(f"{name}_select_norm", chosen)
        logits = np.exp(self.conv(f"{name}_select_conv2", chosen))
        shares = logits[..., :half], logits[..., half:]
        return (shares[0] * first + shares[1] * second) / (shares[0] + shares[1])

    def preactivation_block(self, name, x, convs, strided, strides):
        branch = shortcut = x
        for i in range(1, convs + 1):
            branch = self.activated(f"{name}_norm{i}", branch)
            if i == 1 and f"{name}_shortcut_conv" in self.names:
                shortcut = self.conv(f"{name}_shortcut_conv", branch, strides)
            branch = self.conv(
                f"{name}_conv{i}", branch, strides if i == strided else 1
            )
        return shortcut + branch


def test_the_count_by_hand_agrees_with_the_known_ones():
    # torchvision's counts less their classifiers of 1000 classes.
    known = {
        18: 11_176_512,
        34: 21_284_672,
        50: 23_508_032,
        101: 42_500_160,
        152: 58_143_808,
    }
    assert {depth: counted_by_hand(depth) for depth in known} == known
    # SimCLR (arXiv 2002.05709, figure 1): 94M for ResNet-50 (2x).
    assert round(counted_by_hand(50, 2) / 1e6) == 94
    assert round(counted_by_hand(200) / 1e6, 1) == 62.6
    # SimCLRv2 (arXiv 2006.10029, table 1), in millions.
    table = {
        (50, 1, False): 24,
        (50, 1, True): 35,
        (50, 2, False): 94,
        (50, 2, True): 140,
        (101, 1, False): 43,
        (101, 1, True): 65,
        (101, 2, True): 257,
        (152, 1, False): 58,
        (152, 3, True): 795,
    }
    assert {key: round(counted_by_hand(*key) / 1e6) for key in table} == table


@pytest.mark.any_backend
@pytest.mark.parametrize(("depth", "known"), [(18, 11_176_512), (50, 23_508_032)])
def test_resnet_has_the_known_number_of_weights(depth, known, blank):
    assert trainable_count(backbones.ResNet(depth)) == known


@pytest.mark.any_backend
@pytest.mark.parametrize(("depth", "width"), [(34, 0.125), (50, 0.25)])
def test_resnet_has_the_weights_of_its_table(depth, width, blank):
    model = backbones.ResNet(depth, width_multiplier=width)
    assert trainable_count(model) == counted_by_hand(depth, width)


@pytest.mark.any_backend
def test_variants_have_the_weights_of_their_tables(blank):
    model = backbones.ResNet(101, 0.125, selective_kernels=True)
    assert trainable_count(model) == counted_by_hand(101, 0.125, selective=True)
    assert model.name == "resnet101_0.125x_sk"
    model = backbones.ResNet(18, 0.25, project_first_blocks=True)
    assert trainable_count(model) == counted_by_hand(18, 0.25, projected=True)


@pytest.mark.slow
@pytest.mark.parametrize(("depth", "width"), [(50, 2), (101, 1), (152, 1), (200, 1)])
def test_large_resnets_have_the_weights_of_their_table(depth, width, blank):
    model = backbones.ResNet(depth, width_multiplier=width)
    assert trainable_count(model) == counted_by_hand(depth, width)


def test_named_depths_pass_their_arguments_on(monkeypatch):
    module = inspect.getmodule(backbones.ResNet)
    monkeypatch.setattr(module, "ResNet", lambda *args, **kwargs: (args, kwargs))
    for depth in STAGES:
        named = getattr(backbones, f"ResNet{depth}")
        passed = named(stem="small", name="x")
        assert passed == ((depth,), {"stem": "small", "name": "x"})


@pytest.mark.any_backend
def test_imagenet_stem_takes_any_size(blank):
    model = backbones.ResNet18(width_multiplier=0.125)
    early = keras.Model(
        model.input,
        [model.get_layer(f"stage{stage}_block2_out").output for stage in (1, 2, 3, 4)]
        + [model.output],
    )
    for size in ((1, 1), (33, 64)):
        *stages, features = early.predict(pixels(2, *size, 3), verbose=0)
        assert features.shape == (2, 64)
        for stage, activations in enumerate(stages, start=1):
            # Symmetric padding halves upwards, at every stride.
            down = 2 ** (stage + 1)
            expected = tuple(-(-length // down) for length in size)
            assert activations.shape == (2, *expected, 8 * 2 ** (stage - 1))


def test_small_stem_keeps_the_size(blank):
    model = backbones.ResNet50(
        stem="small", width_multiplier=0.125, input_shape=(17, 32, 1)
    )
    assert model.get_layer("stem_out").output.shape == (None, 17, 32, 8)
    assert model.get_layer("stage1_block3_out").output.shape == (None, 17, 32, 32)
    assert model.get_layer("stage4_block3_out").output.shape == (None, 3, 4, 256)
    assert model.output.shape == (None, 256)


def test_basic_network_agrees_with_numpy(blank):
    model = shaken(backbones.SmallResNet(widths=(3, 4), input_shape=(None, None, 2)))
    images = pixels(2, 7, 6, 2) / 255
    reference = Reference(model)
    x = np.maximum(reference.norm("stem_norm", reference.conv("stem_conv", images)), 0)
    x = reference.block("stage1_block1", x, convs=2, strided=1, strides=1)
    x = reference.block("stage2_block1", x, convs=2, strided=1, strides=2)
    features = model.predict(images, verbose=0)
    np.testing.assert_allclose(features, x.mean((1, 2)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [(13, 10), (1, 2)])
def test_plain_network_agrees_with_numpy(size, blank):
    model = shaken(backbones.ConvNet((3, 4, 5), input_shape=(None, None, 2)))
    images = pixels(2, *size, 2) / 255
    reference = Reference(model, "same")
    x = reference.activated("stem_norm", reference.conv("stem_conv", images, strides=2))
    for stage in (1, 2, 3):
        if stage > 1:
            x = pooled(padded(x, 2, 2, "same", -np.inf), 2, 2, np.max)
        for index in (1, 2):
            x = reference.conv(f"stage{stage}_conv{index}", x)
            x = reference.activated(f"stage{stage}_norm{index}", x)
    features = model.predict(images, verbose=0)
    np.testing.assert_allclose(features, x.mean((1, 2)), rtol=1e-4, atol=1e-5)


def test_the_size_of_the_plain_network(blank):
    assert backbones.ConvNet((8,), 3).count_params() == 16 * 8 + 3 * 9 * 64 + 4 * 32
    assert backbones.ConvNet().output_shape == (None, 128)


VARIANTS = {
    "symmetric": {},
    "same": {"padding": "same"},
    "selective kernels": {"selective_kernels": True},
    "version 2": {"version": 2, "padding": "same"},
}


@one_everywhere("size", [(31, 24), (22, 29)])
@pytest.mark.parametrize("variant", sorted(VARIANTS))
def test_bottlenecks_and_imagenet_stem_agree_with_numpy(variant, size, blank):
    settings = VARIANTS[variant]
    model = shaken(backbones.ResNet50(width_multiplier=1 / 32, **settings))
    early = keras.Model(model.input, model.get_layer("stage2_block1_out").output)
    images = pixels(2, *size, 3) / 255
    reference = Reference(early, settings.get("padding", "symmetric"))
    block = reference.block
    x = images
    if variant == "selective kernels":
        x = reference.activated("stem_norm1", reference.conv("stem_conv1", x, 2))
        x = reference.activated("stem_norm2", reference.conv("stem_conv2", x))
        x = reference.activated("stem_norm", reference.conv("stem_conv", x))
    elif variant == "version 2":
        block = reference.preactivation_block
        x = reference.conv("stem_conv", x, strides=2)
    else:
        x = reference.activated("stem_norm", reference.conv("stem_conv", x, strides=2))
    x = numpy_max(x)
    for index in (1, 2, 3):
        x = block(f"stage1_block{index}", x, convs=3, strided=2, strides=1)
    x = block("stage2_block1", x, convs=3, strided=2, strides=2)
    activations = early.predict(images, verbose=0)
    assert activations.shape == (2, -(-size[0] // 8), -(-size[1] // 8), 16)
    np.testing.assert_allclose(activations, x, rtol=1e-3, atol=1e-4)


def test_basic_blocks_with_the_shortcuts_of_resnet_d_agree_with_numpy(blank):
    model = shaken(backbones.ResNet(18, 1 / 32, True, project_first_blocks=True))
    early = keras.Model(model.input, model.get_layer("stage2_block1_out").output)
    images = pixels(2, 22, 29, 3) / 255
    reference = Reference(early)
    x = reference.activated("stem_norm1", reference.conv("stem_conv1", images, 2))
    x = reference.activated("stem_norm2", reference.conv("stem_conv2", x))
    x = numpy_max(reference.activated("stem_norm", reference.conv("stem_conv", x)))
    for name, strides in (
        ("stage1_block1", 1),
        ("stage1_block2", 1),
        ("stage2_block1", 2),
    ):
        x = reference.block(name, x, convs=2, strided=1, strides=strides)
    activations = early.predict(images, verbose=0)
    assert "stage1_block1_shortcut_pool" in reference.names
    np.testing.assert_allclose(activations, x, rtol=1e-3, atol=1e-4)


def test_normalization_is_the_first_layer(blank):
    arguments = {"width_multiplier": 0.125, "stem": "small"}
    mean, deviation = (0.4, 0.5, 0.6), (0.2, 0.3, 0.1)
    inside = shaken(backbones.ResNet18(normalization=(mean, deviation), **arguments))
    outside = backbones.ResNet18(**arguments)
    # The normalisation's own: mean, variance and how many images they come from.
    outside.set_weights(inside.get_weights()[-len(outside.weights) :])
    images = pixels(2, 8, 8, 3) / 255
    normalised = (images - np.float32(mean)) / np.float32(deviation)
    np.testing.assert_allclose(
        inside.predict(images, verbose=0),
        outside.predict(normalised, verbose=0),
        rtol=1e-4,
    )


def test_initial_weights():
    """He-normal by fan out, no biases."""
    model = backbones.SmallResNet(
        widths=(64,), blocks_per_stage=2, input_shape=(None, None, 3)
    )
    kernels = {
        layer.name: layer.get_weights()
        for layer in model.layers
        if isinstance(layer, keras.layers.Conv2D)
    }
    assert all(len(weights) == 1 for weights in kernels.values())
    np.testing.assert_allclose(
        kernels["stem_conv"][0].std(), np.sqrt(2 / (9 * 64)), rtol=0.05
    )
    assert not np.array_equal(
        kernels["stage1_block1_conv1"][0], kernels["stage1_block1_conv2"][0]
    )


@pytest.mark.any_backend
@pytest.mark.parametrize("name", ["large", "small"])
def test_the_blocks_of_the_large_networks_start_as_their_shortcuts(name):
    if name == "large":
        model = backbones.ResNet18(width_multiplier=0.125, stem="small")
    else:
        # A few hundred steps are too few to wake them up.
        model = backbones.SmallResNet((8,), 2, input_shape=(None, None, 3))
    both = keras.Model(
        model.input,
        [model.get_layer(f"stage1_block{i}_out").output for i in (1, 2)],
    )
    first, second = both.predict(pixels(2, 8, 8, 3), verbose=0)
    assert np.any(first > 0)
    assert np.array_equal(first, second) == (name == "large")


BUILDERS = {
    "resnet18": lambda: backbones.ResNet18(width_multiplier=0.125),
    "resnet50_sk": lambda: backbones.ResNet50(
        width_multiplier=1 / 32,
        selective_kernels=True,
        normalization=([0.5] * 3, [0.25] * 3),
    ),
    "small_resnet": lambda: backbones.SmallResNet(input_shape=(None, None, 3)),
    "conv_net": lambda: backbones.ConvNet((4, 6), input_shape=(None, None, 3)),
}


@one_everywhere("builder", sorted(BUILDERS, reverse=True))
def test_save_and_load_without_custom_objects(builder, tmp_path, blank):
    model = shaken(BUILDERS[builder]())
    images = pixels(2, 19, 16, 3)
    model.save(tmp_path / "backbone.keras")
    loaded = keras.models.load_model(tmp_path / "backbone.keras")
    assert type(loaded) is type(model)
    assert [v.path for v in loaded.weights] == [v.path for v in model.weights]
    np.testing.assert_array_equal(
        loaded.predict(images, verbose=0), model.predict(images, verbose=0)
    )


def test_mixed_precision_keeps_float32_weights(blank):
    images = pixels(2, 17, 16, 3)
    exact = shaken(BUILDERS["small_resnet"]())
    keras.config.set_dtype_policy("mixed_float16")
    try:
        mixed = BUILDERS["small_resnet"]()
    finally:
        keras.config.set_dtype_policy("float32")
    mixed.set_weights(exact.get_weights())
    assert {keras.backend.standardize_dtype(v.dtype) for v in mixed.variables} == {
        "float32"
    }
    features = mixed.predict(images, verbose=0)
    assert features.dtype == np.float16
    expected = exact.predict(images, verbose=0)
    np.testing.assert_allclose(features, expected, atol=0.02 * expected.max())


@pytest.mark.any_backend
def test_small_resnet_learns(blank):
    images = pixels(64, 8, 8, 1) / 255
    labels = np.arange(64) % 2
    images[labels == 1, :4] += 1
    backbone = shaken(backbones.SmallResNet(widths=(4,)))
    model = keras.Sequential([backbone, keras.layers.Dense(2)])
    model.compile(
        optimizer=keras.optimizers.SGD(0.1, momentum=0.9),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    history = model.fit(images, labels, epochs=10, batch_size=32, verbose=0)
    assert history.history["loss"][-1] < 0.5 * history.history["loss"][0]


def test_block_outputs_of_every_stage_have_names(blank):
    model = backbones.SmallResNet(widths=(2, 3, 4), blocks_per_stage=2)
    shapes = [
        model.get_layer(f"stage{stage}_block2_out").output.shape for stage in (1, 2, 3)
    ]
    assert [shape[-1] for shape in shapes] == [2, 3, 4]


REFUSED = [
    (lambda: backbones.ResNet(42), r"one of 18, 34, .*depth=42"),
    (lambda: backbones.ResNet("50"), r"depth='50'"),
    (lambda: backbones.ResNet18(stem="cifar"), r"'small'.*stem='cifar'"),
    (lambda: backbones.ResNet18(width_multiplier=0), r"width_multiplier=0"),
    (lambda: backbones.ResNet18(width_multiplier=0.3), r"width_multiplier=0.3"),
    (lambda: backbones.ResNet18(width_multiplier="2"), r"width_multiplier='2'"),
    (
        lambda: backbones.ResNet18(input_shape=(None, None, None)),
        r"input_shape=\(None, None, None\)",
    ),
    (lambda: backbones.ResNet18(input_shape=(32, 32)), r"input_shape=\(32, 32\)"),
    (lambda: backbones.ResNet18(input_shape=32), r"input_shape=32"),
    (lambda: backbones.ResNet18(version=3), r"version=3"),
    (lambda: backbones.ResNet18(padding="valid"), r"padding='valid'"),
    (
        lambda: backbones.ResNet50(selective_kernels=True, version=2),
        r"version 1.*version=2",
    ),
    (lambda: backbones.ResNet18(normalization=0.5), r"normalization=0.5"),
    (
        lambda: backbones.ResNet18(normalization=([0.5] * 3, [1, 1, 0])),
        r"3 channels.*not 0",
    ),
    (
        lambda: backbones.ResNet18(normalization=([0.5], [1])),
        r"normalization=\(\[0.5\], \[1\]\)",
    ),
    (lambda: backbones.SmallResNet(input_shape=(0, 8, 1)), r"input_shape=\(0,"),
    (lambda: backbones.SmallResNet(widths=()), r"widths=\(\)"),
    (lambda: backbones.SmallResNet(widths=(8, 0)), r"widths=\(8, 0\)"),
    (lambda: backbones.SmallResNet(widths=8), r"widths=8"),
    (lambda: backbones.SmallResNet(blocks_per_stage=0), r"blocks_per_stage=0"),
    (lambda: backbones.SmallResNet(stem_strides=0), r"stem_strides=0"),
    (lambda: backbones.ConvNet(input_shape=(8, 8)), r"input_shape=\(8, 8\)"),
    (lambda: backbones.ConvNet(widths=()), r"widths=\(\)"),
    (lambda: backbones.ConvNet(widths=(8, -1)), r"widths=\(8, -1\)"),
    (
        lambda: backbones.ConvNet(convolutions_per_stage=0),
        r"convolutions_per_stage=0",
    ),
]


def test_errors_say_what_came():
    for build, message in REFUSED:
        with pytest.raises(ValueError, match=message):
            build()
