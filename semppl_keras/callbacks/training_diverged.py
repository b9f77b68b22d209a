"""The error of a training that goes nowhere."""


class TrainingDiverged(ArithmeticError):
    """The loss or the weights are no longer finite, or the loss explodes."""
