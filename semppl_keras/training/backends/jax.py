"""The training step on JAX."""

import contextlib
from collections.abc import Callable, Iterable
from typing import Any

import jax
import keras
import numpy as np
from jax.experimental import multihost_utils

from semppl_keras.training.backends import one_by_one
from semppl_keras.training.backends.jax_normalisation import lean_normalisation


class ViewTrainer(keras.Model):
    """A model whose step makes views, trains on them, and updates afterwards.

    A subclass gives `begin_step(images, labels)`, `compute_loss`, in which it writes
    state through `write_state`, and `after_update()`. Outside `compute_loss`, which
    Keras' own step makes stateless, this class maps the state of the model's
    variables in and out.
    """

    def train_step(self, state: Any, data: Any) -> tuple[dict[str, Any], Any]:
        trainable, non_trainable, optimizer, metrics = state
        images, labels, _ = keras.utils.unpack_x_y_sample_weight(data)
        views, non_trainable = self._stateless(
            trainable, non_trainable, lambda: self.begin_step(images, labels)
        )
        with self.in_fewer_operations():
            logs, (trainable, non_trainable, optimizer, metrics) = super().train_step(
                (trainable, non_trainable, optimizer, metrics), (views, labels)
            )
        _, non_trainable = self._stateless(trainable, non_trainable, self.after_update)
        return logs, (trainable, non_trainable, optimizer, metrics)

    def in_fewer_operations(self) -> contextlib.AbstractContextManager[None]:
        """What is traced within computes what it would, in fewer operations."""
        return lean_normalisation(self)

    def write_state(self, variable: Any, value: Any) -> None:
        """Sets a variable from within `compute_loss`."""
        variable.assign(value)

    def move_by_share(self, pairs: Iterable[tuple[Any, Any]], share: Any) -> None:
        """Moves variables by a share of their way to the values of others."""
        one_by_one.move(pairs, share)

    @property
    def num_replicas(self) -> int:
        """Equal parts into which every batch is divided."""
        distribution = keras.distribution.distribution()
        return 1 if distribution is None else distribution.num_model_replicas

    @property
    def num_processes(self) -> int:
        """Processes that share the training."""
        return jax.process_count()

    def variable_scope(self) -> Any:
        """The context in which variables of the model are made."""
        return contextlib.nullcontext()

    def fit_arguments(self, feed: Any) -> dict[str, Any]:
        """What Keras' `fit` is given of a feed; of several processes each its part."""
        self._check_distribution()
        if self.num_processes == 1:
            return feed.fit_arguments()
        distribution = keras.distribution.distribution()
        if distribution is None or distribution.auto_shard_dataset:
            received = "none" if distribution is None else "one that divides the data"
            raise ValueError(
                "Several processes train together under a distribution that leaves it "
                f"to them to divide the batches. Received: {received}. Before making "
                "the model call keras.distribution.set_distribution(keras.distribution."
                "DataParallel(auto_shard_dataset=False))."
            )
        # Each process draws the order of the images itself.
        seeds = multihost_utils.process_allgather(np.int64(self.seed)).ravel()
        if np.any(seeds != self.seed):
            raise ValueError(
                "`seed` must be the same in every process. Received: "
                f"{seeds.tolist()}. Give the model a `seed`."
            )
        feed.take_part(jax.process_index(), self.num_processes)
        return feed.fit_arguments()

    def _check_distribution(self) -> None:
        """Raises a ValueError for variables that an earlier distribution has placed."""
        distribution = keras.distribution.distribution()
        devices = 1
        if distribution is not None:
            devices = distribution.device_mesh.devices.size
        placed = [
            len(variable._value.sharding.device_set)
            for variable in self.variables
            if variable._value is not None
        ]
        others = [count for count in placed if count != devices]
        if others:
            raise ValueError(
                "The model and its networks must be made under the distribution that "
                f"they are trained under. Received: `fit` under one of {devices} "
                f"device(s), and {len(others)} of {len(placed)} variables that lie on "
                f"{', '.join(map(str, sorted(set(others))))}. After "
                "keras.distribution.set_distribution(...), as when a cell of a "
                "notebook is run again, make backbone, model and optimiser again, or "
                "save the model and load it."
            )

    def _stateless(
        self, trainable: Any, non_trainable: Any, function: Callable[[], Any]
    ) -> tuple[Any, list[Any]]:
        """Calls a function that reads and writes variables, on the given values."""
        mapping = [
            *zip(self.trainable_variables, trainable, strict=True),
            *zip(self.non_trainable_variables, non_trainable, strict=True),
        ]
        with keras.StatelessScope(state_mapping=mapping) as scope:
            result = function()
        return result, [
            scope.get_current_value(variable)
            for variable in self.non_trainable_variables
        ]
