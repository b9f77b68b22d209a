"""What all objectives share: views in, a representation out."""

import functools
import os
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from semppl_keras.checks import check_seed
from semppl_keras.data.checks import ImageSpec
from semppl_keras.data.feed.streamed_batches import for_keras
from semppl_keras.networks import (
    Encoder,
    TargetEncoder,
    check_backbone,
    freeze_places,
    frozen_places,
    make_servable,
    train_part,
)
from semppl_keras.networks.adapters import keep_adapters
from semppl_keras.networks.image_embedder import ImageEmbedder
from semppl_keras.networks.saved_parts import made_of_parts, with_frozen
from semppl_keras.networks.splitting import copy_upper_weights, whole_backbone
from semppl_keras.networks.trainable_part import check_part, choose_part
from semppl_keras.pretraining.saved_arguments import warn_of_arguments
from semppl_keras.training.backends import processes
from semppl_keras.training.global_batch import GlobalBatch
from semppl_keras.training.inference import inference
from semppl_keras.training.known_arguments import known_arguments
from semppl_keras.training.random_state import draw_seeds
from semppl_keras.training.view_model import ViewModel
from semppl_keras.views import CachedViews, MultiCrop, recipe


class Pretraining(ViewModel):
    """A model that learns a representation from random views of images.

    A subclass says in `loss_parts` what is to be learned from the embeddings of the
    views, and names in `settings` the arguments that make its configuration. Beside the
    parts of its loss `fit` tells embedding_std (1 / sqrt(projection_dim) for embeddings
    that are spread evenly, 0 when they collapse) and, with a target network,
    target_momentum.

    Args:
        backbone: any built `keras.Model` from images to features, see `SemPPL`.
        views: a `MultiCrop`, the name of a recipe of `semppl_keras.views`, or
            `CachedViews` before the upper part of a backbone.
        make_heads: function of the size of the features, of two seeds and of a
            dtype policy; returns the heads of the online network.
        num_target_heads: int or None: how many of the heads the target network has
            too. None: there is no target.
        target_momentum: float in [0, 1], m0 of the `TargetEMA` that `fit` adds.
        num_classes: int or None, where labels are of no use.
        metrics: tuple of str, names of what `loss_parts` gives beside the loss.
        latest: the same, of what is shown as it stands rather than as a mean.
        seed: int or None: views, draws, order of arrays and initial heads follow
            from it. Drawn (and kept) where None.
        trainable: what of the backbone is trained, "heads", "top" or "all", see
            `networks.train_part`; None for what it says itself.
        batch_norm: "adapt" or "inference", the same; None for "adapt" where
            `trainable` is given.
        **kwargs: `dtype` and `name`, see `SemPPL`.

    Raises:
        TypeError, ValueError: if the backbone does not fit, or an argument is out
            of range.
    """

    settings: ClassVar[tuple[str, ...]] = ()
    freezable = ("online",)

    def __init__(
        self,
        backbone: keras.Model,
        *,
        views: MultiCrop | str,
        make_heads: Callable[..., list[keras.Model]],
        num_target_heads: int | None = None,
        target_momentum: float | None = None,
        num_classes: int | None = None,
        metrics: Iterable[str] = (),
        latest: Iterable[str] = (),
        seed: int | None = None,
        trainable: str | bool | None = None,
        batch_norm: str | None = None,
        **kwargs: Any,
    ) -> None:
        check_seed(seed)
        if keras.config.image_data_format() != "channels_last":
            raise ValueError(
                "semppl_keras takes images with channels last. Received: "
                'keras.config.image_data_format() "channels_first".'
            )
        seed, draw_seed, *head_seeds = draw_seeds(seed, 3)
        if isinstance(trainable, bool):
            # What Keras notes of every model; what is frozen is noted beside it.
            kwargs["trainable"], trainable = trainable, None
        super().__init__(seed, draw_seed, **kwargs)
        self.num_classes = num_classes
        self.views = _as_views(views)
        self.target_momentum = target_momentum

        if trainable is not None:
            check_part(trainable, batch_norm or "adapt")
            # It may come frozen, and be meant to stay so.
            train_part(backbone)
        channels, feature_dim = check_backbone(
            backbone, self.views.sizes, self.views.output_range
        )
        choose_part(backbone, trainable, batch_norm)
        self.views.check_channels(channels)
        make_servable(backbone)
        keep_adapters(backbone)
        masked = self.views.background_removal > 0
        self.image_spec = ImageSpec(
            num_classes,
            (channels + masked,),
            self.views.min_image_size,
            self.views.value_range,
            cached=self.views.cached,
        )

        # The heads have the policy of the model, which is saved, and not the global
        # one of whichever process loads it. The networks cast their inputs
        # themselves; the encoders around them leave images in float32.
        heads = make_heads(feature_dim, *head_seeds, dtype=self.dtype_policy)
        self.feature_dim = feature_dim
        self.online = Encoder(backbone, heads, dtype="float32", name="online")
        self.target: TargetEncoder | None = None
        if num_target_heads is not None:
            self.target = TargetEncoder.copy_of(
                self.online,
                num_heads=num_target_heads,
                name="target",
                image_size=min(filter(None, self.views.sizes), default=32),
            )
            keep_adapters(self.target.backbone)
            self.keep_average(target_momentum)
        self.tell((*metrics, "embedding_std"), latest)
        self.built = True

    @property
    def backbone(self) -> keras.Model:
        """The online backbone, an ordinary `keras.Model` from images to features."""
        return self.online.backbone

    # -- use ------------------------------------------------------------------

    @known_arguments
    def embed(
        self,
        images: Any,
        batch_size: int | None = None,
        verbose: Any = 0,
        callbacks: Any = None,
    ) -> np.ndarray:
        """The backbone's representation of images.

        Args:
            images: an array `(N, H, W, C)`, or a dataset of batches of them.
            batch_size, verbose, callbacks: as in `keras.Model.predict`.

        Returns:
            `(N, F)` float array.
        """
        images = for_keras(self._checked_images("images", images), batch_size)
        with inference(self._embedder):
            # The images are checked by the name that they have here.
            features = processes.predicted(
                self._embedder,
                lambda: keras.Model.predict(
                    self._embedder,
                    images,
                    batch_size=batch_size,
                    verbose=verbose,
                    callbacks=callbacks,
                ),
            )
        return np.asarray(features, dtype="float32")

    def start_from(self, backbone: keras.Model) -> None:
        """Begins with the weights of another backbone, in both networks.

        Args:
            backbone: built `keras.Model` of the same layers as the model's.

        Raises:
            ValueError: if its weights do not fit.
        """
        for network in (self.online, self.target):
            if network is not None:
                network.backbone.set_weights(backbone.get_weights())

    def on_pictures(self, lower: keras.Model, views: MultiCrop | str) -> Any:
        """The same model for pictures, of one that was trained on kept features.

        Args:
            lower: the lower part of the backbone, see `networks.split_backbone`.
            views: a `MultiCrop`, or the name of a recipe, of the pictures; as many
                large views as here are taken of it.

        Returns:
            A model of this class with the whole backbone, whose upper part is this
            one's. It is not compiled, and its lower part is frozen.

        Raises:
            ValueError: if this model takes pictures itself, or `lower` does not fit.
        """
        backbone = whole_backbone(lower, self.backbone, self.views)
        settings = _as_views(views).get_config()
        settings["num_large"] = self.views.num_large
        frozen = frozen_places(backbone)
        backbone.trainable = True
        whole = type(self)(
            backbone,
            views=MultiCrop.from_config(settings),
            seed=self.seed,
            dtype=self.dtype_policy,
            name=self.name,
            **{name: getattr(self, name) for name in self.settings},
        )
        freeze_places(backbone, frozen)
        for network, part in ((whole.online, self.online), (whole.target, self.target)):
            if part is not None:
                copy_upper_weights(network, part, whole.online, self.online)
        for name in ("memory", "_target_schedule", "seed_generator"):
            kept, taken = getattr(whole, name, None), getattr(self, name, None)
            if taken is not None:
                pairs = zip(_variables(kept), _variables(taken), strict=True)
                for variable, source in pairs:
                    variable.assign(source.numpy())
        whole.step.assign(self.step.numpy())
        return whole

    def export(
        self,
        filepath: str | os.PathLike[str],
        format: str = "tf_saved_model",
        **kwargs: Any,
    ) -> None:
        """Not for a model of pre-training: see `semppl_keras.export.export_model`.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError(
            f"{type(self).__name__} has no `export`: semppl_keras.export.export_model("
            "model, path) writes its backbone with the preprocessing of images, "
            "model.backbone.export(path) the backbone alone, and `FineTuner` makes a "
            "classifier of it."
        )

    def output_shapes(self) -> dict[str, tuple[int, ...]]:
        """Of the backbone and of the online network's last head."""
        shapes: dict[str, tuple[int, ...]] = {"Features": (self.feature_dim,)}
        if self.online.heads:
            shapes["Embeddings"] = (self.online.heads[-1].output_shape[-1],)
        return shapes

    # -- the step -------------------------------------------------------------

    def call(self, inputs: Any, training: bool = False) -> Any:
        """In training views to embeddings, otherwise images to features.

        Args:
            inputs: in training what `make_views` gives; otherwise images
                `(B, H, W, C)`.
            training: bool.

        Returns:
            In training a dict of `online` `(V, B, D)` and, with a target network,
            `target` `(L, B, D)`; otherwise `(B, F)`.
        """
        if not training:
            return self.online.features(self._center_view(inputs))
        if self.target is not None:
            self.target.follow_frozen(self.online)
        views = list(inputs.values())
        if len({view.shape[2:] for view in views}) == 1:
            # Views of one size pass the network as one batch.
            views = [ops.concatenate(views, axis=1)]
        online = [self.online.embed_views(view, training=True) for view in views]
        embeddings = {"online": ops.concatenate(online, axis=0)}
        if self.target is not None:
            target = self.target.embed_views(inputs["large"], training=True)
            embeddings["target"] = ops.stop_gradient(target)
        return embeddings

    def _center_view(self, images: Any) -> Any:
        """What the networks see of images `(B, H, W, C)` outside of training."""
        if isinstance(images, dict):
            raise ValueError(
                "`inputs` must be images (B, H, W, C) outside of training. Received: a "
                f"dict of {', '.join(map(str, images))}. Call the model with "
                "training=True on views."
            )
        return self.views.center_view(images)

    def measures(self, outputs: dict[str, Any], batch: GlobalBatch) -> dict[str, Any]:
        """As `ViewStep.measures`, and how far the online embeddings are spread."""
        spread = _standard_deviation(outputs["online"][0], batch)
        return {**super().measures(outputs, batch), "embedding_std": spread}

    def penalties(self) -> Iterable[Any]:
        """Those of the online network."""
        return self.online.losses

    def moving_pairs(self) -> Iterable[tuple[Any, Any]]:
        """The target's weights and those of the online network that move them."""
        return () if self.target is None else self.target.moving_pairs(self.online)

    def check_networks(self) -> None:
        """Raises a ValueError if the target is no copy of the online network."""
        if self.target is not None:
            self.target.check_is_copy(self.online)

    # -- saving ---------------------------------------------------------------

    def save(
        self, filepath: str | os.PathLike[str], overwrite: bool = True, **kwargs: Any
    ) -> None:
        """As `keras.Model.save`, to a `.keras` file.

        An objective of one's own that could not be loaded as it is is saved with a
        warning.

        Raises:
            ValueError: for a HDF5 file.
        """
        super().save(filepath, overwrite=overwrite, **kwargs)
        warn_of_arguments(self)

    @functools.cached_property
    def _embedder(self) -> ImageEmbedder:
        # A cached property goes past Keras' tracking: no part of what is saved.
        return ImageEmbedder(self.backbone, self.views)

    def get_config(self) -> dict[str, Any]:
        config: dict[str, Any] = {
            **super().get_config(),
            "backbone": keras.saving.serialize_keras_object(self.backbone),
            "views": keras.saving.serialize_keras_object(self.views),
            "seed": self.seed,
            **{name: getattr(self, name) for name in self.settings},
        }
        return with_frozen(config, self)

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> "Pretraining":
        return made_of_parts(cls, config, ("backbone", "views"), custom_objects)


def _as_views(views: Any) -> Any:
    return views if isinstance(views, (MultiCrop, CachedViews)) else recipe(views)


def _variables(part: Any) -> list[Any]:
    return part.variables if hasattr(part, "variables") else [part.state]


def _standard_deviation(embeddings: Any, batch: GlobalBatch) -> Any:
    """Of each component of `(B, D)`, over the global batch."""
    embeddings = ops.stop_gradient(embeddings)
    deviation = embeddings - batch.mean(ops.mean(embeddings, axis=0))
    return ops.sqrt(batch.mean(ops.mean(ops.square(deviation), axis=0)))
