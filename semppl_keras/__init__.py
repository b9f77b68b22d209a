"""Learning from many images and few labels: SemPPL on Keras 3."""

import os

# TensorFlow leaves oneDNN off on processors without AVX-512, where the gradient of
# a convolution takes five times as long without it. Read when TensorFlow loads.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

from semppl_keras import backbones as backbones
from semppl_keras import callbacks as callbacks
from semppl_keras import checkpoints as checkpoints
from semppl_keras import data as data
from semppl_keras import distillation as distillation
from semppl_keras import evaluation as evaluation
from semppl_keras import export as export
from semppl_keras import losses as losses
from semppl_keras import memory as memory
from semppl_keras import networks as networks
from semppl_keras import optimizers as optimizers
from semppl_keras import recipes as recipes
from semppl_keras import runs as runs
from semppl_keras import views as views
from semppl_keras.classifiers import Distiller as Distiller
from semppl_keras.classifiers import FineTuner as FineTuner
from semppl_keras.pretraining import BYOL as BYOL
from semppl_keras.pretraining import ReLICv2 as ReLICv2
from semppl_keras.pretraining import SemPPL as SemPPL
from semppl_keras.pretraining import SimCLR as SimCLR
from semppl_keras.pretraining import SuNCEt as SuNCEt
from semppl_keras.version import __version__ as __version__
