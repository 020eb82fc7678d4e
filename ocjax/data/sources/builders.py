"""Data sets that TFDS has no builder for, prepared without TensorFlow."""

import io
import pathlib

import numpy as np
import tensorflow_datasets as tfds

from ocjax.data import files
from ocjax.data.sources import signs


class Gtsrb(tfds.core.GeneratorBasedBuilder):
    """GTSRB from its official folders, each sign cropped to its box."""

    name = "gtsrb"
    VERSION = tfds.core.Version("1.0.0")

    def __init__(self, *, source: pathlib.Path, **options):
        """Reads from `source`, the folder with Final_Training and Final_Test."""
        self._source = source
        super().__init__(**options)

    def _info(self) -> tfds.core.DatasetInfo:
        features = tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(
                    shape=(None, None, 3), encoding_format="png"
                ),
                "label": tfds.features.ClassLabel(num_classes=signs.CLASSES),
                "track": tfds.features.Scalar(np.int64),  # -1 in the test part.
                "path": tfds.features.Text(),
            }
        )
        return self.dataset_info_from_configs(features=features)

    def _split_generators(self, dl_manager):
        del dl_manager
        return {"train": self._records(False), "test": self._records(True)}

    def _generate_examples(self, **_):
        raise NotImplementedError  # TFDS asks for the method, and does not call it.

    def _records(self, test: bool):
        frames = list(signs.frames(self._source, test))
        for frame, sign in zip(frames, files.each(signs.crop, frames), strict=True):
            if isinstance(sign, Exception):
                raise sign
            path = str(frame.path.relative_to(self._source))
            yield (
                path,
                {
                    "image": _png(sign),
                    "label": frame.label,
                    "track": frame.track,
                    "path": path,
                },
            )


def _png(image):
    """Writes a file in memory, since TFDS encodes arrays with TensorFlow alone."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image).save(file, "png")
    file.seek(0)
    return file
