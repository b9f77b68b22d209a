"""A person's own images, from a network that others have trained."""

from semppl_keras.backbones.specs import usual_size
from semppl_keras.recipes.defaults import PRETRAINED_STEPS
from semppl_keras.recipes.own_images import steps_to_epochs
from semppl_keras.recipes.recipe import Recipe
from semppl_keras.recipes.small_images import small_images

_EPOCHS = 10
_BATCH_SIZE = 48


def pretrained(
    image_size: int | None, backbone: str, epochs: int | None = None
) -> Recipe:
    """Settings for images of any size, and a network with pretrained weights.

        semppl train --unlabelled photos --labelled labels.csv \\
            --backbone keras:EfficientNetV2B0

    The last stage of the network is trained, or the last third of its blocks, on what
    the rest gives for a few mild views of each image. Its batch normalisation keeps its
    statistics, and its weights have a tenth of the learning rate of what is put on
    them. In the first third of the epochs that is trained alone. How they were found:
    docs/results/pretrained.md.

    Args:
        image_size: int, pixels of a side, which all images have; None for those that
            the network was trained with.
        backbone: str, as `backbones.pretrained` takes it.
        epochs: int, passes over the unlabelled images; None for 10.

    Raises:
        ValueError: if there is no such backbone.
    """
    size = image_size or usual_size(backbone)
    epochs = _EPOCHS if epochs is None else epochs
    views = {
        "num_large": 2,
        "num_small": 0,
        "large_size": size,
        "large_area": (0.3, 1.0),
        "color_jitter": 1.0,
        "brightness": 0.3,
        "contrast": 0.3,
        "saturation": 0.3,
        "hue": 0.0,
        "grayscale": 0.1,
        "blur": (0.0, 0.0),
        "solarize": (0.0, 0.0),
    }
    return Recipe(
        name="pretrained",
        epochs=epochs,
        batch_size=_BATCH_SIZE,
        labelled_batch_size=16,
        image_size=size,
        backbone=("pretrained", {"spec": backbone}),
        model={
            **small_images().model,
            "views": ("imagenet", views),
        },
        optimizer=(
            "layerwise_adamw",
            {
                "learning_rate": 1e-3,
                "warmup_epochs": epochs / 10,
                "backbone_rate": 0.1,
                "weight_decay": 1e-2,
            },
        ),
        stages=(("heads", 1 / 3), ("top", 2 / 3)),
        batch_norm="inference",
        kept_views=3,
    )


def pretrained_epochs(num_unlabelled: int, batch_size: int | None = None) -> int:
    """Passes that make some `PRETRAINED_STEPS` steps of so many images, at least 1.

    Args:
        num_unlabelled: int.
        batch_size: int, unlabelled images per step; None for 48.
    """
    return steps_to_epochs(PRETRAINED_STEPS, num_unlabelled, batch_size or _BATCH_SIZE)
