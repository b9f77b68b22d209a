from .consistency_trainer import ConsistencyTrainer as ConsistencyTrainer
from .distiller import Distiller as Distiller
from .fine_tuner import FineTuner as FineTuner
from .noisy_student import noisy_student as noisy_student
