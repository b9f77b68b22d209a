"""Callbacks: the target's schedule, evaluation during `fit`, TensorBoard."""

from semppl_keras.callbacks.online_evaluation import (
    OnlineEvaluation as OnlineEvaluation,
)
from semppl_keras.callbacks.scalar_logs import ScalarLogs as ScalarLogs
from semppl_keras.models.target_ema import TargetEMA as TargetEMA
