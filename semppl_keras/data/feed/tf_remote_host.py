"""What a feed leaves on a host in another process, where no Python function runs."""

import collections.abc
import copy
import itertools
import weakref
from typing import Any

import numpy as np
import tensorflow as tf

from semppl_keras.data.feed.array_source import ArraySource
from semppl_keras.data.feed.stratified import StratifiedSource

# Arrays are sent in blocks: a message of TensorFlow's holds less than 2 GB.
BLOCK_BYTES = 64 * 2**20
# Batches that a pipeline can always draw beyond those of the epoch, more than it draws
# ahead: at the end of `fit` one that waits for a queue would be waited for.
_AHEAD = 256
_PYTHON_OPS = {"PyFunc", "PyFuncStateless", "EagerPyFunc"}


def in_other_processes(strategy: Any) -> bool:
    """Whether a `tf.distribute.Strategy` has devices of other processes, which draw
    their batches there; workers of which each runs the program have their own."""
    with tf.device(None):
        here = tf.DeviceSpec.from_string(tf.constant(0).device)
    devices = map(tf.DeviceSpec.from_string, strategy.extended.worker_devices)
    return any((one.job, one.task) != (here.job, here.task) for one in devices)


class RemoteHost:
    """A host in another process, with the arrays that were sent to it.

    The images of a source lie there once. Which of them make a batch is computed here,
    as everywhere, and sent at the beginning of each epoch, to a queue that the host's
    pipeline draws from.

    Args:
        device: str, the host's CPU.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        self._placed: dict[int, list[Any]] = {}
        self.restart()

    def restart(self) -> None:
        """Forgets the pipelines that were made before, but not the arrays."""
        self._rows: list[tuple[Any, collections.abc.Callable[[int], Any]]] = []
        self._steps: list[Any] = []

    def seek(self, step: int) -> None:
        """Sets the step of the model at which the pipelines begin."""
        self._orders = [(queue, rows(step)) for queue, rows in self._rows]
        self.send_rows(_AHEAD)
        with tf.device(self._device):
            for queue in self._steps:
                queue.enqueue(tf.constant(step, tf.int64))

    def send_rows(self, steps: int) -> None:
        """Lets the pipelines draw so many more batches."""
        for queue, order in self._orders:
            rows = np.stack([next(order).images for _ in range(steps)])
            with tf.device(self._device):
                queue.enqueue_many(rows)

    # -- datasets, made where `tf.device` is the host ---------------------------

    def batches(
        self,
        source: ArraySource | StratifiedSource,
        size: int,
        batches: collections.abc.Callable[[Any, int], Any],
    ) -> Any:
        """A dataset of the batches that a source of arrays makes in Python.

        Args:
            source: `ArraySource` or `StratifiedSource`.
            size: int, of a batch.
            batches: gives those of a source from a step on.
        """
        queue = self._queue(tf.int32, (size,))
        places = _of_places(source)
        self._rows.append((queue, lambda step: batches(places, step)))
        if id(source) not in self._placed:
            self._placed[id(source)] = [
                PlacedArray(self._device, part) for part in _parts(source)
            ]
        arrays = self._placed[id(source)]
        return _drawn(queue).map(
            lambda rows: tuple(array.take(rows) for array in arrays)
        )

    def dataset(self, name: str, dataset: Any) -> Any:
        """A user's `tf.data.Dataset`, as its graph makes it there.

        Args:
            name: str, the argument to name in an error.
            dataset: `tf.data.Dataset` of this process.

        Raises:
            TypeError: if it calls Python functions.
            ValueError: if its graph cannot be sent.
        """
        with tf.device(None):
            variant = tf.data.experimental.to_variant(dataset)
            try:
                graph = tf.raw_ops.DatasetToGraphV2(
                    input_dataset=variant, strip_device_assignment=True
                ).numpy()
            except tf.errors.OpError as error:
                raise ValueError(
                    f"`{name}` must be a dataset whose graph can be sent to the "
                    "process of the devices, of less than 2 GB with the tensors in "
                    f"it. Received: {error.message}. Pass large images as arrays."
                ) from error
        called = graph_ops(graph) & _PYTHON_OPS
        if called:
            raise TypeError(
                f"`{name}` must not call Python where the devices are in another "
                "process, which cannot run it. Received: a tf.data.Dataset with "
                f"{', '.join(sorted(called))} (from_generator, py_function, "
                "numpy_function). Build it of tf.data and TensorFlow operations, or "
                "pass the images as arrays."
            )
        there = tf.raw_ops.DatasetFromGraph(graph_def=graph)
        return tf.data.experimental.from_variant(there, dataset.element_spec)

    def first_step(self) -> Any:
        """A dataset of the step that `seek` sets, once it has set it."""
        queue = self._queue(tf.int64, ())
        self._steps.append(queue)
        return _drawn(queue).take(1)

    def _queue(self, dtype: Any, shape: tuple[int, ...]) -> Any:
        with tf.device(self._device):
            return tf.queue.FIFOQueue(-1, [dtype], [shape])


class PlacedArray:
    """An array in the memory of a host in another process.

    A variable, since only of one are rows set in place and taken without a copy of the
    whole. `tf.Variable` would be one for every device under a strategy.

    Args:
        device: str, the host's CPU.
        array: `(N, ...)`.
    """

    _numbers = itertools.count()

    def __init__(self, device: str, array: np.ndarray) -> None:
        self._dtype = tf.as_dtype(array.dtype)
        self._row_shape = array.shape[1:]
        name = f"semppl_keras_array_{next(self._numbers)}"
        row_bytes = array.itemsize * int(np.prod(self._row_shape))
        at_once = max(1, BLOCK_BYTES // max(1, row_bytes))
        with tf.device(device):
            self._handle = tf.raw_ops.VarHandleOp(
                dtype=self._dtype, shape=array.shape, shared_name=name
            )
            # At exit the host may be gone, and would be waited for.
            weakref.finalize(self, _destroy, device, self._handle).atexit = False
            tf.raw_ops.AssignVariableOp(
                resource=self._handle, value=tf.zeros(array.shape, self._dtype)
            )
            for start in range(0, len(array), at_once):
                block = array[start : start + at_once]
                tf.raw_ops.ResourceScatterUpdate(
                    resource=self._handle,
                    indices=tf.range(start, start + len(block)),
                    updates=tf.constant(block),
                )
                # Waits: blocks that are on their way take memory here.
                tf.raw_ops.VariableShape(input=self._handle).numpy()

    def take(self, rows: Any) -> Any:
        """The rows at some places, in a graph of the host."""
        taken = tf.raw_ops.ResourceGather(
            resource=self._handle, indices=rows, dtype=self._dtype
        )
        return tf.ensure_shape(taken, (*rows.shape, *self._row_shape))


def _destroy(device: str, handle: Any) -> None:
    # It may be while a function is traced that nobody holds the array any more.
    with tf.init_scope(), tf.device(device):
        tf.raw_ops.DestroyResourceOp(resource=handle)


def _drawn(queue: Any) -> Any:
    """A dataset of what is put into a queue; it waits where that is empty."""
    return tf.data.Dataset.from_tensors(0).repeat().map(lambda _: queue.dequeue())


def _of_places(source: Any) -> Any:
    """A source that gives the places of images in an array in the place of these."""
    places = copy.copy(source)
    places.images = np.arange(len(source.images), dtype="int32")
    return places


def _parts(source: Any) -> list[np.ndarray]:
    """What a source has of each image, in the order of `Batch`."""
    parts = [source.images]
    if source.has_labels:
        parts.append(source.labels.astype("float32" if source.label_shape else "int32"))
    if source.has_weights:
        parts.append(source.weights.astype("float32"))
    if source.numbers is not None:
        parts.append(source.numbers)
    return parts


def graph_ops(graph: bytes) -> set[str]:
    """The operations of a dataset's graph and of the functions in it."""
    definition = tf.compat.v1.GraphDef.FromString(graph)
    functions = (function.node_def for function in definition.library.function)
    nodes = itertools.chain(definition.node, *functions)
    return {node.op for node in nodes}
