"""The optimiser and the learning-rate schedule of large-batch contrastive training."""

from semppl_keras.optimizers.biases_and_normalisation import biases_and_normalisation
from semppl_keras.optimizers.lars import LARS
from semppl_keras.optimizers.warmup_cosine import warmup_cosine

__all__ = ["LARS", "biases_and_normalisation", "warmup_cosine"]
