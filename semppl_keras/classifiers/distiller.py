"""Distillation from a teacher, on images without labels: SimCLRv2's third step."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras

from semppl_keras.checks import (
    check_below_one,
    check_positive,
    check_seed,
    check_share,
)
from semppl_keras.classifiers.defaults import TEMPERATURE
from semppl_keras.classifiers.distillation_step import DistillationStep
from semppl_keras.classifiers.image_weights import ImageWeights
from semppl_keras.classifiers.mixture import ALPHAS, BETAS, best_mixture, check_grid
from semppl_keras.classifiers.starting_point import (
    check_model,
    chosen_views,
    classifier_within,
    make_classifier,
)
from semppl_keras.classifiers.student_views import student_alone
from semppl_keras.classifiers.teacher import (
    channels_of,
    check_teacher,
    num_classes_of,
    views_of,
)
from semppl_keras.data.checks import ImageSpec, classes_of
from semppl_keras.networks.image_classifier import ImageClassifier
from semppl_keras.networks.saved_parts import made_of_parts, with_frozen
from semppl_keras.networks.two_heads import (
    MIXTURE,
    has_two_heads,
    logits_of_heads,
    with_two_heads,
)
from semppl_keras.training.random_state import draw_seeds
from semppl_keras.training.teaching import (
    check_has_learned,
    check_probabilities,
    range_of_images,
)

_TEACHER_OUTPUTS = ("probabilities", "logits")
_TEACHER_SEES = ("view", "image")
_SETTINGS = (
    "temperature",
    "distillation_weight",
    "teacher_sees",
    "min_confidence",
    "balance",
    "label_smoothing",
    "dual_head",
    "weight_average",
)


@keras.saving.register_keras_serializable(package="semppl_keras")
class Distiller(DistillationStep):
    """Trains a student to say of any image what its teacher says of it.

    The third step of SimCLRv2 (Chen et al., NeurIPS 2020, arXiv 2006.10029):

        L = - (1 - a) mean_labelled log P_S(y | x)
            - a mean_unlabelled sum_y P_T(y | x; tau) log P_S(y | x; tau)

    with means where the paper has sums, so that the weight a does not depend on the
    sizes of the two batches. The teacher sees the view that the student sees, as an
    image in its `value_range`, or the image as it is; it runs in inference mode.
    Nothing of it is trained, and it is saved with this model, so that training can go
    on; the student by itself is `classifier`, an ordinary Keras model.

    With `student_views`, `min_confidence` and `balance` it is Noisy Student (Xie et
    al., CVPR 2020, arXiv 1911.04252), of which `noisy_student` is all rounds and
    `next_round` one more. Dropout and stochastic depth are the student's network's.

    With `dual_head` it is DHO (Kang et al., 2025, arXiv 2505.07675): a head that learns
    from labels and a head that learns from the teacher, on one backbone,

        L = CE(y, z_1) + tau^2 KL_labelled(P_T, z_2) + tau^2 KL_unlabelled(P_T, z_2)

    whose probabilities `classifier` mixes, see `choose_mixture`. The teacher knows
    another thing than the labels do: it is a classifier by words (CLIP), for one.

    `fit` tells the loss and, of the unlabelled images, `distillation` (the second sum)
    and `teacher_agreement`, the share of them of which both name the same class; with
    labels `supervised`, the first sum, too; with `min_confidence` or `balance`
    `counting`, the share of the unlabelled images that count; with two heads
    `labelled_distillation`.

    Example:

    ```python
    student = semppl_keras.Distiller(small_backbone, teacher=tuner)
    student.compile(optimizer=keras.optimizers.AdamW(1e-3))
    student.fit(images, epochs=100)
    student.classifier.save("student.keras")
    ```

    Args:
        student: a backbone, any built `keras.Model` from images `(B, h, w, C)` to
            features `(B, F)` or `(B, h', w', F)`, on which a linear layer is put; a
            pre-training model, whose backbone is taken; or a classifier to train on,
            a `FineTuner` (the teacher itself: self-distillation), `ImageClassifier` or
            `Distiller`. It is copied, and stays as it is.
        teacher: any Keras classifier of images: a `FineTuner`, a `SemPPL` that was
            trained, a `keras.Model` from images `(B, s, s, C)` in the views'
            `value_range`, s their large size, to `(B, num_classes)`.
        num_classes: int or None, that of the teacher, which is asked where None.
        temperature: float, tau, positive. SimCLRv2 takes 0.1 from a network to one
            like it and 1 to a smaller one, and finds that it matters little; DHO 2.
        distillation_weight: float, a, in (0, 1]. 1 learns from the teacher alone,
            as SimCLRv2 does; below, `fit` needs labelled images. The losses of two
            heads are not weighted: leave it at 1.
        teacher_outputs: "probabilities" or "logits".
        teacher_sees: "view", that of the student, or the weak one of `student_views`;
            or "image", as the teacher takes it. None: "image" with `student_views`,
            else "view".
        views: what student and teacher see, as in `FineTuner`. None: the teacher's,
            or those of the student where the teacher has none; crop and flip alone
            where they are those of pre-training.
        student_views: what the student alone sees in training, of all images: a layer
            that changes views in [0, 1], such as `views.RandAugment`; a `WeakStrong`,
            of which it is the strong view; or a `MultiCrop` in place of `views`. None:
            `views`.
        min_confidence: float in [0, 1), below which the probability of the teacher's
            class leaves an unlabelled image without weight; 0.3 in Noisy Student. The
            mean is over all images all the same.
        balance: bool, whether unlabelled images are weighted so that the classes that
            the teacher names count alike: by 1 / (C s), s the running share of the
            class, at most 10.
        label_smoothing: float in [0, 1): the share of a label's target that is spread
            evenly over all classes; 0.1 in Noisy Student.
        dual_head: bool, whether labels and teacher have a head each. `fit` needs
            labelled images then.
        weight_average: float in [0, 1) or None, as in `FineTuner`.
        seed: int or None: views, order of arrays and the linear layer follow from it.
            Drawn (and kept) where None.
        **kwargs: `trainable` and `batch_norm` as in `FineTuner`; `name`.

    Raises:
        TypeError, ValueError: if a model does not fit, or an argument is out of range.
    """

    def __init__(
        self,
        student: keras.Model,
        teacher: keras.Model,
        *,
        num_classes: int | None = None,
        temperature: float = TEMPERATURE,
        distillation_weight: float = 1.0,
        teacher_outputs: str = "probabilities",
        teacher_sees: str | None = None,
        views: Any = None,
        student_views: Any = None,
        min_confidence: float = 0.0,
        balance: bool = False,
        label_smoothing: float = 0.0,
        dual_head: bool = False,
        weight_average: float | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        check_seed(seed)
        check_positive(temperature=temperature)
        check_share(distillation_weight=distillation_weight)
        check_below_one(min_confidence=min_confidence, label_smoothing=label_smoothing)
        if teacher_sees is None:
            teacher_sees = "view" if student_views is None else "image"
        _check_choices(distillation_weight, teacher_outputs, teacher_sees, dual_head)
        check_model("student", student)
        # What trains a classifier is no part of a teacher.
        teacher = classifier_within(teacher)
        check_teacher(teacher)
        views = chosen_views(views) or views_of(teacher) or views_of(student)
        if views is None:
            raise ValueError(
                "`views` must be given where neither `student` nor `teacher` has any: "
                "a MultiCrop, or the name of a recipe of semppl_keras.views."
            )
        if views.cached and not (
            teacher_sees == "image" and isinstance(teacher, ImageClassifier)
        ):
            raise ValueError(
                "Of features that are kept a teacher is an `ImageClassifier` of such, "
                'with teacher_sees="image". Received: '
                f"{type(teacher).__name__}, teacher_sees={teacher_sees!r}."
            )
        student_views = student_alone(student_views, views)
        seed, draw_seed, layer_seed = draw_seeds(seed, 2)
        if views.cached:
            teacher_classes = teacher.num_classes
        else:
            teacher_classes = num_classes_of(teacher, channels_of(student), views)
        if num_classes is None:
            num_classes = teacher_classes
        elif num_classes != teacher_classes:
            raise ValueError(
                "`num_classes` must be that of the teacher, which has "
                f"{teacher_classes}. Received: num_classes={num_classes}."
            )
        is_classifier = isinstance(classifier_within(student), ImageClassifier)
        # Paths of its own: on torch Keras registers weights by their path.
        with keras.name_scope("student"):
            classifier = make_classifier(
                student,
                num_classes,
                argument="student",
                from_layer=None if is_classifier else 0,
                views=views,
                seed=layer_seed,
            )
            if dual_head and not has_two_heads(classifier.head):
                classifier = with_two_heads(classifier)
        super().__init__(
            classifier,
            draw_seed,
            seed,
            training_views=student_views,
            weight_average=weight_average,
            **kwargs,
        )
        self.teacher = teacher
        self.temperature = temperature
        self.distillation_weight = distillation_weight
        self.teacher_outputs = teacher_outputs
        self.teacher_sees = teacher_sees
        self.student_views = student_views
        self.min_confidence = min_confidence
        self.balance = bool(balance)
        self.label_smoothing = label_smoothing
        self.dual_head = bool(dual_head)
        self.image_weights = None
        if min_confidence or balance:
            self.image_weights = ImageWeights(num_classes, min_confidence, self.balance)
        self.tell(self._told())

    def _told(self) -> list[str]:
        names = ["distillation", "teacher_agreement"]
        if self.needs_labels:
            names.append("supervised")
        if self.dual_head:
            names.append("labelled_distillation")
        if self.image_weights is not None:
            names.append("counting")
        return names

    @property
    def needs_labels(self) -> bool:
        """Whether labelled images come beside the others."""
        return self.dual_head or self.distillation_weight < 1

    def make_feed(
        self, unlabelled: Any, labelled: Any, spec: ImageSpec, **sizes: Any
    ) -> Any:
        """Makes the feed; labels that come with the unlabelled images are left out.

        Raises:
            ValueError: if `labelled` is missing, or given where it has no effect.
        """
        if self.needs_labels and labelled is None:
            how = "dual_head=False" if self.dual_head else "distillation_weight=1"
            weight = f"distillation_weight={self.distillation_weight}"
            raise ValueError(
                "`labelled` is missing: with "
                f"{'dual_head=True' if self.dual_head else weight} the student learns "
                f"from labels as well. Pass fit(unlabelled, labelled), or {how}."
            )
        if not self.needs_labels and labelled is not None:
            raise ValueError(
                "`labelled` has no effect with distillation_weight=1. Leave it out, or "
                "lower `distillation_weight`."
            )
        if labelled is None:
            spec = dataclasses.replace(spec, num_classes=None)
        elif isinstance(unlabelled, tuple) and len(unlabelled) == 2:
            unlabelled = unlabelled[0]
        return super().make_feed(unlabelled, labelled, spec, **sizes)

    def next_round(
        self, student: keras.Model | None = None, seed: int | None = None
    ) -> "Distiller":
        """A `Distiller` whose teacher is this one's student, as Noisy Student goes on.

        Args:
            student: as for this model, equal or larger in the paper, and trained from
                scratch; None for this student, which goes on to learn from itself.
            seed: int or None, as for this model; None for the one after this model's.

        Returns:
            A `Distiller` with the other settings of this one, not compiled.
        """
        settings = {name: getattr(self, name) for name in _SETTINGS}
        return Distiller(
            self.classifier if student is None else student,
            self.classifier,
            views=self.classifier.views,
            student_views=self.student_views,
            seed=(self.seed + 1) % 2**31 if seed is None else seed,
            **settings,
        )

    def choose_mixture(
        self,
        x: Any,
        y: Any,
        *,
        alphas: Sequence[float] = ALPHAS,
        betas: Sequence[float] = BETAS,
        by: str = "cross_entropy",
        batch_size: int | None = None,
    ) -> dict[str, Any]:
        """Chooses how `classifier` mixes its two heads, on labelled images.

            p = alpha softmax(z_labels) + (1 - alpha) softmax(z_teacher / beta)

        Without it alpha is 0.5 and beta 1. The images should be others than those whose
        labels were learned, of which the first head is too sure.

        Args:
            x: images `(N, H, W, C)`.
            y: labels `(N,)`, or one-hot.
            alphas, betas: numbers in [0, 1], and positive ones, that are tried.
            by: "cross_entropy", or "accuracy".
            batch_size: int or None, as in `keras.Model.predict`.

        Returns:
            dict of the `alpha` and `beta` that were chosen, and of the `cross_entropy`
            and `accuracy` that they have on these images.

        Raises:
            ValueError, TypeError: if there is one head, or an argument does not fit.
        """
        if not self.dual_head:
            raise ValueError(
                "`choose_mixture` is for two heads. Received: a Distiller with "
                "dual_head=False."
            )
        check_grid(alphas, betas, by)
        images = self._checked_images("x", x)
        labels = classes_of(self._checked_labels("y", y, images))
        labelled, taught = logits_of_heads(self.classifier, images, batch_size)
        chosen = best_mixture(labelled, taught, labels, alphas, betas, by)
        for classifier in {id(c): c for c in (self.classifier, self.online)}.values():
            mixture = classifier.head.get_layer(MIXTURE)
            mixture.choose(chosen["alpha"], chosen["beta"])
        return chosen

    # -- checks ---------------------------------------------------------------

    def check_networks(self) -> None:
        """Raises a ValueError for a teacher that has nothing to teach."""
        check_has_learned("teacher", self.teacher)
        if self.teacher_outputs == "probabilities" and not self.views.cached:
            size = self.views.large_size
            check_probabilities(
                "teacher",
                self.teacher,
                (size, size, self.image_channels),
                range_of_images(self.teacher, self.views),
                'teacher_outputs="logits"',
            )

    # -- saving ---------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        teacher = serialize(self.teacher)
        # How the teacher was trained is of no use here.
        teacher.pop("compile_config", None)
        config = {
            **super().get_config(),
            "student": serialize(self.online),
            "teacher": teacher,
            "num_classes": self.num_classes,
            "teacher_outputs": self.teacher_outputs,
            "views": serialize(self.classifier.views),
            "student_views": serialize(self.student_views),
            "seed": self.seed,
            **{name: getattr(self, name) for name in _SETTINGS},
        }
        return with_frozen(config, self)

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> "Distiller":
        config = {"student_views": None, **config}
        names = ("student", "teacher", "views", "student_views")
        return made_of_parts(cls, config, names, custom_objects)


def _check_choices(
    distillation_weight: float,
    teacher_outputs: Any,
    teacher_sees: Any,
    dual_head: Any,
) -> None:
    if distillation_weight == 0:
        raise ValueError(
            "`distillation_weight` must be above 0: without a teacher it is "
            "fine-tuning, which `FineTuner` does. Received: "
            f"distillation_weight={distillation_weight}."
        )
    if dual_head and distillation_weight != 1:
        raise ValueError(
            "`distillation_weight` must be 1 with two heads, whose losses are added "
            f"up. Received: distillation_weight={distillation_weight}, dual_head=True."
        )
    if teacher_outputs not in _TEACHER_OUTPUTS:
        raise ValueError(
            f"`teacher_outputs` must be one of {_TEACHER_OUTPUTS}. Received: "
            f"teacher_outputs={teacher_outputs!r}."
        )
    if teacher_sees not in _TEACHER_SEES:
        raise ValueError(
            f"`teacher_sees` must be one of {_TEACHER_SEES}. Received: "
            f"teacher_sees={teacher_sees!r}."
        )
