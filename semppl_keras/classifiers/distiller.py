"""Distillation from a teacher, on images without labels: SimCLRv2's third step."""

import dataclasses
from typing import Any

import keras
import numpy as np
from keras import ops

from semppl_keras.checks import check_positive, check_seed, check_share
from semppl_keras.classifiers.base import ClassifierTrainer
from semppl_keras.classifiers.defaults import TEMPERATURE
from semppl_keras.classifiers.starting_point import (
    check_model,
    chosen_views,
    classifier_within,
    encoder_within,
    make_classifier,
)
from semppl_keras.data.checks import ImageSpec
from semppl_keras.losses.classification import (
    cross_entropy,
    distillation_loss,
    log_of,
)
from semppl_keras.networks import input_channels
from semppl_keras.networks.image_classifier import ImageClassifier
from semppl_keras.networks.saved_parts import made_of_parts, with_frozen
from semppl_keras.training.global_batch import GlobalBatch
from semppl_keras.training.random_state import draw_seeds
from semppl_keras.views import MultiCrop
from semppl_keras.views.multi_crop import crop_and_flip

_TEACHER_OUTPUTS = ("probabilities", "logits")
_TEACHER_SEES = ("view", "image")


@keras.saving.register_keras_serializable(package="semppl_keras")
class Distiller(ClassifierTrainer):
    """Trains a student to say of any image what its teacher says of it.

    The third step of SimCLRv2 (Chen et al., NeurIPS 2020, arXiv 2006.10029):

        L = - (1 - a) mean_labelled log P_S(y | x)
            - a mean_unlabelled sum_y P_T(y | x; tau) log P_S(y | x; tau)

    with means where the paper has sums, so that the weight a does not depend on the
    sizes of the two batches. The teacher sees the view that the student sees, as an
    image in its `value_range`, or the image as it is, as in Noisy Student (Xie et al.,
    CVPR 2020, arXiv 1911.04252); it runs in inference mode. Nothing of it is trained,
    and it is saved with this model, so that training can go on; the student by itself
    is `classifier`, an ordinary Keras model.

    `fit` tells the loss and, of the unlabelled images, `distillation` (the second sum)
    and `teacher_agreement`, the share of them of which both name the same class; with
    labels `supervised`, the first sum, too.

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
            like it and 1 to a smaller one, and finds that it matters little.
        distillation_weight: float, a, in (0, 1]. 1 learns from the teacher alone,
            as SimCLRv2 does; below, `fit` needs labelled images.
        teacher_outputs: "probabilities" or "logits".
        teacher_sees: "view", that of the student, or "image", as the teacher takes it.
        views: what student and teacher see, as in `FineTuner`. None: the teacher's,
            or those of the student where the teacher has none; crop and flip alone
            where they are those of pre-training.
        seed: int or None: views, order of arrays and the linear layer follow from it.
            Drawn (and kept) where None.

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
        teacher_sees: str = "view",
        views: Any = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        check_seed(seed)
        check_positive(temperature=temperature)
        check_share(distillation_weight=distillation_weight)
        if distillation_weight == 0:
            raise ValueError(
                "`distillation_weight` must be above 0: without a teacher it is "
                "fine-tuning, which `FineTuner` does. Received: "
                f"distillation_weight={distillation_weight}."
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
        check_model("student", student)
        # What trains a classifier is no part of a teacher.
        teacher = classifier_within(teacher)
        if not isinstance(teacher, keras.Model):
            raise TypeError(
                "`teacher` must be a keras.Model from images to class probabilities "
                f"or logits. Received: {type(teacher).__name__}."
            )
        if encoder_within(teacher) is not None and not teacher.predicts_classes:
            raise TypeError(
                "`teacher` must predict classes. Received: "
                f"{type(teacher).__name__}, which gives a representation. Fine-tune it "
                "first: FineTuner(teacher, num_classes)."
            )
        views = chosen_views(views) or _views_of(teacher) or _views_of(student)
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
        seed, draw_seed, layer_seed = draw_seeds(seed, 2)
        if views.cached:
            teacher_classes = teacher.num_classes
        else:
            teacher_classes = _num_classes_of(teacher, _channels_of(student), views)
        if num_classes is None:
            num_classes = teacher_classes
        elif num_classes != teacher_classes:
            raise ValueError(
                "`num_classes` must be that of the teacher, which has "
                f"{teacher_classes}. Received: num_classes={num_classes}."
            )
        # Paths of its own: on torch Keras registers weights by their path.
        with keras.name_scope("student"):
            classifier = make_classifier(
                student,
                num_classes,
                argument="student",
                from_layer=None if _is_classifier(student) else 0,
                views=views,
                seed=layer_seed,
            )
        super().__init__(classifier, draw_seed, seed, **kwargs)
        self.teacher = teacher
        self.temperature = temperature
        self.distillation_weight = distillation_weight
        self.teacher_outputs = teacher_outputs
        self.teacher_sees = teacher_sees
        supervised = ("supervised",) if self.needs_labels else ()
        self.tell(("distillation", "teacher_agreement", *supervised))

    @property
    def needs_labels(self) -> bool:
        """Whether labelled images come beside the others."""
        return self.distillation_weight < 1

    def make_feed(
        self, unlabelled: Any, labelled: Any, spec: ImageSpec, **sizes: Any
    ) -> Any:
        """As everywhere; labels that come with the unlabelled images are left out.

        Raises:
            ValueError: if `labelled` is missing, or given where it has no effect.
        """
        if self.needs_labels and labelled is None:
            raise ValueError(
                "`labelled` is missing: with distillation_weight="
                f"{self.distillation_weight} the student learns from labels as well. "
                "Pass fit(unlabelled, labelled), or distillation_weight=1."
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

    # -- the step -------------------------------------------------------------

    def make_views(self, images: tuple[Any, ...]) -> dict[str, Any]:
        """Views of a batch, and what the teacher says of the unlabelled ones.

        Args:
            images: (unlabelled,) or (unlabelled, labelled), each `(B, H, W, C)`.

        Returns:
            dict of `view` `(B_u + B_l, s, s, C)`, the unlabelled images' first, and
            `teacher` `(B_u, num_classes)`, logits.
        """
        views = self.random_views(images)
        seen = images[0]
        if self.teacher_sees == "view":
            seen = _as_images(views[: seen.shape[0]], self.views, self.teacher)
        predicted = self.teacher(seen, training=False)
        if self.teacher_outputs == "probabilities":
            predicted = log_of(predicted)
        return {"view": views, "teacher": ops.cast(predicted, "float32")}

    def loss_parts(
        self, outputs: dict[str, Any], labels: dict[str, Any], batch: GlobalBatch
    ) -> dict[str, Any]:
        """Of both batches; with the weight 1 of the unlabelled images alone."""
        del batch
        teacher, logits = outputs["teacher"], outputs["logits"]
        count = teacher.shape[0]
        loss = distillation_loss(teacher, logits[:count], self.temperature)
        parts = {"distillation": loss}
        if self.needs_labels:
            targets = ops.one_hot(self.as_indices(labels["label"]), self.num_classes)
            supervised = ops.mean(cross_entropy(targets, logits[count:]))
            parts["supervised"] = supervised
            weight = self.distillation_weight
            loss = (1.0 - weight) * supervised + weight * loss
        agreeing = ops.argmax(teacher, -1) == ops.argmax(logits[:count], -1)
        parts["teacher_agreement"] = ops.mean(ops.cast(agreeing, "float32"))
        return {"loss": loss, **parts}

    # -- the teacher, which is not trained ------------------------------------
    # Its variables are state of the compiled step, so that they are not built into it
    # as constants. They are left out here rather than frozen one by one: the teacher
    # belongs to somebody else, who may go on training it.

    @property
    def trainable_variables(self) -> list[Any]:
        return self._without_teacher(super().trainable_variables)

    @property
    def trainable_weights(self) -> list[Any]:
        return self._without_teacher(super().trainable_weights)

    @property
    def non_trainable_variables(self) -> list[Any]:
        trainable = {id(variable) for variable in self.trainable_variables}
        return [v for v in self.variables if id(v) not in trainable]

    @property
    def non_trainable_weights(self) -> list[Any]:
        trainable = {id(weight) for weight in self.trainable_weights}
        return [w for w in self.weights if id(w) not in trainable]

    def _without_teacher(self, variables: list[Any]) -> list[Any]:
        teacher = getattr(self, "teacher", None)
        if teacher is None:
            return variables
        taught = {id(variable) for variable in teacher.variables}
        return [variable for variable in variables if id(variable) not in taught]

    # -- checks ---------------------------------------------------------------

    def check_networks(self) -> None:
        """Raises a ValueError for a teacher that has nothing to teach."""
        memory = getattr(getattr(self.teacher, "memory", None), "labels", None)
        pretraining = encoder_within(self.teacher) is not None
        if (
            pretraining
            and memory is not None
            and np.all(ops.convert_to_numpy(memory) < 0)
        ):
            raise ValueError(
                "`teacher` predicts from labelled embeddings in its memory, which is "
                "empty. Call its `fit` first."
            )
        if self.teacher_outputs == "probabilities" and not self.views.cached:
            self._check_probabilities()

    def _check_probabilities(self) -> None:
        """Logits that are taken for probabilities would teach nonsense."""
        size, channels = self.views.large_size, _channels_of(self.classifier)
        images = np.random.default_rng(0).uniform(size=(2, size, size, channels))
        low, high = self.views.output_range
        images = ops.convert_to_tensor((low + (high - low) * images).astype("float32"))
        seen = _as_images(images, self.views, self.teacher)
        outputs = ops.convert_to_numpy(
            ops.cast(self.teacher(seen, training=False), "float32")
        )
        sums = outputs.sum(axis=-1)
        # Written so that outputs that are no numbers are refused as well.
        if not (outputs.min() >= 0 and np.abs(sums - 1).max() <= 0.01):
            raise ValueError(
                f"`teacher` '{self.teacher.name}' must give probabilities, at least 0 "
                f"and of sum 1. Received: outputs of {outputs.min():.3g} and more, of "
                f"sum {sums[0]:.3g}. If they are logits, pass "
                'teacher_outputs="logits".'
            )

    # -- saving ---------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        teacher = keras.saving.serialize_keras_object(self.teacher)
        # How the teacher was trained is of no use here.
        teacher.pop("compile_config", None)
        config = {
            **super().get_config(),
            "student": keras.saving.serialize_keras_object(self.classifier),
            "teacher": teacher,
            "num_classes": self.num_classes,
            "temperature": self.temperature,
            "distillation_weight": self.distillation_weight,
            "teacher_outputs": self.teacher_outputs,
            "teacher_sees": self.teacher_sees,
            "views": keras.saving.serialize_keras_object(self.views),
            "seed": self.seed,
        }
        return with_frozen(config, self)

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> "Distiller":
        return made_of_parts(
            cls, config, ("student", "teacher", "views"), custom_objects
        )


def _is_classifier(model: Any) -> bool:
    return isinstance(classifier_within(model), ImageClassifier)


def _views_of(model: Any) -> MultiCrop | None:
    """Crop and flip of a model's views; those of a classifier as they are."""
    model = classifier_within(model)
    views = getattr(model, "views", None)
    if not isinstance(views, MultiCrop):
        return None
    return views if isinstance(model, ImageClassifier) else crop_and_flip(views)


def _channels_of(student: Any) -> int:
    student, encoder = classifier_within(student), encoder_within(student)
    if isinstance(student, ImageClassifier):
        return input_channels(student.backbone)
    return input_channels(student if encoder is None else encoder.backbone)


def _as_images(views: Any, made_by: MultiCrop, model: Any) -> Any:
    """Views as images in the range in which a model expects them."""
    low, high = made_by.output_range
    views = (views - low) / (high - low)
    low, high = getattr(
        getattr(model, "views", None), "value_range", made_by.value_range
    )
    return low + (high - low) * views


def _num_classes_of(teacher: keras.Model, channels: int, views: MultiCrop) -> int:
    """The number of classes of a teacher, once it has been tried on a view."""
    size = views.large_size
    image = keras.KerasTensor((None, size, size, channels), dtype="float32")
    try:
        shape = tuple(getattr(teacher(image), "shape", ()))
    except Exception as error:
        raise ValueError(
            f"`teacher` '{teacher.name}' does not take images of {size} x {size} x "
            f"{channels}, the size of a view. Choose `views` of its size, or put a "
            f"keras.layers.Resizing before it. ({type(error).__name__}: {error})"
        ) from error
    if len(shape) != 2 or shape[-1] is None or shape[-1] < 2:
        raise ValueError(
            f"`teacher` '{teacher.name}' must give the probabilities (or logits) of at "
            f"least two classes, (B, num_classes). Received: output shape {shape}."
        )
    return shape[-1]
