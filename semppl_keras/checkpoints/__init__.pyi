from .deepmind import load_deepmind as load_deepmind
from .record import Checkpoint as Checkpoint
from .simclr import load_simclr as load_simclr
