"""The labelled memory: queue, votes of neighbours, draws."""

from semppl_keras.memory.queue import LabelledMemory as LabelledMemory
from semppl_keras.memory.queue import enqueue as enqueue
from semppl_keras.memory.sampling import sample_negatives as sample_negatives
from semppl_keras.memory.sampling import (
    sample_semantic_positives as sample_semantic_positives,
)
from semppl_keras.memory.votes import behind_its_ties as behind_its_ties
from semppl_keras.memory.votes import knn_votes as knn_votes
from semppl_keras.memory.votes import vote_shares as vote_shares
