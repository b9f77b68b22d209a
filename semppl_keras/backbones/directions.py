"""A linear layer that evens out what features are spread over."""

import keras
import numpy as np


def fit_directions(
    values: np.ndarray, components: int, whitening: float, name: str
) -> keras.layers.Dense:
    """The directions of largest variance, evened out.

    In most features a few directions outweigh all others; divided by their deviation
    to some power between 0 and 1, they tell near from far better by cosine similarity.

    Args:
        values: `(N, F)`, finite, at least 2.
        components: directions that are kept, at most as many as there are.
        whitening: in [0, 1]; 0 leaves them as they are, with 1 they count alike.
        name: of the layer.

    Returns:
        A built `Dense` layer from `(B, F)` to `(B, components)`, not trainable.
    """
    from sklearn.decomposition import PCA

    components = min(components, *values.shape)
    pca = PCA(components, svd_solver="randomized", random_state=0).fit(values)
    deviations = np.sqrt(pca.explained_variance_)
    # Directions of no variance say nothing, and are not blown up.
    scale = np.maximum(deviations, 1e-3 * deviations[0] + 1e-12) ** -whitening
    kernel = pca.components_.T * scale
    layer = keras.layers.Dense(components, dtype="float32", name=name, trainable=False)
    layer.build((None, values.shape[1]))
    layer.set_weights([kernel, -pca.mean_ @ kernel])
    return layer
