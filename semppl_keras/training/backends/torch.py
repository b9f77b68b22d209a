"""The training step on torch, in one process or in several."""

import contextlib
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import torch

from semppl_keras.kernels.torch_layers import lay_out_kernels, torch_kernels
from semppl_keras.kernels.torch_release import Calls, outputs_released
from semppl_keras.training.backends import torch_moving, torch_processes, torch_replicas
from semppl_keras.training.backends.torch_normalisation import (
    check_normalisation,
    global_normalisation,
)
from semppl_keras.training.backends.torch_optimizer import weights_at_once
from semppl_keras.training.backends.torch_sums import (
    gradients_added_up_first,
    metrics_added_up,
)


class ViewTrainer(keras.Model):
    """A model whose step makes views, trains on them, and updates afterwards.

    A subclass gives `begin_step(images, labels)`, `compute_loss`, in which it writes
    state through `write_state`, and `after_update()`.
    """

    # Of `outputs_released`.
    _calls: Calls | None = None

    def train_step(self, data: Any) -> dict[str, Any]:
        if self.num_processes == 1:
            return self._step_on(data)
        with (
            torch_replicas.sharing_a_step(),
            global_normalisation(self),
            gradients_added_up_first(self.optimizer, self.trainable_variables),
            metrics_added_up(self),
        ):
            names = self._step_on(data)
        results = self.get_metrics_result()
        return {name: results[name] for name in names}

    def _step_on(self, data: Any) -> dict[str, Any]:
        images, labels, _ = keras.utils.unpack_x_y_sample_weight(data)
        self._state_writes: list[Callable[[], None]] = []
        # Keras resets the gradients of the parameters that it has registered,
        # by path; layers that share a name share a path.
        for variable in self.trainable_variables:
            variable.value.grad = None
        with self._kernels():
            with torch.no_grad():
                views = self.begin_step(images, labels)
            logs = super().train_step((views, labels))
        with torch.no_grad():
            for write in self._state_writes:
                write()
            self.after_update()
        return logs

    @contextlib.contextmanager
    def _kernels(self) -> Iterator[None]:
        """Within it networks and optimisers run by torch's kernels, and what is no
        longer used is let go."""
        if self.jit_compile:
            # What torch.compile makes of Keras' own code needs no help.
            yield
            return
        with (
            torch_kernels(self),
            outputs_released(self, self._calls),
            weights_at_once(self.optimizer),
        ):
            yield

    def _compute_loss(self, *args: Any, **kwargs: Any) -> Any:
        # What Keras calls: of several processes it tells the loss of all.
        loss = super()._compute_loss(*args, **kwargs)
        return torch_replicas.whole_loss(loss) if torch_replicas.count() > 1 else loss

    def write_state(self, variable: Any, value: Any) -> None:
        """Sets a variable from within `compute_loss`.

        Not before the backward pass, which an assignment in place would break.
        """
        self._state_writes.append(lambda: variable.assign(value))

    def move_by_share(self, pairs: Iterable[tuple[Any, Any]], share: Any) -> None:
        """Moves variables by a share of their way to the values of others."""
        torch_moving.move(pairs, share)

    # -- under torch.distributed -----------------------------------------------

    @property
    def num_replicas(self) -> int:
        """Equal parts into which every batch is divided: one for each process."""
        return torch_processes.count()

    @property
    def num_processes(self) -> int:
        """Processes that share the training."""
        return torch_processes.count()

    def variable_scope(self) -> Any:
        """The context in which variables of the model are made."""
        return contextlib.nullcontext()

    def fit_arguments(self, feed: Any) -> dict[str, Any]:
        """What Keras' `fit` is given of a feed; of several processes each its part.

        These go on from what the first one holds: weights, memory and optimiser.
        """
        if self.num_processes > 1:
            self._check_shared(feed)
            variables = {id(each): each for each in self.variables}
            variables |= {id(each): each for each in self.optimizer.variables}
            torch_processes.take_from_the_first(variables.values())
            index = torch_processes.index(self)
            # Views and draws are those of all images: the model's own seed stays.
            networks = self._flatten_layers(include_self=False)
            torch_processes.draw_apart(networks, index)
            feed.take_part(index, self.num_processes)
        lay_out_kernels(self, self.optimizer)
        return feed.fit_arguments()

    def fit(self, *args: Any, **kwargs: Any) -> Any:
        """As `keras.Model.fit`; what calls the networks' layers is found once in it."""
        self._calls = Calls()
        try:
            return super().fit(*args, **kwargs)
        finally:
            # Layers may be other ones by the next time.
            self._calls = None

    def _check_shared(self, feed: Any) -> None:
        """Refuses what several processes cannot do, or would not do alike."""
        check_normalisation(self)
        if self.jit_compile:
            raise ValueError(
                "torch.compile does not take the step that several processes share. "
                f"Received: jit_compile=True in {self.num_processes} processes. Leave "
                "it out."
            )
        # Each process draws the order of the images itself.
        variables = [tuple(each.shape) for each in self.variables]
        form = repr((feed.batch_form, feed.steps_per_epoch, variables)).encode()
        table = torch_processes.gathered(self, [self.seed, zlib.crc32(form)])
        seeds, forms = table.T.tolist()
        if len({*seeds}) > 1:
            raise ValueError(
                "`seed` must be the same in every process. Received: "
                f"{seeds}. Give the model a `seed`."
            )
        if len({*forms}) > 1:
            raise ValueError(
                "Every process must have the same model and all of the data. Received: "
                f"in this one batches of {feed.batch_size} and "
                f"{feed.labelled_batch_size} images, {feed.steps_per_epoch} steps and "
                f"{len(variables)} variables, and others in another. Give each of them "
                "the whole of it: it takes its part of every batch."
            )
