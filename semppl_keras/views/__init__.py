"""Random views: multi-crop, the single augmentations, named recipes."""

from semppl_keras.views.augmentations import color_jitter as color_jitter
from semppl_keras.views.augmentations import crop_and_resize as crop_and_resize
from semppl_keras.views.augmentations import gaussian_blur as gaussian_blur
from semppl_keras.views.augmentations import grayscale as grayscale
from semppl_keras.views.augmentations import rotate_and_shear as rotate_and_shear
from semppl_keras.views.augmentations import solarize as solarize
from semppl_keras.views.multi_crop import MultiCrop as MultiCrop
from semppl_keras.views.named import RECIPES as RECIPES
from semppl_keras.views.named import recipe as recipe
