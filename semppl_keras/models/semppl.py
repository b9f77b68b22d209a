"""SemPPL: semantic positives via pseudo-labels."""

import functools
import math
import random

import keras
import numpy as np
from keras import ops

from semppl_keras.data.checks import ImageSpec, check_images, check_labels
from semppl_keras.data.feed import make_feed
from semppl_keras.data.sources import make_source
from semppl_keras.losses import semppl_loss
from semppl_keras.memory import (
    LabelledMemory,
    knn_votes,
    sample_negatives,
    sample_semantic_positives,
    vote_shares,
)
from semppl_keras.models.latest import Latest
from semppl_keras.models.target_ema import TargetEMA
from semppl_keras.networks import (
    Encoder,
    TargetEncoder,
    check_backbone,
    make_servable,
    mlp_head,
)
from semppl_keras.optimizers import LARS, biases_and_normalisation
from semppl_keras.trainers import ViewTrainer
from semppl_keras.views import MultiCrop, recipe


@keras.saving.register_keras_serializable(package="semppl_keras")
class SemPPL(ViewTrainer):
    """Learns a representation from many images, with labels for a few of them.

    Contrastive learning with an online and a target network, in which the nearest
    neighbours in a memory of labelled embeddings predict the missing labels, and
    labelled embeddings of the predicted class serve as further positives (Bošnjak
    et al., ICLR 2023, arXiv 2301.05158).

    The defaults are for some hundred to a few thousand steps on one machine; the
    settings of the paper are the recipe `semppl_keras.recipes.imagenet`.

    Example:

    ```python
    model = semppl_keras.SemPPL(backbone, num_classes=10)
    model.compile(optimizer=keras.optimizers.AdamW(2e-3))
    model.fit(images, (few_images, few_labels), epochs=20)
    labels, confidences = model.pseudo_label(images)
    features = model.embed(images)
    ```

    Args:
        backbone: any built `keras.Model` from images `(B, h, w, C)`, in the views'
            `output_range`, to features `(B, F)` or `(B, h', w', F)`, at both sizes
            of the views. It becomes the online network's.
        num_classes: int, at least 2; labels are 0 .. num_classes - 1.
        views: a `MultiCrop`, or the name of a recipe of `semppl_keras.views`:
            "imagenet", "small_images", "digits".
        projection_dim: int, D.
        hidden_dim: int, width of projector and predictor.
        memory_size: int, C, labelled embeddings in the queue. Some 10 to 20
            labelled batches: older ones are of a network that is long gone.
        neighbours: int, k.
        num_negatives: int, K; a batch holds at least K + 1 images.
        num_semantic_positives: int, P.
        temperature: float, tau, positive.
        contrastive_weight: float, c, not negative.
        semantic_weight: float, alpha, not negative; 0 is ReLICv2.
        invariance_weight: float, lambda, not negative.
        target_momentum: float in [0, 1], m0 of the `TargetEMA` that `fit` adds.
        seed: int or None: views, draws, order of arrays and initial heads follow
            from it. Drawn (and kept) where None.

    Raises:
        TypeError, ValueError: if the backbone does not fit, or an argument is out
            of range.
    """

    def __init__(
        self,
        backbone,
        num_classes,
        *,
        views="small_images",
        projection_dim=256,
        hidden_dim=4096,
        memory_size=640,
        neighbours=1,
        num_negatives=10,
        num_semantic_positives=3,
        temperature=0.2,
        contrastive_weight=1.0,
        semantic_weight=0.2,
        invariance_weight=1.0,
        target_momentum=0.97,
        seed=None,
        **kwargs,
    ):
        # The networks cast their inputs themselves; images and similarities stay
        # in float32.
        super().__init__(**{"autocast": False, **kwargs})
        _check_integers(2, num_classes=num_classes)
        _check_integers(
            1,
            projection_dim=projection_dim,
            hidden_dim=hidden_dim,
            memory_size=memory_size,
            neighbours=neighbours,
            num_negatives=num_negatives,
            num_semantic_positives=num_semantic_positives,
        )
        _check_not_negative(
            contrastive_weight=contrastive_weight,
            semantic_weight=semantic_weight,
            invariance_weight=invariance_weight,
        )
        if not _is_number(temperature) or not temperature > 0:
            raise ValueError(
                f"`temperature` must be positive. Received: temperature={temperature}."
            )
        if seed is not None and not (isinstance(seed, (int, np.integer)) and seed >= 0):
            raise ValueError(
                "`seed` must be None or an integer of at least 0. Received: "
                f"seed={seed!r}."
            )
        if not _is_number(target_momentum) or not 0 <= target_momentum <= 1:
            raise ValueError(
                "`target_momentum` must lie in [0, 1]. Received: "
                f"target_momentum={target_momentum}."
            )
        if neighbours > memory_size:
            raise ValueError(
                "`neighbours` must be at most `memory_size`. Received: "
                f"neighbours={neighbours}, memory_size={memory_size}."
            )
        if keras.config.image_data_format() != "channels_last":
            raise ValueError(
                "semppl_keras takes images with channels last. Received: "
                'keras.config.image_data_format() "channels_first".'
            )
        self.num_classes = num_classes
        self.views = views if isinstance(views, MultiCrop) else recipe(views)
        self.projection_dim = projection_dim
        self.hidden_dim = hidden_dim
        self.memory_size = memory_size
        self.neighbours = neighbours
        self.num_negatives = num_negatives
        self.num_semantic_positives = num_semantic_positives
        self.temperature = temperature
        self.contrastive_weight = contrastive_weight
        self.semantic_weight = semantic_weight
        self.invariance_weight = invariance_weight
        self.target_momentum = target_momentum
        # Drawn from where Keras draws its default seeds, so that
        # keras.utils.set_random_seed fixes it too.
        self.seed = random.randint(0, 2**31 - 1) if seed is None else int(seed)

        sizes = [self.views.large_size]
        if self.views.num_small:
            sizes.append(self.views.small_size)
        channels, feature_dim = check_backbone(backbone, sizes)
        make_servable(backbone)
        masked = self.views.background_removal > 0
        self._image_spec = ImageSpec(
            num_classes, (channels + masked,), self.views.min_image_size
        )

        # Seeds that are far apart for seeds that are not.
        draw_seed, projector_seed, predictor_seed = (
            int(state) >> 1
            for state in np.random.SeedSequence(self.seed).generate_state(3)
        )
        self.seed_generator = keras.random.SeedGenerator(draw_seed)
        self.online = Encoder(
            backbone,
            [
                mlp_head(
                    feature_dim, hidden_dim, projection_dim, projector_seed, "projector"
                ),
                mlp_head(
                    projection_dim,
                    hidden_dim,
                    projection_dim,
                    predictor_seed,
                    "predictor",
                ),
            ],
            name="online",
        )
        self.target = TargetEncoder.copy_of(self.online, num_heads=1, name="target")
        self.memory = LabelledMemory(
            self.views.num_large, memory_size, projection_dim, name="memory"
        )

        def state(name, dtype, initializer):
            return self.add_weight(
                shape=(),
                dtype=dtype,
                initializer=initializer,
                trainable=False,
                aggregation="only_first_replica",
                name=name,
            )

        self.step = state("step", "int32", "zeros")
        # A base momentum of 1 holds the target still: see `TargetEMA`.
        self._base_momentum = state("base_momentum", "float32", "ones")
        self._schedule_start = state("schedule_start", "int32", "zeros")
        self._schedule_steps = state("schedule_steps", "int32", "ones")

        self._step_metrics = [
            *(
                keras.metrics.Mean(name)
                for name in (
                    "augmentation",
                    "semantic",
                    "invariance",
                    "semantic_invariance",
                    "pseudo_label_confidence",
                    "embedding_std",
                )
            ),
            Latest("memory_fill"),
            Latest("target_momentum"),
        ]
        self._pseudo_label_accuracy = keras.metrics.Mean("pseudo_label_accuracy")
        self.built = True

    @property
    def backbone(self):
        """The online backbone, an ordinary `keras.Model` from images to features."""
        return self.online.backbone

    def compile(
        self,
        optimizer="adamw",
        metrics=("accuracy",),
        weighted_metrics=None,
        run_eagerly=False,
        steps_per_execution=1,
        jit_compile="auto",
        auto_scale_loss=True,
    ):
        """Configures training; the loss is SemPPL's own.

        Args:
            optimizer: a Keras optimiser or its name. `LARS` leaves out the biases
                and normalisation weights of this model.
            metrics: what `evaluate` (and validation) computes from labels and vote
                shares.
            steps_per_execution: int that divides the steps of an epoch.
            weighted_metrics, run_eagerly, jit_compile, auto_scale_loss: as in
                `keras.Model.compile`.
        """
        optimizer = keras.optimizers.get(optimizer)
        inner = getattr(optimizer, "inner_optimizer", optimizer)
        if isinstance(inner, LARS) and not inner.built:
            inner.exclude_from_adaptation(biases_and_normalisation(self))
        super().compile(
            optimizer=optimizer,
            metrics=list(metrics or ()),
            weighted_metrics=weighted_metrics,
            run_eagerly=run_eagerly,
            steps_per_execution=steps_per_execution,
            jit_compile=jit_compile,
            auto_scale_loss=auto_scale_loss,
        )
        # Variables that the first step of `fit` creates cost TensorFlow a second
        # tracing of it.
        if not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)
        # Keras would build the metrics from the first batch of `fit`, which holds
        # views and no vote shares.
        super().compute_metrics(
            None,
            ops.zeros((1,), "int32"),
            ops.one_hot(ops.zeros((1,), "int32"), self.num_classes),
        )
        self.reset_metrics()

    def compile_from_config(self, config):
        config = keras.saving.deserialize_keras_object(config)
        # Keras notes them; this model's `compile` has none.
        for name in ("loss", "loss_weights"):
            config.pop(name, None)
        self.compile(**config)

    def fit(
        self,
        unlabelled=None,
        labelled=None,
        *,
        epochs=1,
        batch_size=None,
        labelled_batch_size=None,
        steps_per_epoch=None,
        validation_data=None,
        validation_batch_size=None,
        validation_steps=None,
        validation_freq=1,
        initial_epoch=0,
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
                one-hot.
            epochs: int.
            batch_size: int or None, unlabelled images per step. None for that of
                the dataset's own batches, or 96, at most as many as there are.
            labelled_batch_size: int or None, labelled images per step. None for
                that of the dataset's own batches, or a third of `batch_size`, at
                most as many as there are.
            steps_per_epoch: int, only where `unlabelled` has no end, or none that can
                be told: without it such images are counted by reading them once.
            validation_data: (images, labels) or a dataset of them.
            validation_batch_size, validation_steps, validation_freq,
            initial_epoch, callbacks, verbose: as in `keras.Model.fit`.

        Returns:
            `keras.callbacks.History`: loss, its parts (augmentation, semantic,
            invariance, semantic_invariance), pseudo_label_confidence,
            pseudo_label_accuracy (where known), memory_fill, target_momentum,
            embedding_std (1 / sqrt(projection_dim) for embeddings that are spread
            evenly, 0 when they collapse), val_accuracy.

        Raises:
            ValueError, TypeError: if the data does not fit; nothing is trained.
        """
        self._check_compiled("fit")
        feed = make_feed(
            unlabelled,
            labelled,
            self._image_spec,
            batch_size=batch_size,
            labelled_batch_size=labelled_batch_size,
            steps_per_epoch=steps_per_epoch,
            seed=self.seed,
        )
        self._check_batch_sizes(feed.batch_size, feed.labelled_batch_size)
        if feed.steps_per_epoch % self.steps_per_execution:
            raise ValueError(
                "`steps_per_execution` must divide the steps of an epoch, which is one "
                "pass over `unlabelled`. Received: steps_per_execution="
                f"{self.steps_per_execution} for {feed.steps_per_epoch} steps."
            )
        if validation_data is not None:
            validation_data = self._check_validation_data(validation_data)
        callbacks = _as_list(callbacks)
        if not any(isinstance(callback, TargetEMA) for callback in callbacks):
            callbacks.append(TargetEMA(self.target_momentum))
        callbacks.append(_SeekFeed(feed))
        try:
            return super().fit(
                **feed.fit_arguments(),
                epochs=epochs,
                shuffle=False,
                validation_data=validation_data,
                validation_batch_size=validation_batch_size,
                validation_steps=validation_steps,
                validation_freq=validation_freq,
                initial_epoch=initial_epoch,
                callbacks=callbacks,
                verbose=verbose,
            )
        except Exception as error:
            explanation = feed.explain(error)
            if explanation is None:
                raise
            raise explanation from None
        finally:
            self.hold_target()

    def predict(self, x, batch_size=None, **kwargs):
        """The memory's vote shares for images.

        Each image, its central square at the large views' size, is compared with
        the memory under each of its L views.

        Args:
            x: images as an array `(N, H, W, C)`, or a dataset of batches of them.
            batch_size, **kwargs: as in `keras.Model.predict`.

        Returns:
            `(N, num_classes)` float32, rows summing to 1; the largest share is
            that of the label which `pseudo_label` gives.

        Raises:
            ValueError: if the images do not fit, or the memory is not filled.
        """
        self._check_memory("predict")
        return super().predict(
            self._check_images("x", x), batch_size=batch_size, **kwargs
        )

    def evaluate(self, x=None, y=None, **kwargs):
        """The metrics given to `compile`, on labels and vote shares.

        Args:
            x: images `(N, H, W, C)`, or a dataset of batches of (images, labels).
            y: labels `(N,)`, with images as an array.
            **kwargs: as in `keras.Model.evaluate`.
        """
        self._check_compiled("evaluate")
        self._check_memory("evaluate")
        if y is not None:
            y = check_labels("y", y, self.num_classes)
        return super().evaluate(self._check_images("x", x), y, **kwargs)

    def embed(self, images, batch_size=None, verbose=0):
        """The backbone's representation of images.

        Args:
            images: an array `(N, H, W, C)`, or a dataset of batches of them.
            batch_size: int or None, as in `keras.Model.predict`.
            verbose: as in `keras.Model.predict`.

        Returns:
            `(N, F)` float array.
        """
        images = self._check_images("images", images)
        features = self._feature_extractor.predict(
            images, batch_size=batch_size, verbose=verbose
        )
        return np.asarray(features, dtype="float32")

    def pseudo_label(self, images, batch_size=None, verbose=0):
        """Labels of images and how sure they are.

        Args:
            images: an array `(N, H, W, C)`, or a dataset of batches of them.
            batch_size, verbose: as in `keras.Model.predict`.

        Returns:
            labels `(N,)` int32 and confidences `(N,)` float32 in [0, 1], the share
            of the votes.
        """
        shares = self.predict(images, batch_size=batch_size, verbose=verbose)
        # Votes are whole: this takes back what `vote_shares` gives to the winner.
        votes = self.views.num_large
        confidences = np.round(shares.max(axis=1) * votes) / votes
        return shares.argmax(axis=1).astype("int32"), confidences.astype("float32")

    # -- the step -------------------------------------------------------------

    def make_views(self, images):
        """Views of the unlabelled and labelled images of a batch, in this order."""
        images = [ops.cast(part, "float32") for part in images]
        return self.views(ops.concatenate(images, axis=0), seed=self.seed_generator)

    def call(self, inputs, training=False):
        """In training views to embeddings, otherwise images to vote shares.

        Args:
            inputs: in training what `make_views` gives; otherwise images
                `(B, H, W, C)`.
            training: bool.

        Returns:
            In training a dict of `online` `(V, B, D)` and `target` `(L, B, D)`;
            otherwise `(B, num_classes)`.
        """
        if training:
            views = list(inputs.values())
            if len({view.shape[2:] for view in views}) == 1:
                # Views of one size pass the network as one batch.
                views = [ops.concatenate(views, axis=1)]
            online = [self.online.embed_views(view, training=True) for view in views]
            target = self.target.embed_views(inputs["large"], training=True)
            return {
                "online": ops.concatenate(online, axis=0),
                "target": ops.stop_gradient(target),
            }
        query = self.online(self.views.center_view(inputs))
        return vote_shares(
            query[None],
            self.memory.embeddings.value,
            self.memory.labels.value,
            self.neighbours,
            self.num_classes,
        )

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        """SemPPL's loss; also writes the memory and updates the metrics."""
        if not training:
            return ops.zeros(())
        online, target = y_pred["online"], y_pred["target"]
        num_large, batch_size = target.shape[:2]
        labels = y["label"]
        num_unlabelled = batch_size - labels.shape[0]

        memory = self.memory.enqueued(target[:, num_unlabelled:], labels)
        for variable, value in zip(self.memory.state, memory, strict=True):
            self.write_state(variable, value)
        embeddings, memory_labels, _ = memory

        pseudo_labels, confidences = knn_votes(
            ops.stop_gradient(online[:num_large, :num_unlabelled]),
            embeddings,
            memory_labels,
            self.neighbours,
            self.num_classes,
        )
        entries, found = sample_semantic_positives(
            ops.concatenate([pseudo_labels, ops.cast(labels, "int32")], axis=0),
            memory_labels,
            self.num_semantic_positives,
            self.num_classes,
            self.seed_generator,
        )
        parts = semppl_loss(
            online,
            target,
            sample_negatives(batch_size, self.num_negatives, self.seed_generator),
            ops.swapaxes(ops.take(embeddings, entries, axis=1), 0, 1),
            found,
            temperature=self.temperature,
            contrastive_weight=self.contrastive_weight,
            semantic_weight=self.semantic_weight,
            invariance_weight=self.invariance_weight,
        )
        values = {
            **parts,
            "pseudo_label_confidence": confidences,
            "embedding_std": ops.std(ops.stop_gradient(online[0]), axis=0),
            "memory_fill": ops.mean(ops.cast(memory_labels >= 0, "float32")),
            "target_momentum": self._momentum_now(),
        }
        for metric in self._step_metrics:
            metric.update_state(ops.stop_gradient(values[metric.name]))
        if "hidden_label" in y:
            hidden = ops.cast(y["hidden_label"], "int32")
            self._pseudo_label_accuracy.update_state(
                ops.cast(pseudo_labels == hidden, "float32"),
                sample_weight=ops.cast(hidden >= 0, "float32"),
            )
        return parts["loss"]

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """In training the step's metrics, otherwise those given to `compile`."""
        if not isinstance(y_pred, dict):
            if len(y.shape) == 2:
                y = ops.argmax(y, axis=-1) if y.shape[-1] > 1 else y[:, 0]
            super().compute_metrics(x, y, y_pred, sample_weight)
            return self._compile_metrics.result()
        metrics = [self._loss_tracker, *self._step_metrics]
        if "hidden_label" in y:
            metrics.append(self._pseudo_label_accuracy)
        return {metric.name: metric.result() for metric in metrics}

    def after_update(self):
        """Moves the target after the optimiser's step."""
        momentum = self._momentum_now()
        for target, online in self.target.moving_pairs(self.online):
            weight = ops.cast(1.0 - momentum, target.dtype)
            target.assign(target + weight * (online - target))
        self.step.assign(self.step + 1)

    def schedule_target(self, base_momentum, start, steps):
        """Lets the target move: see `TargetEMA`, which calls this.

        Args:
            base_momentum: float in [0, 1].
            start: int, the model's step at which the schedule begins.
            steps: int, its length.
        """
        self._base_momentum.assign(base_momentum)
        self._schedule_start.assign(start)
        self._schedule_steps.assign(steps)

    def hold_target(self):
        """Keeps the target as it is."""
        self._base_momentum.assign(1.0)

    def _momentum_now(self):
        elapsed = ops.cast(self.step - self._schedule_start, "float32")
        progress = elapsed / ops.cast(self._schedule_steps, "float32")
        progress = ops.clip(progress, 0.0, 1.0)
        remaining = (ops.cos(math.pi * progress) + 1.0) / 2.0
        return 1.0 - (1.0 - self._base_momentum) * remaining

    # -- checks ---------------------------------------------------------------

    def _check_compiled(self, method):
        if not self.compiled:
            raise ValueError(
                f"The model must be compiled before `{method}`: "
                "model.compile(optimizer=...)."
            )

    def _check_batch_sizes(self, batch_size, labelled_batch_size):
        total = batch_size + labelled_batch_size
        if total < self.num_negatives + 1:
            raise ValueError(
                f"`batch_size` is too small: with num_negatives={self.num_negatives} a "
                f"step needs at least {self.num_negatives + 1} images. Received: "
                f"batch_size={batch_size} and labelled_batch_size="
                f"{labelled_batch_size}, together {total}."
            )
        if labelled_batch_size > self.memory_size:
            raise ValueError(
                "`memory_size` must hold at least one labelled batch. Received: "
                f"memory_size={self.memory_size} and labelled_batch_size="
                f"{labelled_batch_size}."
            )

    def _check_validation_data(self, data):
        if not isinstance(data, (tuple, list)):
            return self._check_images("validation_data", data, labelled=True)
        if len(data) not in (2, 3):
            raise ValueError(
                "`validation_data` must be (images, labels) or a dataset of them. "
                f"Received: {len(data)} part(s)."
            )
        images, labels, *weights = data
        return (
            self._check_images("validation_data", images),
            check_labels("validation_data", labels, self.num_classes),
            *weights,
        )

    def _check_images(self, name, images, labelled=False):
        """Images as Keras takes them, an array or a dataset of batches."""
        channels = self._image_spec.channels[0]
        masked = self.views.background_removal > 0
        allowed = (channels, channels - 1) if masked else (channels,)
        # Any size will do: it is resized to a large view's.
        spec = ImageSpec(self.num_classes, allowed)
        if hasattr(images, "shape") and hasattr(images, "dtype"):
            images = check_images(name, images, spec)[..., : allowed[-1]]
            if not len(images):
                raise ValueError(f"`{name}` is empty: it holds no image.")
            return images
        if isinstance(images, (tuple, list, dict)):
            raise TypeError(
                f"`{name}` must be an array of images or a dataset of batches. "
                f"Received: {type(images).__name__}."
            )
        if not hasattr(images, "__next__"):
            source = make_source(name, images, spec, labelled=labelled, seed=self.seed)
            if source.native_batch_size is None:
                raise ValueError(
                    f"`{name}` must yield batches. Received: single images. Batch the "
                    "dataset: dataset.batch(64)."
                )
        return images

    def _check_memory(self, method):
        filled = int(np.sum(ops.convert_to_numpy(self.memory.labels.value) >= 0))
        if filled < self.neighbours:
            raise ValueError(
                f"`{method}` needs labelled embeddings in the memory, at least "
                f"neighbours={self.neighbours}. Received: {filled}. Call `fit` first."
            )

    # -- saving ---------------------------------------------------------------

    @functools.cached_property
    def _feature_extractor(self):
        # A cached property goes past Keras' tracking: no part of what is saved.
        return _FeatureExtractor(self.views, self.online)

    @property
    def _random_states(self):
        return [v for v in self.variables if v.path.endswith("seed_generator_state")]

    def save_own_variables(self, store):
        super().save_own_variables(store)
        # Keras leaves out the state of random generators.
        for index, variable in enumerate(self._random_states):
            store[f"random_state_{index}"] = variable

    def load_own_variables(self, store):
        random_states = [key for key in store.keys() if key.startswith("random_state")]  # noqa: SIM118
        super().load_own_variables(
            {key: store[key] for key in store.keys() if key not in random_states}  # noqa: SIM118
        )
        for index, variable in enumerate(self._random_states):
            variable.assign(store[f"random_state_{index}"])

    def get_config(self):
        config = {
            **super().get_config(),
            "backbone": keras.saving.serialize_keras_object(self.backbone),
            "views": keras.saving.serialize_keras_object(self.views),
        }
        for name in (
            "num_classes",
            "projection_dim",
            "hidden_dim",
            "memory_size",
            "neighbours",
            "num_negatives",
            "num_semantic_positives",
            "temperature",
            "contrastive_weight",
            "semantic_weight",
            "invariance_weight",
            "target_momentum",
            "seed",
        ):
            config[name] = getattr(self, name)
        return config

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        for name in ("backbone", "views"):
            if isinstance(config[name], dict):
                config[name] = keras.saving.deserialize_keras_object(
                    config[name], custom_objects=custom_objects
                )
        return cls(**config)


class _FeatureExtractor(keras.Model):
    """Images to the online backbone's features, for `predict` over a dataset."""

    def __init__(self, views, encoder):
        super().__init__(autocast=False, name="feature_extractor")
        self.views = views
        self.encoder = encoder
        self.built = True

    def call(self, images):
        return self.encoder.features(self.views.center_view(images))


class _SeekFeed(keras.callbacks.Callback):
    """Starts the data at the model's step, once other callbacks have restored it."""

    def __init__(self, feed):
        super().__init__()
        self._feed = feed
        self._started = False

    def on_epoch_begin(self, epoch, logs=None):
        if not self._started:
            self._feed.seek(int(self.model.step))
            self._started = True


def _as_list(callbacks):
    if callbacks is None:
        return []
    return list(callbacks) if isinstance(callbacks, (list, tuple)) else [callbacks]


def _check_integers(least, **values):
    for name, value in values.items():
        if not isinstance(value, (int, np.integer)) or value < least:
            raise ValueError(
                f"`{name}` must be an integer of at least {least}. Received: "
                f"{name}={value}."
            )


def _check_not_negative(**values):
    for name, value in values.items():
        if not _is_number(value) or not value >= 0:
            raise ValueError(
                f"`{name}` must be a number that is not negative. Received: "
                f"{name}={value!r}."
            )


def _is_number(value):
    return isinstance(value, (int, float, np.number))
