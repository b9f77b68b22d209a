"""What evaluators tell while they are at work."""

from collections.abc import Callable

import keras

# Called with what is done, how many there are by now, and of how many: None where that
# is not known.
Progress = Callable[[str, int, int | None], None]


class Count:
    """Counts what is done, for whoever looks on: a function, Keras' bar, or nobody.

    Args:
        what: What is counted, in the plural: "images to test on".
        total: How many there will be, or None.
        progress: Function of (`what`, how many are done, `total`), or None.
        verbose: 1 shows Keras' progress bar.
        unit: What Keras' bar calls one of them.
    """

    def __init__(
        self,
        what: str,
        total: int | None,
        progress: Progress | None = None,
        *,
        verbose: int = 0,
        unit: str = "step",
    ) -> None:
        self._what = what
        self._total = total
        self._done = 0
        self._progress = progress
        self._bar = keras.utils.Progbar(total, verbose=verbose, unit_name=unit)

    def add(self, number: int = 1) -> None:
        """Tells that so many more are done."""
        self._done += number
        self._bar.add(number)
        if self._progress is not None:
            self._progress(self._what, self._done, self._total)
