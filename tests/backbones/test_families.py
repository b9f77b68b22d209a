"""Every family of pretrained networks, with random weights.

KERAS_BACKEND=torch python -m pytest --runslow tests/backbones/test_families.py
"""

import sys

import keras
import keras_hub
import numpy as np
import pytest
from keras import ops

from semppl_keras import backbones
from semppl_keras.backbones.application_table import APPLICATIONS
from semppl_keras.backbones.hub_families import FAMILIES, PARTS
from semppl_keras.networks.backbone_contract import check_backbone
from semppl_keras.networks.copying import copy_model
from semppl_keras.runs.safety.loading import load_model

pytestmark = [
    pytest.mark.slow,
    # KerasHub's Swin is built by its first call.
    pytest.mark.filterwarnings("ignore:Layer 'stage_:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*does not support masking:UserWarning"),
]

TRANSFORMER = {"num_layers": 1, "num_heads": 2, "hidden_dim": 8, "patch_size": 8}
CLIP_TEXT = {
    "vocabulary_size": 9,
    "hidden_dim": 8,
    "num_layers": 1,
    "num_heads": 2,
    "intermediate_dim": 8,
}
SHAPE = {"image_shape": (32, 32, 3)}


def _vision(name):
    encoder = getattr(keras_hub.models, name)
    return encoder(intermediate_dim=8, **SHAPE, **TRANSFORMER)


def _clip():
    models = keras_hub.models
    text = models.CLIPTextEncoder(embedding_dim=8, max_sequence_length=4, **CLIP_TEXT)
    return models.CLIPBackbone(_vision("CLIPVisionEncoder"), text, 8)


def _siglip():
    models = keras_hub.models
    text = models.SigLIPTextEncoder(embedding_dim=8, max_sequence_length=4, **CLIP_TEXT)
    return models.SigLIPBackbone(_vision("SigLIPVisionEncoder"), text)


# By class: its arguments, or a function that makes one; and the features that it gives.
NETWORKS = {
    "CLIPBackbone": (_clip, 8),
    "CLIPVisionEncoder": ({"intermediate_dim": 8, **SHAPE, **TRANSFORMER}, 8),
    "CSPNetBackbone": (
        {
            "stem_filters": 8,
            "stem_kernel_size": 3,
            "stem_strides": 1,
            "stackwise_depth": [1, 1],
            "stackwise_strides": [2, 2],
            "stackwise_num_filters": [8, 16],
            "stage_type": "dark",
            "block_type": "dark_block",
        },
        16,
    ),
    "DeiTBackbone": ({"intermediate_dim": 8, **SHAPE, **TRANSFORMER}, 8),
    "DenseNetBackbone": ({"stackwise_num_repeats": [1, 1], "growth_rate": 4}, 38),
    "DINOV2Backbone": (
        {
            "intermediate_dim": 8,
            "num_register_tokens": 2,
            "position_embedding_shape": (32, 32, 3),
            **SHAPE,
            **TRANSFORMER,
        },
        16,
    ),
    "DINOV3Backbone": ({"intermediate_dim": 8, **SHAPE, **TRANSFORMER}, 16),
    "EfficientNetBackbone": (
        {
            "stackwise_kernel_sizes": [3, 3],
            "stackwise_num_repeats": [1, 1],
            "stackwise_input_filters": [8, 8],
            "stackwise_output_filters": [8, 8],
            "stackwise_expansion_ratios": [1, 4],
            "stackwise_squeeze_and_excite_ratios": [0.25, 0.25],
            "stackwise_strides": [1, 2],
            "stackwise_block_types": ["v1", "fused"],
            "width_coefficient": 1.0,
            "depth_coefficient": 1.0,
        },
        1280,
    ),
    "HGNetV2Backbone": (
        {
            "depths": [1, 2],
            "embedding_size": 8,
            "hidden_sizes": [8, 16],
            "stem_channels": [3, 8, 8],
            "hidden_act": "relu",
            "use_learnable_affine_block": False,
            "stackwise_stage_filters": [(8, 8, 8, 1, 1, 3), (8, 8, 16, 1, 1, 3)],
            "apply_downsample": [False, True],
            "use_lightweight_conv_block": [False, False],
        },
        16,
    ),
    "MiTBackbone": (
        {
            "layerwise_depths": [1, 1],
            "num_layers": 2,
            "layerwise_num_heads": [1, 2],
            "layerwise_sr_ratios": [4, 1],
            "max_drop_path_rate": 0.1,
            "layerwise_patch_sizes": [7, 3],
            "layerwise_strides": [4, 2],
            "hidden_dims": [8, 16],
            **SHAPE,
        },
        16,
    ),
    "MobileNetBackbone": (
        {
            "stackwise_expansion": [[4, 6], [4, 6]],
            "stackwise_num_blocks": [2, 2],
            "stackwise_num_filters": [[8, 8], [8, 8]],
            "stackwise_kernel_size": [[3, 3], [5, 5]],
            "stackwise_num_strides": [[2, 1], [2, 1]],
            "stackwise_se_ratio": [[0.25, 0.25], [0.25, 0.25]],
            "stackwise_activation": [["relu"] * 2, ["hard_swish"] * 2],
            "stackwise_padding": [[1, 1], [2, 2]],
            "output_num_filters": 16,
            "depthwise_filters": 8,
            "depthwise_stride": 2,
            "depthwise_residual": False,
            "last_layer_filter": 16,
            "squeeze_and_excite": 0.5,
            "input_num_filters": 8,
            "output_activation": "hard_swish",
        },
        16,
    ),
    "ResNetBackbone": (
        {
            "input_conv_filters": [64],
            "input_conv_kernel_sizes": [7],
            "stackwise_num_filters": [64, 64],
            "stackwise_num_blocks": [1, 1],
            "stackwise_num_strides": [1, 2],
            "block_type": "basic_block",
        },
        64,
    ),
    "SigLIPBackbone": (_siglip, 8),
    "SigLIPVisionEncoder": ({"intermediate_dim": 8, **SHAPE, **TRANSFORMER}, 8),
    "SwinTransformerBackbone": (
        {
            "embed_dim": 8,
            "depths": (2, 2),
            "num_heads": (1, 2),
            "window_size": 4,
            **SHAPE,
        },
        16,
    ),
    "VGGBackbone": (
        {"stackwise_num_repeats": [1, 1], "stackwise_num_filters": [4, 8]},
        8,
    ),
    "ViTBackbone": ({"mlp_dim": 8, **SHAPE, **TRANSFORMER}, 8),
    "XceptionBackbone": (
        {
            "stackwise_conv_filters": [[4, 4], [8, 8]],
            "stackwise_pooling": [True, False],
        },
        8,
    ),
}


def _network(name):
    made, _ = NETWORKS[name]
    return made() if callable(made) else getattr(keras_hub.models, name)(**made)


def outputs(model, inputs):
    return ops.convert_to_numpy(model(inputs, training=False))


def views(*shape):
    return np.random.default_rng(0).uniform(size=shape).astype("float32")


def test_all_families_are_tried():
    assert set(NETWORKS) == {*FAMILIES, *PARTS}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_family_of_keras_hub(name, tmp_path):
    network, family = _network(name), {**FAMILIES, **PARTS}[name]
    images = views(2, 32, 32, 3)
    backbone = backbones.from_hub(network, scale=1 / 128, offset=-1.0)
    backbone.trainable = True
    features = NETWORKS[name][1]
    assert backbone.output_shape == (None, features)
    assert check_backbone(backbone, [32, 48]) == (3, features)

    part = getattr(network, family.part) if family.part else network
    inputs = images * 255 / 128 - 1
    taken = part.input
    given = {key: inputs for key in taken} if isinstance(taken, dict) else inputs
    given = part(given, training=False)
    if isinstance(given, dict):
        given = given["stage2"]
    given = ops.convert_to_numpy(given)
    prefix = family.prefix + {"DINOV2Backbone": 2, "DINOV3Backbone": 4}.get(name, 0)
    expected = {
        "avg": lambda: given.mean(axis=(1, 2)),
        "class_token": lambda: given[:, 0],
        "mean_patches": lambda: given[:, prefix:].mean(axis=1),
        "both": lambda: np.concatenate(
            [given[:, 0], given[:, prefix:].mean(axis=1)], axis=-1
        ),
        "attention": lambda: given,
    }[family.pooling]()
    received = outputs(backbone, images)
    tolerance = 1e-5 * max(1, np.abs(expected).max())
    np.testing.assert_allclose(received, expected, rtol=0, atol=tolerance)

    for size in (None, 64):
        backbone = backbones.from_hub(network, image_size=size, channels=1)
        grey = images[..., :1]
        expected = outputs(backbone, grey)
        backbone.save(tmp_path / "model.keras")
        for other in (copy_model(backbone), load_model(tmp_path / "model.keras")):
            np.testing.assert_allclose(
                outputs(other, grey), expected, rtol=0, atol=10 * tolerance
            )


@pytest.mark.parametrize("name", APPLICATIONS)
def test_an_architecture_of_keras_applications(name):
    backbone = backbones.pretrained(f"keras:{name}@none")
    network = backbone.layers[-1]
    module = sys.modules[getattr(keras.applications, name).__module__]
    pixels = np.random.default_rng(0).integers(0, 256, (1, 96, 96, 3))
    pixels = pixels.astype("float32")
    received = outputs(backbone, pixels / 255)
    expected = outputs(network, module.preprocess_input(pixels))
    tolerance = 1e-4 * max(1, np.abs(expected).max())
    np.testing.assert_allclose(received, expected, rtol=0, atol=tolerance)
    assert received.shape == (1, backbone.output_shape[-1])
