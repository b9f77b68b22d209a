"""What fine-tuning and distillation minimise."""

from typing import Any

from keras import ops

# Below this a float32 probability is taken for it: the smallest whose logarithm is
# exact on every backend (smaller ones are flushed to 0).
_SMALLEST = 2e-38


def cross_entropy(targets: Any, logits: Any) -> Any:
    """Cross-entropy of each example: `-sum_y targets[y] log softmax(logits)[y]`.

    Args:
        targets: `(B, num_classes)`, rows of probabilities.
        logits: `(B, num_classes)`.

    Returns:
        `(B,)` float32.
    """
    log_probabilities = ops.log_softmax(ops.cast(logits, "float32"), axis=-1)
    return -ops.sum(ops.cast(targets, "float32") * log_probabilities, axis=-1)


def log_of(probabilities: Any) -> Any:
    """The logarithm of probabilities, finite where they are 0.

    Up to a constant of each row these are the logits they came from.

    Args:
        probabilities: `(B, num_classes)`.

    Returns:
        `(B, num_classes)` float32.
    """
    return ops.log(ops.maximum(ops.cast(probabilities, "float32"), _SMALLEST))


def soften(logits: Any, temperature: float) -> Any:
    """Probabilities at a temperature: `softmax(logits / temperature)`.

    Args:
        logits: `(B, num_classes)`, or the logarithms of probabilities.
        temperature: float, positive. Above 1 the distribution is flatter than the
            classifier's own, below 1 it is sharper.

    Returns:
        `(B, num_classes)` float32.
    """
    return ops.softmax(ops.cast(logits, "float32") / temperature, axis=-1)


def distillation_loss(
    teacher_logits: Any, student_logits: Any, temperature: float
) -> Any:
    """How far a student is from its teacher, as SimCLRv2 distils.

        L = - mean_x sum_y P_T(y | x; tau) log P_S(y | x; tau)

    with both distributions at the temperature tau (Chen et al., NeurIPS 2020, arXiv
    2006.10029). The mean stands where the paper has the sum, so that learning rates
    do not depend on the batch. There is no factor tau^2 (Hinton et al., arXiv
    1503.02531): with another temperature the gradient has another scale.

    Args:
        teacher_logits: `(B, num_classes)`, or the logarithms of the teacher's
            probabilities.
        student_logits: `(B, num_classes)`.
        temperature: float, tau, positive.

    Returns:
        A float32 scalar: at least the mean entropy of the softened teacher, which it
        is where the two agree.

    Example:
        >>> logits = keras.ops.array([[2.0, 0.0]])
        >>> float(distillation_loss(logits, logits, temperature=1.0))  # the entropy
        0.3653...
    """
    return ops.mean(distillation_losses(teacher_logits, student_logits, temperature))


def distillation_losses(
    teacher_logits: Any, student_logits: Any, temperature: float
) -> Any:
    """`(B,)` float32, what `distillation_loss` is the mean of; see there."""
    targets = ops.stop_gradient(soften(teacher_logits, temperature))
    student_logits = ops.cast(student_logits, "float32") / temperature
    return cross_entropy(targets, student_logits)


def divergences(teacher_logits: Any, student_logits: Any, temperature: float) -> Any:
    """Kullback-Leibler divergence of the student from its teacher, times tau^2.

        D = tau^2 sum_y P_T(y; tau) (log P_T(y; tau) - log P_S(y; tau))

    (Hinton et al., arXiv 1503.02531): tau^2 leaves the gradient its scale, whatever the
    temperature is, so that it can be added to that of labels.

    Args:
        teacher_logits, student_logits, temperature: as for `distillation_loss`.

    Returns:
        `(B,)` float32, 0 where both agree.
    """
    teacher_logits = ops.stop_gradient(ops.cast(teacher_logits, "float32"))
    least = distillation_losses(teacher_logits, teacher_logits, temperature)
    losses = distillation_losses(teacher_logits, student_logits, temperature)
    return temperature**2 * (losses - least)
