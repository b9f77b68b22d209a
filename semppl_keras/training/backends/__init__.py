"""One training step per backend; all of them have the same three hooks."""

from types import ModuleType

import keras

replicas: ModuleType
if keras.backend.backend() == "tensorflow":
    from semppl_keras.training.backends import tf_replicas
    from semppl_keras.training.backends.tensorflow import ViewTrainer as ViewTrainer

    replicas = tf_replicas
elif keras.backend.backend() == "jax":
    from semppl_keras.training.backends import one_replica
    from semppl_keras.training.backends.jax import ViewTrainer as ViewTrainer

    replicas = one_replica
elif keras.backend.backend() == "torch":
    from semppl_keras.training.backends import torch_replicas
    from semppl_keras.training.backends.torch import ViewTrainer as ViewTrainer

    replicas = torch_replicas
else:
    raise ImportError(
        "semppl_keras trains on the backends tensorflow, jax and torch. Received: "
        f"KERAS_BACKEND={keras.backend.backend()}."
    )
