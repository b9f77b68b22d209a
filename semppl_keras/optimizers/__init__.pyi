from .biases_and_normalisation import (
    biases_and_normalisation as biases_and_normalisation,
)
from .lars import LARS as LARS
from .layerwise_adamw import LayerwiseAdamW as LayerwiseAdamW
from .quarter_cosine import QuarterCosine as QuarterCosine
from .sgd_l2 import SGDL2 as SGDL2
from .warmup_cosine import warmup_cosine as warmup_cosine
