"""Semi-ViT: an averaged teacher, and mixed images, after fine-tuning."""

from semppl_keras.recipes.consistency_recipe import ConsistencyRecipe


def semi_vit(steps: int | None = None) -> ConsistencyRecipe:
    """Cai et al., NeurIPS 2022 (arXiv 2208.05688), as on 1% of ImageNet's labels.

    The third stage, after pre-training and fine-tuning: `start` is a `FineTuner`. 100
    epochs over 1.28 million unlabelled images.

    Args:
        steps: int, for a training of some thousand; None for the paper's length.
    """
    recipe = ConsistencyRecipe(
        name="semi_vit",
        steps=200_000,
        batch_size=640,
        labelled_batch_size=128,
        trainer={
            "teacher": ("EMATeacher", {"momentum": 0.9999}),
            "weighting": ("FixedThreshold", {"threshold": 0.6}),
            "targets": ("HardLabels", {"smoothing": 0.1}),
            "mixing": ("PseudoMixup", {"cutmix_probability": 0.5}),
            "label_smoothing": 0.1,
            "unlabelled_weight": 5.0,
            "weight_average": 0.9999,
        },
        # 1e-3 for 256 labelled images.
        learning_rate=5e-4,
        schedule="cosine",
        warmup=0.05,
        optimizer=(
            "layerwise_adamw",
            {"backbone_rate": 1.0, "layer_decay": 0.75, "weight_decay": 0.05},
        ),
        strong={"operations": "imagenet"},
        cutout=0.25,
    )
    return recipe if steps is None else recipe.scaled(steps)
