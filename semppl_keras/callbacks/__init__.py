"""Callbacks: the target's schedule, TensorBoard scalars."""

from semppl_keras.callbacks.scalar_logs import ScalarLogs as ScalarLogs
from semppl_keras.models.target_ema import TargetEMA as TargetEMA
