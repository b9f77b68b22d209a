"""BYOL: regression of a target's embeddings, without labels or negatives."""

import keras

from semppl_keras.checks import check_integers, check_two_views
from semppl_keras.losses import byol_loss
from semppl_keras.networks import projector_and_predictor
from semppl_keras.pretraining.base import Pretraining


@keras.saving.register_keras_serializable(package="semppl_keras")
class BYOL(Pretraining):
    """Learns a representation from images alone (arXiv 2006.07733).

    An online network predicts the target network's embedding of another view of the
    image. `SemPPL(objective="byol")` is this with semantic positives.

    `fit` tells regression, which is the whole loss.

    Args:
        backbone, projection_dim, hidden_dim, target_momentum, seed, **kwargs: as in
            `SemPPL`.
        views: as in `SemPPL`; at least two in all.

    Raises:
        TypeError, ValueError: if the backbone does not fit, or an argument is out
            of range.
    """

    settings = ("projection_dim", "hidden_dim", "target_momentum")

    def __init__(
        self,
        backbone,
        *,
        views="small_images",
        projection_dim=256,
        hidden_dim=4096,
        target_momentum=0.95,
        seed=None,
        **kwargs,
    ):
        check_integers(1, projection_dim=projection_dim, hidden_dim=hidden_dim)
        super().__init__(
            backbone,
            views=views,
            make_heads=projector_and_predictor(hidden_dim, projection_dim),
            num_target_heads=1,
            target_momentum=target_momentum,
            metrics=("regression",),
            seed=seed,
            **kwargs,
        )
        check_two_views(self.views)
        self.projection_dim = projection_dim
        self.hidden_dim = hidden_dim

    def loss_parts(self, online, target, labels, batch):
        """BYOL's loss; labels are not looked at."""
        del labels, batch
        return byol_loss(online, target)
