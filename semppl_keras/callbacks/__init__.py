"""Callbacks: the target's schedule, evaluation during `fit`, logs, safety."""

from semppl_keras.callbacks.interruption import (
    finishing_the_step as finishing_the_step,
)
from semppl_keras.callbacks.online_evaluation import (
    OnlineEvaluation as OnlineEvaluation,
)
from semppl_keras.callbacks.scalar_logs import ScalarLogs as ScalarLogs
from semppl_keras.callbacks.training_checkpoints import (
    TrainingCheckpoints as TrainingCheckpoints,
)
from semppl_keras.callbacks.training_checkpoints import TrainingState as TrainingState
from semppl_keras.callbacks.training_checkpoints import (
    latest_checkpoint as latest_checkpoint,
)
from semppl_keras.callbacks.training_health import TrainingDiverged as TrainingDiverged
from semppl_keras.callbacks.training_health import TrainingHealth as TrainingHealth
from semppl_keras.training.target_ema import TargetEMA as TargetEMA
