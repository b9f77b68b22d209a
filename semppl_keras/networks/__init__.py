"""Online and target network and their heads."""

from semppl_keras.networks.backbone_contract import as_before as as_before
from semppl_keras.networks.backbone_contract import check_backbone as check_backbone
from semppl_keras.networks.backbone_contract import input_channels as input_channels
from semppl_keras.networks.backbone_contract import pooled as pooled
from semppl_keras.networks.copying import copy_model as copy_model
from semppl_keras.networks.encoder import Encoder as Encoder
from semppl_keras.networks.encoder import TargetEncoder as TargetEncoder
from semppl_keras.networks.heads import mlp_head as mlp_head
from semppl_keras.networks.heads import projector as projector
from semppl_keras.networks.heads import (
    projector_and_predictor as projector_and_predictor,
)
from semppl_keras.networks.image_classifier import ImageClassifier as ImageClassifier
from semppl_keras.networks.image_embedder import ImageEmbedder as ImageEmbedder
from semppl_keras.networks.linear_classifier import (
    linear_classifier as linear_classifier,
)
from semppl_keras.networks.servable import make_servable as make_servable
from semppl_keras.networks.trainable_state import freeze_places as freeze_places
from semppl_keras.networks.trainable_state import frozen_places as frozen_places
