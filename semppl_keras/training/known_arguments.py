"""Arguments that a method does not have are refused in a sentence."""

import difflib
import functools
import inspect

import keras

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


def known_arguments(method):
    """A method that names what it does not know, and what comes nearest.

    What it hands on as `**kwargs` goes to `keras.Model`'s method of its name, or to the
    same of its base class, which checks it.
    """
    parameters = inspect.signature(method).parameters
    known = _names(parameters)
    if len(known) < len(parameters):
        others = inspect.signature(getattr(keras.Model, method.__name__)).parameters
        known += [name for name in _names(others) if name not in known]
    known.remove("self")

    @functools.wraps(method)
    def checked(self, *args, **kwargs):
        for name in kwargs:
            # Keras hands itself private ones from method to method.
            if name not in known and not name.startswith("_"):
                raise TypeError(_unknown(self, method.__name__, name, known))
        return method(self, *args, **kwargs)

    return checked


def _names(parameters):
    return [name for name, p in parameters.items() if p.kind is not p.VAR_KEYWORD]


def _unknown(model, method, name, known):
    message = f"`{method}` of {type(model).__name__} has no argument `{name}`"
    if name in _ELSEWHERE:
        return f"{message}: {_ELSEWHERE[name]}."
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"{message}. Did you mean `{near[0]}`?"
    return f"{message}. It has: {', '.join(known)}."
