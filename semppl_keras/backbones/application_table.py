"""The architectures of keras.applications: how each scales its images."""

from typing import NamedTuple


class Application(NamedTuple):
    """An architecture of keras.applications.

    Args:
        scaling: Of pixels in [0, 255]: "inside" the network itself; "signed" to
            [-1, 1]; "standardised" by mean and deviation of each channel; "centred",
            the mean of each channel taken off, in the order blue, green, red.
        size: Pixels of a side that it was trained with.
    """

    scaling: str
    size: int


# As `preprocess_input` of their modules does it: "signed" is its mode tf,
# "standardised" torch, "centred" caffe.
APPLICATIONS = {
    "ConvNeXtTiny": Application("inside", 224),
    "ConvNeXtSmall": Application("inside", 224),
    "ConvNeXtBase": Application("inside", 224),
    "ConvNeXtLarge": Application("inside", 224),
    "ConvNeXtXLarge": Application("inside", 224),
    "DenseNet121": Application("standardised", 224),
    "DenseNet169": Application("standardised", 224),
    "DenseNet201": Application("standardised", 224),
    "EfficientNetB0": Application("inside", 224),
    "EfficientNetB1": Application("inside", 240),
    "EfficientNetB2": Application("inside", 260),
    "EfficientNetB3": Application("inside", 300),
    "EfficientNetB4": Application("inside", 380),
    "EfficientNetB5": Application("inside", 456),
    "EfficientNetB6": Application("inside", 528),
    "EfficientNetB7": Application("inside", 600),
    "EfficientNetV2B0": Application("inside", 224),
    "EfficientNetV2B1": Application("inside", 240),
    "EfficientNetV2B2": Application("inside", 260),
    "EfficientNetV2B3": Application("inside", 300),
    "EfficientNetV2S": Application("inside", 384),
    "EfficientNetV2M": Application("inside", 480),
    "EfficientNetV2L": Application("inside", 480),
    "InceptionResNetV2": Application("signed", 299),
    "InceptionV3": Application("signed", 299),
    "MobileNet": Application("signed", 224),
    "MobileNetV2": Application("signed", 224),
    "MobileNetV3Small": Application("inside", 224),
    "MobileNetV3Large": Application("inside", 224),
    "NASNetMobile": Application("signed", 224),
    "NASNetLarge": Application("signed", 331),
    "ResNet50": Application("centred", 224),
    "ResNet101": Application("centred", 224),
    "ResNet152": Application("centred", 224),
    "ResNet50V2": Application("signed", 224),
    "ResNet101V2": Application("signed", 224),
    "ResNet152V2": Application("signed", 224),
    "VGG16": Application("centred", 224),
    "VGG19": Application("centred", 224),
    "Xception": Application("signed", 299),
}
