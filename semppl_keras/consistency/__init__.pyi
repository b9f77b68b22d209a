from .strategy import Alignment as Alignment
from .strategy import Refinement as Refinement
from .strategy import Step as Step
from .strategy import Strategy as Strategy
from .strategy import Targets as Targets
from .strategy import Weighting as Weighting
