import numpy as np
from sklearn.decomposition import PCA
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors

from ocjax.evaluation import yardsticks

RNG = np.random.default_rng(0)
# A few directions explain most of what there is.
BASIS = RNG.normal(size=(24, 64))
TRAINING, TEST = (
    np.clip(128 + 12 * RNG.normal(size=(n, 24)) @ BASIS, 0, 255)
    .astype(np.uint8)
    .reshape(n, 8, 8, 1)
    for n in (60, 25)
)
FLAT, FLAT_TEST = (x.reshape(len(x), -1) / 255 for x in (TRAINING, TEST))


def scored(training, test):
    images = np.concatenate([training, test])
    rows = np.arange(len(images))
    return yardsticks.scores(images, rows[: len(training)], rows[len(training) :])


def test_scores_are_those_of_scikit_learn():
    scores = scored(TRAINING, TEST)
    assert list(scores) == ["mean image", "pca", "pca 16", "knn", "lof"]

    def residual(components):
        model = PCA(components, svd_solver="full").fit(FLAT)
        again = model.inverse_transform(model.transform(FLAT_TEST))
        return np.square(FLAT_TEST - again).sum(1), model

    expected = {"mean image": np.square(FLAT_TEST - FLAT.mean(0)).sum(1)}
    expected["pca"], model = residual(0.95)
    expected["pca 16"], _ = residual(16)
    distances, _ = NearestNeighbors(n_neighbors=5).fit(FLAT).kneighbors(FLAT_TEST)
    expected["knn"] = distances.mean(1)
    lof = LocalOutlierFactor(n_neighbors=20, novelty=True).fit(model.transform(FLAT))
    expected["lof"] = -lof.score_samples(model.transform(FLAT_TEST))
    for name, values in expected.items():
        np.testing.assert_allclose(scores[name], values, rtol=2e-3, err_msg=name)


def test_the_mean_image_by_hand():
    training = np.array([[0, 0], [0, 255]], np.uint8).repeat(2, 0).reshape(2, 2, 2, 1)
    test = np.full((1, 2, 2, 1), 255, np.uint8)
    # The mean is (0, 0, 0.5, 0.5) in one order or another.
    mean = training.reshape(2, -1).mean(0) / 255
    scores = scored(training, test)
    np.testing.assert_allclose(scores["mean image"], np.square(1 - mean).sum())
    assert list(scores) == ["mean image", "pca"]  # Two images have no neighbours.


def test_large_images_and_many_of_them_are_bounded(monkeypatch):
    monkeypatch.setattr(yardsticks, "TRAINING", 30)
    training = RNG.integers(0, 256, (40, 50, 50, 3), np.uint8)
    shapes, seen = [], yardsticks._principal
    monkeypatch.setattr(
        yardsticks, "_principal", lambda x: shapes.append(x.shape) or seen(x)
    )

    class Disk(np.ndarray):
        def __getitem__(self, rows):
            if isinstance(rows, np.ndarray):
                read.append(len(rows))
            return np.asarray(super().__getitem__(rows))

    read = []
    monkeypatch.setattr(yardsticks, "PIECE", 8)
    rows = np.arange(40)
    scores = yardsticks.scores(training.view(Disk), rows, rows[:3])
    assert shapes == [(30, 18 * 18 * 3)]
    assert read == [8, 8, 8, 6, 3]  # Never all of them, which may not fit in memory.
    assert all(np.isfinite(values).all() for values in scores.values())


def test_images_that_are_all_alike_give_finite_scores():
    alike = np.full((25, 4, 4, 1), 7, np.uint8)
    for values in scored(alike, np.concatenate([alike, 2 * alike])).values():
        assert np.isfinite(values).all()
