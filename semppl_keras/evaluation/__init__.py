"""What a representation is worth, measured from its features alone."""

from semppl_keras.evaluation.corruptions import (
    CORRUPTIONS,
    SEVERITIES,
    corrupt,
)
from semppl_keras.evaluation.cross_validation import cross_validated_predictions
from semppl_keras.evaluation.features import encode_dataset
from semppl_keras.evaluation.knn import knn_accuracy, knn_predict, knn_probabilities
from semppl_keras.evaluation.linear_probe import linear_probe
from semppl_keras.evaluation.metrics import (
    calibration_curve,
    confidence_interval,
    confusion_matrix,
    expected_calibration_error,
    per_class_accuracy,
    summarize,
    top_k_accuracy,
)
from semppl_keras.evaluation.pixels import as_pixels
from semppl_keras.evaluation.probe import fit_probe
from semppl_keras.evaluation.robustness import (
    corruption_errors,
    mean_corruption_error,
)
from semppl_keras.evaluation.sgd_probe import SGDProbe, sgd_linear_probe
from semppl_keras.evaluation.supervised import SupervisedAccuracy, supervised_accuracy

__all__ = [
    "CORRUPTIONS",
    "SEVERITIES",
    "SGDProbe",
    "SupervisedAccuracy",
    "as_pixels",
    "calibration_curve",
    "confidence_interval",
    "confusion_matrix",
    "corrupt",
    "corruption_errors",
    "cross_validated_predictions",
    "encode_dataset",
    "expected_calibration_error",
    "fit_probe",
    "knn_accuracy",
    "knn_predict",
    "knn_probabilities",
    "linear_probe",
    "mean_corruption_error",
    "per_class_accuracy",
    "sgd_linear_probe",
    "summarize",
    "supervised_accuracy",
    "top_k_accuracy",
]
