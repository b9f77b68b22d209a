from .byol import byol_loss as byol_loss
from .nt_xent import nt_xent_loss as nt_xent_loss
from .semppl import semppl_loss as semppl_loss
from .suncet import SuNCEtLoss as SuNCEtLoss
from .suncet import suncet_loss as suncet_loss
