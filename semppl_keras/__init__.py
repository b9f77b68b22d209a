"""Learning from many images and few labels: SemPPL on Keras 3."""

import os

import lazy_loader

from semppl_keras.registration import register_with_keras

# TensorFlow leaves oneDNN off on processors without AVX-512, where the gradient of
# a convolution takes five times as long without it. Read when TensorFlow loads.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
# What a layer gives for a batch is memory anew on torch, of which pages of some KiB
# take longer to come than to be filled. Read when torch first takes memory.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

# What is where says __init__.pyi, here and in every package: it is imported when it
# is first used, and a backend with it.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

register_with_keras()
