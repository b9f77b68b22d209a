"""What the classifiers of a run are called, by their names in `metrics.json`."""

# The one first that is expected to be best: among classifiers that a few labels cannot
# tell apart it is taken.
TITLES = {
    "propagation": "propagation on trained features",
    "linear": "linear probe",
    "memory": "nearest in its memory",
    "frozen_propagation": "propagation on frozen features",
    "frozen_linear": "logistic regression on frozen features",
    "pixels": "logistic regression on pixels",
}
