"""What a recipe is: settings, and how a model is made of them."""

import dataclasses
from typing import Any, Self

import keras

from semppl_keras import backbones, optimizers, views
from semppl_keras.pretraining import SemPPL
from semppl_keras.views.multi_crop import changed

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
        if isinstance(name, tuple):
            name, own = name
            changes = {**own, **changes}
        return views.recipe(name, **changes)

    def make_optimizer(self, steps_per_epoch: int) -> Any:
        """The optimiser, its learning rate warmed up and decayed over the epochs.

        Args:
            steps_per_epoch: int, ceil(unlabelled images / batch_size).

        Returns:
            A Keras optimiser.
        """
        name, arguments = self.optimizer
        schedule = optimizers.warmup_cosine(
            arguments["learning_rate"],
            warmup_steps=round(arguments["warmup_epochs"] * steps_per_epoch),
            # Of a run without training, whose optimiser makes no step.
            total_steps=max(1, self.epochs) * steps_per_epoch,
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
        known = {"views", "trainable", "batch_norm", *objective.settings}
        settings = {n: value for n, value in self.model.items() if n in known}
        if isinstance(settings["views"], tuple):
            settings["views"] = self.make_views()
        if kept:
            settings["views"] = views.CachedViews(self.make_views().num_large)
            settings["trainable"] = "all"
        if objective.needs_labels:
            settings["num_classes"] = num_classes
        if "neighbours" in settings and settings.get("memory_policy") != "fifo":
            # Each class has room for the majority of the neighbours.
            least = num_classes * (settings["neighbours"] // 2 + 1)
            settings["memory_size"] = max(settings["memory_size"], least)
        if backbone is None:
            backbone = self.make_backbone(channels)
        model = objective(backbone, seed=seed, **settings)
        model.compile(self.make_optimizer(steps_per_epoch))
        return model

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain containers, to be written down."""
        return dataclasses.asdict(self)
