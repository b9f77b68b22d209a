"""The models that are trained."""

from semppl_keras.models.byol import BYOL as BYOL
from semppl_keras.models.image_embedder import ImageEmbedder as ImageEmbedder
from semppl_keras.models.pretraining import Pretraining as Pretraining
from semppl_keras.models.relicv2 import ReLICv2 as ReLICv2
from semppl_keras.models.semppl import SemPPL as SemPPL
from semppl_keras.models.simclr import SimCLR as SimCLR
from semppl_keras.models.suncet import SuNCEt as SuNCEt
from semppl_keras.models.view_model import ViewModel as ViewModel
