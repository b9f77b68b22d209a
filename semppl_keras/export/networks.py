"""What is exported where nothing was trained here but a probe, or nothing at all."""

from semppl_keras.networks import ImageEmbedder as ImageEmbedder
from semppl_keras.networks import linear_classifier as linear_classifier
