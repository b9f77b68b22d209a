"""TensorBoard scalars without TensorFlow."""

import os
import pathlib
import socket
import struct
import time
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import keras


class ScalarLogs(keras.callbacks.Callback):
    """Writes each epoch's logs as TensorBoard scalars, on every backend.

    `keras.callbacks.TensorBoard` needs TensorFlow installed whichever backend
    trains; this one needs the `tensorboard` package alone, and names everything as
    the other does: `epoch_loss` under `train`, the `val_` metrics, without this
    prefix, under `validation`.

    Training that is resumed into the same folder goes on in a new file; what an
    earlier, interrupted run wrote beyond the first resumed epoch is superseded.

    Args:
        log_dir: Folder to write to; `tensorboard --logdir` shows it.

    Raises:
        ImportError: The `tensorboard` package is not installed.

    Example:
        >>> model.fit(images, labelled, callbacks=[ScalarLogs("run/logs")])
    """

    def __init__(self, log_dir: str | os.PathLike[str]) -> None:
        super().__init__()
        self.log_dir = pathlib.Path(log_dir)
        self._writers: dict[str, EventFile] = {}
        self._first_epoch: int | None = None
        event_writer_modules()

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        # Training that ended in an error did not come to its end.
        self.on_train_end()
        self._first_epoch = None

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._first_epoch is None:
            self._first_epoch = epoch

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        for name, value in (logs or {}).items():
            if name.startswith("val_"):
                run, tag = "validation", "epoch_" + name.removeprefix("val_")
            else:
                run, tag = "train", "epoch_" + name
            self._writer(run).add_scalar(tag, float(value), epoch)
        for writer in self._writers.values():
            writer.flush()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers = {}

    def _writer(self, run: str) -> "EventFile":
        if run not in self._writers:
            self._writers[run] = EventFile(self.log_dir / run, self._first_epoch or 0)
        return self._writers[run]


class StepLogs(keras.callbacks.Callback):
    """Writes each step's logs as TensorBoard scalars, on every backend.

    They are named as `keras.callbacks.TensorBoard` names them: `batch_loss`, a mean
    over the epoch until then, as Keras has it. Training that is resumed goes on in a
    new file; what an earlier, interrupted run wrote beyond `first_step` is superseded.

    Args:
        log_dir: Folder to write to; `tensorboard --logdir` shows it.
        first_step: int, the number of the step that is the first, from 0.

    Raises:
        ImportError: The `tensorboard` package is not installed.
    """

    def __init__(self, log_dir: str | os.PathLike[str], first_step: int = 0) -> None:
        super().__init__()
        event_writer_modules()
        self.log_dir = pathlib.Path(log_dir)
        self._step = first_step
        self._writer: EventFile | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.on_train_end()
        self._writer = EventFile(self.log_dir, self._step)

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        if self._writer is not None:
            for name, value in (logs or {}).items():
                self._writer.add_scalar("batch_" + name, float(value), self._step)
        self._step += 1

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._writer is not None:
            self._writer.flush()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._writer is not None:
            self._writer.close()
        self._writer = None


class EventFile:
    """A file of scalars and images that TensorBoard reads.

    Args:
        folder: `pathlib.Path` of the run, made where it is missing.
        first_step: int; what earlier files of the run hold from this step on is
            superseded.
    """

    # tensorboard's own EventFileWriter looks for TensorFlow and loads it where it is
    # installed; the record format below it does not.
    def __init__(self, folder: pathlib.Path, first_step: int) -> None:
        self._event_pb2, self._summary_pb2, record_writer = event_writer_modules()
        folder.mkdir(parents=True, exist_ok=True)
        now = time.time()
        host, process = socket.gethostname(), os.getpid()
        # TensorBoard reads the files of a folder in the order of their names.
        name = f"events.out.tfevents.{now:017.6f}.{host}.{process}"
        self._records = record_writer.RecordWriter((folder / name).open("xb"))
        self._write(self._event_pb2.Event(wall_time=now, file_version="brain.Event:2"))
        # A start at this step makes TensorBoard drop later steps of earlier files.
        start = self._event_pb2.SessionLog(status=self._event_pb2.SessionLog.START)
        self._write(
            self._event_pb2.Event(wall_time=now, step=first_step, session_log=start)
        )

    def add_scalar(self, tag: str, value: float, step: int) -> None:
        self._add(step, tag=tag, simple_value=value)

    def add_image(self, tag: str, png: bytes, step: int) -> None:
        """Adds an image, given as the bytes of a PNG file."""
        # Its first chunk, the header, begins with the size.
        width, height = struct.unpack(">II", png[16:24])
        image = self._summary_pb2.Summary.Image(
            width=width, height=height, colorspace=4, encoded_image_string=png
        )
        self._add(step, tag=tag, image=image)

    def add_settings(self, settings: Mapping[str, Any]) -> None:
        """Adds numbers and texts by name, which TensorBoard compares runs by."""
        from tensorboard.plugins.hparams import summary_v2

        for value in summary_v2.hparams_pb(dict(settings)).value:
            self._add(0, tag=value.tag, metadata=value.metadata, tensor=value.tensor)

    def flush(self) -> None:
        self._records.flush()

    def close(self) -> None:
        self._records.close()

    def _add(self, step: int, **value: Any) -> None:
        summary = self._summary_pb2.Summary(
            value=[self._summary_pb2.Summary.Value(**value)]
        )
        self._write(
            self._event_pb2.Event(wall_time=time.time(), step=step, summary=summary)
        )

    def _write(self, event: Any) -> None:
        self._records.write(event.SerializeToString())


def event_writer_modules() -> tuple[ModuleType, ModuleType, ModuleType]:
    """Imported here because `tensorboard` takes a while and few need it."""
    try:
        from tensorboard.compat.proto import event_pb2, summary_pb2
        from tensorboard.summary.writer import record_writer
    except ImportError as error:
        raise ImportError(
            "Logs for TensorBoard need the package tensorboard. Received: an "
            f"installation without it ({error}). Install it with pip install "
            "tensorboard."
        ) from error
    return event_pb2, summary_pb2, record_writer
