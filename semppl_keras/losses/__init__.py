"""Objectives as pure functions of embeddings."""

from semppl_keras.losses.byol import byol_loss as byol_loss
from semppl_keras.losses.nt_xent import nt_xent_loss as nt_xent_loss
from semppl_keras.losses.semppl import semppl_loss as semppl_loss
from semppl_keras.losses.suncet import SuNCEtLoss as SuNCEtLoss
from semppl_keras.losses.suncet import suncet_loss as suncet_loss
