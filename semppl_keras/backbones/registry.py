"""The names of backbones that a command or a recipe takes."""

# By name the function of `semppl_keras.backbones`.
BACKBONES = {
    "small": "SmallResNet",
    "conv": "ConvNet",
    "resnet18": "ResNet18",
    "resnet34": "ResNet34",
    "resnet50": "ResNet50",
    "resnet101": "ResNet101",
    "resnet152": "ResNet152",
    "resnet200": "ResNet200",
}
