"""Whether something that makes no steps fits the minutes of a command."""

from semppl_keras.callbacks.training_progress import spoken_duration
from semppl_keras.runs.budget import Budget, TooShort, rounded_up


class Pace:
    """Ends what would take more of a budget than it may, once that can be told.

    Called with how many things are done and how many there are in all. The first call
    comes after what is compiled; of what follows the time is taken.

    Args:
        doing: What is done, in words such as "reading".
        budget: `Budget`.
        share: In (0, 1], of the time that is left for training now.

    Raises:
        TooShort: It would.
    """

    def __init__(self, doing: str, budget: Budget, share: float) -> None:
        self._doing, self._budget, self._share = doing, budget, share
        self._left = budget.seconds_to_train()
        self._begun = budget.clock()
        self._compiled: tuple[int, float] | None = None
        self._is_known = False

    def __call__(self, done: int, total: int) -> None:
        now = self._budget.clock()
        if self._compiled is None:
            self._compiled = done, now
            return
        before, since = self._compiled
        timed = now - since
        if self._is_known or timed < self._budget.timed_seconds:
            return
        self._is_known = True
        gone = now - self._begun
        needed = gone + (total - done) * timed / (done - before)
        if needed <= self._share * self._left:
            return
        # What is gone of it counts as spent already.
        rest = needed - self._share * gone
        minutes = rounded_up(self._budget.least_minutes(rest, self._share))
        raise TooShort(
            f"--minutes must leave time for {self._doing}, which takes "
            f"{spoken_duration(needed)}, and at least as much for what follows. "
            f"Received: --minutes {self._budget.minutes:g}, of which "
            f"{spoken_duration(max(0.0, self._left))} are left beside reading and "
            f"measuring. Give at least --minutes {minutes:g}.",
            minutes,
        )
