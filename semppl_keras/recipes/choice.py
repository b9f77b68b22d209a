"""Which recipe a data set is trained by."""

import dataclasses

from semppl_keras.backbones.specs import is_pretrained
from semppl_keras.data import Dataset, NamedDataset, OwnDataset
from semppl_keras.recipes.imagenet import of_share
from semppl_keras.recipes.named import get
from semppl_keras.recipes.own_images import own_images, usual_epochs
from semppl_keras.recipes.pretrained import pretrained, pretrained_epochs
from semppl_keras.recipes.recipe import Recipe

_DIGITS = NamedDataset("digits")


def for_dataset(
    dataset: Dataset,
    *,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    recipe: str | None = None,
    labelled_share: float | None = None,
) -> Recipe:
    """The recipe of a data set, with what is asked to be another.

    Args:
        dataset: `Dataset`. Of a person's own images that are `opened` already the
            number tells the epochs.
        epochs: Passes over the unlabelled images.
        batch_size: Unlabelled images per step, with labelled ones in proportion.
        learning_rate: Its peak.
        recipe: One of `RECIPES`, in the place of that of the data set, with its own
            backbone and epochs.
        labelled_share: Of the images that have a label, which "imagenet" makes a part
            of the batch of; None for its own.

    Returns:
        A `Recipe`.

    Raises:
        ValueError: There is no such backbone.

    Example:
        >>> for_dataset(data.dataset("digits"), batch_size=32).labelled_batch_size
        16
    """
    if recipe is not None:
        found = get(recipe, epochs)
        if isinstance(dataset, OwnDataset):
            found = dataclasses.replace(found, image_size=dataset.usual_size())
    elif isinstance(dataset, OwnDataset):
        if epochs is None and dataset.num_unlabelled is not None:
            of_weights = dataset.backbone and is_pretrained(dataset.backbone)
            usual = pretrained_epochs if of_weights else usual_epochs
            epochs = usual(dataset.num_unlabelled, batch_size)
        found = for_backbone(dataset.backbone, dataset.usual_size(), epochs)
    else:
        found = get("digits" if dataset == _DIGITS else "small_images", epochs)
    if dataset.fit != "crop":
        # Which is that of views where they do not say it.
        found = found.with_fit(dataset.fit)
    if recipe == "imagenet":
        found = of_share(found, labelled_share, batch_size)
    elif batch_size is not None:
        found = found.with_batch_size(batch_size)
    if learning_rate is not None:
        found = found.with_learning_rate(learning_rate)
    return found


def for_backbone(
    backbone: str | None, image_size: int, epochs: int | None = None
) -> Recipe:
    """The recipe of a person's own images by the backbone that they get.

    Args:
        backbone: As `backbones.pretrained` takes it; None for that of
            `recipes.defaults`.
        image_size: Pixels of a side.
        epochs: Passes over the unlabelled images.

    Returns:
        `pretrained` for one with weights, `own_images` for a new one.

    Raises:
        ValueError: There is no such backbone.
    """
    if backbone is not None and is_pretrained(backbone):
        return pretrained(image_size, backbone, epochs)
    return own_images(image_size, backbone, epochs)
