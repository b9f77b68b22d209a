"""Features in two dimensions."""

import numpy as np
import pytest

from semppl_keras.evaluation.plane import embed_in_plane, principal_plane

pytestmark = pytest.mark.any_backend


def test_principal_plane_against_the_covariance():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(50, 6)) * [1, 5, 2, 1, 1, 3] + 10
    points = principal_plane(features.astype("float32"))
    values, vectors = np.linalg.eigh(np.cov(features.T))
    for column, index in ((0, -1), (1, -2)):
        assert points[:, column].var(ddof=1) == pytest.approx(values[index], rel=1e-4)
        axis = vectors[:, index]
        axis = axis * np.sign(axis[np.abs(axis).argmax()])
        centred = features - features.mean(axis=0)
        np.testing.assert_allclose(points[:, column], centred @ axis, atol=1e-3)
    np.testing.assert_allclose(principal_plane(features + 100), points, atol=1e-3)


def test_principal_plane_of_little():
    for shape in ((1, 4), (6, 1), (1, 1), (6, 4)):
        points = principal_plane(np.ones(shape, "float32"))
        np.testing.assert_allclose(points, np.zeros((shape[0], 2)), atol=1e-12)


@pytest.mark.parametrize("count", [1, 3, 40])
def test_embedding_plot(count):
    features = np.random.default_rng(0).normal(size=(count, 5))
    points, method = embed_in_plane(features)
    assert points.shape == (count, 2)
    assert method == ("t-SNE" if count >= 10 else "PCA")
    assert np.isfinite(points).all()
    collapsed, _ = embed_in_plane(np.ones((count, 5)))
    assert np.isfinite(collapsed).all()
