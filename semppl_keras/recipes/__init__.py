"""Recipes: a function each, of the epoch budget; `own_images` for any size."""

from semppl_keras.backbones.registry import BACKBONES as BACKBONES
from semppl_keras.recipes.choice import for_dataset as for_dataset
from semppl_keras.recipes.digits import digits as digits
from semppl_keras.recipes.imagenet import imagenet as imagenet
from semppl_keras.recipes.named import RECIPES as RECIPES
from semppl_keras.recipes.named import get as get
from semppl_keras.recipes.own_images import own_images as own_images
from semppl_keras.recipes.own_images import usual_epochs as usual_epochs
from semppl_keras.recipes.recipe import Recipe as Recipe
from semppl_keras.recipes.small_images import small_images as small_images
