from .export_model import export_model as export_model
from .formats import FORMATS as FORMATS
from .from_networks import ImageEmbedder as ImageEmbedder
from .from_networks import linear_classifier as linear_classifier
from .serving_script import script_path as script_path
