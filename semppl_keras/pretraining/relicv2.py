"""ReLICv2: contrast and invariance, without labels."""

import keras

from semppl_keras.checks import (
    check_batch_has_negatives,
    check_integers,
    check_not_negative,
    check_positive,
)
from semppl_keras.losses import semppl_loss
from semppl_keras.memory import sample_negatives
from semppl_keras.networks import projector_and_predictor
from semppl_keras.pretraining.base import Pretraining


@keras.saving.register_keras_serializable(package="semppl_keras")
class ReLICv2(Pretraining):
    """Learns a representation from images alone (arXiv 2201.05119).

    An online network contrasts each view's target embedding with those of a few
    other images, and is to do so alike from either of two views. `SemPPL` is this
    with semantic positives.

    `fit` tells augmentation and invariance, the parts of the loss.

    Args:
        backbone, views, projection_dim, hidden_dim, num_negatives, temperature,
        contrastive_weight, invariance_weight, target_momentum, seed, **kwargs: as in
            `SemPPL`.

    Raises:
        TypeError, ValueError: if the backbone does not fit, or an argument is out
            of range.
    """

    settings = (
        "projection_dim",
        "hidden_dim",
        "num_negatives",
        "temperature",
        "contrastive_weight",
        "invariance_weight",
        "target_momentum",
    )

    def __init__(
        self,
        backbone,
        *,
        views="small_images",
        projection_dim=256,
        hidden_dim=4096,
        num_negatives=10,
        temperature=0.2,
        contrastive_weight=1.0,
        invariance_weight=1.0,
        target_momentum=0.95,
        seed=None,
        **kwargs,
    ):
        check_integers(
            1,
            projection_dim=projection_dim,
            hidden_dim=hidden_dim,
            num_negatives=num_negatives,
        )
        check_not_negative(
            contrastive_weight=contrastive_weight, invariance_weight=invariance_weight
        )
        check_positive(temperature=temperature)
        super().__init__(
            backbone,
            views=views,
            make_heads=projector_and_predictor(hidden_dim, projection_dim),
            num_target_heads=1,
            target_momentum=target_momentum,
            metrics=("augmentation", "invariance"),
            seed=seed,
            **kwargs,
        )
        self.projection_dim = projection_dim
        self.hidden_dim = hidden_dim
        self.num_negatives = num_negatives
        self.temperature = temperature
        self.contrastive_weight = contrastive_weight
        self.invariance_weight = invariance_weight

    def loss_parts(self, online, target, labels, batch):
        """ReLICv2's loss; labels are not looked at."""
        del labels
        negatives = sample_negatives(
            batch.size, self.num_negatives, self.seed_generator
        )
        return semppl_loss(
            online,
            target,
            batch.own(negatives),
            candidates=batch.gather(target, axis=1),
            temperature=self.temperature,
            contrastive_weight=self.contrastive_weight,
            invariance_weight=self.invariance_weight,
        )

    def _check_batch_sizes(self, batch_size, labelled_batch_size):
        check_batch_has_negatives(batch_size, labelled_batch_size, self.num_negatives)
