"""What a student and its teacher do in a step of `Distiller`."""

from collections.abc import Iterable
from typing import Any

from keras import ops

from semppl_keras.classifiers.base import ClassifierTrainer
from semppl_keras.losses.classification import (
    cross_entropy,
    distillation_losses,
    divergences,
    log_of,
)
from semppl_keras.networks.two_heads import LABELLED, TAUGHT
from semppl_keras.training.global_batch import GlobalBatch
from semppl_keras.training.teaching import as_images


class DistillationStep(ClassifierTrainer):
    """The step of `Distiller`, which makes the parts and tells what they are."""

    takes_soft_labels = True

    needs_labels: Any
    teacher: Any
    student_views: Any
    image_weights: Any
    temperature: float
    distillation_weight: float
    label_smoothing: float
    teacher_outputs: str
    teacher_sees: str
    dual_head: bool

    def bystanders(self) -> Iterable[Any]:
        """The average, and the teacher."""
        teacher = getattr(self, "teacher", None)
        return (*super().bystanders(), *(() if teacher is None else (teacher,)))

    def make_views(self, images: tuple[Any, ...]) -> dict[str, Any]:
        """Views of a batch, and what the teacher says of the unlabelled ones.

        Args:
            images: (unlabelled,) or (unlabelled, labelled), each `(B, H, W, C)`.

        Returns:
            dict of `view` `(B_u + B_l, s, s, C)`, the unlabelled images' first, and
            `teacher` `(B_u, num_classes)`, logits; with two heads of all images.
        """
        views = self.draw_views(images)
        if self.student_views is None:
            own = seen = views["large"][:, 0]
        else:
            own, seen = views["strong"][:, 0], views["weak"]
        taught = images if self.dual_head else images[:1]
        if self.teacher_sees == "view":
            count = sum(part.shape[0] for part in taught)
            seen = as_images(seen[:count], self.views, self.teacher)
        else:
            seen = taught[0] if len(taught) == 1 else ops.concatenate(taught)
        predicted = self.teacher(seen, training=False)
        if self.teacher_outputs == "probabilities":
            predicted = log_of(predicted)
        return {"view": own, "teacher": ops.cast(predicted, "float32")}

    def call(self, inputs: Any, training: bool = False) -> Any:
        """As `ClassifierTrainer.call`; in training of two heads a dict of the logits of
        each, by name, of all views."""
        if not (training and self.dual_head):
            return super().call(inputs, training=training)
        features = self.online.features(inputs["view"], training=True)
        heads = {name: self.online.head.get_layer(name) for name in (LABELLED, TAUGHT)}
        logits = {
            name: ops.cast(head(features, training=True), "float32")
            for name, head in heads.items()
        }
        return {"teacher": inputs["teacher"], **logits}

    def loss_parts(
        self, outputs: dict[str, Any], labels: dict[str, Any], batch: GlobalBatch
    ) -> dict[str, Any]:
        """Of both batches; with the weight 1 of the unlabelled images alone."""
        del batch
        if self.dual_head:
            return self._parts_of_two_heads(outputs, labels)
        teacher, logits = outputs["teacher"], outputs["logits"]
        count = teacher.shape[0]
        losses = distillation_losses(teacher, logits[:count], self.temperature)
        parts = self._unlabelled_parts(losses, teacher, logits[:count])
        loss = parts["distillation"]
        if self.needs_labels:
            parts["supervised"] = self._supervised(labels["label"], logits[count:])
            weight = self.distillation_weight
            loss = (1.0 - weight) * parts["supervised"] + weight * loss
        return {"loss": loss, **parts}

    def _parts_of_two_heads(
        self, outputs: dict[str, Any], labels: dict[str, Any]
    ) -> dict[str, Any]:
        """Those of the head of labels and of the head that is taught, added up."""
        teacher, taught = outputs["teacher"], outputs[TAUGHT]
        count = teacher.shape[0] - labels["label"].shape[0]
        losses = divergences(teacher, taught, self.temperature)
        parts = self._unlabelled_parts(losses[:count], teacher[:count], taught[:count])
        own = outputs[LABELLED][count:]
        parts["supervised"] = self._supervised(labels["label"], own)
        parts["labelled_distillation"] = ops.mean(losses[count:])
        names = ("supervised", "labelled_distillation", "distillation")
        return {"loss": sum(parts[name] for name in names), **parts}

    def _unlabelled_parts(
        self, losses: Any, teacher: Any, student: Any
    ) -> dict[str, Any]:
        """What is told of unlabelled images, given their losses and logits `(U, C)`.

        The mean is over all of them, those included that do not count: a batch of which
        the teacher is sure of one image alone does not turn on that image.
        """
        parts = {}
        if self.image_weights is not None:
            weights, states = self.image_weights(
                ops.softmax(teacher, axis=-1),
                step=self.step,
                batch=GlobalBatch(losses.shape[0]),
            )
            weights = ops.stop_gradient(weights)
            for variable, value in states:
                self.write_state(variable, value)
            parts["counting"] = ops.mean(ops.cast(weights > 0, "float32"))
            losses = losses * weights
        agreeing = ops.argmax(teacher, -1) == ops.argmax(student, -1)
        return {
            "distillation": ops.mean(losses),
            "teacher_agreement": ops.mean(ops.cast(agreeing, "float32")),
            **parts,
        }

    def _supervised(self, labels: Any, logits: Any) -> Any:
        share = self.label_smoothing
        targets = (1.0 - share) * self.as_targets(labels) + share / self.num_classes
        return ops.mean(cross_entropy(targets, logits))
