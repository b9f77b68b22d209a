"""The step of a consistency training: pseudo-labels, and the loss of both batches."""

import math
from collections.abc import Iterable
from typing import Any

import keras
from keras import ops

from semppl_keras.classifiers.base import ClassifierTrainer
from semppl_keras.classifiers.consistency_parts import answer_of
from semppl_keras.consistency import Bank, Context, Step
from semppl_keras.consistency.teacher import seen_by
from semppl_keras.losses.classification import cross_entropy
from semppl_keras.networks.moving_statistics import statistics_kept
from semppl_keras.training.global_batch import GlobalBatch


class ConsistencyStep(ClassifierTrainer):
    """What `ConsistencyTrainer` does in a step, given its parts."""

    needs_labels = True
    # Made by the constructor of `ConsistencyTrainer`, which tells what they are.
    projector: Any
    memory: Any
    teacher: Any
    alignment: Any
    refinement: Any
    weighting: Any
    targets: Any
    mixing: Any
    terms: Any
    label_smoothing: float
    class_prior: tuple[float, ...] | None
    unlabelled_weight: float
    unlabelled_ramp: float
    labelled_strong: bool
    logit_interpolation: bool
    length: Any

    # -- before the step ------------------------------------------------------

    def views_and_labels(
        self, images: tuple[Any, ...], labels: dict[str, Any]
    ) -> dict[str, Any]:
        """Views of a batch, and what a teacher other than the student says of them.

        Args:
            images: (unlabelled, labelled), `(U, H, W, C)` and `(B, H, W, C)`.
            labels: dict of `label` `(B,)`.

        Returns:
            dict of `labelled` `(B, s, s, C)`, the labelled images' weak views (and
            behind them their strong ones, with `labelled_strong`), `strong`
            `(U, S, s, s, C)`, and `weak` `(U, s, s, C)` or, where somebody else has
            seen these, `pseudo` and `written`.
        """
        count = images[0].shape[0]
        if self.labelled_strong:
            views = self.draw_views(images)
            labelled = views["weak"][count:]
            labelled_strong = views["strong"][count:, 0]
            views = {name: part[:count] for name, part in views.items()}
        else:
            views = self.draw_views(images[:1])
            batch = GlobalBatch(images[1].shape[0])
            labelled = self.views.weak(
                ops.cast(images[1], "float32"),
                seed=self.seed_generator,
                uniform=batch.uniform,
            )["large"][:, 0]
        made: dict[str, Any] = {"strong": views["strong"]}
        if self.teacher.online:
            made["weak"] = views["weak"]
        else:
            seen = _parts(
                self.teacher.call(ops.concatenate([labelled, views["weak"]])),
                {"labelled": labelled.shape[0], "weak": count},
            )
            writes: list[Any] = []
            step = self._step(seen["labelled"]["logits"], labels, writes)
            pseudo = self._pseudo_labels(seen, step)
            if self.mixing is not None:
                mixed = self.mixing.call(
                    views["strong"],
                    pseudo["confidences"],
                    pseudo["targets"],
                    pseudo["weights"],
                    step,
                )
                made["strong"], pseudo["targets"], pseudo["weights"] = mixed
            # What is written is written after the loss, which sees what was before,
            # on every backend. The variables are the same for all replicas.
            # Behind a function: a list of variables Keras would take for the model's.
            written = [variable for variable, _ in writes]
            self._written = lambda: written
            made["written"] = [value for _, value in writes]
            made["pseudo"] = {**pseudo, "seen": seen}
        if self.labelled_strong:
            labelled = ops.concatenate([labelled, labelled_strong])
        return {**made, "labelled": labelled}

    def make_views(self, images: tuple[Any, ...]) -> Any:
        """As `draw_views`: weak and strong views of all images."""
        return self.draw_views(images)

    def _step(self, labelled_logits: Any, labels: dict[str, Any], writes: Any) -> Step:
        unlabelled, labelled = (GlobalBatch(size) for size in self._batch.sizes)
        bank = None
        if self.memory is not None:
            embeddings, known, _ = (variable.value for variable in self.memory.state)
            bank = Bank(embeddings[0], known)
        logits = ops.stop_gradient(labelled_logits)
        return Step(
            unlabelled=unlabelled,
            labelled=labelled,
            labels=self.as_indices(labels["label"]),
            labelled_probabilities=ops.softmax(logits, axis=-1),
            write=lambda variable, value: writes.append((variable, value)),
            step=self.length.done(self.step.value),
            total_steps=self.length.steps.value,
            seed=self.seed_generator,
            bank=bank,
        )

    def _pseudo_labels(self, seen: dict[str, Any], step: Step) -> dict[str, Any]:
        """What the strong views are to be taken for, and how much each image counts.

        Args:
            seen: dict of `labelled` and `weak`, what the teacher makes of them.
            step: `Step`.

        Returns:
            dict of `predicted`, `aligned` and `targets` `(U, C)`, `weights`,
            `confidences` and `named` `(U,)`, the pseudo-labels as int32.
        """
        predicted = ops.softmax(ops.stop_gradient(seen["weak"]["logits"]), axis=-1)
        aligned = believed = counted = predicted
        if self.alignment is not None:
            aligned = counted = answer_of(
                self.alignment, self.alignment.call(predicted, step), predicted.shape
            )
            if self.alignment.changes_targets:
                believed = aligned
        if self.refinement is not None:
            embeddings = {
                name: ops.stop_gradient(seen[name]["embeddings"])
                for name in ("weak", "labelled")
            }
            believed = answer_of(
                self.refinement,
                self.refinement.call(believed, embeddings, step),
                predicted.shape,
            )
            if self.refinement.changes_weights:
                counted = believed
        if self.memory is not None:
            embeddings = ops.stop_gradient(seen["labelled"]["embeddings"])
            state = self.memory.enqueued(
                step.labelled.gather(embeddings)[None],
                step.labelled.gather(step.labels),
            )
            for variable, value in zip(self.memory.state, state, strict=True):
                step.write(variable, value)
        made = {
            "predicted": predicted,
            "aligned": aligned,
            "targets": answer_of(
                self.targets, self.targets.call(believed), predicted.shape
            ),
            "weights": answer_of(
                self.weighting, self.weighting.call(counted, step), predicted.shape[:1]
            ),
            "confidences": ops.max(believed, axis=-1),
            "named": ops.cast(ops.argmax(believed, axis=-1), "int32"),
        }
        return {name: ops.stop_gradient(value) for name, value in made.items()}

    # -- the step -------------------------------------------------------------

    def call(self, inputs: Any, training: bool = False) -> Any:
        """In training views to what the loss is made of, otherwise images to
        probabilities.

        Args:
            inputs: in training what `views_and_labels` gives; otherwise images
                `(B, H, W, C)`.
            training: bool.

        Returns:
            `(B, num_classes)`; in training a dict of `seen`, what the student makes of
            each kind of views, and of what somebody else has said.
        """
        if not training:
            return self.classifier(inputs)
        strong = inputs["strong"]
        kinds = {
            "labelled": inputs["labelled"],
            "weak": inputs.get("weak"),
            "strong": ops.reshape(strong, (-1, *strong.shape[2:])),
        }
        given = {name: views for name, views in kinds.items() if views is not None}
        counts = {name: views.shape[0] for name, views in given.items()}
        counts["strong"] = strong.shape[0] * strong.shape[1]
        # One pass, in which batch normalisation sees all of them.
        seen = _parts(
            seen_by(
                self.online,
                self.projector,
                ops.concatenate(list(given.values())),
                training=True,
            ),
            counts,
        )
        seen["strong"] = {
            name: ops.reshape(part, (-1, strong.shape[1], part.shape[-1]))
            for name, part in seen["strong"].items()
        }
        if self.logit_interpolation:
            joint = seen["labelled"]["logits"]
            seen["labelled"]["logits"] = self._interpolated(joint, given["labelled"])
        said = {name: inputs[name] for name in ("pseudo", "written") if name in inputs}
        return {"seen": seen, **said}

    def _interpolated(self, joint: Any, views: Any) -> Any:
        """AdaMatch's: at random between the logits of labelled views among all others
        and those of labelled views by themselves, whose statistics are not kept."""
        with statistics_kept(self.online):
            alone = self.online.logits(views, training=True)
        # Weak and strong views of the labelled images are one part each.
        copies = 1 + self.labelled_strong
        batch = GlobalBatch(*[views.shape[0] // copies] * copies)
        share = batch.uniform(tuple(joint.shape), seed=self.seed_generator)
        return joint + share * (alone - joint)

    def loss_parts(
        self, outputs: dict[str, Any], labels: dict[str, Any], batch: GlobalBatch
    ) -> dict[str, Any]:
        """Of both batches; also writes what the strategies keep."""
        del batch
        writes: list[Any] = []
        seen = outputs["seen"]
        known = self.as_indices(labels["label"])
        supervised = self._supervised(seen["labelled"]["logits"], known)
        # With strong views of the labelled images, the first are the weak ones.
        first = known.shape[0]
        labelled = {name: part[:first] for name, part in seen["labelled"].items()}
        if self.teacher.online:
            step = self._step(labelled["logits"], labels, writes)
            pseudo = self._pseudo_labels({**seen, "labelled": labelled}, step)
            said = {"weak": seen["weak"], "labelled": labelled}
        else:
            pseudo, said = outputs["pseudo"], outputs["pseudo"]["seen"]
            step = self._step(said["labelled"]["logits"], labels, writes)
        context = _context(labelled, said, seen["strong"], pseudo, step)
        weights = pseudo["weights"]
        for term in self.terms:
            weights = ops.stop_gradient(term.reweighted(weights, context))
        logits = seen["strong"]["logits"]
        if self.alignment is not None:
            logits = self.alignment.margin(logits)
        losses = cross_entropy(pseudo["targets"][:, None], logits)
        unsupervised = ops.mean(weights[:, None] * losses)
        loss = supervised + self._current_weight(step) * unsupervised
        terms = {term.name: term.call(context) for term in self.terms}
        for term in self.terms:
            loss = loss + term.weight * terms[term.name]
        if "written" in outputs:
            self.write_states(self._written(), outputs["written"])
        for variable, value in writes:
            self.write_state(variable, value)
        parts = {
            "loss": loss,
            "supervised": supervised,
            "unsupervised": unsupervised,
            "pseudo_label_share": weights,
            "pseudo_label_confidence": pseudo["confidences"],
            **terms,
        }
        if "hidden_label" in labels:
            hidden = ops.cast(labels["hidden_label"], "int32")
            right = ops.cast(pseudo["named"] == hidden, "float32")
            # Of all replicas, which may know different numbers of them.
            parts["pseudo_label_accuracy"] = (
                step.unlabelled.gather(right),
                step.unlabelled.gather(ops.cast(hidden >= 0, "float32")),
            )
        return parts

    def _supervised(self, logits: Any, known: Any) -> Any:
        """Cross-entropy with smoothed labels, of logits adjusted by the prior."""
        copies = logits.shape[0] // known.shape[0]
        targets = ops.one_hot(known, self.num_classes, dtype="float32")
        smoothing = self.label_smoothing
        targets = (1.0 - smoothing) * targets + smoothing / self.num_classes
        targets = ops.concatenate([targets] * copies)
        if self.class_prior is not None:
            logits = logits + ops.convert_to_tensor(
                [math.log(share) for share in self.class_prior], "float32"
            )
        return ops.mean(cross_entropy(targets, logits))

    def _current_weight(self, step: Step) -> Any:
        """The weight of the unlabelled images, which rises along half a cosine."""
        if not self.unlabelled_ramp:
            return self.unlabelled_weight
        done = ops.cast(step.step, "float32") / ops.cast(step.total_steps, "float32")
        progress = ops.minimum(done / self.unlabelled_ramp, 1.0)
        return self.unlabelled_weight * (1.0 - ops.cos(math.pi * progress)) / 2.0

    def classified(
        self, outputs: dict[str, Any], labels: dict[str, Any]
    ) -> tuple[Any, Any, Any]:
        """The labels, and what the student says of the labelled images' weak views."""
        known = self.as_indices(labels["label"])
        logits = outputs["seen"]["labelled"]["logits"][: known.shape[0]]
        return known, ops.softmax(logits, axis=-1), None

    def step_metrics(self, labels: dict[str, Any]) -> list[keras.metrics.Metric]:
        """Adds the pseudo-labels' accuracy, where it can be known."""
        metrics = super().step_metrics(labels)
        if "hidden_label" in labels:
            metrics.append(self._pseudo_label_accuracy)
        return metrics

    def penalties(self) -> Iterable[Any]:
        """Those of what is trained."""
        others = [self.projector, *self.terms]
        return [
            *super().penalties(),
            *(loss for part in others if part is not None for loss in part.losses),
        ]

    # -- after the step -------------------------------------------------------

    def after_update(self) -> None:
        """Moves the teacher and the average after the optimiser's step."""
        self.teacher.follow(
            self.online, self.projector, self.updates(), self.completed_updates()
        )
        super().after_update()


def _parts(seen: dict[str, Any], counts: dict[str, int]) -> dict[str, dict[str, Any]]:
    """What was made of all views, kind by kind."""
    parts, start = {}, 0
    for kind, count in counts.items():
        parts[kind] = {name: part[start : start + count] for name, part in seen.items()}
        start += count
    return parts


def _context(
    labelled: dict[str, Any],
    said: dict[str, Any],
    strong: dict[str, Any],
    pseudo: dict[str, Any],
    step: Step,
) -> Context:
    def of(name: str) -> dict[str, Any]:
        kinds = {"labelled": labelled, "weak": said["weak"], "strong": strong}
        if name == "embeddings":
            kinds["labelled"] = said["labelled"]
        found = {kind: part[name] for kind, part in kinds.items() if name in part}
        return {
            kind: ops.stop_gradient(part)
            if kind == "weak" or (name, kind) == ("embeddings", "labelled")
            else part
            for kind, part in found.items()
        }

    return Context(
        features=of("features"),
        logits=of("logits"),
        embeddings=of("embeddings"),
        predicted=pseudo["predicted"],
        aligned=pseudo["aligned"],
        targets=pseudo["targets"],
        weights=pseudo["weights"],
        step=step,
    )
