"""What the classifiers are called that a training leaves to choose from, by name."""

# The one first that is expected to be best: among classifiers that a few labels cannot
# tell apart it is taken.
TITLES = {
    "combined": "all networks together",
    "consistency": "consistency training",
    "student": "student of propagated labels",
    "propagation": "propagation on trained features",
    "linear": "linear probe",
    "tuned_propagation": "propagation on fine-tuned features",
    "tuned_linear": "linear probe on fine-tuned features",
    "memory": "nearest in its memory",
    "frozen_propagation": "propagation on frozen features",
    "frozen_linear": "logistic regression on frozen features",
    "patches": "a graph over patches and gradients, without training",
    "pixels": "logistic regression on pixels",
}

# Where the features are those of a network as it was made, at random.
UNTRAINED = {
    "frozen_propagation": "propagation on untrained features",
    "frozen_linear": "logistic regression on untrained features",
}

# Their features were trained with the labels that they are measured by.
TRAINED = frozenset(
    (
        "combined",
        "consistency",
        "student",
        "linear",
        "tuned_linear",
        "propagation",
        "tuned_propagation",
        "memory",
    )
)

# What one of these contains that knew no labels.
CONTAINED = {"combined": "patches"}


def title(name: str, *, untrained: bool = False) -> str:
    """What a classifier is called.

    Args:
        name: One of `TITLES`.
        untrained: Whether its run's network is as it was made, at random.

    Example:
        >>> title("frozen_linear", untrained=True)
        'logistic regression on untrained features'
    """
    return (untrained and UNTRAINED.get(name)) or TITLES[name]
