"""Features laid out in two dimensions."""

from typing import Any

import numpy as np


def principal_plane(features: Any) -> np.ndarray:
    """Coordinates of features along their two principal axes.

    Each axis points to where its largest component is positive, so that the pictures
    of similar features are not mirrored.

    Args:
        features: `(N, F)`, finite.

    Returns:
        `(N, 2)` float64, of mean 0; the second column is 0 where N or F is 1.

    Example:
        >>> principal_plane(np.array([[0.0, 3.0], [0.0, 5.0]]))
        array([[-1.,  0.],
               [ 1.,  0.]])
    """
    components, axes = _principal_components(features)
    largest = np.abs(axes).argmax(axis=1)
    components = components * np.sign(axes[np.arange(len(axes)), largest])
    return _at_least_two_columns(components)[:, :2]


def embed_in_plane(features: Any, seed: int = 0) -> tuple[np.ndarray, str]:
    """Lays features out in two dimensions, near ones near each other.

    Args:
        features: `(N, F)`, N at least 1.
        seed: Of t-SNE.

    Returns:
        `(N, 2)` points and the name of the method: t-SNE, or for fewer than ten
        features PCA.

    Example:
        >>> points, method = embed_in_plane(np.random.normal(size=(50, 8)))
        >>> points.shape, method
        ((50, 2), 't-SNE')
    """
    features = np.asarray(features, "float64")
    # Lengths carry no meaning here: neighbours are by cosine similarity.
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    components, _ = _principal_components(features / np.where(lengths > 0, lengths, 1))
    components = _at_least_two_columns(components[:, :30])
    if len(features) < 10 or not components.any():
        return components[:, :2], "PCA"
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    tsne = TSNE(
        perplexity=min(30, (len(features) - 1) / 3),
        init=components[:, :2] / max(components[:, 0].std(), 1e-12) * 1e-4,
        max_iter=500,
        random_state=seed,
    )
    # For some hundred points threads wait for each other more than they work.
    with threadpool_limits(1):
        return tsne.fit_transform(components), "t-SNE"


def _principal_components(features: Any) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates `(N, K)` along the principal axes `(K, F)`, the longest first."""
    centred = features - np.mean(features, axis=0, dtype="float64")
    u, s, axes = np.linalg.svd(centred, full_matrices=False)
    return u * s, axes


def _at_least_two_columns(components: np.ndarray) -> np.ndarray:
    return np.pad(components, ((0, 0), (0, max(0, 2 - components.shape[1]))))
