"""What a saved model may name: nothing that is not known to compute and no more.

A configuration names classes and functions, and Keras imports and calls what it names.
Each has to be spelled here as Keras itself spells it when it saves.
"""

import importlib
import inspect
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import keras

from semppl_keras.backbones.hub_families import FAMILIES, PARTS

# Layers that bring code of their own, or load what does; Keras' mark of a function of
# Python's. They are refused whoever the model is from.
EXECUTING = frozenset(
    ("Lambda", "__lambda__", "TorchModuleWrapper", "TFSMLayer", "JaxLayer", "FlaxLayer")
)

# These read a file that their configuration names.
_READING = frozenset(("StringLookup", "IntegerLookup", "TextVectorization"))

# What Keras writes for values that JSON does not have.
_VALUES = frozenset(("__keras_tensor__", "__bytes__", "__ellipsis__", "__slice__"))
_ARRAYS = frozenset(("__numpy__", "__tensor__"))
_ARRAY_TYPES = frozenset(
    ("bool", "float16", "float32", "float64", "bfloat16")
) | frozenset(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))

_NAMESPACES = {
    "keras": (keras, keras.Operation | keras.DTypePolicy | keras.InputSpec),
    "keras.layers": (keras.layers, keras.layers.Layer | keras.InputSpec),
    "keras.initializers": (keras.initializers, keras.initializers.Initializer),
    "keras.regularizers": (keras.regularizers, keras.regularizers.Regularizer),
    "keras.constraints": (keras.constraints, keras.constraints.Constraint),
    "keras.losses": (keras.losses, keras.losses.Loss),
    "keras.metrics": (keras.metrics, keras.metrics.Metric),
    "keras.optimizers": (keras.optimizers, keras.optimizers.Optimizer),
    "keras.optimizers.schedules": (
        keras.optimizers.schedules,
        keras.optimizers.schedules.LearningRateSchedule,
    ),
    "keras.dtype_policies": (keras.dtype_policies, keras.DTypePolicy),
    "keras.random": (keras.random, keras.random.SeedGenerator),
}

# Where the functions are that a layer, a loss or a metric may call, and what is beside
# them but is no such function.
_FUNCTIONS = {
    "keras.activations": keras.activations,
    "keras.losses": keras.losses,
    "keras.metrics": keras.metrics,
}
_NO_FUNCTIONS = frozenset(("get", "serialize", "deserialize"))

# One operation of each module of operations that functional models are made of; of
# those that control the flow, and call what they are given, only some.
_OPERATIONS = (
    keras.ops.add,
    keras.ops.relu,
    keras.ops.logsumexp,
    keras.ops.norm,
    keras.ops.image.resize,
)
_CORE_OPERATIONS = ("Cast", "Slice", "StopGradient", "Unstack")
# They call what they are given.
_CALLING = frozenset(("JVP", "Function"))

_PACKAGE = "semppl_keras"
# Networks of KerasHub that take images and are nothing but layers; those that read
# files, such as its tokenizers and preprocessors, are none of them.
_HUB = "keras_hub"
_HUB_NETWORKS = frozenset(
    name for name, family in {**FAMILIES, **PARTS}.items() if family.part is None
)
# Keras' optimisers on torch are classes of their own, which are not exported.
_TORCH_OPTIMIZERS = (
    "Adadelta", "Adagrad", "Adam", "Adamax", "AdamW", "Lion", "Nadam", "RMSprop", "SGD",
)  # fmt: skip


def is_known_class(module: Any, class_name: Any, registered_name: Any) -> bool:
    """Whether a class may be made of the configuration that names it.

    Args:
        module, class_name, registered_name: As the configuration has them, or None.

    Returns:
        Whether it is a harmless class of Keras, a network of KerasHub, or one of this
        package's, and Keras will find just this one.

    Raises:
        ImportError: It is of KerasHub, which is not installed.
    """
    if class_name in _HUB_NETWORKS and registered_name == f"{_HUB}>{class_name}":
        return _is_of_hub(module, class_name)
    registered = keras.saving.get_registered_object(registered_name or class_name)
    if registered is not None:
        return (
            inspect.isclass(registered)
            and registered.__module__.startswith(f"{_PACKAGE}.")
            and registered.__name__ == class_name
            and registered_name == f"{_PACKAGE}>{class_name}"
        )
    return (module, class_name) in _CLASSES and registered_name in (None, class_name)


def _is_of_hub(module: Any, class_name: str) -> bool:
    try:
        importlib.import_module(_HUB)
    except ImportError as error:
        raise ImportError(
            f"A model with a network of KerasHub, {class_name}, needs it. Received: "
            f"{error}. pip install keras-hub"
        ) from error
    registered = keras.saving.get_registered_object(f"{_HUB}>{class_name}")
    return (
        inspect.isclass(registered)
        and registered.__module__ == module
        and module.startswith(f"{_HUB}.")
        and registered.__name__ == class_name
    )


def is_known_function(module: Any, name: Any, registered_name: Any) -> bool:
    """The same of a function."""
    if keras.saving.get_registered_object(name) is not None:
        return False
    if registered_name not in (None, name, "function"):
        return False
    if module == "builtins":
        return any(name in names for names in _FUNCTION_NAMES.values())
    return name in _FUNCTION_NAMES.get(module, ())


def is_schedule(module: Any, class_name: Any) -> bool:
    """Whether a known class is a schedule of the learning rate."""
    return module == "keras.optimizers.schedules" and (module, class_name) in _CLASSES


def is_known_value(class_name: Any, config: Any) -> bool:
    """Whether a mark of Keras' stands for a value that is no larger than its text."""
    if class_name in _VALUES:
        return True
    return (
        class_name in _ARRAYS
        and isinstance(config, dict)
        and config.get("dtype") in _ARRAY_TYPES
    )


def _classes() -> Iterator[tuple[str, str]]:
    for module, (namespace, kind) in _NAMESPACES.items():
        for name, found in vars(namespace).items():
            if (
                inspect.isclass(found)
                and issubclass(found, kind)
                and name not in EXECUTING | _READING | _CALLING
            ):
                yield module, name
    for operation in _OPERATIONS:
        defining = sys.modules[operation.__module__]
        for name, found in vars(defining).items():
            if (
                inspect.isclass(found)
                and issubclass(found, keras.Operation)
                and found.__module__ == defining.__name__
                and name not in _CALLING
            ):
                yield defining.__name__, name
    for name in _CORE_OPERATIONS:
        yield keras.ops.cast.__module__, name
    # What `keras.Model` becomes of inputs and outputs.
    yield "keras.src.models.functional", "Functional"
    # The only application with layers of its own.
    for name in ("LayerScale", "StochasticDepth"):
        yield "keras.src.applications.convnext", name
    for name in _TORCH_OPTIMIZERS:
        yield f"keras.src.backend.torch.optimizers.torch_{name.lower()}", name


def _functions(namespace: ModuleType) -> frozenset[str]:
    return frozenset(
        name
        for name, found in vars(namespace).items()
        if inspect.isfunction(found) and name not in _NO_FUNCTIONS
    )


_CLASSES = frozenset(_classes())
_FUNCTION_NAMES = {name: _functions(space) for name, space in _FUNCTIONS.items()}
