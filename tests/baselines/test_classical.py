import numpy as np
import pytest
from sklearn.covariance import LedoitWolf

from ocjax import baselines
from ocjax._checks import InputError

RNG = np.random.default_rng(0)
NORMAL = np.clip(RNG.normal(100, 12, (80, 4, 4, 1)), 0, 255).astype(np.uint8)
OTHER = np.clip(RNG.normal(160, 12, (40, 4, 4, 1)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("name", baselines.DETECTORS)
def test_what_is_far_from_normal_scores_higher(name):
    score = baselines.fit(name, NORMAL[:60])
    normal, other = score(NORMAL[60:]), score(OTHER)
    assert normal.shape == (20,) and np.isfinite(normal).all()
    assert np.median(other) > normal.max()
    # Floats in [-1, 1] are the same images.
    as_floats = lambda images: (images / 127.5 - 1).astype(np.float64)
    again = baselines.fit(name, as_floats(NORMAL[:60]))
    np.testing.assert_allclose(again(as_floats(OTHER)), score(OTHER), rtol=1e-6)


def test_mahalanobis_by_hand_on_two_pixels():
    pixels = RNG.random((50, 1, 2, 1)) * 2 - 1
    score = baselines.fit("mahalanobis", pixels)
    flat = (pixels.reshape(50, 2) + 1) / 2
    model = LedoitWolf().fit(flat)
    away = flat - flat.mean(0)
    expected = np.einsum("ni,ij,nj->n", away, np.linalg.inv(model.covariance_), away)
    np.testing.assert_allclose(score(pixels), expected, rtol=1e-6)


def test_a_seed_decides_what_is_random():
    one, same, other = (
        baselines.fit("iforest", NORMAL, seed)(OTHER) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_an_unknown_detector_is_said():
    with pytest.raises(InputError, match="Unknown detector 'ocsmv'.*'ocsvm'"):
        baselines.fit("ocsmv", NORMAL)
