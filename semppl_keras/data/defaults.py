"""What stands where nobody says it of a data set; the standard library alone."""

DATASET = "digits"

# So many labelled images of each class; of a person's own images all are.
LABELS_PER_CLASS = 10

# The share of the images that may be unreadable.
MAX_SKIPPED = 0.05

# Where decoded images are kept, the first where nobody says another; with "none" they
# are decoded anew for each batch.
CACHES = ("auto", "memory", "disk", "none")
CACHE = CACHES[0]

# How pictures become squares: with bars beside them, by their central square, or out of
# shape. Pictures of one's own in the first way where nobody says another, runs that do
# not say theirs, and the images of data sets that have names, in the second.
FITS = ("pad", "crop", "stretch")
FIT = FITS[0]
UNTOLD_FIT = FITS[1]

# To how many pixels a side a person's own images are brought at most.
LARGEST_USUAL_SIDE = 96

# The forms of labels for other programs (`data.tables.formats`), the first where nobody
# says another: a table for spreadsheets, and for `semppl train --labelled`.
LABEL_FORMATS = ("csv", "label-studio", "coco", "fiftyone", "npz", "parquet")
