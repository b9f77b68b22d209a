"""What a consistency training is made of: views, projector, memory, and checks."""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
from keras import ops

from semppl_keras.checks import check_below_one, check_not_negative, check_share
from semppl_keras.classifiers.starting_point import (
    chosen_views,
    classifier_within,
    encoder_within,
)
from semppl_keras.consistency import (
    Alignment,
    Mixing,
    Refinement,
    Targets,
    Teacher,
    Term,
    Weighting,
)
from semppl_keras.memory import LabelledMemory
from semppl_keras.networks import copy_model
from semppl_keras.networks.heads import mlp_head
from semppl_keras.views import CachedViews, MultiCrop, WeakStrong, mild_views
from semppl_keras.views.variants import crop_and_flip

_KINDS: dict[str, Any] = {
    "teacher": Teacher,
    "alignment": Alignment,
    "refinement": Refinement,
    "weighting": Weighting,
    "targets": Targets,
    "mixing": Mixing,
}
# What `fit` tells beside the terms.
TOLD = (
    "supervised",
    "unsupervised",
    "pseudo_label_share",
    "pseudo_label_confidence",
)
_KNOWN = {*TOLD, "loss", "pseudo_label_accuracy"}
_PROJECTION_DIM = 128
# FixMatch's weak views: moved by as much of a side, and not turned.
_WEAK: dict[str, Any] = {"shift": 0.125, "rotation": 0.0, "shear": 0.0}


def answer_of(part: Any, given: Any, shape: tuple[int, ...]) -> Any:
    """What a part of the training has said of the images of a step, as float32.

    Args:
        part: a strategy.
        given: what its `call` gave.
        shape: which it must have.

    Raises:
        ValueError: if it has another one, which would be spread over all images.
    """
    received = getattr(given, "shape", None)
    if received is None or not _may_be_the_same(tuple(received), tuple(shape)):
        what = type(given).__name__ if received is None else f"shape {tuple(received)}"
        raise ValueError(
            f"`call` of {type(part).__name__} must give a tensor of shape "
            f"{tuple(shape)}, an entry for each image of the step. Received: {what}."
        )
    return ops.cast(given, "float32")


def _may_be_the_same(shape: tuple[int | None, ...], other: tuple[int, ...]) -> bool:
    """TensorFlow does not know every size when it traces a step."""
    return len(shape) == len(other) and all(
        None in sizes or len(set(sizes)) == 1
        for sizes in zip(shape, other, strict=True)
    )


def check_parts(parts: dict[str, Any], terms: Iterable[Any]) -> None:
    """Raises a TypeError or ValueError for parts of another kind, or that do not go
    together.

    Args:
        parts: dict of argument to strategy or None.
        terms: `Term`s.
    """
    for name, part in parts.items():
        kind = _KINDS[name]
        if part is not None and not isinstance(part, kind):
            raise TypeError(
                f"`{name}` must be a {kind.__name__} of semppl_keras.consistency, or "
                f"None. Received: {part!r}."
            )
        if part is not None and part.built:
            raise ValueError(
                f"`{name}` must be a strategy of this model alone: it keeps state. "
                f"Received: {type(part).__name__} that another model has. Make a new "
                "one."
            )
    names = []
    for term in terms:
        if not isinstance(term, Term):
            raise TypeError(
                "`terms` must hold semppl_keras.consistency.Term objects. Received: "
                f"{term!r}."
            )
        names.append(term.name)
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled or _KNOWN & set(names):
        raise ValueError(
            "`terms` must have names of their own, by which `fit` tells them. "
            f"Received: {names}. Give one a `name`."
        )
    if sum(term.predicts for term in terms) > 1:
        raise ValueError(
            "`terms` must hold one that predicts at most. Received: "
            f"{[term.name for term in terms if term.predicts]}."
        )
    if parts["mixing"] is not None and parts["teacher"].online:
        raise ValueError(
            "`mixing` needs to know the pseudo-labels before the step, which "
            "`OnlineTeacher` makes within it. Received: mixing="
            f"{type(parts['mixing']).__name__}. Pass teacher=EMATeacher() or "
            "FrozenTeacher(model)."
        )
    _check_terms_of_teacher(parts, terms)


def _check_terms_of_teacher(parts: dict[str, Any], terms: Iterable[Term]) -> None:
    """Raises a ValueError where a teacher, or mixing, leaves nothing to compare."""
    teacher = parts["teacher"]
    of_embeddings = [term for term in terms if term.needs_embeddings]
    of_features = [term for term in terms if term.needs_features]
    for what, comparing in (
        ("embeddings", [parts["refinement"], *of_embeddings]),
        ("features of weak views", of_features),
    ):
        names = _names(comparing)
        if names and not teacher.makes_embeddings:
            raise ValueError(
                f"{names} needs {what}, and {type(teacher).__name__} gives none. Pass "
                "OnlineTeacher() or EMATeacher()."
            )
    names = _names([*of_embeddings, *of_features])
    if names and parts["mixing"] is not None:
        raise ValueError(
            "`mixing` leaves no strong view that is of one image, with which "
            f"{names} compares. Leave one of them out."
        )


def _names(parts: Iterable[Any]) -> str:
    return ", ".join(type(part).__name__ for part in parts if part is not None)


def check_numbers(
    label_smoothing: Any, unlabelled_weight: Any, unlabelled_ramp: Any
) -> None:
    """Raises a ValueError for a number that is out of range."""
    check_not_negative(unlabelled_weight=unlabelled_weight)
    check_below_one(label_smoothing=label_smoothing)
    check_share(unlabelled_ramp=unlabelled_ramp)


def checked_prior(class_prior: Any, num_classes: int) -> tuple[float, ...] | None:
    """The frequencies of the classes among the labels, of sum 1, or None.

    Raises:
        ValueError: for anything but one positive number for each class.
    """
    if class_prior is None:
        return None
    try:
        prior = np.asarray(class_prior, "float64")
    except (TypeError, ValueError):
        prior = np.zeros(0)
    if prior.shape != (num_classes,) or not np.all(np.isfinite(prior) & (prior > 0)):
        raise ValueError(
            "`class_prior` must hold a positive number for each of the "
            f"{num_classes} classes, such as its labelled images. Received: "
            f"class_prior={class_prior!r}."
        )
    return tuple((prior / prior.sum()).tolist())


def weak_views(views: Any) -> MultiCrop | None:
    """The `MultiCrop` of what was given as `views`, None for that of the start."""
    if isinstance(views, WeakStrong):
        views = views.weak
    views = chosen_views(views)
    if isinstance(views, CachedViews):
        raise ValueError(
            "`views` must be of pictures: what is kept of them has no strong views. "
            "Received: CachedViews."
        )
    return views


def weak_and_strong(views: Any, own: Any) -> WeakStrong:
    """The views of a training.

    Args:
        views: what was given: a `WeakStrong`, a `MultiCrop` or the name of a recipe,
            which are the weak views, or None for mild ones.
        own: the `MultiCrop` of the classifier, of which mild views have size, ranges
            and flip.

    Raises:
        ValueError: if the classifier takes no pictures.
    """
    if isinstance(views, WeakStrong):
        return views
    if not isinstance(own, MultiCrop):
        raise ValueError(
            "`start` must take pictures: what is kept of them has no strong views. "
            f"Received: a model of {type(own).__name__}. Call its `on_pictures` first."
        )
    return WeakStrong(mild_views(own, **_WEAK) if views is None else own)


def views_of_start(start: Any) -> MultiCrop:
    """The weak views of a training that nobody gave any, of what it starts from.

    Raises:
        ValueError: if it has no views of pictures.
    """
    views = getattr(classifier_within(start), "views", None)
    if not isinstance(views, MultiCrop):
        raise ValueError(
            "`views` must be given where `start` has none of pictures, such as a bare "
            "backbone: a WeakStrong, a MultiCrop, or the name of a recipe of "
            f"semppl_keras.views. Received: start of type {type(start).__name__}."
        )
    return mild_views(crop_and_flip(views), **_WEAK)


def make_projector(
    given: Any, start: Any, features: int, seed: int, dtype: Any
) -> keras.Model:
    """A copy of a projection head, or a new one: SimMatch's F-F-128.

    Args:
        given: what was given as `projector`: a `keras.Model` from features, a
            pre-training model that has one, or None for that of `start`.
        start: what the training starts from.
        features: int, F.
        seed: int, of the weights of a new one.
        dtype: dtype policy, the same.

    Raises:
        TypeError, ValueError: if what was given does not fit.
    """
    encoder = encoder_within(start if given is None else given)
    heads = [] if encoder is None else encoder.heads
    if given is not None and not heads:
        if not isinstance(given, keras.Model) or encoder is not None:
            raise TypeError(
                "`projector` must be a keras.Model from features to embeddings, or a "
                "pre-training model that has one. Received: "
                f"{type(given).__name__}."
            )
        heads = [given]
    with keras.name_scope("online"):
        if not heads:
            return mlp_head(
                features, features, _PROJECTION_DIM, seed, "projector", dtype=dtype
            )
        if heads[0].input_shape[-1] != features:
            raise ValueError(
                f"`projector` must take the {features} features of the backbone. "
                f"Received: one of {heads[0].input_shape[-1]}."
            )
        return copy_model(heads[0])


def make_memory(given: Any, sources: Iterable[Any], dim: int, num_classes: int) -> Any:
    """The labelled memory that a training begins with: a copy, or an empty one.

    Args:
        given: a `LabelledMemory`, or None for that of the first source that has one.
        sources: models, of SemPPL's kind or others.
        dim: int, D.
        num_classes: int.

    Returns:
        A `LabelledMemory` of one view: the first one of another's.

    Raises:
        ValueError: if a memory that was given does not fit.
    """
    if given is None:
        memories = [getattr(source, "memory", None) for source in sources]
        fitting = [
            memory
            for memory in memories
            if isinstance(memory, LabelledMemory) and memory.dim == dim
        ]
        given = fitting[0] if fitting else None
    elif not isinstance(given, LabelledMemory) or given.dim != dim:
        raise ValueError(
            f"`memory` must be a LabelledMemory of embeddings of {dim} dimensions, "
            f"those of the projector. Received: {given!r}."
        )
    if given is None:
        size = max(640, 10 * num_classes)
        return LabelledMemory(1, size, dim, num_classes, name="memory")
    memory = LabelledMemory(1, given.capacity, dim, given.num_classes, name="memory")
    memory.embeddings.assign(given.embeddings.numpy()[:1])
    memory.labels.assign(given.labels.numpy())
    memory.position.assign(given.position.numpy())
    return memory
