"""What features are spread over, evened out."""

import dataclasses

import keras
import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class EvenDirections:
    """The directions of largest variance, evened out: an affine map of features.

    Args:
        kernel: `(F, K)`.
        bias: `(K,)`.
    """

    kernel: np.ndarray
    bias: np.ndarray

    def of(self, features: np.ndarray) -> np.ndarray:
        """`(N, K)` of features `(N, F)`."""
        return features @ self.kernel + self.bias


def find_directions(
    values: np.ndarray, components: int, whitening: float
) -> EvenDirections:
    """The directions of largest variance, evened out.

    In most features a few directions outweigh all others; divided by their deviation
    to some power between 0 and 1, they tell near from far better by cosine similarity.

    Args:
        values: `(N, F)`, finite, at least 2.
        components: directions that are kept, at most as many as there are.
        whitening: in [0, 1]; 0 leaves them as they are, with 1 they count alike.

    Returns:
        `EvenDirections`, of what lies around the mean of the values.
    """
    from sklearn.decomposition import PCA

    components = min(components, *values.shape)
    pca = PCA(components, svd_solver="randomized", random_state=0).fit(values)
    deviations = np.sqrt(pca.explained_variance_)
    # Directions of no variance say nothing, and are not blown up.
    scale = np.maximum(deviations, 1e-3 * deviations[0] + 1e-12) ** -whitening
    kernel = pca.components_.T * scale
    return EvenDirections(kernel, -pca.mean_ @ kernel)


def fit_directions(
    values: np.ndarray, components: int, whitening: float, name: str
) -> keras.layers.Dense:
    """The same as a linear layer.

    Args:
        values, components, whitening: as for `find_directions`.
        name: of the layer.

    Returns:
        A built `Dense` layer from `(B, F)` to `(B, components)`, not trainable.
    """
    directions = find_directions(values, components, whitening)
    width, components = directions.kernel.shape
    layer = keras.layers.Dense(components, dtype="float32", name=name, trainable=False)
    layer.build((None, width))
    layer.set_weights([directions.kernel, directions.bias])
    return layer
