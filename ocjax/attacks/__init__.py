"""Adversarial attacks: pure functions of a classifier's logits, or of a score."""

from ocjax.attacks.boundary import boundary as boundary
from ocjax.attacks.deepfool import deepfool as deepfool
from ocjax.attacks.gradient import bim as bim
from ocjax.attacks.gradient import fgsm as fgsm
from ocjax.attacks.gradient import move_score as move_score
from ocjax.attacks.result import NORMS as NORMS
from ocjax.attacks.result import Attacked as Attacked
