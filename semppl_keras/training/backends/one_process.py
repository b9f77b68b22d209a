"""Processes that train together, where there is one."""

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np


def index(model: Any) -> int:
    """Which of the processes this one is."""
    del model
    return 0


def gathered(model: Any, values: Any) -> np.ndarray:
    """What each process holds, of one shape everywhere, `(processes, ...)`."""
    del model
    return np.asarray(values)[None]


def on_its_own(model: Any) -> Any:
    """A context in which each process computes by itself what it is asked."""
    del model
    return contextlib.nullcontext()


def predicted(model: Any, function: Callable[[], Any]) -> Any:
    """What a function predicts by the model, the same in every process."""
    del model
    return function()


def in_the_first(model: Any, function: Callable[[], Any]) -> Any:
    """Has the first process call what reads and saves the model; all are to come."""
    del model
    return function()


def is_lost(error: BaseException) -> bool:
    """Whether an error tells that another process is gone."""
    del error
    return False
