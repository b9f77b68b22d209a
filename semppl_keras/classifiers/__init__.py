"""Networks that learn from labels, or from a teacher, after pre-training."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
