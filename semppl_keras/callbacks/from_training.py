"""The engine's own callback: the stub of a package names its own modules alone."""

from semppl_keras.training.target_ema import TargetEMA as TargetEMA
