"""From a trained state to scores, thresholds, metrics, pictures and one page."""

from ocjax.evaluation import metrics as metrics
from ocjax.evaluation import plots as plots
from ocjax.evaluation import thresholds as thresholds
from ocjax.evaluation.report import CAPTIONS as CAPTIONS
from ocjax.evaluation.report import write_report as write_report
from ocjax.evaluation.scoring import score as score
