"""Parts of a consistency training: how pseudo-labels are made, and which count."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
