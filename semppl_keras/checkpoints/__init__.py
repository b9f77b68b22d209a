"""Published checkpoints of other people's code, as Keras models."""

from semppl_keras.checkpoints.deepmind import load_deepmind as load_deepmind
from semppl_keras.checkpoints.record import Checkpoint as Checkpoint
from semppl_keras.checkpoints.simclr import load_simclr as load_simclr
