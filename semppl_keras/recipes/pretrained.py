"""A person's own images, from a network that others have trained."""

from semppl_keras.backbones.specs import usual_size
from semppl_keras.recipes.own_images import large_views
from semppl_keras.recipes.recipe import Recipe
from semppl_keras.recipes.small_images import small_images

_EPOCHS = 10


def pretrained(
    image_size: int | None, backbone: str, epochs: int | None = None
) -> Recipe:
    """Settings for images of any size, and a network with pretrained weights.

        semppl train --unlabelled photos --labelled labels.csv \\
            --backbone keras:EfficientNetV2B0

    One pair of large views of the images' size, and a learning rate at which the
    weights keep what they know.

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
    base = small_images(epochs)
    return Recipe(
        name="pretrained",
        epochs=epochs,
        batch_size=32,
        labelled_batch_size=16,
        image_size=size,
        backbone=("pretrained", {"spec": backbone}),
        model={**base.model, "views": large_views(size), "target_momentum": 0.99},
        optimizer=("adam", {**base.optimizer[1], "learning_rate": 1e-4}),
    )
