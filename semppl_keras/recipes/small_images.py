"""Images of some 28 pixels, such as Fashion-MNIST's."""

from semppl_keras.recipes.recipe import Recipe


def small_images(epochs: int = 3) -> Recipe:
    """A small network for small images.

        semppl train --dataset npz:fashion_mnist.npz

    2,810 steps, some five minutes on one CPU core (AVX-512) with TensorFlow. Mean of
    seeds 0 to 2, ten labels per class: linear probe 75.6%, nearest in the memory
    74.2%; with 4, 60 and 600 labels per class the linear probe has 68.8%, 81.5% and
    84.5%. benchmarks/accuracy.py measures it.

    Where the settings come from: Fashion-MNIST, ten labels per class, a single run of
    seed 0 each, one CPU core (AVX-512, TensorFlow); 10,000 test images by linear probe
    and by the memory. With two small views beside the large ones, a stem of stride 1,
    temperature 0.2 and a target momentum of 0.99 63 steps were all there was time for
    (4,000 unlabelled images, 140 s on two cores): 58.8% and 41.3%; with one pair of
    large views, a stem of stride 2, 0.5 and 0.95 73.1% and 73.2% (6,000 images, 564
    steps). Three passes over all images with widths 16-32-64 take about as long as one
    with 32-64-128 and are worth more: 74.6% and 75.5% against 73.1% and 73.0%. From
    71.1% and 70.6% (four passes over 20,000 images), crops from 30% of the area for
    50% gave 72.4% and 71.3%, rotations of 10 degrees and a shear of 0.1 72.8% and
    72.2%; nothing changed with 40 neighbours, nor with a target momentum of 0.98.

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
