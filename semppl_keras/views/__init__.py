"""Random views: multi-crop, weak and strong ones, named settings, augmentations."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
