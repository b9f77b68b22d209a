"""SuNCEt: SimCLR, and contrast between the classes of the labelled images."""

import keras
from keras import ops

from semppl_keras.checks import check_integers, check_not_negative
from semppl_keras.losses import suncet_loss
from semppl_keras.pretraining.simclr import SimCLR
from semppl_keras.training.global_batch import GlobalBatch


@keras.saving.register_keras_serializable(package="semppl_keras")
class SuNCEt(SimCLR):
    """SimCLR with supervised noise-contrastive estimation (arXiv 2006.10803).

    To the instance loss of all images comes a term on the labelled ones, which are
    to be nearer to each other within a class than between classes. It needs batches
    with several labelled images per class: with many classes a random one holds hardly
    a pair. The authors draw 20 classes of 2 images, `fit(..., labelled_batch_size=40,
    images_per_class=2)`.

    `fit` tells contrastive_accuracy and suncet, the term before its weight.

    Args:
        num_classes: int, at least 2; labels are 0 .. num_classes - 1.
        suncet_weight: float, of the labelled term, not negative.
        **simclr: the arguments of `SimCLR`.

    Raises:
        TypeError, ValueError: if the backbone does not fit, or an argument is out
            of range.
    """

    settings = ("num_classes", "suncet_weight", *SimCLR.settings)
    needs_labels = True
    shown = (*SimCLR.shown, "suncet")

    def __init__(self, backbone, num_classes, *, suncet_weight=1.0, **simclr):
        check_integers(2, num_classes=num_classes)
        check_not_negative(suncet_weight=suncet_weight)
        super().__init__(backbone, num_classes=num_classes, **simclr)
        self.suncet_weight = suncet_weight

    def loss_parts(self, online, target, labels, batch):
        """NT-Xent of all images and SuNCEt's term of the labelled ones."""
        parts = super().loss_parts(online, target, labels, batch)
        known = ops.cast(labels["label"], "int32")
        labelled = GlobalBatch(known.shape[0])
        suncet = suncet_loss(
            labelled.gather(online[:, online.shape[1] - known.shape[0] :], axis=1),
            labelled.gather(known),
            temperature=self.temperature,
        )
        loss = parts["loss"] + self.suncet_weight * suncet
        return {**parts, "loss": loss, "suncet": suncet}
