"""Networks that learn from labels, or from a teacher, after pre-training."""

from semppl_keras.classifiers.distiller import Distiller as Distiller
from semppl_keras.classifiers.fine_tuner import FineTuner as FineTuner
