"""The file that a model is saved to."""

import os
from collections.abc import Iterable
from typing import Any

import keras


class SavedAsKerasFile:
    """A Keras model that `save` writes to a `.keras` file alone."""

    def save(
        self, filepath: str | os.PathLike[str], overwrite: bool = True, **kwargs: Any
    ) -> None:
        """As `keras.Model.save`, to a `.keras` file.

        Raises:
            ValueError: for a HDF5 file.
        """
        check_keras_file(filepath)
        saved: Any = super()
        saved.save(filepath, overwrite=overwrite, **kwargs)

    def get_compile_config(self) -> Any:
        """How the model was compiled, with optimisers that every backend knows."""
        saved: Any = super()
        return of_every_backend(saved.get_compile_config())

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """As `keras.Model.compile_from_config`, whichever backend has saved it."""
        saved: Any = super()
        saved.compile_from_config(of_every_backend(config))


def of_every_backend(config: Any) -> Any:
    """A saved configuration in which Keras' optimisers are those of every backend.

    On torch an optimiser of Keras is one of another class, whose name is what Keras
    saves: on another backend it would be given tensors that are not torch's.

    Args:
        config: of dicts and lists, left as it is.

    Returns:
        The same, in which nothing names what torch alone has.
    """
    if isinstance(config, (list, tuple)):
        return type(config)(of_every_backend(part) for part in config)
    if not isinstance(config, dict):
        return config
    config = {name: of_every_backend(part) for name, part in config.items()}
    if str(config.get("module")).startswith("keras.src.backend.torch.optimizers."):
        config.update(module="keras.optimizers", registered_name=None)
    return config


def check_keras_file(path: str | os.PathLike[str]) -> None:
    """Raises a ValueError for a HDF5 file, of which Keras loads no model of models."""
    if str(path).endswith((".h5", ".hdf5")):
        raise ValueError(
            "The file of a model must end in .keras: Keras writes one of this kind to "
            f"HDF5, and cannot load it again. Received: {str(path)!r}. Name it "
            f"{str(path).rsplit('.', 1)[0] + '.keras'!r}. (`save_weights` writes the "
            "weights alone, as .weights.h5.)"
        )


def check_checkpoint_files(callbacks: Iterable[Any]) -> None:
    """The same of what `keras.callbacks.ModelCheckpoint`s are going to write."""
    for callback in callbacks:
        if (
            isinstance(callback, keras.callbacks.ModelCheckpoint)
            and not callback.save_weights_only
        ):
            check_keras_file(callback.filepath)
