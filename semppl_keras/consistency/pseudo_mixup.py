"""Unlabelled images mixed with one another, by how sure each pseudo-label is."""

from typing import Any

import keras
from keras import ops

from semppl_keras.checks import check_share
from semppl_keras.consistency.strategy import Mixing, Step


@keras.saving.register_keras_serializable(package="semppl_keras")
class PseudoMixup(Mixing):
    """Probabilistic pseudo-mixup of the whole unlabelled batch, as in Semi-ViT.

    Each image i is mixed with another one j of the batch, drawn by a permutation. Its
    share is no draw but follows from how sure the two pseudo-labels are, so that
    the surer one counts more (Cai et al., NeurIPS 2022, arXiv 2208.05688):

        share_i = c_i / (c_i + c_j)
        x_i <- share_i x_i + (1 - share_i) x_j     (Mixup)
        q_i <- share_i q_i + (1 - share_i) q_j
        m_i <- max(m_i, m_j)

    so that with `FixedThreshold` a mixed image counts where one of the two does. With
    CutMix a square of area 1 - share_i around a point anywhere is that of image j, at
    the edge a part of it, and the share is of the area that is left of image i.

    Args:
        cutmix_probability: float in [0, 1], how often it is CutMix.
    """

    def __init__(self, cutmix_probability: float = 0.5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_share(cutmix_probability=cutmix_probability)
        self.cutmix_probability = cutmix_probability

    def call(
        self, views: Any, confidences: Any, targets: Any, weights: Any, step: Step
    ) -> tuple[Any, Any, Any]:
        """As `Mixing.call`."""
        count, _, height, width, _ = views.shape
        drawn = step.unlabelled.uniform((count, 4), seed=step.seed)
        # Of all replicas' images.
        order = ops.argsort(step.unlabelled.gather(drawn[:, 0]))
        other = step.unlabelled.own(ops.cast(order, "int32"))

        def of_others(values: Any) -> Any:
            return ops.take(step.unlabelled.gather(values), other, axis=0)

        share = confidences / (confidences + of_others(confidences))
        rows, columns = (
            _span(centre, ops.sqrt(1.0 - share), side)
            for centre, side in ((drawn[:, 1], height), (drawn[:, 2], width))
        )
        pasted = rows[:, :, None] * columns[:, None, :]
        cut = drawn[:, 3] < self.cutmix_probability
        kept = ops.where(cut[:, None, None], 1.0 - pasted, share[:, None, None])
        share = ops.where(cut, 1.0 - ops.mean(pasted, axis=(1, 2)), share)
        kept = kept[:, None, :, :, None]
        views = kept * views + (1.0 - kept) * of_others(views)
        own = share[:, None]
        targets = own * targets + (1.0 - own) * of_others(targets)
        return views, targets, ops.maximum(weights, of_others(weights))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "cutmix_probability": self.cutmix_probability}


def _span(centre: Any, length: Any, side: int) -> Any:
    """`(U, side)`, 1 for pixels within `length` around a centre, shares of the side."""
    places = (ops.arange(side, dtype="float32") + 0.5) / side
    within = ops.abs(places[None] - centre[:, None]) < length[:, None] / 2.0
    return ops.cast(within, "float32")
