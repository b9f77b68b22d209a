"""What the engine calls by itself, and takes from whoever gives it another one."""

from semppl_keras.training.target_ema import TargetEMA as TargetEMA
