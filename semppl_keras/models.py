"""The models that are trained."""

from semppl_keras.networks.image_embedder import ImageEmbedder as ImageEmbedder
from semppl_keras.pretraining.base import Pretraining as Pretraining
from semppl_keras.pretraining.byol import BYOL as BYOL
from semppl_keras.pretraining.relicv2 import ReLICv2 as ReLICv2
from semppl_keras.pretraining.representation_distiller import (
    RepresentationDistiller as RepresentationDistiller,
)
from semppl_keras.pretraining.semppl import SemPPL as SemPPL
from semppl_keras.pretraining.simclr import SimCLR as SimCLR
from semppl_keras.pretraining.suncet import SuNCEt as SuNCEt
from semppl_keras.training.view_model import ViewModel as ViewModel
