from .base import Pretraining as Pretraining
from .byol import BYOL as BYOL
from .relicv2 import ReLICv2 as ReLICv2
from .representation_distiller import (
    RepresentationDistiller as RepresentationDistiller,
)
from .semppl import SemPPL as SemPPL
from .simclr import SimCLR as SimCLR
from .suncet import SuNCEt as SuNCEt
