from .export_model import export_model as export_model
from .formats import FORMATS as FORMATS
from .networks import ImageEmbedder as ImageEmbedder
from .networks import linear_classifier as linear_classifier
from .serving_script import script_path as script_path
