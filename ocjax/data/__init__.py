"""Images in, one-class splits and batches out."""

from ocjax.data.dataset import Dataset as Dataset
from ocjax.data.dataset import class_index as class_index
from ocjax.data.dataset import trainable as trainable
from ocjax.data.images import check as check
from ocjax.data.images import resize as resize
from ocjax.data.images import to_float as to_float
from ocjax.data.images import to_uint8 as to_uint8
from ocjax.data.mapping import map_images as map_images
from ocjax.data.protocols import PROTOCOLS as PROTOCOLS
from ocjax.data.protocols import TARGET as TARGET
from ocjax.data.protocols import Split as Split
from ocjax.data.protocols import split as split
from ocjax.data.sources import SOURCES as SOURCES
from ocjax.data.sources import load as load
from ocjax.data.stream import batches as batches
from ocjax.data.stream import prefetch as prefetch
