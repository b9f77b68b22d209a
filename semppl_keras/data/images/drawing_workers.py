"""Processes that draw SVG, kept from one drawing to the next, within limits."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from typing import IO

from semppl_keras.data.images.drawing_worker import REPLY, REQUEST

_ENDED = "its SVG makes the program that draws it end, or takes too much memory"

# The worker imports from where this process does.
_PROGRAM = """\
import sys
sys.path[:] = {path!r}
from semppl_keras.data.images.drawing_worker import serve
serve({memory})
"""


class DrawingWorkers:
    """Draws SVG in other processes, as many as there are threads that draw at once.

    A drawing may make the package that draws it crash, or take time and memory without
    end. So the process that does is another one, which is asked for drawing after
    drawing, and is replaced by a new one when it had to be ended.

    Args:
        seconds: int, of the processor, which a drawing may take. Without such a limit
            (Windows) `patience` alone counts.
        patience: Seconds that a drawing may take by the clock, however many others
            want the processor.
        memory: Bytes that a worker may take, where the system limits it (Linux).

    Example:

    >>> workers = DrawingWorkers(seconds=10)
    >>> png = workers.drawn(b'<svg xmlns="http://www.w3.org/2000/svg" ... />', 512)
    >>> workers.close()
    """

    def __init__(
        self, seconds: int = 10, patience: float = 60, memory: int = 2 << 30
    ) -> None:
        self._seconds = seconds
        self._patience = patience
        self._memory = memory
        self._idle: list[_Worker] = []

    def drawn(self, content: bytes, side: int) -> bytes:
        """An SVG drawing as PNG.

        Args:
            content: What its file has.
            side: Pixels of the longer side.

        Returns:
            bytes.

        Raises:
            ValueError: It is no drawing, or one that cannot be drawn here, or not
                within the limits.
        """
        worker = self._taken()
        try:
            drawn, told = worker.ask(content, side, self._seconds, self._patience)
        except (EOFError, OSError):
            raise ValueError(self._end_of(worker)) from None
        except BaseException:  # Ctrl-C: what it would answer is of no use to another
            worker.end()
            raise
        if worker.is_late:
            worker.end()
        else:
            self._idle.append(worker)
        if not drawn:
            raise ValueError(told.decode())
        return told

    def close(self) -> None:
        """Ends the workers that draw nothing at the moment."""
        while self._idle:
            worker = self._idle.pop()
            if worker.is_ours():
                worker.end()

    def _taken(self) -> "_Worker":
        while True:
            try:
                worker = self._idle.pop()
            except IndexError:
                return self._started()
            # Those of the process that this one is a fork of draw for that one.
            if not worker.is_ours():
                continue
            if worker.lives():
                return worker
            worker.end()

    def _started(self) -> "_Worker":
        try:
            return _Worker(self._memory)
        except OSError as error:
            raise ValueError(
                f"the program that draws SVG cannot be started: {error}"
            ) from error

    def _end_of(self, worker: "_Worker") -> str:
        status = worker.end()
        if worker.is_late:
            return f"drawing its SVG takes more than {self._patience:g} seconds"
        # Windows has neither the limit nor the signal that tells of it.
        too_long = getattr(signal, "SIGXCPU", None)
        if too_long is not None and status == -too_long:
            return f"drawing its SVG takes more than {self._seconds} seconds"
        return _ENDED


class _Worker:
    """One process that draws, and whether it had to be ended since it took too long."""

    def __init__(self, memory: int) -> None:
        self.is_late = False
        self._owner = os.getpid()
        program = _PROGRAM.format(path=list(sys.path), memory=memory)
        self._process = subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def ask(
        self, content: bytes, side: int, seconds: int, patience: float
    ) -> tuple[bool, bytes]:
        """Whether it is drawn, and the picture or the reason why not.

        Raises:
            EOFError, OSError: The process ended before it answered.
        """
        questions, answers = self._process.stdin, self._process.stdout
        assert questions is not None  # as no pipe is
        assert answers is not None
        timer = threading.Timer(patience, self._interrupt)
        timer.daemon = True
        timer.start()
        try:
            questions.write(REQUEST.pack(side, seconds, len(content)) + content)
            questions.flush()
            drawn, length = REPLY.unpack(_read(answers, REPLY.size))
            return drawn, _read(answers, length)
        finally:
            timer.cancel()
            # It may have begun just before.
            timer.join()

    def is_ours(self) -> bool:
        """Whether this process started it."""
        return self._owner == os.getpid()

    def lives(self) -> bool:
        """Whether it can be asked."""
        return self._process.poll() is None

    def end(self) -> int:
        """Ends it where it has not ended, and gives its status."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        # One that ends by itself keeps the status that it ends with.
        process.kill()
        status = process.wait()
        process.stdout.close()
        # What it was still to be asked cannot be written any more.
        with contextlib.suppress(OSError):
            process.stdin.close()
        return status

    def _interrupt(self) -> None:
        self.is_late = True
        self._process.kill()


def _read(answers: IO[bytes], length: int) -> bytes:
    content = answers.read(length)
    if len(content) < length:
        raise EOFError
    return content
