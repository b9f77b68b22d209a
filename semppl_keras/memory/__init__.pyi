from .image_labels import ImageLabels as ImageLabels
from .queue import LabelledMemory as LabelledMemory
from .queue import enqueue as enqueue
from .sampling import sample_negatives as sample_negatives
from .sampling import sample_semantic_positives as sample_semantic_positives
from .votes import behind_its_ties as behind_its_ties
from .votes import knn_votes as knn_votes
from .votes import vote_shares as vote_shares
