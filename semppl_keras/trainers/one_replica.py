"""Replicas of the step, where the program is that of the whole batch.

On JAX this holds for any number of devices: they divide the arrays among themselves.
"""


def count():
    """How many replicas run the step."""
    return 1


def index():
    """Which of them this one is."""
    return 0


def total(values):
    """The sum of what each replica holds."""
    return values
