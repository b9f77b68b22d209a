"""Trained models for use elsewhere: images as they are in, probabilities out."""

from semppl_keras.export.export_model import FORMATS as FORMATS
from semppl_keras.export.export_model import export_model as export_model
from semppl_keras.export.serving_script import script_path as script_path
from semppl_keras.networks import ImageEmbedder as ImageEmbedder
from semppl_keras.networks.linear_classifier import (
    linear_classifier as linear_classifier,
)
