"""Learning from many images and few labels: SemPPL on Keras 3."""

from semppl_keras import backbones as backbones
from semppl_keras import callbacks as callbacks
from semppl_keras import data as data
from semppl_keras import evaluation as evaluation
from semppl_keras import losses as losses
from semppl_keras import memory as memory
from semppl_keras import networks as networks
from semppl_keras import optimizers as optimizers
from semppl_keras import recipes as recipes
from semppl_keras import views as views
from semppl_keras.models import SemPPL as SemPPL
from semppl_keras.version import __version__ as __version__
