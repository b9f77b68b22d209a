"""Objectives that train a network on images with few labels or none."""

from semppl_keras.pretraining.base import Pretraining as Pretraining
from semppl_keras.pretraining.byol import BYOL as BYOL
from semppl_keras.pretraining.relicv2 import ReLICv2 as ReLICv2
from semppl_keras.pretraining.semppl import SemPPL as SemPPL
from semppl_keras.pretraining.simclr import SimCLR as SimCLR
from semppl_keras.pretraining.suncet import SuNCEt as SuNCEt
