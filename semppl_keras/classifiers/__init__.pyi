from .distiller import Distiller as Distiller
from .fine_tuner import FineTuner as FineTuner
