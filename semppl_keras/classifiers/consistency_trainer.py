"""Consistency training: few labels, and what the network says of all other images."""

from collections.abc import Iterable
from typing import Any

import keras

from semppl_keras.checks import check_integers, check_seed
from semppl_keras.classifiers.consistency_parts import (
    TOLD,
    check_numbers,
    check_parts,
    checked_prior,
    make_memory,
    make_projector,
    weak_and_strong,
    weak_views,
)
from semppl_keras.classifiers.consistency_step import ConsistencyStep
from semppl_keras.classifiers.starting_point import classifier_within, make_classifier
from semppl_keras.consistency import FixedThreshold, HardLabels, OnlineTeacher
from semppl_keras.networks.image_classifier import ImageClassifier
from semppl_keras.networks.saved_parts import made_of_parts, part_of, with_frozen
from semppl_keras.training.fit_callbacks import as_list
from semppl_keras.training.random_state import draw_seeds
from semppl_keras.training.training_length import NotesLength, TrainingLength

_STRATEGIES = ("alignment", "refinement", "weighting", "targets", "mixing")


@keras.saving.register_keras_serializable(package="semppl_keras")
class ConsistencyTrainer(ConsistencyStep):
    """Trains a classifier on few labels and on its own answers about other images.

    What is predicted of a weak view of an unlabelled image is what a strong view of it
    is to be taken for, as far as the prediction is believed:

        L = CE(y, z_x) + w_u(t) 1/U sum_i m_i CE(q_i, z_i) + sum_k w_k R_k

    with the logits z_x of weak views of the labelled images and z_i of a strong view,
    targets q and weights m of what the teacher says of the weak view, and further terms
    R. As it comes this is FixMatch (Sohn et al., NeurIPS 2020, arXiv 2001.07685); each
    of its parts can be exchanged for another one of `semppl_keras.consistency`, and
    `semppl_keras.recipes.consistency` has those of published methods.

    Example:

    ```python
    model = semppl_keras.SemPPL(backbone, num_classes=10)
    ...
    tuner = semppl_keras.FineTuner(model, num_classes=10)
    ...
    trainer = semppl_keras.ConsistencyTrainer(tuner)
    trainer.compile(keras.optimizers.SGD(0.03, momentum=0.9, nesterov=True))
    trainer.fit(images, (few_images, few_labels), batch_size=448, epochs=20)
    trainer.classifier.save("classifier.keras")
    ```

    Args:
        start: what the classifier begins with, copied, as in `FineTuner`: a
            pre-training model; a backbone, any built `keras.Model` from images to
            features, trained or not; or a classifier, as an `ImageClassifier`,
            `FineTuner` or `Distiller`.
        num_classes: int, at least 2; None where `start` knows it.
        views: `views.WeakStrong`; or the weak views alone, a `MultiCrop` or the name
            of a recipe of `semppl_keras.views` (its crop and flip), of which
            RandAugment and cutout make the strong ones. None: weak views like those of
            `start` in size, ranges and flip, shifted by up to 12.5%.
        teacher: who says what the weak views show: `OnlineTeacher`, `EMATeacher` or
            `FrozenTeacher`. None: `OnlineTeacher()`.
        alignment: changes what is predicted to how frequent the classes are, or None.
        refinement: changes what is predicted by the labelled memory, or None.
        weighting: how much each image counts. None: `FixedThreshold(0.95)`.
        targets: what the strong views are to be taken for. None: `HardLabels()`.
        mixing: mixes the strong views, or None; not with `OnlineTeacher`.
        label_smoothing: float in [0, 1), the share of the labels' targets that is
            spread evenly over all classes.
        class_prior: a positive number for each class, how frequent it is among the
            labelled images, whose logarithm is added to the logits of the labelled
            images (logit adjustment, Menon et al., ICLR 2021, arXiv 2007.07314); or
            None.
        terms: of the loss, `consistency.Term` objects.
        unlabelled_weight: float, w_u, not negative.
        unlabelled_ramp: float in [0, 1], the share of the training in which the weight
            rises from 0 to w_u along half a cosine: 0.5 in AdaMatch.
        weight_average: float in [0, 1) or None. With it `classifier`, which predicts,
            is evaluated, saved and exported, has the moving average of the weights, of
            this decay (a smaller one at first), while `online` is trained.
        labelled_strong: bool, whether strong views of the labelled images are learned
            beside their weak ones (AdaMatch).
        logit_interpolation: bool, whether the logits of the labelled images are drawn
            between those in the common pass and those in one of their own (AdaMatch).
        total_steps: int or None, the length of the training to which `unlabelled_ramp`
            and terms refer, where it is divided into several calls of `fit`. None: the
            `epochs` of `fit`.
        projector: where a part compares embeddings: a `keras.Model` from features to
            them, copied, or a pre-training model such as `SemPPL` whose projector and
            memory are taken. None: those of `start`, or new ones.
        memory: `LabelledMemory` whose first view is copied. None: that of `projector`
            or `start`, or an empty one.
        from_layer: on what a linear layer is put, as in `FineTuner`.
        seed: int or None: views, order of arrays and new layers follow from it. Drawn
            (and kept) where None.
        **kwargs: `trainable` ("heads", "top" or "all") and `batch_norm` ("adapt" or
            "inference"), what of the backbone is trained and how, see
            `networks.train_part`; `dtype`, of a new projector; `name`.

    Attributes:
        online: `ImageClassifier` that is trained.
        classifier: `ImageClassifier` that predicts: with the average of the weights, or
            the same without `weight_average`.

    Raises:
        TypeError, ValueError: if a model or a part does not fit, or an argument is out
            of range.
    """

    def __init__(
        self,
        start: keras.Model,
        num_classes: int | None = None,
        *,
        views: Any = None,
        teacher: Any = None,
        alignment: Any = None,
        refinement: Any = None,
        weighting: Any = None,
        targets: Any = None,
        mixing: Any = None,
        label_smoothing: float = 0.0,
        class_prior: Any = None,
        terms: Iterable[Any] = (),
        unlabelled_weight: float = 1.0,
        unlabelled_ramp: float = 0.0,
        weight_average: float | None = 0.999,
        labelled_strong: bool = False,
        logit_interpolation: bool = False,
        total_steps: int | None = None,
        projector: Any = None,
        memory: Any = None,
        from_layer: int | str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        num_classes = _num_classes(start, num_classes)
        check_seed(seed)
        if total_steps is not None:
            check_integers(1, total_steps=total_steps)
        check_numbers(label_smoothing, unlabelled_weight, unlabelled_ramp)
        class_prior = checked_prior(class_prior, num_classes)
        teacher = OnlineTeacher() if teacher is None else teacher
        strategies = {
            "alignment": alignment,
            "refinement": refinement,
            "weighting": FixedThreshold() if weighting is None else weighting,
            "targets": HardLabels() if targets is None else targets,
            "mixing": mixing,
        }
        terms = list(terms)
        check_parts({"teacher": teacher, **strategies}, terms)
        seed, draw_seed, layer_seed, *head_seeds = draw_seeds(seed, 3 + len(terms))
        # Paths of its own: on torch Keras registers weights by their path.
        with keras.name_scope("online"):
            online = make_classifier(
                start,
                num_classes,
                argument="start",
                from_layer=from_layer,
                views=weak_views(views),
                seed=layer_seed,
            )
        views = weak_and_strong(views, online.views)
        # A new one: of a model Keras would go on to hold the views that it had.
        online = _of_parts(online, online.head, views.weak)
        features = online.head.input_shape[-1]
        for term, head_seed in zip(terms, head_seeds[1:], strict=True):
            term.build_for(num_classes, features, head_seed)
        super().__init__(
            online,
            draw_seed,
            seed,
            training_views=views,
            predictor=_predictor(online, terms),
            weight_average=weight_average,
            **kwargs,
        )
        self.label_smoothing = label_smoothing
        self.class_prior = class_prior
        self.unlabelled_weight = unlabelled_weight
        self.unlabelled_ramp = unlabelled_ramp
        self.labelled_strong = bool(labelled_strong)
        self.logit_interpolation = bool(logit_interpolation)
        self.total_steps = total_steps
        self.length = TrainingLength(name="length")

        self.projector = self.memory = None
        comparing = [term.needs_embeddings for term in terms]
        if refinement is not None or any(comparing):
            self.projector = make_projector(
                projector, start, features, head_seeds[0], self.dtype_policy
            )
            # What only a refinement compares has no gradient.
            self.projector.trainable = any(comparing)
            dim = self.projector.output_shape[-1]
            self.memory = make_memory(memory, (projector, start), dim, num_classes)
        elif projector is not None or memory is not None:
            raise ValueError(
                "`projector` and `memory` are for a refinement or a term that compares "
                "embeddings. Received: neither. Leave them out."
            )
        teacher.follow_from(online, self.projector)
        self.teacher = teacher
        for name, strategy in strategies.items():
            if strategy is not None:
                strategy.build_for(num_classes)
            setattr(self, name, strategy)
        self.terms = terms
        self._pseudo_label_accuracy = keras.metrics.Mean("pseudo_label_accuracy")
        self.tell((*TOLD, *(term.name for term in terms)))

    def bystanders(self) -> Iterable[Any]:
        """The average, and the teacher."""
        teacher = getattr(self, "teacher", None)
        return (*super().bystanders(), *([] if teacher is None else [teacher]))

    def check_networks(self) -> None:
        """Raises a ValueError for a teacher that has nothing to teach."""
        super().check_networks()
        self.teacher.check_can_teach()

    def fit_feed(self, feed: Any, **training: Any) -> keras.callbacks.History:
        """Trains, and notes how long the training is."""
        callbacks = as_list(training.pop("callbacks", None))
        noting = NotesLength(self.length, self.total_steps)
        return super().fit_feed(feed, callbacks=[*callbacks, noting], **training)

    def _shapes_of_views(self) -> dict[str, tuple[int | None, ...]]:
        views, channels = self.views, self.image_channels
        low, high = views.value_range
        size = views.large_size
        return {
            f"Images, {low} to {high}": (None, None, channels),
            "Weak views": (size, size, channels),
            "Strong views": (views.num_strong, size, size, channels),
        }

    # -- saving ---------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        parts = {
            "start": self.online,
            "views": self.views,
            "teacher": self.teacher,
            "projector": self.projector,
            "memory": self.memory,
            **{name: getattr(self, name) for name in _STRATEGIES},
        }
        config = {
            **super().get_config(),
            **{
                name: None
                if part is None
                else keras.saving.serialize_keras_object(part)
                for name, part in parts.items()
            },
            "terms": [keras.saving.serialize_keras_object(term) for term in self.terms],
            "num_classes": self.num_classes,
            "label_smoothing": self.label_smoothing,
            "class_prior": self.class_prior,
            "unlabelled_weight": self.unlabelled_weight,
            "unlabelled_ramp": self.unlabelled_ramp,
            "weight_average": self.weight_average,
            "labelled_strong": self.labelled_strong,
            "logit_interpolation": self.logit_interpolation,
            "total_steps": self.total_steps,
            "seed": self.seed,
        }
        return with_frozen(config, self)

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> "ConsistencyTrainer":
        terms = [part_of(term, custom_objects) for term in config["terms"]]
        names = ("start", "views", "teacher", "projector", "memory", *_STRATEGIES)
        return made_of_parts(cls, {**config, "terms": terms}, names, custom_objects)


def _num_classes(start: Any, num_classes: int | None) -> int:
    """That which was given, or that of the start."""
    if num_classes is None:
        num_classes = getattr(classifier_within(start), "num_classes", None)
        if num_classes is None:
            raise ValueError(
                "`num_classes` must be given where `start` predicts no classes. "
                f"Received: start of type {type(start).__name__}."
            )
    check_integers(2, num_classes=num_classes)
    return num_classes


def _predictor(online: ImageClassifier, terms: list[Any]) -> ImageClassifier | None:
    """What predicts in place of the classifier: with the head of a term, or None."""
    heads = [term.head for term in terms if term.predicts]
    if not heads:
        return None
    return _of_parts(online, heads[0], online.views)


def _of_parts(online: ImageClassifier, head: Any, views: Any) -> ImageClassifier:
    """A classifier on the same backbone."""
    return ImageClassifier(
        online.backbone, head, views, class_names=online.class_names, name=online.name
    )
