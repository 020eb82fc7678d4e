import pathlib

import pytest

REPOSITORY = pathlib.Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def cache_folder(tmp_path, monkeypatch):
    """Keeps the tests out of the user's cache."""
    monkeypatch.setenv("OCJAX_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "datasets"


@pytest.fixture(scope="session")
def prepared_dir():
    """A folder where TFDS has prepared MNIST, Fashion-MNIST and CIFAR-10."""
    folder = REPOSITORY.parent / "shared" / "data" / "tfds"
    if not folder.is_dir():
        pytest.skip("No prepared data sets in ../shared/data/tfds.")
    return folder


@pytest.fixture(scope="session")
def shared_data():
    """A folder with real data of other kinds."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("No data sets in ../shared/data.")
    return folder
