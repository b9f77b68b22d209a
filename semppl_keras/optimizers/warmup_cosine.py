"""The learning-rate schedule of the contrastive papers."""

import keras

from semppl_keras.checks import check_integers, check_not_negative, check_positive


def warmup_cosine(
    peak: float, warmup_steps: int, total_steps: int, final: float = 0.0
) -> keras.optimizers.schedules.LearningRateSchedule:
    """A schedule that rises linearly from 0 to `peak` and falls along a cosine.

    With s the step, W `warmup_steps` and T `total_steps`:

        s < W:        peak * s / W
        W <= s <= T:  final + (peak - final) * (1 + cos(pi (s - W) / (T - W))) / 2
        s > T:        final

    A cosine (SGDR's, arXiv 1608.03983, without restarts) after a linear warm-up, as in
    the code of SimCLR (`model_util.py`) and of BYOL (`utils/schedules.py`).

    Args:
        peak: highest learning rate, above 0.
        warmup_steps: int, optimiser steps until the peak, 0 or more; 0 starts at
            `peak`.
        total_steps: int, optimiser steps until `final`, the warm-up included.
        final: learning rate at `total_steps` and after it, from 0 to `peak`.

    Returns:
        A keras.optimizers.schedules.CosineDecay: any Keras optimiser takes it as its
        learning rate, and it is saved with the model.

    Raises:
        ValueError: for a value out of its range, or a warm-up that leaves no step to
            the cosine.

    Example:
        >>> schedule = warmup_cosine(peak=0.3, warmup_steps=100, total_steps=3000)
        >>> float(schedule(50))
        0.15
        >>> optimizer = keras.optimizers.SGD(schedule)
    """
    check_positive(peak=peak)
    check_not_negative(final=final)
    check_integers(0, warmup_steps=warmup_steps)
    check_integers(1, total_steps=total_steps)
    if final > peak:
        raise ValueError(
            f"`final` must lie between 0 and `peak`. Received: final={final}, "
            f"peak={peak}."
        )
    if warmup_steps >= total_steps:
        raise ValueError(
            "`warmup_steps` must be below `total_steps`, which counts the warm-up in. "
            f"Received: warmup_steps={warmup_steps}, total_steps={total_steps}."
        )
    peak = float(peak)
    cosine = {
        # Keras counts these from the end of the warm-up.
        "decay_steps": total_steps - warmup_steps,
        "alpha": final / peak,
    }
    if warmup_steps == 0:
        # Keras would divide by the length of the warm-up.
        return keras.optimizers.schedules.CosineDecay(peak, **cosine)
    return keras.optimizers.schedules.CosineDecay(
        0.0, warmup_target=peak, warmup_steps=warmup_steps, **cosine
    )
