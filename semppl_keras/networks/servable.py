"""What it takes for a backbone to be exported on JAX."""

from typing import Any

import keras


def make_servable(backbone: keras.Model) -> None:
    """Lets `backbone.export(path)` write a SavedModel on JAX, for any image size.

    TensorFlow traces the gradient of what it saves, and JAX cannot give that of a
    strided convolution over images of unknown size. Who serves a backbone needs no
    gradient: it is left out, unless `jax2tf_kwargs` ask for it.

    Args:
        backbone: any Keras model; its `export` gets other defaults on JAX. On the
            other backends nothing changes.
    """
    if keras.backend.backend() != "jax":
        return
    export = type(backbone).export

    def export_without_gradient(
        filepath: Any, format: str = "tf_saved_model", **kwargs: Any
    ) -> Any:
        if format == "tf_saved_model":
            kwargs["jax2tf_kwargs"] = {
                "with_gradient": False,
                **(kwargs.get("jax2tf_kwargs") or {}),
            }
        return export(backbone, filepath, format=format, **kwargs)

    backbone.export = export_without_gradient
