"""What an export may begin with; the stub of a package names its own modules alone."""

from semppl_keras.networks import ImageEmbedder as ImageEmbedder
from semppl_keras.networks import linear_classifier as linear_classifier
