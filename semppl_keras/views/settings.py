"""What the named settings of `MultiCrop` are; the standard library alone."""

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
        "shift": 0.125,
        "color_jitter": 0.0,
        "grayscale": 0.0,
        "blur": (0.0, 0.0),
        "solarize": (0.0, 0.0),
    },
}
