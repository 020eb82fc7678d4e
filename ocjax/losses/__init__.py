"""Losses: pure functions that return one value per example."""

from ocjax.losses import adversarial as adversarial
from ocjax.losses import latent as latent
from ocjax.losses import reconstruction as reconstruction
