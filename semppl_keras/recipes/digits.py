"""Scikit-learn's handwritten digits: 8 x 8 pixels, 1,797 images, in the package."""

from semppl_keras.recipes.recipe import Recipe


def digits(epochs: int = 60) -> Recipe:
    """The main job: digits from 10 labels per class.

        semppl train

    Some minute on two CPU cores. What it comes to, and how the settings were found:
    docs/results/settings.md.

    Args:
        epochs: int, passes over the unlabelled images.
    """
    return Recipe(
        name="digits",
        epochs=epochs,
        batch_size=64,
        labelled_batch_size=32,
        image_size=16,
        backbone=("SmallResNet", {"widths": (16, 32, 64), "stem_strides": 2}),
        model={
            "views": "digits",
            "projection_dim": 64,
            "hidden_dim": 256,
            "memory_size": 640,
            "neighbours": 10,
            # What the first votes get wrong holds the less the less they count, and
            # is found by a graph as soon as the features are worth one.
            "weight_positives": True,
            "labeller": "propagation",
            "propagation_start": epochs / 2,
            "propagation_every": epochs / 10,
            "balance_labels": True,
            "temperature": 0.5,
            "semantic_weight": 1.0,
            # Some hundred steps: a target slower than this is always far behind.
            "target_momentum": 0.9,
        },
        optimizer=("adam", {"learning_rate": 7e-3, "warmup_epochs": epochs / 20}),
    )
