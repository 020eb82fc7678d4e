"""Scorers in files: one file to deploy, and what reads it back."""

from ocjax.export.scorer import Card as Card
from ocjax.export.scorer import Scorer as Scorer
from ocjax.export.scorer import Verdict as Verdict
from ocjax.export.scorer import Verdicts as Verdicts
