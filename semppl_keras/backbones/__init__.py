"""Networks from images to feature vectors, as plain functional Keras models."""

from semppl_keras.backbones.resnet import (
    ResNet,
    ResNet18,
    ResNet34,
    ResNet50,
    ResNet101,
    ResNet152,
    ResNet200,
)
from semppl_keras.backbones.small_resnet import SmallResNet

__all__ = [
    "ResNet",
    "ResNet18",
    "ResNet34",
    "ResNet50",
    "ResNet101",
    "ResNet152",
    "ResNet200",
    "SmallResNet",
]
