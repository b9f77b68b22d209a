"""Images of some 28 pixels, such as Fashion-MNIST's."""

from semppl_keras.recipes.recipe import Recipe


def small_images(epochs: int = 3) -> Recipe:
    """A small network for small images.

        semppl train --dataset npz:fashion_mnist.npz

    Some five minutes on a CPU core for the 60,000 images of Fashion-MNIST. What it
    comes to, and how the settings were found: docs/results/settings.md.

    Args:
        epochs: int, passes over the unlabelled images.
    """
    return Recipe(
        name="small_images",
        epochs=epochs,
        batch_size=64,
        labelled_batch_size=32,
        image_size=28,
        backbone=("SmallResNet", {"widths": (16, 32, 64), "stem_strides": 2}),
        model={
            "views": "small_images",
            "projection_dim": 128,
            "hidden_dim": 512,
            "memory_size": 640,
            "neighbours": 10,
            "temperature": 0.5,
            "semantic_weight": 1.0,
            "target_momentum": 0.95,
        },
        optimizer=("adam", {"learning_rate": 5e-3, "warmup_epochs": epochs / 20}),
    )
