"""This package's SimCLR on what lightly's is trained on, for `peers.py`."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse

import keras
import numpy as np
from turns import serve

from semppl_keras import SimCLR, backbones
from semppl_keras.views import MultiCrop

# Of RGB in [0, 1] over the images of ImageNet: lightly's views are normalised by them.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def views(size):
    """The changes of lightly's `SimCLRTransform`, with their strengths."""
    return MultiCrop(
        num_large=2,
        num_small=0,
        large_size=size,
        large_area=(0.08, 1.0),
        flip=0.5,
        color_jitter=0.8,
        brightness=0.8,
        contrast=0.8,
        saturation=0.8,
        hue=0.2,
        grayscale=0.2,
        blur=(0.5, 0.5),
        solarize=(0.0, 0.0),
    )


def training(arguments):
    """A function that trains on each image once."""
    generator = np.random.default_rng(0)
    shape = (arguments.batch * arguments.steps, arguments.size, arguments.size, 3)
    images = generator.integers(0, 256, shape).astype("uint8")
    if arguments.dtype == "bfloat16":
        keras.config.set_dtype_policy("mixed_bfloat16")
    make_backbone = getattr(backbones, f"ResNet{arguments.depth}")
    backbone = make_backbone(normalization=(MEAN, DEVIATION))
    model = SimCLR(
        backbone,
        views=views(arguments.size),
        hidden_dim=backbone.output_shape[-1],
        hidden_layers=1,
        projection_dim=128,
        temperature=0.5,
        seed=0,
    )
    model.compile(keras.optimizers.SGD(0.06, momentum=0.9))
    return lambda: model.fit(images, batch_size=arguments.batch, verbose=0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name in ("--batch", "--steps", "--size", "--depth"):
        parser.add_argument(name, type=int, required=True)
    parser.add_argument("--dtype", required=True)
    serve({keras.backend.backend(): training(parser.parse_args())})


if __name__ == "__main__":
    main()
