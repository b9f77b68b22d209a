"""Keras finds the classes of this package in saved models.

Keras imports no modules of other packages where a saved model names them: it knows
classes by the names under which they are registered, which happens when their modules
are imported. These are imported on demand, and

    import semppl_keras
    model = keras.saving.load_model("model.keras")

demands none of them. So all of them are imported as soon as both this package and Keras
are there, in whichever order.
"""

import contextlib
import importlib
import sys
from collections.abc import Iterator

from semppl_keras.around_imports import AroundImports

_BACKENDS = ("tensorflow", "jax", "torch")
# Those with registered classes.
MODULES = (
    "semppl_keras.backbones.selective_kernels",
    "semppl_keras.classifiers.distiller",
    "semppl_keras.classifiers.fine_tuner",
    "semppl_keras.losses.suncet",
    "semppl_keras.memory.queue",
    "semppl_keras.networks.encoder",
    "semppl_keras.networks.image_classifier",
    "semppl_keras.networks.image_embedder",
    "semppl_keras.optimizers.lars",
    "semppl_keras.pretraining.byol",
    "semppl_keras.pretraining.relicv2",
    "semppl_keras.pretraining.semppl",
    "semppl_keras.pretraining.simclr",
    "semppl_keras.pretraining.suncet",
    "semppl_keras.training.metrics",
    "semppl_keras.training.target_ema",
    "semppl_keras.views.multi_crop",
)


def register_with_keras() -> None:
    """Registers the classes of this package now, or when Keras gets imported."""
    if "keras" in sys.modules:
        _import_all()
        return

    @contextlib.contextmanager
    def registering() -> Iterator[None]:
        yield
        if "keras" in sys.modules:
            # Another thread may have been here.
            with contextlib.suppress(ValueError):
                sys.meta_path.remove(finder)
            _import_all()

    # A module of this package that imports Keras has to be whole before others import
    # it: the imports of both are looked at, and the outermost one decides.
    finder = AroundImports(_ours_or_keras, registering)
    sys.meta_path.insert(0, finder)


def _ours_or_keras(name: str) -> bool:
    return name == "keras" or name.startswith(f"{__package__}.")


def _import_all() -> None:
    # Another thread may be importing it at this moment: this waits until it is whole.
    keras = importlib.import_module("keras")
    if keras.config.backend() not in _BACKENDS:
        # Nothing trains there, which is said where something is to.
        return
    for module in MODULES:
        importlib.import_module(module)
