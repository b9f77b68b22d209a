"""Arguments that a method does not have, or that Keras would not say what is wrong
with, are refused in a sentence."""

import difflib
import functools
import inspect
import operator
from collections.abc import Callable
from typing import Any, TypeVar, overload

import keras

from semppl_keras.checks import check_integers
from semppl_keras.training.fit_callbacks import as_list

R = TypeVar("R")

# What Keras' methods have, and where it is to be found here.
_ELSEWHERE = {
    "class_weight": "weights of classes are for a classifier on labelled images, "
    "semppl_keras.FineTuner: fit(images, labels, class_weight=...)",
    "sample_weight": "weights of images are for a classifier on labelled images, "
    "semppl_keras.FineTuner: fit(images, labels, sample_weight=...)",
    "validation_split": "keep images for it yourself and pass `validation_data`",
    "shuffle": "arrays are shuffled in any case, datasets come in their own order",
    "loss": "the loss is the model's own",
    "loss_weights": "the loss is the model's own",
    "workers": "it is an argument of keras.utils.PyDataset",
    "use_multiprocessing": "it is an argument of keras.utils.PyDataset",
    "max_queue_size": "it is an argument of keras.utils.PyDataset",
}

# Numbers that Keras hands on as they are: they would end in an error of the backend, or
# do something else without a word. By the least that each may be.
_LEAST = {
    "epochs": 0,
    "initial_epoch": 0,
    "initial_batch": 0,
    "validation_freq": 1,
    "steps_per_execution": 1,
}
# Those that may be None, which are at least 1.
_COUNTS = {
    "batch_size",
    "labelled_batch_size",
    "images_per_class",
    "steps_per_epoch",
    "steps",
    "validation_batch_size",
    "validation_steps",
}


@overload
def known_arguments(method: Callable[..., R]) -> Callable[..., R]: ...


@overload
def known_arguments(
    *, hands_on_to: Callable[..., Any]
) -> Callable[[Callable[..., R]], Callable[..., R]]: ...


def known_arguments(
    method: Callable[..., Any] | None = None,
    *,
    hands_on_to: Callable[..., Any] | None = None,
) -> Any:
    """A method that names what it does not know, and what comes nearest; and numbers
    and callbacks that are none.

    Args:
        method: of a model. What it hands on as `**kwargs` goes to `keras.Model`'s
            method of its name, or to the same of its base class, which checks it.
        hands_on_to: the method of the model that gets the `**kwargs` instead, of which
            the keyword arguments are shown as the method's own.
    """
    if method is None:
        return functools.partial(known_arguments, hands_on_to=hands_on_to)
    signature = inspect.signature(method)
    parameters = [
        p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD
    ]
    if len(parameters) < len(signature.parameters):
        others = hands_on_to or getattr(keras.Model, method.__name__)
        further = [
            p
            for p in inspect.signature(others).parameters.values()
            if p.kind is not p.VAR_KEYWORD and p.name not in signature.parameters
        ]
        if hands_on_to is not None:
            parameters += [p for p in further if p.kind is p.KEYWORD_ONLY]
            signature = signature.replace(parameters=parameters)
        else:
            parameters += further
    known = [p.name for p in parameters if p.name != "self"]
    in_place = [
        p.name
        for p in inspect.signature(method).parameters.values()
        if p.kind is p.POSITIONAL_OR_KEYWORD and p.name != "self"
    ]

    @functools.wraps(method)
    def checked(self: Any, *args: Any, **kwargs: Any) -> Any:
        if len(args) > len(in_place):
            raise TypeError(_too_many(self, shown.__name__, in_place, len(args)))
        for name in kwargs:
            # Keras hands itself private ones from method to method.
            if name not in known and not name.startswith("_"):
                raise TypeError(_unknown(self, shown.__name__, name, known))
        given = [_checked(*pair) for pair in zip(known, args, strict=False)]
        kwargs = {name: _checked(name, value) for name, value in kwargs.items()}
        return method(self, *given, *args[len(given) :], **kwargs)

    shown: Any = checked
    shown.__signature__ = signature
    return shown


def _unknown(model: Any, method: str, name: str, known: list[str]) -> str:
    message = f"`{method}` of {type(model).__name__} has no argument `{name}`"
    if name in _ELSEWHERE:
        return f"{message}: {_ELSEWHERE[name]}."
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"{message}. Did you mean `{near[0]}`?"
    return f"{message}. It has: {', '.join(known)}."


def _too_many(model: Any, method: str, in_place: list[str], count: int) -> str:
    message = (
        f"`{method}` of {type(model).__name__} takes at most {len(in_place)} arguments "
        f"by their place ({', '.join(in_place)}). Received: {count}. Give the others "
        "by name"
    )
    if "labelled" in in_place:
        message += ", and images with their labels as one: (images, labels)"
    return f"{message}."


def _checked(name: str, value: Any) -> Any:
    """An argument as Keras takes it: its numbers are Python's own."""
    if name == "callbacks":
        _check_callbacks(value)
    elif name == "validation_freq" and isinstance(value, (list, tuple, set, range)):
        # Epochs, which Keras takes as a list alone.
        check_integers(1, **{f"{name}[{i}]": epoch for i, epoch in enumerate(value)})
        return [operator.index(epoch) for epoch in value]
    elif name in _LEAST or (name in _COUNTS and value is not None):
        check_integers(_LEAST.get(name, 1), **{name: value})
        return operator.index(value)
    return value


def _check_callbacks(callbacks: Any) -> None:
    for one in as_list(callbacks):
        if isinstance(one, type) or not hasattr(one, "set_model"):
            raise TypeError(
                "`callbacks` must be instances of keras.callbacks.Callback. Received: "
                f"{one!r}."
            )
