"""Losses: pure functions that return one value per example."""

from ocjax.losses import adversarial as adversarial
from ocjax.losses import dual_autoencoder as dual_autoencoder
from ocjax.losses import entropy as entropy
from ocjax.losses import latent as latent
from ocjax.losses import mutual_information as mutual_information
from ocjax.losses import reconstruction as reconstruction
from ocjax.losses import splitting as splitting
