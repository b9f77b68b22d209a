"""Objectives as pure functions of embeddings."""

from semppl_keras.losses.semppl import semppl_loss as semppl_loss
