"""From a representation to a classifier: fine-tuning, then distillation."""

from semppl_keras.classifiers.distiller import Distiller as Distiller
from semppl_keras.classifiers.fine_tuner import FineTuner as FineTuner
from semppl_keras.losses.classification import cross_entropy as cross_entropy
from semppl_keras.losses.classification import (
    distillation_loss as distillation_loss,
)
from semppl_keras.losses.classification import soften as soften
from semppl_keras.networks.image_classifier import (
    ImageClassifier as ImageClassifier,
)
