"""The training step on TensorFlow, on one device or under tf.distribute."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import tensorflow as tf

from semppl_keras.training.backends import one_by_one
from semppl_keras.training.backends.tf_adam import adam_at_once, move_by_share
from semppl_keras.training.backends.tf_normalisation import fused_normalisation
from semppl_keras.training.backends.tf_optimizer import gradients_added_up_first


class ViewTrainer(keras.Model):
    """A model whose step makes views, trains on them, and updates afterwards.

    A subclass gives `begin_step(images, labels)`, `compute_loss`, in which it writes
    state through `write_state`, and `after_update()`.
    """

    # Keras' own, made when they are first needed.
    train_function: Any
    test_function: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _check_synchronous(tf.distribute.get_strategy())
        super().__init__(*args, **kwargs)
        # Keras takes note of it here, too, but for the one that is no strategy.
        self._made_under = tf.distribute.get_strategy()
        self._in_strategy = tf.distribute.has_strategy()

    def train_step(self, data: Any) -> dict[str, Any]:
        images, labels, _ = keras.utils.unpack_x_y_sample_weight(data)
        views = self.begin_step(images, labels)
        with self.in_fewer_operations():
            logs = super().train_step((views, labels))
        self.after_update()
        return logs

    @contextlib.contextmanager
    def in_fewer_operations(self) -> Iterator[None]:
        """What is traced within computes what it would, in fewer operations."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(fused_normalisation(self))
            # A strategy's weights lie on several devices: its own code changes them.
            if not self._in_strategy:
                stack.enter_context(adam_at_once(self.optimizer))
            yield

    def write_state(self, variable: Any, value: Any) -> None:
        """Sets a variable from within `compute_loss`."""
        variable.assign(value)

    def move_by_share(self, pairs: Iterable[tuple[Any, Any]], share: Any) -> None:
        """Moves variables by a share of their way to the values of others."""
        if self._in_strategy:
            one_by_one.move(pairs, share)
            return
        for variable, aim in pairs:
            share_of_kind = keras.ops.cast(share, variable.dtype)
            move_by_share(variable.value, aim.value, share_of_kind)

    # -- under tf.distribute --------------------------------------------------

    @property
    def num_replicas(self) -> int:
        """Equal parts into which every batch is divided."""
        return self.distribute_strategy.num_replicas_in_sync

    def variable_scope(self) -> Any:
        """The context in which variables of the model are made."""
        return self.distribute_strategy.scope()

    @property
    def num_processes(self) -> int:
        """Processes that share the training."""
        if not self._in_strategy:
            return 1
        local = self.distribute_strategy.extended.worker_devices
        return self.num_replicas // len(local)

    def fit_arguments(self, feed: Any) -> dict[str, Any]:
        """What Keras' `fit` is given of a feed."""
        self._check_strategy("fit")
        if not self._in_strategy:
            return feed.fit_arguments()
        if self.num_processes > 1:
            self._check_same_seed()
        return feed.divided_arguments(self.distribute_strategy)

    def compile(self, optimizer: Any, jit_compile: Any = "auto", **kwargs: Any) -> None:
        """Compiles as `keras.Model` does; replicas of a step are not given to XLA."""
        if tf.distribute.get_strategy() is not self._made_under:
            raise ValueError(
                "The model must be made and compiled in the scope of one "
                "tf.distribute strategy, and its optimiser be made there, too. "
                f"Received: a model made under {_name(self._made_under)}, "
                f"compiled under {_name(tf.distribute.get_strategy())}."
            )
        self._check_strategy("compile")
        if self.num_replicas > 1:
            if jit_compile is True:
                raise ValueError(
                    "XLA does not compile a step that several replicas share under "
                    "tf.distribute (on TPUs it is compiled in any case). Received: "
                    f"jit_compile=True under {_name(self.distribute_strategy)}. Leave "
                    "it out."
                )
            jit_compile = False
        super().compile(optimizer, jit_compile=jit_compile, **kwargs)

    def _check_strategy(self, method: str) -> None:
        """Raises a ValueError for what an earlier strategy has made."""
        # Outside of any scope the model's own is used.
        here = self._made_under
        if tf.distribute.has_strategy():
            here = tf.distribute.get_strategy()
        strategies = [_strategy_of(weight) for weight in self.trainable_variables]
        elsewhere = {_name(one) for one in strategies if one not in (None, here)}
        if here is not self._made_under:
            elsewhere.add(_name(self._made_under))
        # One device needs no variables of a kind of its own.
        plain = strategies.count(None)
        if here in strategies and plain:
            elsewhere.add(f"none ({plain} weights)")
        if elsewhere:
            raise ValueError(
                "The model and its networks must be made under the strategy that they "
                f"are trained under. Received: `{method}` under {_name(here)}, and "
                f"what was made under another one: {', '.join(sorted(elsewhere))}. A "
                "strategy that is made again, as when a cell of a notebook is run "
                "again, is another one: make backbone, model and optimiser again in "
                "its scope, or save the model and load it there."
            )

    def _check_same_seed(self) -> None:
        # Each process draws the order of the images itself.
        own = self.distribute_strategy.run(lambda: tf.constant(self.seed, tf.float64))
        mean = self.distribute_strategy.reduce("MEAN", own, axis=None)
        if float(mean) != self.seed:
            raise ValueError(
                "`seed` must be the same in every process. Received: "
                f"seed={self.seed} in this one. Give the model a `seed`."
            )

    def make_train_function(self, force: bool = False) -> None:
        """As Keras makes it; under tf.distribute one that is made here.

        Keras' own neither runs several steps at once under a strategy nor averages
        what several workers tell (its issue 20585).
        """
        if not self._in_strategy:
            super().make_train_function(force)
        elif self.train_function is None or force:
            self.train_function = self._graph(self._train_replicas)

    def make_test_function(self, force: bool = False) -> None:
        """As `make_train_function`."""
        if not self._in_strategy:
            super().make_test_function(force)
        elif self.test_function is None or force:
            self.test_function = self._graph(self._test_replicas)

    def _graph(self, function: Callable[..., Any]) -> Any:
        return function if self.run_eagerly else tf.function(function)

    def _train_replicas(self, iterator: Any) -> dict[str, Any]:
        """Some steps; tells the mean of what the replicas tell of the last one."""
        strategy = self.distribute_strategy
        step = self.train_step
        if self.jit_compile:
            step = tf.function(step, jit_compile=True)
        with _global_normalisation(self), gradients_added_up_first(self.optimizer):
            # A loop without a turn would be traced all the same.
            if self.steps_per_execution > 1:
                for _ in tf.range(self.steps_per_execution - 1):
                    strategy.run(step, args=(next(iterator),))
            logs = strategy.run(step, args=(next(iterator),))
        return {
            name: strategy.reduce("MEAN", value, axis=None)
            for name, value in logs.items()
        }

    def _test_replicas(self, iterator: Any) -> dict[str, Any]:
        """Some steps; what it tells is of all replicas' images, of which the last
        batch may give some more than others."""
        strategy = self.distribute_strategy
        names = strategy.run(self.test_step, args=(next(iterator),))
        if self.steps_per_execution > 1:
            for _ in tf.range(self.steps_per_execution - 1):
                batch = iterator.get_next_as_optional()
                if batch.has_value():
                    strategy.run(self.test_step, args=(batch.get_value(),))
        results = self.get_metrics_result()
        return {name: results[name] for name in names}

    def _maybe_symbolic_build(
        self, iterator: Any = None, data_batch: Any = None
    ) -> None:
        # Keras would draw a batch and average it over the replicas, in order to build
        # what is built here in `__init__` and `compile`.
        del iterator, data_batch


@contextlib.contextmanager
def _global_normalisation(model: keras.Model) -> Iterator[None]:
    """Batch normalisation over all replicas' images in the step traced within.

    Switched on for the trace and not for good: the layers are the user's, and their
    configuration is saved for backends that refuse it.
    """
    layers = [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization) and not layer.synchronized
    ]
    for layer in layers:
        layer.synchronized = True
    try:
        yield
    finally:
        for layer in layers:
            layer.synchronized = False


def _check_synchronous(strategy: Any) -> None:
    """Refuses strategies whose variables do not lie on every device."""
    elsewhere = (
        tf.distribute.experimental.CentralStorageStrategy,
        tf.distribute.ParameterServerStrategy,
    )
    if isinstance(strategy, elsewhere):
        raise ValueError(
            "The strategy must keep all variables on every device: the memory and "
            f"batch normalisation are of the whole batch. Received: {_name(strategy)}. "
            "Take MirroredStrategy, MultiWorkerMirroredStrategy or TPUStrategy."
        )


def _strategy_of(variable: Any) -> Any:
    """The strategy on whose devices a variable lies, or None."""
    return getattr(variable._value, "distribute_strategy", None)


def _name(strategy: Any) -> str:
    return type(strategy).__name__
