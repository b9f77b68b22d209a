"""Ctrl-C that lets a step of training end first."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

_MESSAGE = b"\nThe step is finished and saved first. Ctrl-C again stops at once.\n"


@contextlib.contextmanager
def finishing_the_step() -> Iterator[Callable[[], bool]]:
    """Within the context Ctrl-C, or SIGTERM, asks a training to stop once its step is
    done; the second one raises KeyboardInterrupt at once, and a third one ends the
    process even where the backend is busy.

    Only the main thread of a process gets signals: in others nothing is changed.

    Yields:
        Function that tells whether it was asked: `stop_requested` of
        `TrainingCheckpoints`, which saves and then raises KeyboardInterrupt.

    Example:
        >>> with finishing_the_step() as stop_requested:
        ...     saving = TrainingCheckpoints("run", stop_requested=stop_requested)
        ...     model.fit(images, labelled, epochs=50, callbacks=[saving])
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    requested = False

    def handle(number: int, frame: Any) -> None:
        nonlocal requested
        if requested:
            signal.signal(number, signal.SIG_DFL)
            raise KeyboardInterrupt
        requested = True
        # Unlike `print` it may be called while something else is being printed.
        os.write(2, _MESSAGE)

    handled = (signal.SIGINT, signal.SIGTERM)
    earlier = {number: signal.signal(number, handle) for number in handled}
    try:
        yield lambda: requested
    finally:
        for number, handler in earlier.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
