"""Which corruptions there are, and how strong: names alone."""

# Out of which severities one is chosen.
SEVERITIES = (1, 2, 3, 4, 5)

# In the order of Hendrycks & Dietterich (2019).
CORRUPTIONS = (
    "gaussian_noise",
    "shot_noise",
    "impulse_noise",
    "defocus_blur",
    "glass_blur",
    "motion_blur",
    "zoom_blur",
    "snow",
    "frost",
    "fog",
    "brightness",
    "contrast",
    "elastic_transform",
    "pixelate",
    "jpeg_compression",
)
