"""Images of 28 to 64 pixels, such as Fashion-MNIST's."""

from semppl_keras.recipes.recipe import Recipe


def small_images(epochs=10):
    """A small network for small images.

        semppl train --dataset npz:fashion_mnist.npz

    Its cost and result on Fashion-MNIST have not been measured.

    Args:
        epochs: int, passes over the unlabelled images.
    """
    return Recipe(
        name="small_images",
        epochs=epochs,
        batch_size=192,
        labelled_batch_size=64,
        image_size=20,
        backbone=("SmallResNet", {"widths": (32, 64, 128)}),
        model={
            "views": "small_images",
            "projection_dim": 128,
            "hidden_dim": 512,
            "memory_size": 1280,
            "target_momentum": 0.99,
        },
        optimizer=("adam", {"learning_rate": 2e-3, "warmup_epochs": epochs / 10}),
    )
