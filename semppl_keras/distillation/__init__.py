"""From a representation to a classifier: fine-tuning, then distillation."""

from semppl_keras.distillation.distiller import Distiller as Distiller
from semppl_keras.distillation.fine_tuner import FineTuner as FineTuner
from semppl_keras.distillation.image_classifier import (
    ImageClassifier as ImageClassifier,
)
from semppl_keras.distillation.objectives import cross_entropy as cross_entropy
from semppl_keras.distillation.objectives import (
    distillation_loss as distillation_loss,
)
from semppl_keras.distillation.objectives import soften as soften
