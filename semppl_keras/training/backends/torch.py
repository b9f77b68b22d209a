"""The training step on torch."""

import contextlib
from collections.abc import Callable
from typing import Any

import keras
import torch

from semppl_keras.training.backends.torch_layers import lay_out_kernels, torch_kernels


class ViewTrainer(keras.Model):
    """A model whose step makes views, trains on them, and updates afterwards.

    A subclass gives `begin_step(images, labels)`, `compute_loss`, in which it writes
    state through `write_state`, and `after_update()`.
    """

    def train_step(self, data: Any) -> dict[str, Any]:
        images, labels, _ = keras.utils.unpack_x_y_sample_weight(data)
        self._state_writes: list[Callable[[], None]] = []
        # Keras resets the gradients of the parameters that it has registered,
        # by path; layers that share a name share a path.
        for variable in self.trainable_variables:
            variable.value.grad = None
        with torch.no_grad(), self._kernels():
            views = self.begin_step(images, labels)
        with self._kernels():
            logs = super().train_step((views, labels))
        with torch.no_grad():
            for write in self._state_writes:
                write()
            self.after_update()
        return logs

    def _kernels(self) -> contextlib.AbstractContextManager[None]:
        # What torch.compile makes of Keras' own code needs no help.
        return contextlib.nullcontext() if self.jit_compile else torch_kernels(self)

    def write_state(self, variable: Any, value: Any) -> None:
        """Sets a variable from within `compute_loss`.

        Not before the backward pass, which an assignment in place would break.
        """
        self._state_writes.append(lambda: variable.assign(value))

    def move_by_share(self, variable: Any, aim: Any, share: Any) -> None:
        """Moves a variable by a share of its way to the value of another one."""
        variable.assign(variable + share * (aim - variable))

    @property
    def num_replicas(self) -> int:
        """Equal parts into which every batch is divided: here there is one."""
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            processes = torch.distributed.get_world_size()
            if processes > 1:
                raise ValueError(
                    "On torch semppl_keras trains in one process: Keras' batch "
                    "normalisation takes its statistics from one alone there. "
                    f"Received: a process group of {processes}. Train on several "
                    "devices with KERAS_BACKEND=jax or tensorflow."
                )
        return 1

    @property
    def num_processes(self) -> int:
        """Processes that share the training: `num_replicas` refuses several."""
        return self.num_replicas

    def variable_scope(self) -> Any:
        """The context in which variables of the model are made."""
        return contextlib.nullcontext()

    def fit_arguments(self, feed: Any) -> dict[str, Any]:
        """What Keras' `fit` is given of a feed."""
        lay_out_kernels(self, self.optimizer)
        return feed.fit_arguments()
