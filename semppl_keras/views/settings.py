"""What the named settings of `MultiCrop` and `RandAugment` are; the standard library
alone."""

from typing import NamedTuple

# How squares are made of images that are none.
FITS = ("crop", "pad", "stretch")

RECIPES = {
    # SemPPL, arXiv 2301.05158: four large and two small views, with the colours and
    # the blur of the authors' code.
    "imagenet": {
        "num_large": 4,
        "num_small": 2,
        "large_size": 224,
        "small_size": 96,
        "large_area": (0.14, 1.0),
        "small_area": (0.05, 0.14),
        "background_removal": 0.0,
    },
    # Images of some 28 px, such as garments: the crops keep more of the image, since
    # there is less of it to keep, and nothing blurs or inverts what is left; things
    # hang or stand a little askew. Further steps are worth more than small views
    # (docs/results/settings.md).
    "small_images": {
        "num_large": 2,
        "num_small": 0,
        "large_size": 28,
        "large_area": (0.3, 1.0),
        "rotation": 10.0,
        "shear": 0.1,
        "blur": (0.0, 0.0),
        "solarize": (0.0, 0.0),
    },
    # Handwritten digits of 8 px: a mirrored digit is another one, and so is a
    # small part of one; colour says nothing, and hands slant as they like.
    "digits": {
        "num_large": 2,
        "num_small": 0,
        "large_size": 16,
        "large_area": (0.5, 1.0),
        "flip": 0.0,
        "rotation": 20.0,
        "shear": 0.2,
        "blur": (0.5, 0.1),
        "blur_sigma": (0.1, 1.0),
        "solarize": (0.0, 0.0),
        "grayscale": 0.0,
    },
    # FixMatch, arXiv 2001.07685, section 2.3: mirrored half of the time and moved by up
    # to an eighth, which is how networks are trained on labels alone, and what weak
    # views are. The edge is repeated where the authors reflect.
    "mild": {
        "num_large": 1,
        "num_small": 0,
        "large_size": 28,
        "large_area": (1.0, 1.0),
        "aspect_ratio": (1.0, 1.0),
        "shift": 0.075,
        "color_jitter": 0.0,
        "grayscale": 0.0,
        "blur": (0.0, 0.0),
        "solarize": (0.0, 0.0),
    },
}


class Strength(NamedTuple):
    """How strongly an operation of `RandAugment` changes an image.

    Args:
        weakest, strongest: what it is drawn between, see there.
        signed: whether it is turned round half of the time.
    """

    weakest: float = 0.0
    strongest: float = 0.0
    signed: bool = False


# What `RandAugment` draws from. Brightness, color, contrast and sharpness: the factor
# less 1. Posterize: bits that are dropped, rounded down, at most 4. Solarize: the
# threshold. Solarize_add: what is added below the middle. Rotate: degrees. Shear:
# pixels for each row or column. Translate: shares of the side.
OPERATIONS: dict[str, dict[str, Strength]] = {
    # FixMatch, arXiv 2001.07685, table 12: nothing becomes brighter or sharper.
    "fixmatch": {
        "identity": Strength(),
        "autocontrast": Strength(),
        "equalize": Strength(),
        "brightness": Strength(-0.05, -0.95),
        "color": Strength(-0.05, -0.95),
        "contrast": Strength(-0.05, -0.95),
        "sharpness": Strength(-0.05, -0.95),
        "posterize": Strength(0.0, 5.0),
        "solarize": Strength(1.0, 0.0),
        "rotate": Strength(0.0, 30.0, signed=True),
        "shear_x": Strength(0.0, 0.3, signed=True),
        "shear_y": Strength(0.0, 0.3, signed=True),
        "translate_x": Strength(0.0, 0.3, signed=True),
        "translate_y": Strength(0.0, 0.3, signed=True),
    },
    # RandAugment, arXiv 1909.13719, as timm's "inc" has it: stronger at a greater
    # magnitude throughout.
    "imagenet": {
        "autocontrast": Strength(),
        "equalize": Strength(),
        "invert": Strength(),
        "brightness": Strength(0.0, 0.9, signed=True),
        "color": Strength(0.0, 0.9, signed=True),
        "contrast": Strength(0.0, 0.9, signed=True),
        "sharpness": Strength(0.0, 0.9, signed=True),
        "posterize": Strength(0.0, 5.0),
        "solarize": Strength(1.0, 0.0),
        "solarize_add": Strength(0.0, 110 / 255),
        "rotate": Strength(0.0, 30.0, signed=True),
        "shear_x": Strength(0.0, 0.3, signed=True),
        "shear_y": Strength(0.0, 0.3, signed=True),
        # 100 of 224 pixels.
        "translate_x": Strength(0.0, 0.45, signed=True),
        "translate_y": Strength(0.0, 0.45, signed=True),
    },
}
