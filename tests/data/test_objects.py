import numpy as np
import pytest
from PIL import Image

from ocjax import data
from ocjax._checks import InputError
from ocjax.data.sources import objects


def test_the_files_of_some_objects(shared_data):
    found = data.load("coil100_17", data_dir=shared_data)
    assert found.images.shape == (17 * 72, 32, 32, 3)
    assert found.class_names[:3] == ("obj1", "obj2", "obj4") and "17 of" in found.note
    assert np.bincount(found.labels).tolist() == [72] * 17
    # Halving by Pillow's bilinear filter is close to the mean of 2x2 blocks.
    file = np.load(shared_data / "coil" / "coil100_17objects_64.npz")["images"]
    blocks = file.reshape(-1, 32, 2, 32, 2, 3).mean((2, 4))
    assert np.abs(blocks - found.images).mean() < 4
    assert data.load("coil20", data_dir=shared_data).images.shape == (1440, 32, 32, 1)
    parts = data.split("p1", found, 3, validation_fraction=0.0)
    assert (len(parts.train), parts.anomalous.sum(), len(parts.test)) == (57, 15, 30)


def test_the_original_pictures(tmp_path, monkeypatch):
    monkeypatch.setattr(objects, "OBJECTS", 2)
    monkeypatch.setattr(objects, "VIEWS", 2)
    root = tmp_path / "coil-100"
    root.mkdir()
    for number in (2, 1):
        for angle in (0, 5):
            pixels = np.full((128, 128, 3), 10 * number + angle, np.uint8)
            Image.fromarray(pixels).save(root / f"obj{number}__{angle}.png")
    found = data.load("coil100", data_dir=tmp_path, size=16)
    assert found.images[:, 0, 0, 0].tolist() == [10, 15, 20, 25]
    assert found.labels.tolist() == [0, 0, 1, 1]
    assert found.class_names == ("obj1", "obj2")
    (root / "obj2__5.png").unlink()
    with pytest.raises(InputError, match="is not whole: expected 2 views.*obj2 has 1"):
        data.load("coil100", data_dir=tmp_path, size=16)


def test_as_tfds_prepares_it(tmp_path):
    tfds = pytest.importorskip("tensorflow_datasets")

    class Coil100(tfds.core.GeneratorBasedBuilder):
        """The features of TFDS's own builder, with two objects."""

        VERSION = tfds.core.Version("2.0.0")
        pkg_dir_path = tmp_path  # Where TFDS would look for a description.

        def _info(self):
            features = {
                "image": tfds.features.Image(
                    shape=(128, 128, 3), encoding_format="png"
                ),
                "object_id": tfds.features.ClassLabel(names=["7", "9"]),
            }
            return self.dataset_info_from_configs(
                features=tfds.features.FeaturesDict(features)
            )

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples()}

        def _generate_examples(self):
            for i in range(4):
                path = tmp_path / f"{i}.png"
                Image.fromarray(np.full((128, 128, 3), i, np.uint8)).save(path)
                yield i, {"image": str(path), "object_id": i % 2}

    builder = Coil100(data_dir=tmp_path, file_format="array_record")
    builder.download_and_prepare()
    found = data.load("coil100", data_dir=tmp_path, size=16)
    values = found.images[:, 0, 0, 0]
    assert sorted(values) == [0, 1, 2, 3]
    np.testing.assert_array_equal(found.labels, values % 2)
    assert not found.official_test.any()


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(InputError, match="looked for coil100/<version>.*coil-100/obj1"):
        data.load("coil100", data_dir=tmp_path)
    with pytest.raises(InputError, match="There is no file .*coil/coil20_32.npz"):
        data.load("coil20", data_dir=tmp_path)
    (tmp_path / "coil").mkdir()
    np.savez(tmp_path / "coil" / "coil20_32.npz", images=np.zeros(3))
    with pytest.raises(InputError, match="coil20_32.npz: object_id is not a file"):
        data.load("coil20", data_dir=tmp_path)
    (tmp_path / "coil" / "coil20_32.npz").write_text("text")
    with pytest.raises(InputError, match="is no readable .npz file"):
        data.load("coil20", data_dir=tmp_path)
