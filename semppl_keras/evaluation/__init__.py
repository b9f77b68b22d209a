"""What a representation is worth, measured from its features alone."""

from semppl_keras.evaluation.knn import knn_accuracy, knn_predict
from semppl_keras.evaluation.linear_probe import linear_probe
from semppl_keras.evaluation.supervised import SupervisedAccuracy, supervised_accuracy

__all__ = [
    "SupervisedAccuracy",
    "knn_accuracy",
    "knn_predict",
    "linear_probe",
    "supervised_accuracy",
]
