"""One training step per backend; all of them have the same three hooks."""

import keras

if keras.backend.backend() == "tensorflow":
    from semppl_keras.training.backends import tf_replicas as replicas
    from semppl_keras.training.backends.tensorflow import ViewTrainer as ViewTrainer
elif keras.backend.backend() == "jax":
    from semppl_keras.training.backends import one_replica as replicas
    from semppl_keras.training.backends.jax import ViewTrainer as ViewTrainer
elif keras.backend.backend() == "torch":
    from semppl_keras.training.backends import one_replica as replicas  # noqa: F401
    from semppl_keras.training.backends.torch import ViewTrainer as ViewTrainer
else:
    raise ImportError(
        "semppl_keras trains on the backends tensorflow, jax and torch. Received: "
        f"KERAS_BACKEND={keras.backend.backend()}."
    )
