"""A tiny `semppl train` that kills itself: `python killed_run.py WHEN ARGUMENTS...`

WHEN is `never`; `step:N`, before the N-th step of this process; `save:N`, while its
N-th checkpoint is being written; `saved:N`, right after it was.
"""

import os
import pathlib
import signal
import sys

from tiny_runs import tiny_runs

from semppl_keras.cli import main
from semppl_keras.runs import network_training


class _Countdown:
    def __init__(self, count):
        self._left = count

    def __call__(self, before=lambda: None):
        self._left -= 1
        if self._left == 0:
            before()
            os.kill(os.getpid(), signal.SIGKILL)


def arm(moment, count):
    """Has the process killed at a moment, the `count`-th time that it comes."""
    countdown = _Countdown(count)
    if moment == "step":

        class Killing(network_training.ScalarLogs):
            def on_train_batch_begin(self, batch, logs=None):
                countdown()

        network_training.ScalarLogs = Killing
        return

    # A checkpoint gets its name once it is whole.
    replace = os.replace

    def killing(source, target):
        source = pathlib.Path(source)
        if not pathlib.Path(target).match("checkpoints/checkpoint_*.keras"):
            replace(source, target)
        elif moment == "save":
            # Half of it has come to the disk.
            countdown(lambda: os.truncate(source, source.stat().st_size // 2))
            replace(source, target)
        else:
            replace(source, target)
            countdown()

    os.replace = killing


if __name__ == "__main__":
    moment, _, count = sys.argv[1].partition(":")
    if moment != "never":
        arm(moment, int(count))
    # It does not come as far as pictures, and need not import what draws them.
    with tiny_runs(pictures=True):
        sys.exit(main(["train", *sys.argv[2:]]))
