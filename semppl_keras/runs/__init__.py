"""The run folder as a Python library: what the commands do, called from Python.

    runs.train(unlabelled="photos", labelled="labels.csv", out="runs/photos")
    runs.label("runs/photos", "photos", out="guessed.csv", review=50)

Each function is what the command of its name does, and writes and prints the same: its
keywords are the options of the command (`labels_per_class` for `--labels-per-class`),
with the same defaults and the same checks. Paths may be text or `pathlib.Path`.
`verbose=0` says nothing, 1 what the command says, 2 more.

All of them raise `RunError`, a `ValueError`, with the message of the command where a
value is wrong or what was asked for cannot be done, and `TypeError` where a keyword is
unknown or a value of the wrong kind. Ctrl-C and too little memory are raised as they
come.
"""

from typing import Any

import lazy_loader

from semppl_keras.runs.backend import check_backend

_imported, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    try:
        return _imported(name)
    # What Keras raises without a backend: the modules of the functions import it.
    except (ImportError, ValueError):
        check_backend()
        raise
