"""The file that a model is saved to."""

import keras


def check_keras_file(path):
    """Raises a ValueError for a HDF5 file, of which Keras loads no model of models."""
    if str(path).endswith((".h5", ".hdf5")):
        raise ValueError(
            "The file of a model must end in .keras: Keras writes one of this kind to "
            f"HDF5, and cannot load it again. Received: {str(path)!r}. Name it "
            f"{str(path).rsplit('.', 1)[0] + '.keras'!r}. (`save_weights` writes the "
            "weights alone, as .weights.h5.)"
        )


def check_checkpoint_files(callbacks):
    """The same of what `keras.callbacks.ModelCheckpoint`s are going to write."""
    for callback in callbacks:
        if (
            isinstance(callback, keras.callbacks.ModelCheckpoint)
            and not callback.save_weights_only
        ):
            check_keras_file(callback.filepath)
