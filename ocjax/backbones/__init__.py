"""Frozen networks that were trained elsewhere, and where their weights come from."""

from ocjax.backbones.backbone import NETWORKS as NETWORKS
from ocjax.backbones.backbone import Backbone as Backbone
from ocjax.backbones.backbone import Feature as Feature
from ocjax.backbones.backbone import from_tensors as from_tensors
from ocjax.backbones.backbone import load as load
