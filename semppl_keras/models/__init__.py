"""The models that are trained."""

from semppl_keras.models.semppl import SemPPL as SemPPL
