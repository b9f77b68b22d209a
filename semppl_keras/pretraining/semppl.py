"""SemPPL: semantic positives via pseudo-labels."""

import dataclasses
import functools
import warnings
from typing import Any

import keras
import numpy as np
from keras import ops

from semppl_keras.checks import (
    check_batch_has_negatives,
    check_integers,
    check_not_negative,
    check_positive,
    check_two_views,
    listed,
)
from semppl_keras.data.checks import ImageSpec
from semppl_keras.losses import byol_loss, semppl_loss
from semppl_keras.memory import (
    ImageLabels,
    LabelledMemory,
    behind_its_ties,
    knn_votes,
    sample_negatives,
    sample_semantic_positives,
    vote_shares,
)
from semppl_keras.memory.policy import checked_policy
from semppl_keras.networks import projector_and_predictor
from semppl_keras.pretraining.base import Pretraining
from semppl_keras.pretraining.label_propagation import LabelPropagation
from semppl_keras.training.fit_callbacks import as_list
from semppl_keras.training.global_batch import GlobalBatch
from semppl_keras.training.known_arguments import known_arguments
from semppl_keras.views import MultiCrop

# What `fit` tells of each objective.
_METRICS = {
    "relicv2": ("augmentation", "semantic", "invariance", "semantic_invariance"),
    "byol": ("regression", "semantic"),
}
_NETWORKS = ("target", "online")
_LABELLERS = ("memory", "propagation")
# Parts of images that come with hidden labels, or None, and weights.
_WITH_WEIGHTS = 3


@keras.saving.register_keras_serializable(package="semppl_keras")
class SemPPL(Pretraining):
    """Learns a representation from many images, with labels for a few of them.

    Contrastive learning with an online and a target network, in which the nearest
    neighbours in a memory of labelled embeddings predict the missing labels, and
    labelled embeddings of the predicted class serve as further positives (Bošnjak
    et al., ICLR 2023, arXiv 2301.05158).

    The defaults are for some hundred to a few thousand steps on one machine; the
    paper's settings are the recipe `semppl_keras.recipes.imagenet`. The authors'
    published code is that of the linear evaluation alone: what their abstract and
    introduction leave open is decided here, and told where it is (`losses.semppl_loss`,
    `views.MultiCrop`).

    `fit` tells, beside the parts of the loss: pseudo_label_confidence,
    pseudo_label_accuracy (where true labels come with the unlabelled images),
    memory_fill, and val_accuracy.

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
            "imagenet", "small_images", "digits"; or `CachedViews`, with which the
            images are features that are kept.
        objective: what the semantic positives are added to: "relicv2", contrast
            with negatives and an invariance penalty, or "byol", regression, to which
            negatives, temperature, contrastive and invariance weight mean nothing.
        projection_dim: int, D.
        hidden_dim: int, width of projector and predictor.
        memory_size: int, C, labelled embeddings in the memory. Some 10 to 20
            labelled batches: older ones are of a network that is long gone.
        memory_policy: what the labelled images of a batch overwrite: "balanced", the
            oldest of their own class, each class having C / num_classes entries to
            itself, so that rare classes stay; or "fifo", the oldest of all, one queue
            as in the paper, in which the classes are as frequent as among the labels.
            With more classes than entries it is "fifo", and a warning says so.
        neighbours: int, k. Balanced, a class can have the majority of them where k
            is below twice its entries.
        num_negatives: int, K; a batch holds at least K + 1 images.
        num_semantic_positives: int, P.
        labeller: what gives the pseudo-labels: "memory", the votes of its entries on
            the views of a batch, as in the paper; or "propagation", a graph over the
            features of all images of `fit`, labelled or not, in which labels spread
            (`evaluation.propagate_labels`), the votes until it is there for the first
            time. For `fit` on arrays, in one process.
        weight_positives: bool, whether the semantic positives of an image count as much
            as its label is sure, by its share of the votes or of the graph.
        propagation_start: float, not negative, epochs before the graph's first time.
        propagation_every: float, positive, epochs from one time to the next: each takes
            as long as to embed all images, and the graph itself.
        balance_labels: bool, whether what the graph says is balanced to how often the
            classes are labelled. Where they are labelled as often as they come, or all
            of them come equally often.
        temperature: float, tau, positive.
        contrastive_weight: float, c, not negative.
        semantic_weight: float, alpha, not negative; 0 leaves out the contrast with
            semantic positives, but not their share of the invariance penalty
            (`ReLICv2` is without labels altogether).
        invariance_weight: float, lambda, not negative.
        target_momentum: float in [0, 1], m0 of the `TargetEMA` that `fit` adds.
        predict_with: which network's embeddings of images are compared with the memory
            after training, by `predict`, `evaluate` and `pseudo_label`: "target", which
            has made those in the memory, or "online", as the step does. The predictor
            and the moving statistics of the latter lag behind in the first hundred
            steps, and may name one class for all images.
        seed: int or None: views, draws, order of arrays and initial heads follow
            from it. Drawn (and kept) where None. The same seed gives the same result
            on the same backend with the same `jit_compile`: compiled by XLA,
            TensorFlow draws other random numbers than without.
        **kwargs: `trainable`, what of a pretrained backbone is trained ("heads",
            "top", "all"), and `batch_norm`, whether its batch normalisation follows the
            images ("adapt") or keeps its statistics ("inference"), see
            `networks.train_part`: by default it is trained as it comes. `dtype`, the
            dtype policy of the heads (the backbone has its own), by default the global
            one at this moment; `name`.

    Raises:
        TypeError, ValueError: if the backbone does not fit, or an argument is out
            of range.
    """

    settings = (
        "num_classes",
        "objective",
        "projection_dim",
        "hidden_dim",
        "memory_size",
        "memory_policy",
        "neighbours",
        "num_negatives",
        "num_semantic_positives",
        "labeller",
        "weight_positives",
        "propagation_start",
        "propagation_every",
        "balance_labels",
        "temperature",
        "contrastive_weight",
        "semantic_weight",
        "invariance_weight",
        "target_momentum",
        "predict_with",
    )
    needs_labels = True
    predicts_classes = True
    num_classes: int

    def __init__(
        self,
        backbone: keras.Model,
        num_classes: int,
        *,
        views: MultiCrop | str = "small_images",
        objective: str = "relicv2",
        projection_dim: int = 256,
        hidden_dim: int = 4096,
        memory_size: int = 640,
        memory_policy: str = "balanced",
        neighbours: int = 1,
        num_negatives: int = 10,
        num_semantic_positives: int = 3,
        labeller: str = "memory",
        weight_positives: bool = False,
        propagation_start: float = 1.0,
        propagation_every: float = 1.0,
        balance_labels: bool = False,
        temperature: float = 0.2,
        contrastive_weight: float = 1.0,
        semantic_weight: float = 1.0,
        invariance_weight: float = 1.0,
        target_momentum: float = 0.95,
        predict_with: str = "target",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        check_integers(2, num_classes=num_classes)
        check_integers(
            1,
            projection_dim=projection_dim,
            hidden_dim=hidden_dim,
            memory_size=memory_size,
            neighbours=neighbours,
            num_negatives=num_negatives,
            num_semantic_positives=num_semantic_positives,
        )
        check_not_negative(
            contrastive_weight=contrastive_weight,
            semantic_weight=semantic_weight,
            invariance_weight=invariance_weight,
            propagation_start=propagation_start,
        )
        check_positive(temperature=temperature, propagation_every=propagation_every)
        if objective not in _METRICS:
            raise ValueError(
                f"`objective` must be one of {sorted(_METRICS)}. Received: "
                f"objective={objective!r}."
            )
        if predict_with not in _NETWORKS:
            raise ValueError(
                f"`predict_with` must be one of {_NETWORKS}. Received: predict_with="
                f"{predict_with!r}."
            )
        if labeller not in _LABELLERS:
            raise ValueError(
                f"`labeller` must be one of {_LABELLERS}. Received: labeller="
                f"{labeller!r}."
            )
        if neighbours > memory_size:
            raise ValueError(
                "`neighbours` must be at most `memory_size`. Received: "
                f"neighbours={neighbours}, memory_size={memory_size}."
            )
        memory_policy = checked_policy(
            memory_policy, memory_size, num_classes, neighbours
        )
        super().__init__(
            backbone,
            views=views,
            make_heads=projector_and_predictor(hidden_dim, projection_dim),
            num_target_heads=1,
            target_momentum=target_momentum,
            num_classes=num_classes,
            metrics=(*_METRICS[objective], "pseudo_label_confidence"),
            latest=("memory_fill",),
            seed=seed,
            **kwargs,
        )
        if objective == "byol":
            check_two_views(self.views)
        self.objective = objective
        self.projection_dim = projection_dim
        self.hidden_dim = hidden_dim
        self.memory_size = memory_size
        self.memory_policy = memory_policy
        self.predict_with = predict_with
        self.neighbours = neighbours
        self.num_negatives = num_negatives
        self.num_semantic_positives = num_semantic_positives
        self.labeller = labeller
        self.weight_positives = weight_positives
        self.propagation_start = propagation_start
        self.propagation_every = propagation_every
        self.balance_labels = balance_labels
        self.temperature = temperature
        self.contrastive_weight = contrastive_weight
        self.semantic_weight = semantic_weight
        self.invariance_weight = invariance_weight
        self.memory = LabelledMemory(
            self.views.num_large,
            memory_size,
            projection_dim,
            num_classes if memory_policy == "balanced" else None,
            name="memory",
        )
        self.image_labels = ImageLabels(name="image_labels")
        self._missing_told = None
        self._pseudo_label_accuracy = keras.metrics.Mean("pseudo_label_accuracy")

    @known_arguments
    def compile(
        self, optimizer: Any = "adamw", metrics: Any = ("accuracy",), **options: Any
    ) -> None:
        """Configures training; the loss is SemPPL's own.

        Args:
            optimizer: a Keras optimiser or its name. `LARS` leaves out the biases
                and normalisation weights of this model.
            metrics: what `evaluate` (and validation) computes from labels and vote
                shares.
            **options: weighted_metrics, run_eagerly, steps_per_execution (an int that
                divides the steps of an epoch), jit_compile, auto_scale_loss: as in
                `keras.Model.compile`.
        """
        super().compile(optimizer, metrics=metrics, **options)

    @known_arguments
    def pseudo_label(
        self,
        images: Any,
        batch_size: int | None = None,
        verbose: Any = 0,
        callbacks: Any = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Labels of images and how sure they are.

        Args:
            images: an array `(N, H, W, C)`, or a dataset of batches of them.
            batch_size, verbose, callbacks: as in `keras.Model.predict`.

        Returns:
            labels `(N,)` int32 and confidences `(N,)` float32 in [0, 1], the share
            of the votes.
        """
        shares = self.predict(
            images, batch_size=batch_size, verbose=verbose, callbacks=callbacks
        )
        # Votes are whole: this takes back what `vote_shares` gives to the winner.
        votes = self.views.num_large
        confidences = np.round(shares.max(axis=1) * votes) / votes
        return shares.argmax(axis=1).astype("int32"), confidences.astype("float32")

    def call(self, inputs: Any, training: bool = False) -> Any:
        """In training views to embeddings, otherwise images to vote shares.

        Each image is compared with the memory under each of its L views.

        Args:
            inputs: in training what `make_views` gives; otherwise images
                `(B, H, W, C)`.
            training: bool.

        Returns:
            In training a dict of `online` `(V, B, D)` and `target` `(L, B, D)`;
            otherwise `(B, num_classes)`; the largest share is that of the label
            which `pseudo_label` gives.
        """
        if training:
            return super().call(inputs, training=True)
        network = getattr(self, self.predict_with)
        query = network(self._center_view(inputs))
        return vote_shares(
            query[None],
            self.memory.embeddings.value,
            self.memory.labels.value,
            self.neighbours,
            self.num_classes,
        )

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        """As `ViewStep.compute_metrics`; of equal shares the true class comes last."""
        if not isinstance(y_pred, dict):
            y_pred = behind_its_ties(y_pred, self.as_indices(y))
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def loss_parts(
        self, outputs: dict[str, Any], labels: dict[str, Any], batch: GlobalBatch
    ) -> dict[str, Any]:
        """SemPPL's loss of the own images; also writes the memory."""
        known = ops.cast(labels["label"], "int32")
        num_unlabelled = outputs["target"].shape[1] - known.shape[0]
        unlabelled = GlobalBatch(num_unlabelled)
        all_targets = batch.gather(outputs["target"], axis=1)
        embeddings, memory_labels = self._remembered(
            all_targets[:, unlabelled.size :], known
        )
        pseudo_labels, confidences = self._pseudo_labels(
            outputs["online"][:, :num_unlabelled], embeddings, memory_labels, labels
        )
        semantic_positive, found = self._semantic_positives(
            ops.concatenate([pseudo_labels, known], axis=0),
            embeddings,
            memory_labels,
            batch,
        )
        parts = self._contrasts(
            outputs,
            all_targets,
            semantic_positive,
            found,
            self._positive_weights(confidences, labels),
            batch,
        )
        if "hidden_label" in labels:
            hidden = ops.cast(labels["hidden_label"], "int32")
            # Of all replicas, which may know different numbers of them.
            parts["pseudo_label_accuracy"] = (
                unlabelled.gather(ops.cast(pseudo_labels == hidden, "float32")),
                unlabelled.gather(ops.cast(hidden >= 0, "float32")),
            )
        return {
            **parts,
            "pseudo_label_confidence": confidences,
            "memory_fill": ops.mean(ops.cast(memory_labels >= 0, "float32")),
        }

    def _remembered(self, targets: Any, known: Any) -> tuple[Any, Any]:
        """The memory `(L, C, D)` and its labels `(C,)`, once it has taken labelled
        images in: `targets` `(L, n, D)` of all devices, `known` `(m,)` of this one."""
        labels = GlobalBatch(known.shape[0]).gather(known)
        memory = self.memory.enqueued(targets, labels)
        self.write_states(self.memory.state, memory)
        embeddings, memory_labels, _ = memory
        return embeddings, memory_labels

    def _pseudo_labels(
        self, online: Any, embeddings: Any, memory_labels: Any, labels: dict[str, Any]
    ) -> tuple[Any, Any]:
        """Pseudo-labels `(U,)` of unlabelled images, and how sure they are `(U,)`: the
        votes of the memory, or what is kept for each image in their place."""
        votes = knn_votes(
            ops.stop_gradient(online[: embeddings.shape[0]]),
            embeddings,
            memory_labels,
            self.neighbours,
            self.num_classes,
        )
        if "number" in labels:
            return self.image_labels.over(labels["number"], *votes)
        return votes

    def _semantic_positives(
        self, classes: Any, embeddings: Any, memory_labels: Any, batch: GlobalBatch
    ) -> tuple[Any, Any]:
        """Of each image embeddings of its class `(P, L, B, D)`, and whether the memory
        has any `(B,)`."""
        entries, found = sample_semantic_positives(
            batch.gather(classes),
            memory_labels,
            self.num_semantic_positives,
            self.num_classes,
            self.seed_generator,
        )
        entries = batch.own(entries, axis=1)
        positives = ops.swapaxes(ops.take(embeddings, entries, axis=1), 0, 1)
        return positives, batch.own(found)

    def _contrasts(
        self,
        outputs: dict[str, Any],
        all_targets: Any,
        semantic_positive: Any,
        found: Any,
        weights: Any,
        batch: GlobalBatch,
    ) -> dict[str, Any]:
        """The loss and its parts, by the objective that SemPPL extends."""
        if self.objective == "byol":
            return byol_loss(
                outputs["online"],
                outputs["target"],
                semantic_positive,
                found,
                semantic_positive_weight=weights,
                semantic_weight=self.semantic_weight,
            )
        negatives = sample_negatives(
            batch.size, self.num_negatives, self.seed_generator
        )
        return semppl_loss(
            outputs["online"],
            outputs["target"],
            batch.own(negatives),
            semantic_positive,
            found,
            semantic_positive_weight=weights,
            candidates=all_targets,
            temperature=self.temperature,
            contrastive_weight=self.contrastive_weight,
            semantic_weight=self.semantic_weight,
            invariance_weight=self.invariance_weight,
        )

    def _positive_weights(self, confidences: Any, labels: dict[str, Any]) -> Any:
        """`(B,)`, how much the semantic positives of each image count; None for 1."""
        parts = [confidences] if self.weight_positives else []
        parts += [labels["weight"]] if "weight" in labels else []
        if not parts:
            return None
        unlabelled = functools.reduce(ops.multiply, parts)
        # Labelled images are what their labels say.
        whole = ops.ones(labels["label"].shape, "float32")
        return ops.concatenate([unlabelled, whole], axis=0)

    def step_metrics(self, labels: dict[str, Any]) -> list[keras.metrics.Metric]:
        """Adds the pseudo-labels' accuracy, where it can be known."""
        metrics = super().step_metrics(labels)
        if "hidden_label" in labels:
            metrics.append(self._pseudo_label_accuracy)
        return metrics

    def _check_batch_sizes(self, batch_size: int, labelled_batch_size: int) -> None:
        if self.objective != "byol":
            check_batch_has_negatives(
                batch_size, labelled_batch_size, self.num_negatives
            )
        if labelled_batch_size > self.memory_size:
            raise ValueError(
                "`memory_size` must hold at least one labelled batch. Received: "
                f"memory_size={self.memory_size} and labelled_batch_size="
                f"{labelled_batch_size}."
            )

    def make_feed(
        self, unlabelled: Any, labelled: Any, spec: ImageSpec, **sizes: Any
    ) -> Any:
        """Makes the feed; images are numbered where labels are kept for each, and may
        come with weights, how much what each is taken for counts."""
        if isinstance(unlabelled, tuple) and len(unlabelled) == _WITH_WEIGHTS:
            spec = dataclasses.replace(spec, weighted=True)
        if self.labeller == "propagation":
            self._check_one_process('fit(labeller="propagation")')
            sizes["numbered"] = True
        return super().make_feed(unlabelled, labelled, spec, **sizes)

    def fit_feed(
        self, feed: Any, *, callbacks: Any = None, **training: Any
    ) -> keras.callbacks.History:
        """Trains; warns of classes that are then missing in the memory."""
        if self.labeller == "propagation":
            images, labelled, labels = feed.arrays()
            if self.image_labels.num_images != len(images):
                with self.variable_scope():
                    self.image_labels.make_room(len(images))
            propagation = LabelPropagation(
                images,
                labelled,
                labels,
                start=self.propagation_start,
                every=self.propagation_every,
            )
            # Before those that show what it tells.
            callbacks = [propagation, *as_list(callbacks)]
        history = super().fit_feed(feed, callbacks=callbacks, **training)
        # Before it could be full, there is nothing to wonder about.
        step = int(ops.convert_to_numpy(self.step))
        written = step * feed.labelled_batch_size
        if written >= self.memory_size and self.num_processes == 1:
            self._tell_missing_classes()
        return history

    def _check_ready(self, method: str) -> None:
        filled = int(np.sum(self.memory.stored_labels() >= 0))
        if filled < self.neighbours:
            raise ValueError(
                f"`{method}` needs labelled embeddings in the memory, at least "
                f"neighbours={self.neighbours}. Received: {filled}. Call `fit` first."
            )
        self._tell_missing_classes()

    def _tell_missing_classes(self) -> None:
        """Warns of classes that no vote can be for, once for each set of them."""
        labels = self.memory.stored_labels()
        missing = np.setdiff1d(np.arange(self.num_classes), labels).tolist()
        if missing and missing != self._missing_told:
            remedy = "Label images of each class, and train until all were seen"
            if self.memory_policy == "fifo":
                remedy += (
                    f'; with memory_policy="balanced" and memory_size of at least '
                    f"{self.num_classes} none falls out"
                )
            warnings.warn(
                f"{len(missing)} of {self.num_classes} classes have no image in the "
                f"memory, and no image can be taken for one of them: "
                f"{listed(missing)}. {remedy}.",
                stacklevel=3,
            )
        self._missing_told = missing

    # -- saving ---------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Adds for how many images labels are kept."""
        config = super().get_config()
        if self.image_labels.num_images:
            config["num_images"] = self.image_labels.num_images
        return config

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> Pretraining:
        # Models that were saved without these settings have one queue, and answer as
        # they did.
        config = {"memory_policy": "fifo", "predict_with": "online", **config}
        num_images = config.pop("num_images", None)
        model = super().from_config(config, custom_objects)
        if num_images is not None:
            model.image_labels.make_room(num_images)
        return model
