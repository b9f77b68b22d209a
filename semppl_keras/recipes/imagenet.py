"""The paper's training on ImageNet."""

import dataclasses

from semppl_keras.recipes.recipe import Recipe

_PAPER_EPOCHS = 300


def imagenet(
    epochs: int = _PAPER_EPOCHS, batch_size: int = 4096, labelled_share: float = 0.1
) -> Recipe:
    """SemPPL's settings for ImageNet (arXiv 2301.05158).

    LARS at 0.3 * batch / 256, ten epochs of warm-up, then cosine; target momentum
    from 0.996; a queue of 20 batches; at 300 epochs. What is counted in steps goes
    with the epoch budget: the warm-up, the target's time constant 1 / (1 - m0), and
    the queue, whose entries age faster where the network learns faster.

    At 300 epochs and batch 4096 this is work for some dozens of accelerators; it
    was not run in full with this package. The paper's 68.5% / 76.0% top-1 (ResNet-50,
    1% / 10% of the labels) are reached by a second training: of all weights, backbone
    and a linear layer, on these labels, which `FineTuner(model, 1000,
    from_layer="backbone")` is for. The memory's votes and a linear probe of this
    recipe's result are other measures, to be compared with neither; nor is a linear
    probe of the published network on all 1,281,167 labels.

    Args:
        epochs: int, the budget.
        batch_size: int, B, unlabelled and labelled images of a step together.
        labelled_share: float in (0, 1), the share of the images that have a label: 0.01
            and 0.1 in the paper. The labelled part of a batch is as large a share of
            it, so that labelled images come up as often as the others.

    Raises:
        ValueError: if an argument is out of range.
    """
    if epochs < 1 or batch_size < 16 or not 0 < labelled_share < 1:
        raise ValueError(
            "Expected epochs of at least 1, batch_size of at least 16, labelled_share "
            f"between 0 and 1. Received: epochs={epochs}, batch_size={batch_size}, "
            f"labelled_share={labelled_share}."
        )
    budget = epochs / _PAPER_EPOCHS
    labelled = max(1, round(batch_size * labelled_share))
    return Recipe(
        name="imagenet",
        epochs=epochs,
        batch_size=batch_size - labelled,
        labelled_batch_size=labelled,
        image_size=None,
        backbone=("ResNet50", {}),
        model={
            "views": "imagenet",
            "projection_dim": 256,
            "hidden_dim": 4096,
            "memory_size": batch_size * max(1, round(20 * budget)),
            # One queue, as the paper has it.
            "memory_policy": "fifo",
            "neighbours": 1,
            "num_negatives": 10,
            "num_semantic_positives": 3,
            "temperature": 0.2,
            "contrastive_weight": 0.3,
            "semantic_weight": 0.2,
            "invariance_weight": 5.0,
            "target_momentum": 1.0 - min(0.5, (1.0 - 0.996) / budget),
        },
        optimizer=(
            "lars",
            {
                "learning_rate": 0.3 * batch_size / 256,
                "warmup_epochs": 10 * budget,
                "weight_decay": 1e-6,
            },
        ),
    )


def of_share(
    recipe: Recipe, labelled_share: float | None, batch_size: int | None = None
) -> Recipe:
    """The recipe with another share of labelled images, or other batches.

    Args:
        recipe: `imagenet`.
        labelled_share: float in (0, 1), as `imagenet` takes it; None for the recipe's.
        batch_size: int, unlabelled images per step; None for as many as leave the
            batch, labelled ones and all, of the recipe's size. The learning rate and
            the memory are in proportion to the batch.
    """
    before = recipe.batch_size + recipe.labelled_batch_size
    share = labelled_share or recipe.labelled_batch_size / before
    whole = before if batch_size is None else round(batch_size / (1 - share))
    labelled = min(max(1, round(whole * share)), whole - 1)
    name, arguments = recipe.optimizer
    rate = arguments["learning_rate"] * whole / before
    memory = max(1, round(recipe.model["memory_size"] * whole / before))
    return dataclasses.replace(
        recipe,
        batch_size=whole - labelled if batch_size is None else batch_size,
        labelled_batch_size=labelled,
        optimizer=(name, {**arguments, "learning_rate": rate}),
        model={**recipe.model, "memory_size": memory},
    )
