"""The optimiser and the learning-rate schedule of large-batch contrastive training."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
