"""What stands where nobody says it of a training; the standard library alone."""

# Images of so many pixels a side at most are small: what was found out on such is
# taken over for a person's own.
SMALL = 64

# The network for a person's own images, small or not; and of those that are not, where
# its weights can be had.
SMALL_BACKBONE, LARGE_BACKBONE = "small", "resnet18"
PRETRAINED_BACKBONE = "keras:EfficientNetV2B0"

# Passes over a person's own images make some so many steps, of a new network and of one
# that comes with weights.
OWN_STEPS, PRETRAINED_STEPS = 3000, 80

# Steps of which a training that fits a time is of some use.
LEAST_STEPS = 50

# Of the minutes that a command may take, what is kept for measuring in the end: of a
# whole run, of which graphs and cross-validation are a part; of the run when its ending
# begins to be trained, by when half of that is done; and of one classifier.
RUN_MEASURING_SHARE, ENDING_MEASURING_SHARE = 0.45, 0.33
CLASSIFIER_MEASURING_SHARE = 0.1

# Of the time for training that a run has, what keeping the features of the part of a
# backbone that is not trained may take; it is of use by what is trained on them.
KEEPING_SHARE = 0.5

# Of the time for training that a run has, what fine-tuning a backbone with weights may
# take: SemPPL, which takes the rest, adds less to it (docs/results/pretrained.md).
TUNING_SHARE = 0.67

# Of `recipes.RECIPES`.
RECIPE_NAMES = ("digits", "imagenet", "small_images")
