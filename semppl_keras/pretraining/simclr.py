"""SimCLR: tell the views of an image from those of all others."""

from typing import Any, ClassVar

import keras
from keras import ops

from semppl_keras.checks import (
    check_integers,
    check_positive,
    check_two_views,
)
from semppl_keras.losses import nt_xent_loss
from semppl_keras.memory import LabelledMemory
from semppl_keras.networks import projector
from semppl_keras.pretraining.base import Pretraining
from semppl_keras.training.global_batch import GlobalBatch
from semppl_keras.views import MultiCrop


@keras.saving.register_keras_serializable(package="semppl_keras")
class SimCLR(Pretraining):
    """Learns a representation from images alone (arXiv 2002.05709, 2006.10029).

    With the defaults the pre-training of SimCLRv2: a projection head of three
    layers, of which `FineTuner` keeps the first. Labels, where they come with the
    data, are not looked at.

    `fit` tells contrastive_accuracy, the share of views to which another view of
    their own image is nearer than all others, and memory_fill with a memory.

    Example:

    ```python
    model = semppl_keras.SimCLR(backbone)
    model.compile(optimizer=keras.optimizers.AdamW(2e-3))
    model.fit(images, epochs=20, batch_size=256)
    features = model.embed(images)
    ```

    Args:
        backbone, projection_dim, hidden_dim, seed, **kwargs: as in `SemPPL`.
        views: as in `SemPPL`; at least two in all.
        hidden_layers: int, of the projector: 2 in SimCLRv2, 1 in SimCLR.
        temperature: float, tau, positive.
        memory_size: int, embeddings of earlier batches that serve as further
            negatives, made by a moving average of the network (SimCLRv2's memory);
            0 for none.
        target_momentum: float in [0, 1], m0 of that moving average, which here rises
            to 1 along BYOL's cosine. SimCLRv2 keeps 0.999 throughout: so does
            `TargetEMA(0.999, total_steps=10**9)` among the callbacks of `fit`.

    Raises:
        TypeError, ValueError: if the backbone does not fit, or an argument is out
            of range.
    """

    settings: ClassVar[tuple[str, ...]] = (
        "projection_dim",
        "hidden_dim",
        "hidden_layers",
        "temperature",
        "memory_size",
        "target_momentum",
    )

    # What `fit` tells beside the loss, of every subclass.
    shown: ClassVar[tuple[str, ...]] = ("contrastive_accuracy",)

    def __init__(
        self,
        backbone: keras.Model,
        *,
        views: MultiCrop | str = "small_images",
        projection_dim: int = 128,
        hidden_dim: int = 2048,
        hidden_layers: int = 2,
        temperature: float = 0.1,
        memory_size: int = 0,
        target_momentum: float = 0.95,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        check_integers(
            1,
            projection_dim=projection_dim,
            hidden_dim=hidden_dim,
            hidden_layers=hidden_layers,
        )
        check_integers(0, memory_size=memory_size)
        check_positive(temperature=temperature)
        super().__init__(
            backbone,
            views=views,
            make_heads=projector(hidden_dim, projection_dim, hidden_layers),
            num_target_heads=1 if memory_size else None,
            target_momentum=target_momentum,
            metrics=self.shown,
            latest=("memory_fill",) if memory_size else (),
            seed=seed,
            **kwargs,
        )
        check_two_views(self.views)
        self.projection_dim = projection_dim
        self.hidden_dim = hidden_dim
        self.hidden_layers = hidden_layers
        self.temperature = temperature
        self.memory_size = memory_size
        self.memory = None
        if memory_size:
            # Of one view and one class: what counts is which entries are filled.
            self.memory = LabelledMemory(1, memory_size, projection_dim, name="memory")

    def loss_parts(
        self, outputs: dict[str, Any], labels: dict[str, Any], batch: GlobalBatch
    ) -> dict[str, Any]:
        """NT-Xent; also writes the memory. Labels are not looked at."""
        del labels
        # The loss of the whole batch, on every replica: it is cheap.
        online = batch.gather(outputs["online"], axis=1)
        if self.memory is None:
            return nt_xent_loss(online, temperature=self.temperature)
        # What earlier batches have left: of this one each image has its views here.
        filled = self.memory.labels.value >= 0
        parts = nt_xent_loss(
            online,
            temperature=self.temperature,
            negatives=self.memory.embeddings.value[0],
            negative_mask=filled,
        )
        written = self.memory.enqueued(
            batch.gather(outputs["target"][:1], axis=1),
            ops.zeros((batch.size,), "int32"),
        )
        self.write_states(self.memory.state, written)
        return {**parts, "memory_fill": ops.mean(ops.cast(filled, "float32"))}

    def _check_batch_sizes(self, batch_size: int, labelled_batch_size: int) -> None:
        if self.memory is None and batch_size + labelled_batch_size == 1:
            raise ValueError(
                "`batch_size` must be at least 2: an image is told from the others of "
                "its batch, and a loss of 0 teaches nothing. Received: batch_size=1. "
                "Take more images at a time."
            )
