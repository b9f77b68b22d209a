"""One training step per backend; all of them have the same three hooks."""

from types import ModuleType

import keras

replicas: ModuleType
processes: ModuleType
moving: ModuleType
if keras.backend.backend() == "tensorflow":
    from semppl_keras.training.backends import one_by_one, tf_processes, tf_replicas
    from semppl_keras.training.backends.tensorflow import ViewTrainer as ViewTrainer

    replicas, processes, moving = tf_replicas, tf_processes, one_by_one
elif keras.backend.backend() == "jax":
    from semppl_keras.training.backends import jax_processes, one_by_one, one_replica
    from semppl_keras.training.backends.jax import ViewTrainer as ViewTrainer

    replicas, processes, moving = one_replica, jax_processes, one_by_one
elif keras.backend.backend() == "torch":
    from semppl_keras.training.backends import (
        torch_moving,
        torch_processes,
        torch_replicas,
    )
    from semppl_keras.training.backends.torch import ViewTrainer as ViewTrainer

    replicas, processes, moving = torch_replicas, torch_processes, torch_moving
else:
    raise ImportError(
        "semppl_keras trains on the backends tensorflow, jax and torch. Received: "
        f"KERAS_BACKEND={keras.backend.backend()}."
    )
