"""The feed on TensorFlow: a tf.data pipeline of static shapes."""

import collections.abc
from typing import Any

import numpy as np
import tensorflow as tf

from semppl_keras.data.feed.batches import Batch
from semppl_keras.data.feed.explanations import explanation_of
from semppl_keras.data.feed.feed import Feed
from semppl_keras.data.feed.tf_checked import checked_dataset
from semppl_keras.data.feed.tf_remote_host import RemoteHost, in_other_processes

# Gives the batches of a source from a step of the model on.
_Batches = collections.abc.Callable[[Any, int], collections.abc.Iterator[Batch]]


class TFFeed:
    """A feed whose images stay inside tf.data where they come from it.

    Args:
        feed: `Feed`, which has checked the data.
        unlabelled, labelled: what the user passed.
    """

    def __init__(self, feed: Feed, unlabelled: Any, labelled: Any) -> None:
        self._feed = feed
        self.batch_size = feed.batch_size
        self.labelled_batch_size = feed.labelled_batch_size
        self.steps_per_epoch = feed.steps_per_epoch
        self.has_hidden_labels = feed.has_hidden_labels
        self.has_weights = feed.has_weights
        self.batch_form = feed.batch_form
        self._data = (unlabelled, labelled)
        self._step = 0
        self._first_batch = 0
        self._error: Exception | None = None
        # Of a strategy whose devices are in other processes, by their names.
        self._hosts: dict[str, RemoteHost] = {}

    def skip_to(self, batch: int) -> None:
        """As `Feed.skip_to`."""
        self._first_batch = batch

    def seek(self, step: int) -> None:
        """Sets the step of the model at which the first epoch begins."""
        self._step = step
        for host in self._hosts.values():
            host.seek(step)

    def begin_epoch(self) -> None:
        """As `Feed.begin_epoch`."""
        for host in self._hosts.values():
            host.send_rows(self.steps_per_epoch - self._first_batch)

    def fit_arguments(self) -> dict[str, Any]:
        """What Keras' `fit` is given."""
        return self._arguments(self._batches())

    def divided_arguments(self, strategy: Any) -> dict[str, Any]:
        """The same for a `tf.distribute.Strategy`, of whose replicas each gets an equal
        part of every batch.

        Raises:
            TypeError: if the devices are in another process, which cannot run what the
                images come from.
        """
        elsewhere = in_other_processes(strategy)

        def parts(context: Any) -> Any:
            # The strategy has set the worker's device.
            return self._parts(context, self._host_here() if elsewhere else None)

        return self._arguments(strategy.distribute_datasets_from_function(parts))

    def _arguments(self, dataset: Any) -> dict[str, Any]:
        # One iterator serves all epochs: the labelled images go round across them.
        steps = self.steps_per_epoch - self._first_batch
        return {"x": dataset, "steps_per_epoch": steps}

    def _host_here(self) -> RemoteHost:
        device = tf.zeros(()).device
        host = self._hosts.setdefault(device, RemoteHost(device))
        host.restart()
        return host

    def _batches(self, host: RemoteHost | None = None) -> Any:
        """The dataset of what each step gets, which draws on this process, or on a host
        in another one."""
        unlabelled, labelled = self._data
        feed = self._feed
        passed = labelled if feed.unlabelled is None else unlabelled
        parts = [self._passes(feed.passed, passed, host)]
        if feed.beside is not None:
            parts.append(self._stream(feed.beside, labelled, host))
        # Of a tuple: a single dataset is not zipped otherwise.
        batches = tf.data.Dataset.zip(tuple(parts))
        dataset = batches.map(self._as_step_data).prefetch(2)
        if not any(isinstance(d, tf.data.Dataset) for d in self._data):
            # Nothing is left to tune, and the thread that does it may sleep up to a
            # minute before it lets `fit` return.
            options = tf.data.Options()
            options.autotune.enabled = False
            dataset = dataset.with_options(options)
        return dataset

    def _parts(self, context: Any, host: RemoteHost | None) -> Any:
        """The parts of one worker's replicas, which draw them in turn."""
        replicas = context.num_replicas_in_sync
        workers = context.num_input_pipelines
        own = replicas // workers
        first = context.input_pipeline_id * own

        def own_parts(values: Any) -> Any:
            shape = (replicas, values.shape[0] // replicas, *values.shape[1:])
            return tf.reshape(values, shape)[first : first + own]

        def divided(*batch: Any) -> Any:
            parts = tf.nest.map_structure(own_parts, batch)
            return tf.data.Dataset.from_tensor_slices(parts)

        # Every worker reads the same batches, so that the order is that of one.
        parts = self._batches(host).flat_map(divided).prefetch(2 * own)
        # Without an end: where there might be one, several workers are given batches
        # of unknown sizes.
        parts = parts.apply(
            tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
        )
        options = tf.data.Options()
        options.experimental_distribute.auto_shard_policy = (
            tf.data.experimental.AutoShardPolicy.OFF
        )
        return parts.with_options(options)

    def _first_step(self) -> collections.abc.Iterator[int]:
        # Known when the pipeline is first drawn from, after a callback may have
        # restored the model.
        yield self._step

    def arrays(self) -> tuple[Any, Any, Any]:
        """As `Feed.arrays`."""
        return self._feed.arrays()

    def explain(self, error: BaseException) -> BaseException | None:
        """The error in the data behind one that Keras reports, or None."""
        return explanation_of(error) or self._error

    def _passes(self, source: Any, data: Any, host: RemoteHost | None) -> Any:
        size = self.batch_size
        if not isinstance(data, tf.data.Dataset):
            return self._made(
                source,
                size,
                lambda of, step: of.passes(size, step, self._first_batch),
                host,
            )
        # What is asked about it is asked where it is.
        with tf.device(None):
            endless = source.endless
        dataset = self._checked(source, data, host)
        if endless:
            return self._rebatched(dataset.repeat(), source, size)
        # The last batch of a pass is filled up from its beginning.
        if source.native_batch_size is None:
            head = dataset.take(size)
        else:
            head = dataset.unbatch().take(size).batch(size)
        dataset = dataset.concatenate(head)
        dataset = self._rebatched(dataset, source, size)
        passes = dataset.take(self.steps_per_epoch).repeat()
        return passes.skip(self._first_batch) if self._first_batch else passes

    def _stream(self, source: Any, data: Any, host: RemoteHost | None) -> Any:
        size = self.labelled_batch_size
        if not isinstance(data, tf.data.Dataset):
            return self._made(
                source, size, lambda of, step: of.stream(size, step), host
            )
        with tf.device(None):
            endless = source.endless
            # Whole passes leave the order as it was: only the rest is to be skipped.
            count = source.num_images() if source.length_known else tf.int64.max
        dataset = self._checked(source, data, host)
        if endless:
            return self._rebatched(dataset, source, size)
        if source.native_batch_size is not None:
            dataset = dataset.unbatch()
        if host is None:
            first_step = tf.data.Dataset.from_generator(
                self._first_step, output_signature=tf.TensorSpec((), tf.int64)
            )
        else:
            first_step = host.first_step()
        return first_step.flat_map(
            lambda step: (
                dataset.repeat()
                .skip(step * size % count)
                .batch(size, drop_remainder=True)
            )
        )

    def _checked(self, source: Any, data: Any, host: RemoteHost | None) -> Any:
        if host is not None:
            data = host.dataset(source.name, data)
        return checked_dataset(data, source)

    def _rebatched(self, dataset: Any, source: Any, size: int) -> Any:
        if source.native_batch_size is None:
            return dataset.batch(size, drop_remainder=True)
        return dataset.rebatch(size, drop_remainder=True)

    def _made(
        self, source: Any, size: int, batches: _Batches, host: RemoteHost | None
    ) -> Any:
        """A dataset of the batches that a source makes in Python."""
        if host is None:
            return self._generated(source, size, batches)
        _check_arrays(source)
        return host.batches(source, size, batches)

    def _generated(self, source: Any, size: int, batches: _Batches) -> Any:
        signature = [tf.TensorSpec((size, *source.image_shape), source.dtype)]
        if source.has_labels:
            dtype = tf.float32 if source.label_shape else tf.int32
            signature.append(tf.TensorSpec((size, *source.label_shape), dtype))
        if source.has_weights:
            signature.append(tf.TensorSpec((size,), tf.float32))
        if source.numbers is not None:
            signature.append(tf.TensorSpec((size,), tf.int32))

        def generate() -> collections.abc.Iterator[tuple[Any, ...]]:
            try:
                for batch in batches(source, self._step):
                    yield tuple(part for part in batch if part is not None)
            except Exception as error:
                self._error = error
                raise

        return tf.data.Dataset.from_generator(
            generate, output_signature=tuple(signature)
        )

    def _as_step_data(
        self, passed: Any, beside: Any = None
    ) -> tuple[Any, dict[str, Any]]:
        feed = self._feed
        labels = passed[1] if feed.passed.has_labels else None
        weights = passed[1 + feed.passed.has_labels] if self.has_weights else None
        numbers = passed[-1] if feed.has_numbers else None
        if feed.beside is not None:
            beside = Batch(beside[0], beside[1] if feed.beside.has_labels else None)
        return feed.step_data(Batch(passed[0], labels, weights, numbers), beside)


def _check_arrays(source: Any) -> None:
    """Raises a TypeError for what Python functions make batches of."""
    if isinstance(getattr(source, "images", None), np.ndarray):
        return
    made = getattr(source, "data", getattr(source, "images", None))
    raise TypeError(
        f"`{source.name}` must be arrays or a tf.data.Dataset where the devices are in "
        "another process (a TPU node), which runs no Python. Received: "
        f"{type(made).__name__}. Load the images as arrays, or read them with tf.data."
    )
