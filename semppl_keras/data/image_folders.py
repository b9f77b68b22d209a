"""Images in folders, a folder for each class."""

import pathlib

import numpy as np

ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


def list_images(folder):
    """The image files of each class.

    Args:
        folder: path of a folder with a subfolder for each class; names that start
            with a dot are passed over, images may lie deeper.

    Returns:
        dict from class name to a sorted list of paths, in the order of the names.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if it has no subfolder with images.
    """
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(
            f"There must be a folder at {str(folder)!r}. Received: "
            + ("a file." if folder.exists() else "a path where nothing is.")
        )
    classes = {
        child.name: sorted(
            path
            for path in child.rglob("*")
            if path.suffix.lower() in ENDINGS and not path.name.startswith(".")
        )
        for child in sorted(folder.iterdir())
        if child.is_dir() and not child.name.startswith(".")
    }
    classes = {name: paths for name, paths in classes.items() if paths}
    if not classes:
        raise ValueError(
            f"The folder {str(folder)!r} must have a subfolder of images for each "
            f"class. Received: none with files that end in {', '.join(ENDINGS)}."
        )
    return classes


def read_images(paths, image_size=None, channels=None):
    """Reads image files into one array.

    Args:
        paths: list of paths, at least one.
        image_size: int, the central square is resized to it; None for images that
            have one size already.
        channels: 1 or 3; None for 1 where all are grey, else 3.

    Returns:
        `(N, h, w, channels)` uint8.

    Raises:
        ValueError: if a file is no image, or the sizes differ without `image_size`.
    """
    from PIL import Image, ImageOps

    if channels is None:
        channels = 3 if any(_is_coloured(path) for path in paths) else 1
    images = None
    for index, path in enumerate(paths):
        with _opened(path) as image:
            try:
                image = image.convert("RGB" if channels == 3 else "L")
            except OSError as error:
                raise _unreadable(path, error) from error
            if image_size is not None:
                image = ImageOps.fit(
                    image, (image_size, image_size), Image.Resampling.LANCZOS
                )
            array = np.asarray(image).reshape(image.height, image.width, channels)
        if images is None:
            images = np.empty((len(paths), *array.shape), "uint8")
        if array.shape != images.shape[1:]:
            raise ValueError(
                "Without `image_size` images must have one size. Received: "
                f"{images.shape[2]} x {images.shape[1]} pixels in {str(paths[0])!r} "
                f"and {array.shape[1]} x {array.shape[0]} in {str(path)!r}."
            )
        images[index] = array
    return images


def _is_coloured(path):
    with _opened(path) as image:
        return image.mode not in ("1", "L", "LA", "I", "I;16", "F")


def _opened(path):
    from PIL import Image

    try:
        return Image.open(path)
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path, error):
    return ValueError(f"{str(path)!r} cannot be read as an image: {error}")
