"""What all objectives share: views in, a representation out."""

import functools

import keras
import numpy as np
from keras import ops

from semppl_keras.checks import check_seed, check_share
from semppl_keras.data.checks import ImageSpec
from semppl_keras.data.feed.feed import make_feed
from semppl_keras.networks import (
    Encoder,
    TargetEncoder,
    check_backbone,
    make_servable,
)
from semppl_keras.networks.image_embedder import ImageEmbedder
from semppl_keras.networks.saved_parts import made_of_parts, with_frozen
from semppl_keras.training.fit_callbacks import as_list
from semppl_keras.training.global_batch import share_of_loss
from semppl_keras.training.known_arguments import known_arguments
from semppl_keras.training.latest import Latest
from semppl_keras.training.random_state import draw_seeds
from semppl_keras.training.target_ema import TargetEMA
from semppl_keras.training.target_schedule import TargetSchedule
from semppl_keras.training.view_model import ViewModel, inference
from semppl_keras.views import MultiCrop, recipe


class Pretraining(ViewModel):
    """A model that learns a representation from random views of images.

    A subclass says in `loss_parts` what is to be learned from the embeddings of the
    views, and names in `settings` the arguments that make its configuration.

    Args:
        backbone: any built `keras.Model` from images to features, see `SemPPL`.
        views: a `MultiCrop`, or the name of a recipe of `semppl_keras.views`.
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
        **kwargs: `dtype` and `name`, see `SemPPL`.

    Raises:
        TypeError, ValueError: if the backbone does not fit, or an argument is out
            of range.
    """

    settings = ()
    freezable = ("online",)
    needs_labels = False

    def __init__(
        self,
        backbone,
        *,
        views,
        make_heads,
        num_target_heads=None,
        target_momentum=None,
        num_classes=None,
        metrics=(),
        latest=(),
        seed=None,
        **kwargs,
    ):
        check_seed(seed)
        if num_target_heads is not None:
            check_share(target_momentum=target_momentum)
        if keras.config.image_data_format() != "channels_last":
            raise ValueError(
                "semppl_keras takes images with channels last. Received: "
                'keras.config.image_data_format() "channels_first".'
            )
        seed, draw_seed, *head_seeds = draw_seeds(seed, 3)
        super().__init__(seed, draw_seed, **kwargs)
        self.num_classes = num_classes
        self.views = views if isinstance(views, MultiCrop) else recipe(views)
        self.target_momentum = target_momentum

        sizes = [self.views.large_size]
        if self.views.num_small:
            sizes.append(self.views.small_size)
        channels, feature_dim = check_backbone(backbone, sizes, self.views.output_range)
        self.views.check_channels(channels)
        make_servable(backbone)
        masked = self.views.background_removal > 0
        self.image_spec = ImageSpec(
            num_classes,
            (channels + masked,),
            self.views.min_image_size,
            self.views.value_range,
        )

        # The heads have the policy of the model, which is saved, and not the global
        # one of whichever process loads it. The networks cast their inputs
        # themselves; the encoders around them leave images in float32.
        heads = make_heads(feature_dim, *head_seeds, dtype=self.dtype_policy)
        self.feature_dim = feature_dim
        self.online = Encoder(backbone, heads, dtype="float32", name="online")
        self.target = self._target_schedule = None
        if num_target_heads is not None:
            self.target = TargetEncoder.copy_of(
                self.online,
                num_heads=num_target_heads,
                name="target",
                image_size=min(sizes),
            )
            self._target_schedule = TargetSchedule(name="target_schedule")
            latest = (*latest, "target_momentum")
        self._step_metrics = [
            *(keras.metrics.Mean(name) for name in (*metrics, "embedding_std")),
            *(Latest(name) for name in latest),
        ]
        self.built = True

    @property
    def backbone(self):
        """The online backbone, an ordinary `keras.Model` from images to features."""
        return self.online.backbone

    def loss_parts(self, online, target, labels, batch):
        """What is to be learned, from the views of one batch.

        Args:
            online: `(V, B, D)` unit vectors, the large views first.
            target: `(L, B, D)` unit vectors of the large views, without gradient;
                None without a target network.
            labels: dict of `label` `(B_l,)` int32, those of the last B_l images, and
                `hidden_label` `(B_u,)` of the others, -1 for unknown; either may be
                missing.
            batch: `GlobalBatch` of these images, of which other replicas may hold
                more.

        Returns:
            dict of `loss`, a scalar, and what the subclass gave as `metrics` and
            `latest`, scalars or vectors whose mean is shown.
        """
        raise NotImplementedError(f"{type(self).__name__} has no `loss_parts`.")

    # -- use ------------------------------------------------------------------

    @known_arguments
    def fit(
        self,
        unlabelled=None,
        labelled=None,
        *,
        epochs=1,
        batch_size=None,
        labelled_batch_size=None,
        images_per_class=None,
        steps_per_epoch=None,
        validation_data=None,
        validation_batch_size=None,
        validation_steps=None,
        validation_freq=1,
        initial_epoch=0,
        initial_batch=0,
        callbacks=None,
        verbose="auto",
    ):
        """Trains on unlabelled and labelled images.

        An epoch is one pass over `unlabelled`, whose last batch is filled up from
        the beginning; `labelled` goes round beside it. Arrays are shuffled, in an
        order that follows from the model's seed and step; datasets come in their
        own order.

        Args:
            unlabelled: images, uint8 or float in the views' `value_range`, as an
                array `(N, H, W, C)`, `tf.data.Dataset`, `keras.utils.PyDataset`,
                torch `DataLoader` or another iterable of batches. With labels, as
                (images, labels), -1 for unknown, these are used for the metric
                `pseudo_label_accuracy` alone.
            labelled: the same of (images, labels), labels in [0, num_classes) or
                one-hot. To an objective that knows no labels they are some more
                images, and may be left out.
            epochs: int.
            batch_size: int or None, unlabelled images per step. None for that of
                the dataset's own batches, or 96, at most as many as there are.
            labelled_batch_size: int or None, labelled images per step. None for
                that of the dataset's own batches, or a third of `batch_size`, at
                most as many as there are.
            images_per_class: int or None. With it the labelled images of a step are so
                many of each of labelled_batch_size / images_per_class classes, which
                take turns: rare classes come up as often as others, and `SuNCEt` has
                its pairs. For `labelled` as arrays. None: as they come.
            steps_per_epoch: int, only where `unlabelled` has no end, or none that can
                be told: without it such images are counted by reading them once.
            validation_data: (images, labels) or a dataset of them, for a model that
                predicts classes.
            validation_batch_size, validation_steps, validation_freq,
            initial_epoch, callbacks, verbose: as in `keras.Model.fit`. In a loop of
                `fit(initial_epoch=e, epochs=e + 1)` give `TargetEMA` the length of the
                target's schedule, see there.
            initial_batch: int, batches of epoch `initial_epoch` that were done before
                the model was saved; the rest of the epoch comes first.

        Returns:
            `keras.callbacks.History`: loss, what the objective tells of itself,
            target_momentum, embedding_std (1 / sqrt(projection_dim) for embeddings
            that are spread evenly, 0 when they collapse), val_ metrics.

        Raises:
            ValueError, TypeError: if the data does not fit; nothing is trained.
            MemoryError: if a step takes more memory than there is.
        """
        self._check_compiled("fit")
        if self.target is not None:
            self.target.check_is_copy(self.online)
        feed = make_feed(
            unlabelled,
            labelled,
            self.image_spec,
            labels_required=self.needs_labels,
            batch_size=batch_size,
            labelled_batch_size=labelled_batch_size,
            images_per_class=images_per_class,
            steps_per_epoch=steps_per_epoch,
            seed=self.seed,
            num_replicas=self.num_replicas,
        )
        self._check_batch_sizes(feed.batch_size, feed.labelled_batch_size)
        callbacks = as_list(callbacks)
        moved = any(isinstance(callback, TargetEMA) for callback in callbacks)
        if self.target is not None and not moved:
            callbacks.append(TargetEMA(self.target_momentum))
        try:
            return self.fit_feed(
                feed,
                epochs=epochs,
                validation_data=validation_data,
                validation_batch_size=validation_batch_size,
                validation_steps=validation_steps,
                validation_freq=validation_freq,
                initial_epoch=initial_epoch,
                initial_batch=initial_batch,
                callbacks=callbacks,
                verbose=verbose,
            )
        finally:
            self.hold_target()

    @known_arguments
    def embed(self, images, batch_size=None, verbose=0):
        """The backbone's representation of images.

        Args:
            images: an array `(N, H, W, C)`, or a dataset of batches of them.
            batch_size: int or None, as in `keras.Model.predict`.
            verbose: as in `keras.Model.predict`.

        Returns:
            `(N, F)` float array.
        """
        self._check_one_process("embed")
        images = self._checked_images("images", images)
        with inference(self._embedder):
            # The images are checked by the name that they have here.
            features = keras.Model.predict(
                self._embedder, images, batch_size=batch_size, verbose=verbose
            )
        return np.asarray(features, dtype="float32")

    def export(self, filepath, format="tf_saved_model", **kwargs):
        """What is to be served is said by `semppl_keras.export.export_model`.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError(
            f"{type(self).__name__} has no `export`: semppl_keras.export.export_model("
            "model, path) writes its backbone with the preprocessing of images, "
            "model.backbone.export(path) the backbone alone, and `FineTuner` makes a "
            "classifier of it."
        )

    def output_shapes(self):
        """Of the backbone and of the online network's last head."""
        shapes = {"Features": (self.feature_dim,)}
        if self.online.heads:
            shapes["Embeddings"] = (self.online.heads[-1].output_shape[-1],)
        return shapes

    # -- the step -------------------------------------------------------------

    def make_views(self, images):
        """Views of the unlabelled and labelled images of a batch, in this order."""
        return self.draw_views(images)

    def call(self, inputs, training=False):
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
            return self.online.features(self.views.center_view(inputs))
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

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        """The objective's loss and the backbone's penalties; updates the metrics."""
        if not training:
            return ops.zeros(())
        online = y_pred["online"]
        values = dict(self.loss_parts(online, y_pred.get("target"), y, self._batch))
        values["embedding_std"] = _standard_deviation(online[0], self._batch)
        if self.target is not None:
            values["target_momentum"] = self._target_schedule.momentum(self.step)
        for metric in self._step_metrics:
            metric.update_state(ops.stop_gradient(values[metric.name]))
        loss = values["loss"]
        for penalty in self.online.losses:
            loss = loss + ops.cast(ops.sum(penalty), loss.dtype)
        return share_of_loss(loss)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """In training the step's metrics, otherwise those given to `compile`."""
        if not isinstance(y_pred, dict):
            self._compile_metrics.update_state(
                self.as_indices(y), y_pred, sample_weight
            )
            return self._compile_metrics.result()
        return {metric.name: metric.result() for metric in self.step_metrics(y)}

    def step_metrics(self, labels):
        """The metrics that a step shows, given the labels that came with it."""
        del labels
        return [self._loss_tracker, *self._step_metrics]

    def after_update(self):
        """Moves the target after the optimiser's step, and counts the batch."""
        if self.target is not None:
            momentum = self._target_schedule.momentum(self.step)
            weight = (1.0 - momentum) * self.completed_updates()
            for target, online in self.target.moving_pairs(self.online):
                own_weight = ops.cast(weight, target.dtype)
                target.assign(target + own_weight * (online - target))
        super().after_update()

    def schedule_target(self, base_momentum, start, steps):
        """Lets the target move: see `TargetEMA`, which calls this.

        Args:
            base_momentum: float in [0, 1].
            start: int, the model's step at which the schedule begins.
            steps: int, its length, or None: the momentum stays as it begins.

        Raises:
            TypeError: if the model has no target network.
        """
        if self.target is None:
            raise TypeError(
                f"{type(self).__name__} has no target network that `TargetEMA` could "
                "move."
            )
        self._target_schedule.begin(base_momentum, start, steps)

    def target_progress(self):
        """The share of the target's schedule that is done, None if it never began."""
        step = int(self.step.numpy())
        return self._target_schedule.progress_at(step)

    def hold_target(self):
        """Keeps the target as it is."""
        if self.target is not None:
            self._target_schedule.hold()

    # -- checks ---------------------------------------------------------------

    def _check_batch_sizes(self, batch_size, labelled_batch_size):
        """Raises a ValueError for a batch that the objective cannot work with."""

    # -- saving ---------------------------------------------------------------

    @functools.cached_property
    def _embedder(self):
        # A cached property goes past Keras' tracking: no part of what is saved.
        return ImageEmbedder(self.backbone, self.views)

    def get_config(self):
        config = {
            **super().get_config(),
            "backbone": keras.saving.serialize_keras_object(self.backbone),
            "views": keras.saving.serialize_keras_object(self.views),
            "seed": self.seed,
            **{name: getattr(self, name) for name in self.settings},
        }
        return with_frozen(config, self)

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return made_of_parts(cls, config, ("backbone", "views"), custom_objects)


def _standard_deviation(embeddings, batch):
    """Of each component of `(B, D)`, over the global batch."""
    embeddings = ops.stop_gradient(embeddings)
    deviation = embeddings - batch.mean(ops.mean(embeddings, axis=0))
    return ops.sqrt(batch.mean(ops.mean(ops.square(deviation), axis=0)))
