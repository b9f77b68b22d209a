"""What the functions of `semppl_keras.runs` say, and what they raise.

Each of them is `told`: with `verbose=0` it says nothing, with 1 what the command of its
name says, with 2 more; and what a user can mend comes as a `RunError`.
"""

import contextlib
import contextvars
import errno
import functools
import sys
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, TypeVar

from semppl_keras.callbacks import TrainingDiverged
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.terminal import plain_output

_P = ParamSpec("_P")
_R = TypeVar("_R")

_VERBOSE = contextvars.ContextVar("verbose", default=1)


def tell(text: str = "", *, least: int = 1, error: bool = False) -> None:
    """Prints a line, if as much is to be said.

    Args:
        text: The line.
        least: From which `verbose` on.
        error: Whether it goes to stderr.
    """
    if verbosity() >= least:
        print(text, file=sys.stderr if error else sys.stdout, flush=True)


def verbosity() -> int:
    """How much is said: 0, 1 or 2."""
    return _VERBOSE.get()


@contextlib.contextmanager
def verbose_as(verbose: int) -> Iterator[None]:
    """Within it as much is said."""
    if verbose not in (0, 1, 2):
        raise RunError(f"`verbose` must be 0, 1 or 2. Received: {verbose!r}.")
    token = _VERBOSE.set(verbose)
    try:
        yield
    finally:
        _VERBOSE.reset(token)


@contextlib.contextmanager
def one_error() -> Iterator[None]:
    """What a user can mend comes out of it as a `RunError`, whatever raised it."""
    try:
        yield
    except RunError:
        raise
    except (ValueError, OSError, ImportError, TrainingDiverged) as error:
        raise RunError(_in_words(error)) from error


def _in_words(error: Exception) -> str:
    """The message of an error; of a full disk, which the system but names, with what
    to do."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        where = "" if error.filename is None else f" ({str(error.filename)!r})"
        return (
            "There must be room for what is written. Received: "
            f"{error.strerror}{where}. Make room, or choose another disk."
        )
    return str(error)


def told(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """A public function of `semppl_keras.runs`, of which `verbose` is a keyword."""

    @functools.wraps(function)
    def called(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        verbose: Any = kwargs.get("verbose", 1)
        with verbose_as(verbose), plain_output(), one_error():
            return function(*args, **kwargs)

    return called
