"""What a recipe is: settings, and how a model is made of them."""

import dataclasses
from typing import Any, Self

import keras

from semppl_keras import backbones, optimizers, views
from semppl_keras.networks import enable_lora, train_part
from semppl_keras.pretraining import SemPPL
from semppl_keras.views.variants import changed

_OPTIMIZERS = {
    "adam": keras.optimizers.Adam,
    "lars": optimizers.LARS,
    "layerwise_adamw": optimizers.LayerwiseAdamW,
}


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Settings of a whole training, inert until `make_model`.

    Args:
        name: str.
        epochs: int, passes over the unlabelled images.
        batch_size: int, unlabelled images per step.
        labelled_batch_size: int, labelled images per step.
        image_size: int or None: smaller images are enlarged to it beforehand.
        backbone: name of a function of `semppl_keras.backbones`, and its arguments:
            ("pretrained", {"spec": ...}) for any that it takes.
        model: arguments of `SemPPL`; `views` may also be the name of a recipe of views
            and a dict of what differs from it.
        optimizer: "adam", "lars" or "layerwise_adamw", and arguments: peak learning
            rate, warm-up in epochs, and what else the optimiser takes; for LARS the
            weight decay.
        stages: pairs of a part of the backbone, "heads", "top" or "all" (see
            `networks.train_part`), and the share of the epochs in which it is trained,
            which add up to 1, one after the other, each with an optimiser of its own;
            empty to train all that the backbone releases.
        batch_norm: "adapt" or "inference", the same, in all stages.
        lora_rank: int or None, of the adapters that a backbone of dense layers gets,
            which are then what is trained of it.
        kept_views: int, of how many random views of each image the features of the
            lower part of the backbone are kept, so that the upper part alone is
            trained; or None, to train on images.
    """

    name: str
    epochs: int
    batch_size: int
    labelled_batch_size: int
    image_size: int | None
    backbone: tuple[str, dict[str, Any]]
    model: dict[str, Any]
    optimizer: tuple[str, dict[str, Any]]
    stages: tuple[tuple[str, float], ...] = ()
    batch_norm: str = "adapt"
    lora_rank: int | None = None
    kept_views: int | None = None

    @property
    def from_weights(self) -> bool:
        """Whether its backbone comes with weights that were trained elsewhere."""
        name, arguments = self.backbone
        return name == "pretrained" and backbones.is_pretrained(arguments["spec"])

    def with_batch_size(self, batch_size: int) -> Self:
        """The recipe with so many unlabelled images per step, and with labelled ones in
        proportion."""
        share = self.labelled_batch_size / self.batch_size
        return dataclasses.replace(
            self,
            batch_size=batch_size,
            labelled_batch_size=max(1, round(share * batch_size)),
        )

    def with_learning_rate(self, learning_rate: float) -> Self:
        """The recipe with another peak of the learning rate."""
        name, arguments = self.optimizer
        arguments = {**arguments, "learning_rate": learning_rate}
        return dataclasses.replace(self, optimizer=(name, arguments))

    def with_fit(self, fit: str) -> Self:
        """The recipe with views that make squares of images in another way, of
        `views.settings.FITS`."""
        own = self.model["views"]
        if isinstance(own, views.MultiCrop):
            own = changed(own, fit=fit)
        else:
            name, changes = own if isinstance(own, tuple) else (own, {})
            own = (name, {**changes, "fit": fit})
        return dataclasses.replace(self, model={**self.model, "views": own})

    def make_backbone(self, channels: int) -> Any:
        """A new backbone.

        Args:
            channels: int, of the images.

        Returns:
            A `keras.Model` from images `(B, h, w, channels)` to features `(B, F)`.
        """
        name, arguments = self.backbone
        if name == "pretrained":
            return backbones.pretrained(
                image_size=self.image_size, channels=channels, **arguments
            )
        return getattr(backbones, name)(input_shape=(None, None, channels), **arguments)

    def make_views(self, **changes: Any) -> views.MultiCrop:
        """The `MultiCrop` of its models; `changes` are arguments that differ."""
        name = self.model["views"]
        if isinstance(name, views.MultiCrop):
            return changed(name, **changes)
        if isinstance(name, tuple):
            name, own = name
            changes = {**own, **changes}
        return views.recipe(name, **changes)

    def stage_ends(self) -> list[int]:
        """The epoch before which each stage ends, the last one's being `epochs`.

        Of a stage that is shorter than an epoch nothing is left.
        """
        done, ends = 0.0, []
        for _, share in self.stages[:-1]:
            done += share
            ends.append(round(done * self.epochs))
        return [*ends, self.epochs]

    def stage_at(self, epoch: int) -> tuple[str | None, int, int]:
        """The part that is trained in an epoch, None for what the backbone releases,
        with the epoch in which that begins, and the one before which it ends."""
        begin = 0
        parts: list[str | None] = [part for part, _ in self.stages]
        parts = parts or [None]
        for part, end in zip(parts, self.stage_ends(), strict=True):
            if begin <= epoch < end:
                return part, begin, end
            begin = end
        raise ValueError(
            f"`epoch` must be below epochs={self.epochs}. Received: epoch={epoch}."
        )

    def begin_stage(self, model: Any, epoch: int, steps_per_epoch: int) -> None:
        """Lets a model train the part of the stage that begins with an epoch.

        Args:
            model: what `make_model` gave.
            epoch: int.
            steps_per_epoch: int, as for `make_model`.
        """
        part, begin, end = self.stage_at(epoch)
        if part is not None:
            released = "all" if part == "top" and model.views.cached else part
            train_part(model.backbone, released, self.batch_norm)
            alone = ((part, 1.0),)
            stage = dataclasses.replace(self, epochs=end - begin, stages=alone)
            model.compile(stage.make_optimizer(steps_per_epoch))

    def make_optimizer(self, steps_per_epoch: int) -> Any:
        """The optimiser, its learning rate warmed up and decayed over the epochs, of
        the first stage where there are several.

        Args:
            steps_per_epoch: int, ceil(unlabelled images / batch_size).

        Returns:
            A Keras optimiser.
        """
        name, arguments = self.optimizer
        # A run without training has an optimiser that makes no step.
        epochs = self.stage_at(0)[2] if self.epochs else 1
        warmup = arguments["warmup_epochs"]
        if self.stages:
            warmup = min(warmup, epochs / 2)  # A stage may be a few epochs long.
        schedule = optimizers.warmup_cosine(
            arguments["learning_rate"],
            warmup_steps=round(warmup * steps_per_epoch),
            total_steps=epochs * steps_per_epoch,
        )
        scheduled = ("learning_rate", "warmup_epochs")
        others = {n: value for n, value in arguments.items() if n not in scheduled}
        return _OPTIMIZERS[name](schedule, **others)

    def make_model(
        self,
        channels: int,
        num_classes: int,
        steps_per_epoch: int,
        seed: int | None = None,
        objective: type[Any] = SemPPL,
        backbone: Any = None,
        kept: bool = False,
    ) -> Any:
        """A compiled `SemPPL`, or a model of another objective, with a new backbone.

        Args:
            channels: int, of the images.
            num_classes: int.
            steps_per_epoch: int, ceil(unlabelled images / batch_size).
            seed: int or None.
            objective: a subclass of `Pretraining`; of the recipe's settings it gets
                those that it knows.
            backbone: `keras.Model` that `make_backbone` has given, or None.
            kept: whether it is the upper part of one, and the images are what is kept
                of the lower one.

        Returns:
            The model, compiled.
        """
        known = {"views", *objective.settings}
        settings = {n: value for n, value in self.model.items() if n in known}
        if isinstance(settings["views"], tuple):
            settings["views"] = self.make_views()
        if kept:
            settings["views"] = views.CachedViews(self.make_views().num_large)
        if objective.needs_labels:
            settings["num_classes"] = num_classes
        if "neighbours" in settings and settings.get("memory_policy") != "fifo":
            # Each class has room for the majority of the neighbours.
            least = num_classes * (settings["neighbours"] // 2 + 1)
            settings["memory_size"] = max(settings["memory_size"], least)
        if backbone is None:
            backbone = self.make_backbone(channels)
        if self.lora_rank is not None:
            enable_lora(backbone, self.lora_rank)
        if self.stages and self.epochs:
            part, _, _ = self.stage_at(0)
            # Of the upper part alone.
            settings["trainable"] = "all" if part == "top" and kept else part
        if self.stages or self.batch_norm != "adapt":
            settings["batch_norm"] = self.batch_norm
        model = objective(backbone, seed=seed, **settings)
        model.compile(self.make_optimizer(steps_per_epoch))
        return model

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain containers, to be written down."""
        return dataclasses.asdict(self)
