"""Trained models for use elsewhere: images as they are in, probabilities out."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
