"""One training step per backend; all of them have the same three hooks."""

from types import ModuleType

import keras

replicas: ModuleType
processes: ModuleType
if keras.backend.backend() == "tensorflow":
    from semppl_keras.training.backends import tf_processes, tf_replicas
    from semppl_keras.training.backends.tensorflow import ViewTrainer as ViewTrainer

    replicas, processes = tf_replicas, tf_processes
elif keras.backend.backend() == "jax":
    from semppl_keras.training.backends import jax_processes, one_replica
    from semppl_keras.training.backends.jax import ViewTrainer as ViewTrainer

    replicas, processes = one_replica, jax_processes
elif keras.backend.backend() == "torch":
    from semppl_keras.training.backends import torch_processes, torch_replicas
    from semppl_keras.training.backends.torch import ViewTrainer as ViewTrainer

    replicas, processes = torch_replicas, torch_processes
else:
    raise ImportError(
        "semppl_keras trains on the backends tensorflow, jax and torch. Received: "
        f"KERAS_BACKEND={keras.backend.backend()}."
    )
